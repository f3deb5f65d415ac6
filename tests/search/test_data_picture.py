"""data.png: what a task learns from."""

import numpy as np
import pytest
from picture_file import is_picture

from datasets import Dataset, Examples, Fold
from search import drawing, pictures
from search.pictures.data import principal
from search.pictures.labelled import chosen
from trainables.augmentation import augmented

LONG = [
    "a class with quite a long name, as they have in medicine",
    "Überleitungsstörung ersten Grades",
    "心房細動",
    "$5 to $10",
    "two\nlines",
    "",
]
BOTH = [(["mlp", "cnn"], {"affine": 0.5, "shift": 0.1}), (["resnet with a long name"] * 9, {"erase": 0.25})]


def made(names, count: int, shape: tuple[int, ...], kind: type = np.uint8, folds: int = 1) -> Dataset:
    """Random examples, four fifths of them for development; only the even classes where there are more than 50."""
    random_ = np.random.default_rng(0)
    targets = random_.integers(len(names), size=count)
    if len(names) > 50:
        targets -= targets % 2
    inputs = (random_.random((count, *shape)) * (255 if kind == np.uint8 else 1)).astype(kind)
    index = np.arange(4 * count // 5)
    parts = [Fold(index[index % 5 != fold], index[index % 5 == fold]) for fold in range(folds)]
    development, test = (Examples(inputs[part], targets[part]) for part in (index, slice(len(index), None)))
    return Dataset("made", tuple(names), development, tuple(parts), test)


@pytest.mark.parametrize(
    ("names", "count", "shape", "kind", "folds", "augmentations"),
    [
        (LONG, 100, (3, 8, 6), np.uint8, 1, BOTH),
        (["no", "yes"], 5, (1, 20, 4), np.float32, 1, []),
        ([f"the long name of class {k}" for k in range(60)], 300, (3, 8, 8), np.uint8, 1, BOTH[:1]),
        (LONG[:3], 20, (2, 8, 8), np.float32, 1, []),
        (LONG[:2], 50, (1,), np.float32, 1, []),
        (["only"], 5, (2,), np.float32, 1, []),
        (LONG, 4000, (2,), np.float32, 5, []),
        ([f"class {k}" for k in range(100)], 500, (9,), np.float32, 3, []),
    ],
    ids=["colours", "few, high", "60 classes", "2 channels", "strip", "one class", "thinned", "100 classes"],
)
def test_every_kind_of_data_is_drawn(tmp_path, names, count, shape, kind, folds, augmentations):
    dataset = made(names, count, shape, kind, folds)
    rows = [(*row, augmented(pictures.shown(dataset), row[1])) for row in augmentations]
    pictures.data(dataset, rows, "what is learnt from", tmp_path / "data.png")
    assert is_picture(tmp_path / "data.png")


@pytest.mark.parametrize(("classes", "shown", "most"), [(1, 1, 6), (2, 2, 6), (10, 10, 2), (14, 14, 1), (70, 20, 1)])
def test_the_pictures_shown_are_training_examples_of_each_class_in_turn(classes, shown, most):
    dataset = made([str(k) for k in range(classes)], 1000, (1, 4, 4))
    groups = chosen(dataset)
    assert len(groups) == shown
    assert max(map(len, groups)) == most
    for target, group in enumerate(groups):
        assert len(set(group)) == len(group)
        assert set(group) <= set(dataset.folds[0].train)
        assert set(dataset.development.targets[group]) <= {target}
    assert sum(len(group) == 0 for group in groups) == (10 if classes == 70 else 0), "odd ones there have no examples"


def test_families_with_the_same_strongest_augmentation_share_a_row(load):
    task = load(
        {
            "dataset": "digits",
            "epochs": 3,
            "models": {"cnn": {"erase": {"choice": [0.0, 0.25]}}, "mlp": {}},
            "space": {"shift": {"low": 0.0, "high": 0.1}, "erase": 0.0, "affine": 0.5},
        }
    )
    assert drawing.augmentations(task) == [
        (["cnn"], {"affine": 0.5, "erase": 0.25, "shift": 0.1}),
        (["mlp"], {"affine": 0.5, "shift": 0.1}),
    ]
    assert drawing.augmentations(load({"dataset": "digits", "epochs": 3, "models": {"cnn": {"shift": 0.0}}})) == []
    both = {"dataset": "digits", "epochs": 3, "models": {"cnn": {}, "mlp": {"shift": 0.2}}, "space": {"shift": 0.2}}
    assert drawing.augmentations(load(both)) == [(["cnn", "mlp"], {"shift": 0.2})]


def test_principal_components_are_of_standardised_features_and_constant_ones_do_not_count():
    along = np.random.default_rng(0).standard_normal(50)
    inputs = np.stack([along, 1000 * along + 3, np.full(50, 0.1)], axis=1).astype(np.float32)
    places, shares = principal(inputs)
    assert shares == pytest.approx([1, 0], abs=1e-6)
    assert abs(np.corrcoef(places[:, 0], along)[0, 1]) == pytest.approx(1)
    assert np.ptp(places[:, 0]) < 10, "standardised"
    crossed = np.stack([along, 1000 * np.roll(along, 1)], axis=1)
    assert principal(crossed.astype(np.float32))[1] == pytest.approx([0.5, 0.5], abs=0.2)
    assert not np.any(principal(np.ones((4, 3), np.float32))[0])
