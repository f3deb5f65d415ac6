"""One picture file as an array, by Pillow."""

import functools
import io
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["crop", "stretch", "pad"]

_MOST_PIXELS = 89_478_485
"""From here on Pillow warns of files made to fill the memory; from twice as many on it refuses them."""
_TOO_MANY = "more pixels than are safe to decode"
_LONGEST_REASON = 100
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What makes a picture of an EXIF orientation upright."""


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
        with Image.open(io.BytesIO(content), formats=_formats()) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise BrokenPictureError(_TOO_MANY)
            # Of a JPEG file only every second to eighth pixel is decoded where that is enough.
            picture.draft("RGB", (2 * side, 2 * side))
            picture.load()
            upright = _rgb(_upright(picture))
        if fit == "crop":
            square = ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
        elif fit == "pad":
            square = _padded(upright, side)
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
def _formats() -> tuple[str, ...]:
    """Pillow's, without those that are only headers to it, or for which it runs other programs.

    First those known by their first bytes: others would take some of these files for their own.
    """
    from PIL import Image

    Image.init()
    valid = Image.OPEN.keys() - {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
    return tuple(sorted(valid, key=lambda name: (Image.OPEN[name][1] is None, name)))


def _reason(error: Exception) -> str:
    """In a few words; Pillow's own would name the buffer that the bytes came in."""
    name = type(error).__name__
    if name.startswith("DecompressionBomb"):
        return _TOO_MANY
    if name == "UnidentifiedImageError":
        return "not a picture that Pillow opens"
    return " ".join(str(error).split())[:_LONGEST_REASON] or name


def _upright(picture: "Image.Image") -> "Image.Image":
    """Not by ``ImageOps.exif_transpose``, which gives up where any other tag is damaged."""
    from PIL import ExifTags, Image

    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the pixels are sound, what describes them is not
        return picture
    return picture.transpose(Image.Transpose[turn]) if turn else picture


def _padded(picture: "Image.Image", side: int) -> "Image.Image":
    """Not by ``ImageOps.pad``, of which nothing is seen of a picture thinner than half a pixel."""
    from PIL import Image

    width, height = (max(1, round(side * length / max(picture.size))) for length in picture.size)
    square = Image.new("RGB", (side, side), "black")
    square.paste(
        picture.resize((width, height), Image.Resampling.BILINEAR), ((side - width) // 2, (side - height) // 2)
    )
    return square


def _rgb(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits; Pillow would cut them off at 255
        return Image.fromarray(np.clip(np.asarray(picture) // 256, 0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise BrokenPictureError("floating-point pixels have no agreed white")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")
