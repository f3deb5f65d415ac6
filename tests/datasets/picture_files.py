"""Picture files, and datasets of flat ones whose colour says what they are of, for tests of what reads them."""

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from datasets import Dataset
from datasets.errors import UserError

REDS = {"cat": 10, "dog": 20, "owl": 30}


def encoded(picture: Image.Image | np.ndarray, form: str = "PNG", **settings) -> bytes:
    """A file's bytes of a picture, or of one by its pixels, shape (height, width) or (height, width, channels)."""
    file = io.BytesIO()
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(file, form, **settings)
    return file.getvalue()


def flat(red: int, number: int = 0) -> bytes:
    """A PNG file of 4×4 pixels: how red they are, and in green and blue which of its colour it is."""
    return encoded(Image.new("RGB", (4, 4), (red, number // 256, number % 256)))


def fill(folder: Path, red: int, numbers: Iterable[int], ending: str = ".png") -> None:
    """Flat pictures in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number}{ending}").write_bytes(flat(red, number))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file that says to be of that size and holds no pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Tags, each with its type, count and value, as they stand in a file."""
    tags = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + tags + bytes(4)


def turned(orientation: int) -> tuple[int, int, int, bytes]:
    """The tag of an orientation."""
    return 0x0112, 3, 1, struct.pack("<HH", orientation, 0)


def pets(root: Path, counts: dict[str, int], folder: str = "pets", start: int = 0) -> None:
    """A folder for each class, of so many flat pictures numbered from ``start``."""
    for name, count in counts.items():
        fill(root / folder / name, REDS[name], range(start, start + count))


def seen(dataset: Dataset) -> dict[str, list[tuple[str, int]]]:
    """The pictures of each part: the class that their colour is of, and their number. Their labels are checked."""
    (fold,) = dataset.folds
    development = dataset.development
    parts = {"train": development.at(fold.train), "val": development.at(fold.val), "test": dataset.test}
    names = {red: name for name, red in REDS.items()}
    found = {}
    for part, examples in parts.items():
        red, green, blue = examples.inputs[:, :, 0, 0].T.astype(int)
        labels = [dataset.classes[target] for target in examples.targets]
        assert labels == [names[colour] for colour in red]
        found[part] = sorted(zip(labels, (256 * green + blue).tolist(), strict=True))
    return found


def pairs(counts: dict[str, int], start: int = 0) -> list[tuple[str, int]]:
    """What ``pets`` has made, as ``seen`` tells it."""
    return [(name, start + number) for name, count in counts.items() for number in range(count)]


def refusal(form: ModuleType, root: Path, **keywords) -> str:
    """What a format says instead of loading ``pets``, without its name and with ROOT for the root."""
    with pytest.raises(UserError) as error:
        form.load(root, **{"folder": "pets", "side": 4, **keywords})
    name = form.__name__.rpartition(".")[2]
    return str(error.value).replace(str(root), "ROOT").removeprefix(f"dataset {name}: ")
