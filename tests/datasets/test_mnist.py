import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import mnist
from datasets.errors import UserError

FILES = [source.file for source in mnist.SOURCES]
TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = FILES


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def contents(train: int = 60, test: int = 20) -> dict[str, bytes]:
    """The four files, uncompressed: picture n is filled with n, classes in turn."""
    images = [np.arange(count)[:, None, None].repeat(28, 1).repeat(28, 2) for count in (train, test)]
    labels = [np.arange(count) % 10 for count in (train, test)]
    return dict(zip(FILES, map(idx, (images[0], labels[0], images[1], labels[1])), strict=True))


def write(folder: Path, files: dict[str, bytes], *, compressed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if compressed:
            (folder / name).write_bytes(gzip.compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("folder", ["mnist", ".", "MNIST/raw"])
def test_files_are_found_where_people_keep_them(tmp_path, folder, compressed):
    write(tmp_path / folder, contents(), compressed=compressed)
    dataset = datasets.load("mnist", tmp_path, {"val": 20})
    assert dataset.classes == tuple("0123456789")
    assert dataset.development.inputs.shape == (60, 1, 28, 28)
    assert dataset.development.inputs.dtype == np.uint8
    np.testing.assert_array_equal(dataset.development.inputs[:, 0, 5, 27], np.arange(60))
    np.testing.assert_array_equal(dataset.development.targets, np.arange(60) % 10)
    assert len(dataset.test) == 20
    names = [name if compressed else name.removesuffix(".gz") for name in FILES]
    assert [warning.rpartition("/")[2] for warning in dataset.warnings] == [
        f"{names[0]} with {names[1]} is not the published MNIST",
        f"{names[2]} with {names[3]} is not the published MNIST",
    ]
    assert dataset.origin == f"{tmp_path / folder}/{{{', '.join(names)}}}"


def test_own_folder_comes_first(tmp_path):
    write(tmp_path / "mnist", contents())
    write(tmp_path, contents(80))
    write(tmp_path / "MNIST/raw", contents(100))
    assert len(mnist.load(tmp_path, val=20).development) == 60


def test_validation_is_a_stratified_part_of_the_training_files(tmp_path):
    write(tmp_path, contents())
    (fold,) = mnist.load(tmp_path, val=20, seed=3).folds
    (other,) = mnist.load(tmp_path, val=20, seed=4).folds
    np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(60))
    np.testing.assert_array_equal(np.bincount(fold.val % 10), [2] * 10)
    np.testing.assert_array_equal(fold.val, mnist.load(tmp_path, val=20, seed=3).folds[0].val)
    assert (fold.val != other.val).any()


GOOD = contents()
HOSTILE = {
    "empty": (TRAIN, b"", "{}: byte 0: the data ends, within the header of 16 bytes"),
    "only a magic": (TRAIN, GOOD[TRAIN][:5], "{}: byte 5: the data ends, within the header of 16 bytes"),
    "not IDX": (
        TRAIN,
        b"<html>404</html>",
        "{}: byte 0: the magic number is 1013478509, where 2051 begins an IDX file of images",
    ),
    "labels for images": (
        TEST,
        GOOD[TEST_LABELS],
        "{}: byte 0: the magic number is 2049, where 2051 begins an IDX file of images",
    ),
    "images for labels": (
        TEST_LABELS,
        GOOD[TEST],
        "{}: byte 0: the magic number is 2051, where 2049 begins an IDX file of labels",
    ),
    "truncated": (
        TRAIN,
        GOOD[TRAIN][:-100],
        "{}: byte 46956: the data ends; the header says 60 images, 47056 bytes in all",
    ),
    "too long": (TRAIN, GOOD[TRAIN] + b"x", "{}: byte 47056: the data goes on, past the 60 images of its header"),
    "terabytes announced": (
        TRAIN,
        GOOD[TRAIN][:4] + b"\xff" * 4 + GOOD[TRAIN][8:],
        "{}: byte 47056: the data ends; the header says 4294967295 images, 3367254359296 bytes in all",
    ),
    "other size": (TRAIN, idx(np.zeros((2, 32, 28))), "{}: byte 8: the header says images of 32×28, not 28×28"),
    "no examples": (TEST, idx(np.zeros((0, 28, 28))), "{}: byte 4: the header says 0 images"),
    "fewer labels": (
        TRAIN_LABELS,
        idx(np.arange(59) % 10),
        "{} holds 60 images and {} 59 labels; there must be as many of both",
    ),
    "label 10": (TEST_LABELS, idx(np.array([9, 0] * 9 + [10, 11])), "{}: the label of example 18 is 10, not 0 to 9"),
}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_wrong_file_is_named_with_the_place(tmp_path, case, compressed):
    name, content, line = HOSTILE[case]
    write(tmp_path, GOOD | {name: content}, compressed=compressed)
    path = str(tmp_path / (name if compressed else name.removesuffix(".gz")))
    images = path.replace("labels-idx1", "images-idx3")
    with pytest.raises(UserError) as error:
        mnist.load(tmp_path)
    assert str(error.value) == "dataset mnist: " + line.format(*([images] if "holds" in line else []), path)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


# Without the time of day: the workers of a run in parallel must collect the same tests.
PACKED = gzip.compress(GOOD[TRAIN], mtime=0)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (PACKED[:-12], f"byte {len(PACKED) - 12}: the gzip stream breaks off; the file is truncated"),
        (PACKED[:5], "byte 5: the gzip stream breaks off; the file is truncated"),
        (flipped(PACKED, -6), f"byte {len(PACKED)}: at or before it, the gzip stream is damaged: CRC check failed .*"),
        (flipped(PACKED, 10), r"byte \d+: at or before it, the gzip stream is damaged: .*"),
    ],
)
def test_a_broken_gzip_stream_is_named_with_the_place(tmp_path, content, pattern):
    write(tmp_path, GOOD, compressed=True)
    (tmp_path / TRAIN).write_bytes(content)
    with pytest.raises(UserError, match=f"^dataset mnist: {tmp_path / TRAIN}: {pattern}$"):
        mnist.load(tmp_path)


@pytest.mark.parametrize("val", [0, -1, 5, 60, 61])
def test_val_that_leaves_a_class_empty_is_refused(tmp_path, val):
    write(tmp_path, GOOD)
    with pytest.raises(
        UserError, match=rf"^dataset mnist: (val must be .* 60 examples, not {val}|the class .* with val {val} .*)$"
    ):
        mnist.load(tmp_path, val=val)


REAL = Path(os.environ.get("DATA_ROOT", "data"))


@pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason="the data root (DATA_ROOT, else data/) has no mnist")
def test_the_real_files_have_the_published_numbers_of_examples():
    dataset = mnist.load(REAL)
    assert dataset.warnings == ()
    assert (dataset.development.inputs.shape, dataset.test.inputs.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    counts = [np.bincount(examples.targets).tolist() for examples in (dataset.development, dataset.test)]
    assert counts[0] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert counts[1] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    (fold,) = dataset.folds
    assert (len(fold.train), len(fold.val)) == (50000, 10000)
    assert np.abs(np.bincount(dataset.development.targets[fold.val]) - np.array(counts[0]) / 6).max() < 1
