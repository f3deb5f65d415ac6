import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss

from datasets import Dataset, Fold, digits
from search.testing import Aside, evaluate, report
from trainables.augmentation import augmented
from trainables.learner import macro_f1
from trainables.storage import SharedFolder
from trainables.training import Training, ensemble, fold_probabilities, last_features, load_checkpoint

# Six examples of three classes by hand: the predictions are 0, 1, 1, 1, 0, 0; nothing is taken for a "c".
TARGETS = np.array([0, 0, 1, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.50, 0.25, 0.25],
        [0.25, 0.50, 0.25],
        [0.25, 0.50, 0.25],
        [0.00, 1.00, 0.00],
        [0.50, 0.25, 0.25],
        [0.75, 0.00, 0.25],
    ]
)


@pytest.fixture
def figures():
    return report(7, PROBABILITIES[None], TARGETS, ["a", "b", "c"])


def wilson(wrong: int, count: int) -> tuple[float, float]:
    """Wilson, 1927: the 95 % interval of a share."""
    z = 1.959963984540054
    share = wrong / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


def test_loss_is_the_mean_negative_log_likelihood(figures):
    likelihoods = [0.5, 0.25, 0.5, 1.0, 0.25, 0.25]
    assert figures.loss == pytest.approx(-sum(map(math.log, likelihoods)) / 6)


def test_error_and_its_interval(figures):
    assert figures.trial == 7
    assert figures.error == 0.5
    assert figures.interval == pytest.approx(wilson(3, 6))


@pytest.mark.parametrize(("wrong", "count"), [(0, 20), (20, 20), (1, 447), (27, 447), (200, 10_000)])
def test_interval_is_wilsons(wrong, count):
    predicted = np.zeros(count, dtype=int)
    predicted[:wrong] = 1
    figures = report(0, np.eye(2)[predicted][None], np.zeros(count, dtype=np.int64), ["a", "b"])
    assert figures.error == wrong / count
    assert figures.interval == pytest.approx(wilson(wrong, count), abs=1e-12)
    assert 0 <= figures.interval[0] <= figures.error <= figures.interval[1] <= 1


def test_confusion_has_true_classes_in_rows(figures):
    assert figures.confusion == [[1, 1, 0], [0, 2, 0], [2, 0, 0]]


def test_figures_of_each_class_with_zeros_for_a_class_that_is_never_predicted(figures):
    rows = [list(row.values()) for row in figures.per_class]
    assert [list(row) for row in figures.per_class] == [["class", "precision", "recall", "f1", "examples"]] * 3
    assert rows == [
        ["a", pytest.approx(1 / 3), 0.5, pytest.approx(0.4), 2],
        ["b", pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2],
        ["c", 0.0, 0.0, 0.0, 2],
    ]
    assert figures.f1 == pytest.approx(0.4)


def test_a_class_without_examples_is_there_with_zeros():
    figures = report(0, np.eye(3)[[0, 1]][None], np.array([0, 1]), ["a", "b", "c"])
    assert figures.per_class[2] == {"class": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "examples": 0}
    assert figures.confusion[2] == [0, 0, 0]
    assert figures.error == 0


def test_a_certain_mistake_has_a_large_but_finite_loss():
    figures = report(0, np.eye(2)[[0]][None], np.array([1]), ["a", "b"])
    assert 700 < figures.loss < 800


def test_random_predictions_have_scikit_learns_figures():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 300)
    targets = rng.integers(0, 4, 300)
    figures = report(0, probabilities[None], targets, list("abcd"))
    assert figures.loss == pytest.approx(log_loss(targets, probabilities))
    assert figures.f1 == pytest.approx(f1_score(targets, probabilities.argmax(1), average="macro"))
    assert sum(map(sum, figures.confusion)) == sum(row["examples"] for row in figures.per_class) == 300


def test_f1_is_the_one_that_validation_has(figures):
    assert figures.f1 == pytest.approx(macro_f1(torch.tensor([0, 1, 1, 1, 0, 0]), torch.from_numpy(TARGETS), 3))


def test_figures_are_plain_numbers_that_can_be_written_as_json(figures):
    plain = [figures.loss, figures.error, figures.f1, *figures.interval]
    plain += [row[name] for row in figures.per_class for name in ("precision", "recall", "f1")]
    assert {type(value) for value in plain} == {float}
    assert {type(count) for row in figures.confusion for count in row} == {int}
    assert {type(row["examples"]) for row in figures.per_class} == {int}


def test_only_the_first_checkpoint_is_asked_aside_and_its_first_fold_for_features(tmp_path):
    development = digits.load(tmp_path).development
    folds = (Fold(np.arange(40), np.arange(40, 60)), Fold(np.arange(20, 60), np.arange(20)))
    dataset = Dataset("digits", tuple("0123456789"), development, folds, None)
    storage, names = SharedFolder(tmp_path), ["first", "second"]
    folders = [tmp_path / name for name in names]
    for folder, width in zip(folders, (12, 7), strict=True):
        folder.mkdir()
        training = Training(dataset, {"model": "mlp", "widths": [width], "lr": 0.01}, epochs=1, patience=1)
        list(training)
        training.save(folder)
    asked = [development.inputs[place] for place in (slice(100, 130), slice(200, 203), slice(40, 60))]
    changes = {"affine": 0.5, "erase": 0.25}
    found = evaluate(storage, names, asked[0], Aside(*asked[1:], asked[1], [{}, changes]), 0)
    answers = found.answers
    models = [ensemble(load_checkpoint(folder / "checkpoint.pt")) for folder in folders]
    for by_fold, model in zip(found.predicted, models, strict=True):
        np.testing.assert_array_equal(by_fold, fold_probabilities(model, asked[0]))
    np.testing.assert_array_equal(answers.elsewhere, fold_probabilities(models[0], asked[1]).mean(0))
    features, logits = last_features(models[0].members[0], asked[2])
    assert features.shape == (20, 12)
    np.testing.assert_array_equal(answers.features, features)
    np.testing.assert_array_equal(answers.guesses, logits.argmax(1))
    np.testing.assert_array_equal(answers.augmented, [augmented(asked[1], settings) for settings in ({}, changes)])
    (tmp_path / "best.pt").write_bytes(found.best)
    assert load_checkpoint(tmp_path / "best.pt")["config"]["widths"] == [12]
    assert evaluate(storage, names[1:], asked[0], None, 0).answers is None
    unknown = evaluate(storage, names, asked[0], Aside(*asked[1:], asked[1], [{"unknown": 1}]), 0)
    assert unknown.answers.augmented is None
    np.testing.assert_array_equal(unknown.predicted, found.predicted)


def test_where_a_checkpoint_is_damaged_nothing_is_evaluated(tmp_path):
    for name, content in (("cut off", b"PK\x03\x04 and no more"), ("empty", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint.pt").write_bytes(content)
    found = evaluate(SharedFolder(tmp_path), ["cut off", "gone", "empty"], np.zeros((1, 1, 8, 8)), None, 0)
    assert (found.predicted, found.best, sorted(found.damaged)) == ([], b"", [0, 1, 2])
    assert "cut off/checkpoint.pt: is damaged" in found.damaged[0]
