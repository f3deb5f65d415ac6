"""The simulation of confirmations, on made-up grids of known truth."""

import numpy as np
import pytest

from benchmarks import confirmation


def curves(configurations: int = 40, spread: float = 0.1, step: float = 0.01) -> np.ndarray:
    """Configuration k has a loss of about 1 + step k, five seeds."""
    random = np.random.default_rng(0)
    least = (1 + step * np.arange(configurations))[:, None] * np.exp(spread * random.normal(size=(configurations, 5)))
    return np.stack([least + 1, least], axis=2)


def test_the_truth_is_the_mean_over_seeds_and_luck_leaves_it_so():
    recorded = curves()
    truth = confirmation.truth_of(recorded, np.arange(40))
    means = recorded.min(2).mean(1)
    assert truth.loss == pytest.approx(means[np.sort(means.argsort()[:30])])
    assert truth.luck.mean(1) == pytest.approx(np.ones(30))
    assert (truth.luck > 0).all()
    assert truth.luck.std() == pytest.approx(0.1, rel=0.15)
    trained = truth.train(np.full(100_000, 7), np.random.default_rng(1))
    assert trained.mean() == pytest.approx(truth.loss[7], rel=2e-3)


def test_a_search_keeps_its_best_five_without_twins():
    truth = confirmation.truth_of(curves(), np.ones(40))
    for preference in confirmation.PREFERENCES:
        found = confirmation.search(truth, 50, preference, np.random.default_rng(0))
        assert found.places.shape == (50, 5)
        assert (np.diff(found.searched) >= 0).all()
        assert all(len(set(places)) == 5 for places in found.places)
        assert (found.truth == truth.loss[found.places]).all()


def test_without_luck_every_choice_is_right():
    truth = confirmation.truth_of(curves(spread=1e-9), np.ones(40))
    for row in confirmation.choices("made", truth, 5):
        assert row["single"]["best"] == row["mean"]["best"] == row["mean with the search's"]["best"] == 1
        assert row["single"]["regret"] == pytest.approx(0)


def test_with_nothing_but_luck_confirmation_helps_and_the_selected_interval_holds():
    rows = confirmation.choices("made", confirmation.truth_of(curves(step=1e-3), np.ones(40)), 80)
    last = [row for row in rows if row["configurations"] == 5 and row["seeds"] == 5]
    for row in last:
        assert row["optimism"] > 0.1
        assert row["mean"]["regret"] < row["single"]["regret"]
        assert row["coverage"]["student"] < row["coverage"]["selected"]
    assert rows[0]["coverage"] is None


def test_a_cheaper_one_within_an_error_is_preferred_by_that_rule_only():
    fresh = np.array([[[1.0, 1.2], [1.05, 1.25], [2.0, 2.2]]])
    searched, seconds = np.array([[1.0, 0.1, 0.1]]), np.array([[3.0, 2.0, 1.0]])
    chosen = {name: int(rule(fresh, searched, seconds)[0]) for name, rule in confirmation.RULES.items()}
    assert chosen == {"mean": 0, "mean with the search's": 1, "cheapest within 1 SE": 1}


@pytest.mark.parametrize("case", confirmation.CLASSIFIERS, ids=lambda case: case.name)
def test_classifiers_have_the_errors_they_say(case):
    matrix = case.confusion()
    assert (matrix >= 0).all()
    assert matrix.sum() == pytest.approx(1)
    assert 1 - matrix.trace() == pytest.approx(case.error)
    first, second, both, none = case.pairs()
    assert min(first, second, both, none) >= 0
    assert first + both == pytest.approx(case.error)
    assert second + both == pytest.approx(case.reference)


def test_intervals_hold_about_as_often_as_they_say():
    found = confirmation.intervals(confirmation.Classifiers("made", 300, 3, 0.1, 0.12, 0.5), 20)
    assert all(found[name] > 0.7 for name in ("wilson", "difference", "macro_f1"))
    assert found["told_apart"] < 0.5
