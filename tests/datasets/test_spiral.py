from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import spiral
from datasets.errors import UserError

NOWHERE = Path("/nowhere")


def write(root: Path, **tables: np.ndarray) -> None:
    (root / "spiral").mkdir(exist_ok=True)
    for name, table in tables.items():
        text = "x,y,arm\n" + "".join(f"{x},{y},{int(arm)}\n" for x, y, arm in table)
        (root / f"spiral/{name}.csv").write_text(text, encoding="utf-8")


def table(count: int) -> np.ndarray:
    examples = spiral.generate(count, 5)
    return np.c_[examples.inputs, examples.targets]


def test_generated_points_are_the_same_everywhere(tmp_path):
    (tmp_path / "spiral").mkdir()
    dataset = datasets.load("spiral", tmp_path, {})
    assert (len(dataset.development), len(dataset.test), dataset.input_shape) == (1500, 10000, (2,))
    assert dataset.classes == ("arm 0", "arm 1", "arm 2", "arm 3", "arm 4")
    assert dataset.origin == "generated from fixed seeds"
    assert dataset.digest() == spiral.load(NOWHERE).digest()
    assert dataset.digest() != spiral.load(NOWHERE, seed=1).digest()
    np.testing.assert_array_equal(dataset.development.inputs, spiral.load(NOWHERE, seed=1).development.inputs)
    assert not set(map(tuple, dataset.test.inputs)) & set(map(tuple, dataset.development.inputs))


def test_points_keep_to_their_arms():
    examples = spiral.generate(2000, 3)
    t = np.linspace(0, 1, 500)
    arms = np.stack([spiral.arm(np.full(500, k), t) for k in range(spiral.ARMS)])
    distance = np.linalg.norm(examples.inputs[:, None, None] - arms, axis=-1).min(-1)
    assert np.percentile(distance[np.arange(2000), examples.targets], 99) < 3 * spiral.noise(np.ones(1))[0]
    assert np.mean(distance.argmin(1) == examples.targets) > 0.9


def test_files_below_the_root_are_read_instead(tmp_path):
    train, test = table(60), table(30)
    write(tmp_path, train=train, test=test)
    dataset = spiral.load(tmp_path, folds=3)
    for examples, rows in ((dataset.development, train), (dataset.test, test)):
        order = np.lexsort(rows[:, [2, 0, 1]].T)
        np.testing.assert_array_equal(examples.inputs, rows[order, :2].astype(np.float32))
        np.testing.assert_array_equal(examples.targets, rows[order, 2])
    assert dataset.name == "spiral"
    assert dataset.classes == ("0", "1", "2", "3", "4")
    assert dataset.origin == f"{tmp_path}/spiral/train.csv, {tmp_path}/spiral/test.csv"
    assert len(dataset.folds) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.val for fold in dataset.folds])), np.arange(60))
    assert dataset.digest() != spiral.load(tmp_path, folds=3, seed=1).digest()
    assert len(spiral.load(tmp_path, folds=1).folds) == 1


@pytest.mark.parametrize(("there", "missing"), [("train", "test"), ("test", "train")])
def test_one_file_of_the_two_is_refused(tmp_path, there, missing):
    write(tmp_path, **{there: table(30)})
    with pytest.raises(UserError) as error:
        spiral.load(tmp_path)
    folder = tmp_path / "spiral"
    assert str(error.value) == (
        f"dataset spiral: {folder}/{there}.csv is there, but {folder}/{missing}.csv is not; "
        "put it there, or take away the first for generated points"
    )


def test_a_wrong_file_is_named_with_the_place(tmp_path):
    write(tmp_path, train=table(60), test=table(30))
    with (tmp_path / "spiral/test.csv").open("a", encoding="utf-8") as file:
        file.write("1,?,2\n")
    with pytest.raises(UserError) as error:
        spiral.load(tmp_path)
    assert str(error.value) == f"dataset spiral: {tmp_path}/spiral/test.csv: line 32, column 2: '?' is not a number"


@pytest.mark.parametrize(
    ("folds", "reason"),
    [
        (0, "folds must be 1 (a hold-out of val) or more, not 0"),
        (10**6, "the class 'arm 1' is too rare for 1000000 folds: it has 279 examples to train on and validate with"),
    ],
)
def test_folds_that_cannot_be_are_refused(folds, reason):
    with pytest.raises(UserError) as error:
        spiral.load(NOWHERE, folds=folds)
    assert str(error.value) == f"dataset spiral: {reason}"


def test_one_fold_holds_a_fifth_out():
    dataset = spiral.load(NOWHERE, folds=1)
    (fold,) = dataset.folds
    assert (len(fold.train), len(fold.val)) == (1200, 300)
