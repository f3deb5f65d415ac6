import bisect

import numpy as np
import pytest

from search import conf
from search.rungs import Rungs


@pytest.mark.parametrize(
    ("factor", "values", "goes_on"),
    [
        (3, [5.0], [True]),
        (3, [5.0, 6.0], [True, False]),
        (3, [5.0, 4.0], [True, True]),
        (3, [5.0, 5.0, 5.0], [True, True, True]),
        # cut-offs by hand: 5, 5 + (6 - 5) / 3, 5, 4 + (5 - 4)
        (3, [5.0, 6.0, 5.0, 4.0, 5.0, 5.1], [True, False, True, True, True, False]),
        (2, [1.0, 3.0, 2.0, 2.1], [True, False, True, False]),
        (4, [1.0, 2.0, 3.0, 4.0, 1.75, 1.76], [True, False, False, False, True, False]),
    ],
)
def test_goes_on_where_the_value_is_among_the_best_share_seen_before(factor, values, goes_on):
    rungs = Rungs([1], factor)
    assert [rungs.judge("mlp", trial, 1, value) is None for trial, value in enumerate(values)] == goes_on


def test_the_cut_off_that_was_missed_is_told():
    rungs = Rungs([1], 3)
    for trial, value in enumerate([4.0, 1.0, 1.0, 1.0]):
        rungs.judge("mlp", trial, 1, value)
    assert rungs.judge("mlp", 4, 1, 2.0) == 1.0
    other = Rungs([1], 3)
    other.judge("mlp", 0, 1, 3.0)
    other.judge("mlp", 1, 1, 6.0)
    assert other.judge("mlp", 2, 1, 5.0) == pytest.approx(4.0)


def test_families_are_judged_among_themselves():
    rungs = Rungs([1], 3)
    assert rungs.judge("cnn", 0, 1, 0.1) is None
    assert rungs.judge("mlp", 1, 1, 9.0) is None
    assert rungs.judge("mlp", 2, 1, 9.1) == 9.0
    assert rungs.judge("cnn", 3, 1, 0.2) == 0.1


def test_rungs_are_judged_apart():
    rungs = Rungs([1, 3], 3)
    rungs.judge("mlp", 0, 1, 1.0)
    assert rungs.judge("mlp", 1, 3, 9.0) is None
    assert rungs.judge("mlp", 0, 3, 9.5) == 9.0


def test_a_trial_is_judged_once_at_a_rung():
    rungs = Rungs([1], 3)
    rungs.judge("mlp", 0, 1, 1.0)
    assert rungs.judge("mlp", 1, 1, 2.0) is not None
    assert rungs.judge("mlp", 1, 1, 2.0) is None
    assert rungs.judge("mlp", 0, 1, 50.0) is None
    assert rungs.values["mlp", 1] == {0: 1.0, 1: 2.0}
    assert rungs.reached() == {1: 2}


def test_a_value_carried_through_is_told_the_first_rung_it_misses():
    rungs = Rungs([1, 3, 9], 3)
    for milestone, value in ((1, 2.0), (3, 1.0), (9, 0.5)):
        rungs.judge("mlp", 0, milestone, value)
    assert rungs.first_missed("mlp", 1, 0.4) is None
    assert rungs.first_missed("mlp", 2, 0.6) == 9  # the cut-offs: 0.4 + 1.6 / 3, 0.4 + 0.6 / 3, 0.4 + 0.1 / 3
    assert rungs.first_missed("mlp", 3, 5.0) == 1
    assert rungs.first_missed("cnn", 4, 5.0) is None


def test_a_value_carried_through_leaves_out_rungs_where_it_was_judged():
    rungs = Rungs([1, 3], 3)
    rungs.judge("mlp", 0, 1, 1.0)
    rungs.judge("mlp", 1, 1, 5.0)
    assert rungs.first_missed("mlp", 1, 5.0) is None
    assert rungs.reached() == {1: 2, 3: 1}


def ray_tune_goes_on(recorded: list[float], value: float, factor: int) -> bool:
    """Ray Tune's rule: rewards are negated values; below the (1 - 1/factor) quantile of those before, it stops."""
    if not recorded:
        return True
    return not -value < np.nanpercentile([-each for each in recorded], (1 - 1 / factor) * 100)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_decides_as_ray_tune_does(factor):
    rng = np.random.default_rng(factor)
    decided = {True: 0, False: 0}
    for _ in range(30):
        rungs, recorded = Rungs([1], factor), []
        for trial, value in enumerate(rng.random(60)):
            expected = ray_tune_goes_on(recorded, value, factor)
            assert (rungs.judge("mlp", trial, 1, value) is None) == expected
            bisect.insort(recorded, value)
            decided[expected] += 1
    assert min(decided.values()) > 300


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 7])
def test_an_error_that_ties_with_the_last_of_the_best_share_goes_on(factor):
    rng = np.random.default_rng(factor)
    for best in range(1, 20):
        errors = rng.permutation(350)[: (best - 1) * factor + 1] / 350
        rungs = Rungs([1], factor)
        for trial, value in enumerate([*errors, sorted(errors)[best - 1]]):
            missed = rungs.judge("mlp", trial, 1, float(value))
        assert missed is None


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "milestones"),
    [
        (1, 3, 30, (1, 3, 9, 27)),
        (1, 3, 27, (1, 3, 9)),
        (6, 3, 60, (6, 18, 54)),
        (2, 2, 17, (2, 4, 8, 16)),
        (5, 4, 5, ()),
        (1, 2, 1, ()),
        (4, 3, 5, (4,)),
    ],
)
def test_milestones_are_grace_times_powers_of_the_factor_below_the_last_epoch(grace, factor, epochs, milestones):
    task = conf.load("digits", {"grace": grace, "reduction_factor": factor, "epochs": epochs}, [])
    assert (task.milestones, task.one_of) == (milestones, factor)


def test_the_median_rule_judges_at_every_multiple_of_grace_and_lets_half_go_on():
    task = conf.load("digits", {"scheduler": "median", "grace": 3, "epochs": 10}, [])
    assert (task.milestones, task.one_of) == ((3, 6, 9), 2)
    rungs = Rungs(task.milestones, task.one_of)
    assert [rungs.judge("mlp", trial, 3, value) for trial, value in enumerate([5.0, 1.0, 4.0, 3.0])] == [
        None, None, 3.0, None,
    ]  # fmt: skip
    assert rungs.judge("mlp", 1, 6, 9.0) is None


def test_without_a_scheduler_nothing_is_judged():
    assert conf.load("digits", {"scheduler": "none"}, []).milestones == ()
