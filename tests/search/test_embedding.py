"""embedding.png: the winner's last features of validation examples."""

import numpy as np
import pytest
from picture_file import is_picture

from datasets import Dataset, Examples, Fold
from search import drawing, pictures
from search.pictures.embedding import embedded


def clusters(count: int, classes: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of classes far apart, as after relu, and the classes."""
    random_ = np.random.default_rng(0)
    targets = np.arange(count) % classes
    centres = 20 * random_.random((classes, width))
    return np.maximum(0, centres[targets] + random_.standard_normal((count, width))).astype(np.float32), targets


@pytest.mark.parametrize("wrong", [0, 3])
@pytest.mark.parametrize(
    ("count", "classes", "width"), [(10, 2, 1), (40, 30, 2), (120, 10, 64)], ids=["few", "many classes", "wide"]
)
def test_embeddings_of_few_and_many_examples_are_drawn(tmp_path, count, classes, width, wrong):
    features, targets = clusters(count, classes, width)
    guesses = targets.copy()
    guesses[:wrong] = (guesses[:wrong] + 1) % classes
    names = [f"the long name of class {k}" for k in range(classes)]
    places = [embedded(features, dimensions) for dimensions in (2, 3)]
    pictures.embedding(places, targets, guesses, names, 2 * count, "last features", tmp_path / "e.png")
    assert is_picture(tmp_path / "e.png")


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("count", "classes"), [(10, 2), (60, 3), (60, 10), (150, 10)])
def test_examples_stand_beside_those_with_like_features_each_time_in_the_same_place(count, classes, dimensions):
    features, targets = clusters(count, classes, 16)
    places = embedded(features, dimensions)
    assert places.shape == (count, dimensions)
    distances = np.linalg.norm(places[:, None] - places, axis=-1) + np.diag(np.full(count, np.inf))
    assert (targets[distances.argmin(1)] == targets).all()
    np.testing.assert_array_equal(places, embedded(features, dimensions))
    np.testing.assert_allclose(places, embedded(1024 * features, dimensions), err_msg="their unit does not matter")


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    "features",
    [
        np.zeros((12, 4), np.float32),
        np.repeat(np.eye(2, 5, dtype=np.float32), 6, axis=0),
        np.arange(12, dtype=np.float32)[:, None] * np.array([1, 0, 0, 0], np.float32),
        1e-30 * np.arange(24, dtype=np.float32).reshape(12, 2),
        1e30 * np.arange(24, dtype=np.float32).reshape(12, 2),
        np.full((12, 3), np.nan, np.float32),
    ],
    ids=["all the same", "two places", "a line", "tiny", "huge", "no numbers"],
)
def test_poor_features_have_places_too(features, dimensions):
    places = embedded(features, dimensions)
    assert places.shape == (12, dimensions)
    assert np.isfinite(places).all()


def made(count: int, shape: tuple[int, ...], validated: int, folds: int = 1) -> Dataset:
    random_ = np.random.default_rng(0)
    examples = Examples(random_.random((count, *shape)).astype(np.float32), np.arange(count, dtype=np.int64) % 3)
    order = random_.permutation(count)
    parts = [np.roll(order, fold * validated) for fold in range(folds)]
    test = Examples(np.full((5, *shape), 2, np.float32), np.zeros(5, np.int64))
    return Dataset("made", tuple("abc"), examples, tuple(Fold(p[validated:], p[:validated]) for p in parts), test)


@pytest.mark.parametrize(("count", "validated", "asked"), [(60, 20, 20), (2500, 1200, 1000), (60, 4, 4)])
@pytest.mark.parametrize("shape", [(1, 2, 2), (2,)])
def test_the_winner_is_asked_for_features_of_validation_examples_of_the_first_fold(
    load, shape, count, validated, asked
):
    dataset = made(count, shape, validated, folds=2)
    chosen = drawing.validated(dataset)
    assert len(set(chosen)) == len(chosen) == asked
    assert set(chosen) <= set(dataset.folds[0].val)
    np.testing.assert_array_equal(chosen, drawing.validated(dataset))
    aside = drawing.aside(load({"dataset": "digits", "epochs": 3, "models": {"mlp": {}}}), dataset)
    np.testing.assert_array_equal(aside.validation, dataset.development.inputs[chosen])
    assert (len(aside.elsewhere) > 0) == (shape == (2,))
