"""One picture file as an array, by Pillow."""

import functools
import io
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["crop", "stretch", "pad"]


class BrokenPictureError(ValueError):
    """What is wrong with a picture's bytes."""


def decode(content: bytes, side: int, fit: Fit) -> np.ndarray:
    """The picture in a file's bytes: red, green and blue, uint8, shape (3, side, side).

    Turned as its EXIF orientation says; transparency lies on white; of several frames the first. Made square by
    ``fit``: the middle of it (crop), all of it distorted (stretch), all of it between black bars (pad).

    Raises:
        BrokenPictureError: not a whole picture that Pillow opens, or one of more pixels than it thinks safe.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=list(_formats())) as picture:
            # Of a JPEG file only every second to eighth pixel is decoded where that is enough.
            picture.draft("RGB", (2 * side, 2 * side))
            picture.load()
            upright = _rgb(_upright(picture))
        if fit == "crop":
            square = ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
        elif fit == "pad":
            square = ImageOps.pad(upright, (side, side), Image.Resampling.BILINEAR)
        else:
            square = upright.resize((side, side), Image.Resampling.BILINEAR)
    except BrokenPictureError:
        raise
    except Exception as error:  # its decoders raise whatever the bytes lead them to
        raise BrokenPictureError(_reason(error)) from None
    return np.asarray(square).transpose(2, 0, 1)


def endings() -> frozenset[str]:
    """The file name endings, in small letters, of pictures that can be decoded: ``.jpg``, ``.png`` and so on."""
    from PIL import Image

    formats = _formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats)


@functools.cache
def _formats() -> frozenset[str]:
    """Pillow's, without those that are only headers to it, or for which it runs other programs."""
    from PIL import Image

    # Files of very many pixels are broken to us; Pillow only warns of those up to twice its limit.
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    Image.init()
    return frozenset(Image.OPEN) - {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


def _reason(error: Exception) -> str:
    """In a few words; Pillow's own would name the buffer that the bytes came in."""
    name = type(error).__name__
    if name.startswith("DecompressionBomb"):
        return "more pixels than are safe to decode"
    if name == "UnidentifiedImageError":
        return "not a picture that Pillow opens"
    return str(error) or name


def _upright(picture: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # the pixels are sound, what describes them is not
        return picture


def _rgb(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits; Pillow would cut them off at 255
        return Image.fromarray(np.minimum(np.asarray(picture) // 256, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise BrokenPictureError("floating-point pixels have no agreed white")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")
