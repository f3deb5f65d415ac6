import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from datasets import sample, spiral
from datasets.errors import UserError

FILES = {
    "mnist": [
        f"{split}-{what}.gz" for split in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ],
    "svhn": ["train_32x32.mat", "test_32x32.mat"],
    "spiral": ["train.csv", "test.csv"],
    "wildlife": [
        f"{name}/{name} {number:04}.jpg"
        for name, count in {
            "amur leopard": 2,
            "amur tiger": 2,
            "birds": 1,
            "black bear": 1,
            "brown bear": 1,
            "dog": 2,
            "people": 2,
            "roe deer": 3,
            "sika deer": 3,
            "wild boar": 3,
        }.items()
        for number in range(1, count + 1)
    ],
    "insects": ["insects.csv", *(f"pictures/{number:04}.jpg" for number in range(1, 7))],
}
COUNTS = (60, 40)
FEW = {"wildlife": (16, 4), "insects": (4, 2)}
each = pytest.mark.parametrize("task", FILES)


def line(text: str) -> str:
    """The only line of a text."""
    (only,) = text.splitlines()
    return only


@each
def test_files_are_those_of_the_task_below_the_data_root(task, tmp_path):
    paths = sample.write(task, tmp_path / "new/root", 0, FEW.get(task, COUNTS))
    assert paths == [tmp_path / "new/root" / task / name for name in FILES[task]]
    assert sorted(paths) == sorted(path for path in (tmp_path / "new/root" / task).rglob("*") if path.is_file())


@each
def test_same_seed_same_bytes_and_another_others(task, tmp_path):
    first, again, other = (
        [path.read_bytes() for path in sample.write(task, tmp_path / str(number), seed, FEW.get(task, COUNTS))]
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


def test_wildlife_files_are_jpeg_of_the_pictures_drawn_for_their_folder(tmp_path):
    paths = sample.write("wildlife", tmp_path, 3, FEW["wildlife"])
    drawn = sample.drawn_animals.wildlife(20, np.random.default_rng(3))
    assert all(nearest(path, [picture for name, picture in drawn if name == path.parent.name]) < 8 for path in paths)


def nearest(path: Path, pictures: list[np.ndarray]) -> float:
    """The least mean difference, 0 to 255, of a JPEG file and a picture of its size."""
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        seen = np.asarray(image, float)
    return min(np.abs(seen - picture).mean() for picture in pictures if picture.shape == seen.shape)


def test_insects_table_names_each_picture_once_with_its_species_in_another_order(tmp_path):
    table, *paths = sample.write("insects", tmp_path, 3, (20, 10))
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    assert header == "file;species"
    files, species = zip(*(row.split(";") for row in rows), strict=True)
    assert sorted(files) == [path.name for path in paths] != list(files)
    drawn = sample.drawn_animals.insects(30, np.random.default_rng(3))
    assert dict(zip(files, species, strict=True)) == {
        path.name: name for path, (name, _) in zip(paths, drawn, strict=True)
    }
    assert all(nearest(path, [picture]) < 8 for path, (_, picture) in zip(paths, drawn, strict=True))


def test_usual_counts_leave_mnists_task_something_to_train_on():
    """Its conf takes 10,000 for validation."""
    assert {task: counts for task, (_, counts) in sample.FORMATS.items()} == {
        "mnist": (13_000, 2_000),
        "svhn": (3_000, 1_000),
        "spiral": (1_500, 2_000),
        "wildlife": (320, 80),
        "insects": (120, 30),
    }


@each
def test_what_is_there_is_neither_overwritten_nor_added_to(task, tmp_path):
    there = tmp_path / task / Path(FILES[task][-1]).parts[0]
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


@pytest.mark.parametrize(
    ("task", "said"),
    [("wildlife", "wildlife: 20 pictures in 10 folders;"), ("insects", ": insects.csv, 6 pictures in pictures/;")],
)
def test_command_sums_up_many_files(task, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sample.FORMATS, task, (sample.FORMATS[task][0], FEW[task]))
    assert sample.main([task, str(tmp_path)]) == 0
    assert said in line(capsys.readouterr().out)


def test_digits_need_no_files(tmp_path, capsys):
    assert sample.main(["digits", str(tmp_path)]) == 0
    assert "digits needs no files" in line(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cifar", "{root}"], "TASK cifar: has no stand-in; valid are digits, insects, mnist, spiral, svhn, wildlife"),
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
