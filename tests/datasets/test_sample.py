import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from datasets import sample, spiral
from datasets.errors import UserError

FILES = {
    "mnist": [
        f"{split}-{what}.gz" for split in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ],
    "svhn": ["train_32x32.mat", "test_32x32.mat"],
    "spiral": ["train.csv", "test.csv"],
}
COUNTS = (60, 40)
each = pytest.mark.parametrize("task", FILES)


def line(text: str) -> str:
    """The only line of a text."""
    (only,) = text.splitlines()
    return only


@each
def test_files_are_those_of_the_task_below_the_data_root(task, tmp_path):
    paths = sample.write(task, tmp_path / "new/root", 0, COUNTS)
    assert paths == [tmp_path / "new/root" / task / name for name in FILES[task]]
    assert sorted(paths) == sorted((tmp_path / "new/root" / task).iterdir())


@each
def test_same_seed_same_bytes_and_another_others(task, tmp_path):
    first, again, other = (
        [path.read_bytes() for path in sample.write(task, tmp_path / str(number), seed, COUNTS)]
        for number, seed in enumerate((7, 7, 8))
    )
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def idx(path: Path) -> np.ndarray:
    """Read as the format's description says."""
    content = gzip.decompress(path.read_bytes())
    assert content[:3] == b"\x00\x00\x08"
    dimensions = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions)]
    return np.frombuffer(content[4 + 4 * dimensions :], np.uint8).reshape(shape)


def test_mnist_files_are_idx(tmp_path):
    train_inputs, train_targets, test_inputs, test_targets = map(idx, sample.write("mnist", tmp_path, 0, COUNTS))
    assert train_inputs.shape == (60, 28, 28)
    assert train_targets.shape == (60,)
    assert test_inputs.shape == (40, 28, 28)
    assert test_targets.shape == (40,)
    assert set(train_targets) == set(range(10))
    assert (train_inputs.max((1, 2)) > 150).all()


def test_svhn_files_have_x_by_picture_last_and_10_for_the_digit_0(tmp_path):
    for path, count in zip(sample.write("svhn", tmp_path, 0, COUNTS), COUNTS, strict=True):
        variables = loadmat(path)
        assert variables["X"].shape == (32, 32, 3, count)
        assert variables["y"].shape == (count, 1)
        assert variables["X"].dtype == variables["y"].dtype == np.uint8
        assert {1, 10} < set(variables["y"].ravel()) <= set(range(1, 11))


def test_svhn_pictures_keep_their_labels_and_axes(tmp_path):
    variables = loadmat(sample.write("svhn", tmp_path, 5, COUNTS)[1])
    drawn = sample.drawn.house_numbers(COUNTS[1], np.random.default_rng([5, 1]))
    np.testing.assert_array_equal(variables["y"].ravel() % 10, drawn.targets)
    np.testing.assert_array_equal(variables["X"][3, 4, 1], drawn.inputs[:, 1, 3, 4])


def test_spiral_files_are_points_of_other_seeds_than_the_tasks_own(tmp_path):
    for path, count, seed in zip(sample.write("spiral", tmp_path, 0, COUNTS), COUNTS, (2, 3), strict=True):
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        assert header == "x,y,label"
        expected = spiral.generate(count, seed)
        points = np.loadtxt(io.StringIO("\n".join(rows)), delimiter=",", usecols=(0, 1), dtype=np.float32)
        np.testing.assert_array_equal(points, expected.inputs)
        assert [row.split(",")[2] for row in rows] == [f"arm {arm}" for arm in expected.targets]


def test_usual_counts_leave_mnists_task_something_to_train_on():
    """Its conf takes 10,000 for validation."""
    assert {task: counts for task, (_, counts) in sample.FORMATS.items()} == {
        "mnist": (13_000, 2_000),
        "svhn": (3_000, 1_000),
        "spiral": (1_500, 2_000),
    }


@each
def test_what_is_there_is_neither_overwritten_nor_added_to(task, tmp_path):
    there = tmp_path / task / FILES[task][-1]
    there.parent.mkdir()
    there.write_text("real")
    with pytest.raises(UserError, match=f"^{re.escape(str(there))} exists; .* choose another OUT"):
        sample.write(task, tmp_path, 0, COUNTS)
    assert there.read_text() == "real"
    assert list(there.parent.iterdir()) == [there]


def test_command_says_what_it_wrote_and_how_to_use_it(tmp_path, capsys):
    root = tmp_path / "my data"
    assert sample.main(["spiral", str(root), "--seed", "4"]) == 0
    said = line(capsys.readouterr().out)
    assert f"{root / 'spiral'}: train.csv, test.csv" in said
    assert said.endswith(f"python -m search.run spiral --data-root '{root}'")
    assert len((root / "spiral/test.csv").read_text().splitlines()) == 2001


def test_digits_need_no_files(tmp_path, capsys):
    assert sample.main(["digits", str(tmp_path)]) == 0
    assert "digits needs no files" in line(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cifar", "{root}"], "TASK cifar: has no stand-in; valid are digits, mnist, spiral, svhn"),
        (["svhn"], "the following arguments are required: OUT"),
        (["svhn", "{root}", "--seed", "-1"], "--seed: must be a whole number from 0 to 2**32 - 1, not '-1'"),
        (["svhn", "{root}", "--seed", "4294967296"], "--seed: must be a whole number"),
        (["svhn", "{root}", "--sed", "1"], "unrecognized arguments: --sed 1"),
        (["svhn", "{root}/file"], "file/svhn: cannot be written (Not a directory)"),
    ],
)
def test_mistakes_are_one_line_and_code_2(arguments, said, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert sample.main([argument.format(root=tmp_path) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert line(captured.err).startswith("error: ")
    assert said in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
