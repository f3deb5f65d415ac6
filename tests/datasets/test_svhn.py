from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import datasets
from datasets import svhn
from datasets.errors import UserError

RANDOM = np.random.default_rng(0)
COUNTS = {"train": 100, "test": 20, "extra": 30}
PICTURES = {part: RANDOM.integers(0, 256, (32, 32, 3, count), np.uint8) for part, count in COUNTS.items()}


def write(root: Path, *parts: str, **variables) -> None:
    """Files of ``parts``: labels 1 to 10 in turn; ``variables`` replace those of the first, None removes one."""
    root.mkdir(exist_ok=True)
    for part in parts:
        pictures = PICTURES[part]
        labels = (np.arange(pictures.shape[-1], dtype=np.uint8) % 10 + 1)[:, None]
        found = {"X": pictures, "y": labels} | (variables if part == parts[0] else {})
        found = {name: value for name, value in found.items() if value is not None}
        savemat(root / f"{part}_32x32.mat", found, do_compression=True)


@pytest.mark.parametrize("folder", ["svhn", "."])
def test_pictures_become_channels_rows_columns_and_label_10_is_0(tmp_path, folder):
    write(tmp_path / folder, "train", "test")
    dataset = datasets.load("svhn", tmp_path, {})
    inputs = dataset.development.inputs
    assert (inputs.shape, inputs.dtype, inputs.flags["C_CONTIGUOUS"]) == ((100, 3, 32, 32), np.uint8, True)
    assert inputs[7, 2, 11, 30] == PICTURES["train"][11, 30, 2, 7]
    np.testing.assert_array_equal(dataset.development.targets, np.arange(1, 101) % 10)
    np.testing.assert_array_equal(dataset.test.inputs[:, 1], PICTURES["test"][:, :, 1].transpose(2, 0, 1))
    assert dataset.classes == tuple("0123456789")
    assert dataset.origin == f"{tmp_path / folder}/{{train_32x32.mat, test_32x32.mat}}"


def test_validation_is_a_stratified_tenth_of_the_training_file(tmp_path):
    write(tmp_path, "train", "test")
    dataset = svhn.load(tmp_path)
    (fold,) = dataset.folds
    np.testing.assert_array_equal(np.bincount(dataset.development.targets[fold.val]), [1] * 10)
    np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(100))
    assert dataset.digest() == svhn.load(tmp_path).digest() != svhn.load(tmp_path, seed=1).digest()


def test_extra_examples_are_only_trained_on(tmp_path):
    write(tmp_path, "train", "test", "extra")
    plain, more = svhn.load(tmp_path), svhn.load(tmp_path, extra=True)
    assert (len(plain.development), len(more.development)) == (100, 130)
    np.testing.assert_array_equal(more.development.inputs[:100], plain.development.inputs)
    np.testing.assert_array_equal(more.development.inputs[100:, 0], PICTURES["extra"][:, :, 0].transpose(2, 0, 1))
    assert more.development.inputs.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(more.folds[0].val, plain.folds[0].val)
    np.testing.assert_array_equal(more.folds[0].train, np.r_[plain.folds[0].train, np.arange(100, 130)])
    (other,), (same,) = more.resplit(7).folds, plain.resplit(7).folds
    np.testing.assert_array_equal(other.val, same.val)
    np.testing.assert_array_equal(other.train, np.r_[same.train, np.arange(100, 130)])
    assert set(other.val) != set(more.folds[0].val)


def test_files_with_other_checksums_are_read_with_a_warning_each(tmp_path, monkeypatch):
    write(tmp_path, "train", "test")
    found = {part: svhn.SOURCES[part].sum_of(tmp_path / f"{part}_32x32.mat") for part in ("train", "test")}
    published = svhn.SOURCES["train"].checksum
    line = f"dataset svhn: {tmp_path}/train_32x32.mat is not the published file: its md5 is {found['train']}, not "
    assert svhn.load(tmp_path).warnings[0] == line + published
    assert len(svhn.load(tmp_path).warnings) == 2
    monkeypatch.setattr(svhn, "SOURCES", {part: svhn.Source(f"{part}_32x32.mat", found[part], ()) for part in found})
    assert svhn.load(tmp_path).warnings == ()


EXPECTED = "X (32×32×3×n, uint8) and y (n labels) are expected"
LABELS = np.arange(100)[:, None] % 10 + 1


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"X": None}, f"has no variable X; {EXPECTED}"),
        ({"y": None}, f"has no variable y; {EXPECTED}"),
        ({"X": None, "y": None, "z": 1}, f"has no variable X; {EXPECTED}"),
        ({"X": np.zeros((100, 32, 32, 3), np.uint8)}, "X is uint8 of 100×32×32×3, not uint8 of 32×32×3×n"),
        ({"X": np.zeros((32, 32, 3), np.uint8)}, "X is uint8 of 32×32×3, not uint8 of 32×32×3×n"),
        ({"X": np.zeros((32, 32, 3, 4))}, "X is float64 of 32×32×3×4, not uint8 of 32×32×3×n"),
        ({"X": "text"}, "X is <U4 of 1, not uint8 of 32×32×3×n"),
        ({"X": np.zeros((32, 32, 3, 0), np.uint8), "y": np.zeros((0, 1))}, "X is empty"),
        ({"y": LABELS[:99]}, "y is int64 of 99×1, not 100 numbers, a label for each picture of X"),
        ({"y": np.array(["1"] * 100)}, "y is <U1 of 100, not 100 numbers, a label for each picture of X"),
        ({"y": LABELS - 1}, "the label of example 0 is 0, not 1 to 10"),
        ({"y": LABELS + (np.arange(100) == 49)[:, None]}, "the label of example 49 is 11, not 1 to 10"),
        ({"y": LABELS / 2}, "the label of example 0 is 0.5, not 1 to 10"),
        ({"y": np.where(LABELS == 3, np.nan, LABELS)}, "the label of example 2 is nan, not 1 to 10"),
    ],
)
def test_wrong_variables_are_named(tmp_path, variables, line):
    write(tmp_path, "train", "test", **variables)
    with pytest.raises(UserError) as error:
        svhn.load(tmp_path)
    assert str(error.value) == f"dataset svhn: {tmp_path / 'train_32x32.mat'}: {line}"


MATLAB_7 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 20, MATLAB_7, 200, 60_000, -20, -1])
def test_a_file_that_is_not_matlabs_or_not_whole_is_named(tmp_path, content):
    write(tmp_path, "train", "test")
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(content if isinstance(content, bytes) else path.read_bytes()[:content])
    with pytest.raises(UserError, match=f"^dataset svhn: {path}: cannot be read as a MATLAB file with X and y: ."):
        svhn.load(tmp_path)


@pytest.mark.parametrize(("byte", "bit"), [(145, 3), (184, 1), (185, 0)])
def test_damage_that_brings_scipys_reader_down_is_named_too(tmp_path, byte, bit):
    write(tmp_path, "train")
    path = tmp_path / "test_32x32.mat"
    savemat(path, {"X": np.zeros((32, 32, 3, 3), np.uint8), "y": np.array([[1], [2], [3]], np.uint8)})
    damaged = bytearray(path.read_bytes())
    damaged[byte] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(UserError) as error:
        svhn.load(tmp_path)
    assert str(error.value).startswith(f"dataset svhn: {path}: ")


@pytest.mark.parametrize("val", [0, -0.5, 0.01, 1.0, 100])
def test_val_that_leaves_a_class_empty_is_refused(tmp_path, val):
    write(tmp_path, "train", "test")
    with pytest.raises(
        UserError, match=rf"^dataset svhn: (val must be .* 100 examples, not {val}|the class .* with val {val} .*)$"
    ):
        svhn.load(tmp_path, val=val)


def test_a_missing_file_is_named_with_its_place(tmp_path, monkeypatch):
    write(tmp_path, "train", "test")
    dead = "http://127.0.0.1:9/extra_32x32.mat"
    monkeypatch.setitem(svhn.SOURCES, "extra", svhn.Source("extra_32x32.mat", svhn.SOURCES["extra"].checksum, (dead,)))
    with pytest.raises(UserError) as error:
        svhn.load(tmp_path, extra=True)
    assert str(error.value) == (
        f"dataset svhn: extra_32x32.mat is not below {tmp_path} and could not be downloaded "
        f"({dead}: Connection refused); put it at {tmp_path}/svhn/extra_32x32.mat, from {dead}"
    )
