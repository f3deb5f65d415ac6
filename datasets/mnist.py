"""MNIST: handwritten digits, 28×28 grey levels, 60,000 for training and 10,000 for testing, in IDX files.

The format is described at http://yann.lecun.com/exdb/mnist/: big-endian 32-bit numbers (a magic number, whose last
byte is the number of dimensions, then their sizes), then the bytes.
"""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from datasets import Dataset, Examples
from datasets.errors import UserError
from datasets.files import Source, find, origin
from datasets.splits import hold_out

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
SOURCES = tuple(
    Source(file, checksum, tuple(mirror + file for mirror in MIRRORS))
    for file, checksum in (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
)
# Of the pictures and labels themselves, header left out: a .gz may be made anew from the same bytes.
_PUBLISHED = ("365dab9bac26085dc69f1022fe166e2f", "a9c5e64a683c5dd2f6a9bf7c61b53e6f")
CLASSES = tuple("0123456789")
_SIDE = 28
_UNSIGNED_BYTES = 0x0800
_CHUNK = 1 << 20


def load(root: Path, *, val: int = 10000, seed: int = 0) -> Dataset:
    """Pictures (1, 28, 28), uint8; of the training files a stratified ``val``, drawn by ``seed``, for validation.

    The four files lie, compressed or not, in root/mnist, root or root/MNIST/raw.

    Raises:
        UserError: a file that is absent, damaged, or not the one it should be; ``val`` that leaves a class empty.
    """
    paths = [find("dataset mnist", root, source, ["MNIST/raw"]) for source in SOURCES]
    development, test = _examples(*paths[:2]), _examples(*paths[2:])
    return Dataset(
        name="mnist",
        classes=CLASSES,
        development=development,
        folds=(hold_out("dataset mnist", development.targets, CLASSES, val, seed),),
        test=test,
        origin=origin(paths),
        warnings=_warnings(paths, [development, test]),
        randomly_split=len(development),
    )


def _warnings(paths: Sequence[Path], parts: Sequence[Examples]) -> tuple[str, ...]:
    """A line for each of training and test part that is not the published one."""
    return tuple(
        f"dataset mnist: {images} with {labels.name} is not the published MNIST"
        for images, labels, part, published in zip(paths[::2], paths[1::2], parts, _PUBLISHED, strict=True)
        if _content(part) != published
    )


def _content(part: Examples) -> str:
    digest = hashlib.md5(part.inputs.data, usedforsecurity=False)
    digest.update(part.targets.astype(np.uint8).data)
    return digest.hexdigest()


def _examples(images: Path, labels: Path) -> Examples:
    inputs, targets = read_idx(images, (_SIDE, _SIDE)), read_idx(labels, ())
    if len(inputs) != len(targets):
        raise UserError(
            f"dataset mnist: {images} holds {len(inputs)} images and {labels} {len(targets)} labels; "
            "there must be as many of both"
        )
    if (targets > 9).any():
        wrong = int(np.argmax(targets > 9))
        raise UserError(f"dataset mnist: {labels}: the label of example {wrong} is {targets[wrong]}, not 0 to 9")
    return Examples(inputs[:, None], targets.astype(np.int64))


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The uint8 array of an IDX file, compressed by gzip or not, of examples of ``shape``.

    Raises:
        UserError: another magic number or other sizes; more or fewer bytes than these announce; a broken gzip stream.
    """
    dimensions = 1 + len(shape)
    header = 4 + 4 * dimensions
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if compressed else file
            try:
                return _array(path, stream, header, shape)
            except EOFError:
                raise _wrong(path, file.tell(), "the gzip stream breaks off; the file is truncated") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise _wrong(path, file.tell(), f"at or before it, the gzip stream is damaged: {error}") from None
    except OSError as error:
        raise UserError(f"dataset mnist: {path} cannot be read: {error.strerror}") from None


def _array(path: Path, stream: BinaryIO, header: int, shape: tuple[int, ...]) -> np.ndarray:
    start = stream.read(header)
    numbers = [int.from_bytes(start[place : place + 4], "big") for place in range(0, len(start), 4)]
    magic = _UNSIGNED_BYTES + 1 + len(shape)
    if len(start) >= 4 and numbers[0] != magic:
        raise _wrong(path, 0, f"the magic number is {numbers[0]}, where {magic} begins an IDX file of {_kind(shape)}")
    if len(start) < header:
        raise _wrong(path, len(start), f"the data ends, within the header of {header} bytes")
    count, sizes = numbers[1], tuple(numbers[2:])
    if sizes != shape:
        raise _wrong(path, 8, f"the header says images of {sizes[0]}×{sizes[1]}, not {shape[0]}×{shape[1]}")
    if count == 0:
        raise _wrong(path, 4, f"the header says 0 {_kind(shape)}")
    size = count * int(np.prod(shape, dtype=int))
    body = bytearray()
    # In pieces: a damaged header may announce terabytes.
    while len(body) <= size and (piece := stream.read(min(_CHUNK, size + 1 - len(body)))):
        body += piece
    if len(body) < size:
        raise _wrong(
            path,
            header + len(body),
            f"the data ends; the header says {count} {_kind(shape)}, {header + size} bytes in all",
        )
    if len(body) > size:
        raise _wrong(path, header + size, f"the data goes on, past the {count} {_kind(shape)} of its header")
    return np.frombuffer(body, np.uint8).reshape(count, *shape)


def _kind(shape: tuple[int, ...]) -> str:
    return "images" if shape else "labels"


def _wrong(path: Path, place: int, what: str) -> UserError:
    return UserError(f"dataset mnist: {path}: byte {place}: {what}")
