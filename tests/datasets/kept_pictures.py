"""Picture files whose pixels are all the same number, and what is kept of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from picture_files import encoded
from PIL import Image

from datasets.decoded import FOLDER, Pictures, pictures


def picture(number: int) -> bytes:
    """A file whose size does not depend on the number, which all its pixels are."""
    return encoded(Image.new("L", (4, 4), number), "BMP")


def write(root: Path, numbers: Sequence[int]) -> list[str]:
    names = [f"{number}.bmp" for number in numbers]
    for name, number in zip(names, numbers, strict=True):
        (root / name).write_bytes(picture(number))
    return names


def read(root: Path, names: Sequence[str], side: int = 4, fit: str = "crop") -> Pictures:
    return pictures("dataset x: there", root, root / "there", names, side, fit)


def numbers(found: Pictures) -> list[int]:
    """What files hold; -1 for broken ones."""
    assert found.pixels.dtype == np.uint8
    for file, pixels in zip(found.files, found.pixels, strict=True):
        assert file.broken or (pixels == pixels[0, 0, 0]).all()
    return [-1 if file.broken else int(pixels[0, 0, 0]) for file, pixels in zip(found.files, found.pixels, strict=True)]


def kept(root: Path, ending: str) -> Path:
    (path,) = (root / FOLDER).glob(f"*{ending}")
    return path
