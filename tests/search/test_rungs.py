from collections.abc import Sequence

import numpy as np
import pytest

from search import conf
from search.rungs import Median, Promotion, rungs_of


def anyone(trial: int) -> bool:
    return True


def arrive(rungs: Promotion, milestone: int, values: Sequence[float], group: str = "mlp", first: int = 0) -> list[bool]:
    """Trials that come to a rung one after the other; which of them go on at once."""
    return [rungs.judge(group, trial, milestone, value) for trial, value in enumerate(values, first)]


def waiting(rungs: Promotion) -> list[int]:
    """Those that go on after all the others have come, in their order."""
    return list(iter(lambda: rungs.next(anyone), None))


@pytest.mark.parametrize(
    ("factor", "values", "at_once", "later"),
    [
        (3, [5.0], [], []),
        (3, [5.0, 6.0], [], []),
        (3, [5.0, 6.0, 7.0], [], [0]),
        (3, [5.0, 6.0, 4.0], [2], []),
        (3, [5.0, 5.0, 5.0], [], [0]),
        (3, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [2, 3, 4, 5], []),
        (3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [], [0, 1]),
        (2, [3.0, 2.0, 1.0, 4.0], [1, 2], []),
        (4, [3.0, 2.0, 1.0, 4.0], [], [2]),
    ],
)
def test_the_best_share_of_those_that_came_to_a_rung_go_on(factor, values, at_once, later):
    rungs = Promotion([1], factor)
    on = arrive(rungs, 1, values)
    assert [trial for trial, goes_on in enumerate(on) if goes_on] == at_once
    assert waiting(rungs) == later


def test_the_highest_rung_goes_first_and_there_the_best():
    rungs = Promotion([1, 3], 2)
    arrive(rungs, 1, [1.0, 2.0, 3.0, 4.0])
    arrive(rungs, 3, [0.8, 0.9], first=10)
    assert waiting(rungs) == [10, 0, 1]


def test_one_that_has_just_come_and_may_go_on_does_not_leave_its_worker_for_a_better_one():
    rungs = Promotion([1], 2)
    assert arrive(rungs, 1, [1.0, 2.0, 4.0, 1.5]) == [False, False, False, True]
    assert waiting(rungs) == [0]


def test_a_trial_that_is_not_ready_is_passed_over_and_keeps_its_place():
    rungs = Promotion([1], 2)
    arrive(rungs, 1, [1.0, 2.0, 3.0, 4.0])
    assert rungs.next(lambda trial: trial != 0) == 1
    assert rungs.next(anyone) == 0


def test_families_are_judged_among_themselves():
    rungs = Promotion([1], 2)
    arrive(rungs, 1, [0.1, 0.2], "cnn")
    arrive(rungs, 1, [9.0, 9.1], "mlp", first=2)
    assert {rungs.next(anyone), rungs.next(anyone)} == {0, 2}


def test_a_trial_is_judged_once_at_a_rung():
    rungs = Promotion([1], 3)
    assert arrive(rungs, 1, [1.0, 2.0]) == [False, False]
    assert rungs.judge("mlp", 1, 1, 0.5), "it came back from an older checkpoint, and must go on to where it was"
    assert rungs.verdict(1) == "rung 1: place 2 of 2, where 0 may go on"


def test_the_share_that_goes_on_holds_once_the_best_have_come():
    rungs = Promotion([1], 3)
    assert not any(arrive(rungs, 1, np.linspace(1, 2, 90)))
    assert len(waiting(rungs)) == 30


def test_one_that_may_be_tested_goes_on_whatever_its_place():
    rungs = Promotion([1], 3)
    arrive(rungs, 1, [1.0, 2.0, 3.0, 4.0])
    rungs.resume(3)
    assert rungs.next(anyone) == 0
    with pytest.raises(KeyError):
        rungs.verdict(3)


def test_a_value_carried_through_is_told_the_first_rung_it_misses():
    rungs = Promotion([1, 3, 9], 3)
    for milestone, values in ((1, [1.0, 2.0, 3.0, 4.0, 5.0]), (3, [0.9, 0.8]), (9, [0.5])):
        arrive(rungs, milestone, values)
    assert rungs.carry("mlp", 10, 0.4) is None, "the best of all"
    assert rungs.carry("mlp", 11, 0.6) == 3, "one of 4 may go on there, and that one has 0.4"
    assert rungs.carry("mlp", 12, 4.5) == 1
    assert rungs.carry("cnn", 13, 9.0) is None, "alone in its family"
    assert 10 not in waiting(rungs), "one that converged does not go on"


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
    assert task.milestones == milestones


def test_the_median_rule_judges_at_every_multiple_of_grace_and_lets_half_go_on():
    rungs = rungs_of(conf.load("digits", {"scheduler": "median", "grace": 3, "epochs": 10}, []))
    assert (rungs.milestones, rungs.pauses) == ((3, 6, 9), False)
    on = [rungs.judge("mlp", trial, 3, value) for trial, value in enumerate([5.0, 1.0, 4.0, 3.0])]
    assert on == [True, True, False, True]  # the medians of those before: 5, 3, 4
    assert rungs.verdict(2) == "rung 3: worse than the median of 2"
    assert rungs.judge("mlp", 1, 6, 9.0), "the first at a rung"
    assert rungs.judge("cnn", 4, 3, 9.0), "the first of its family"
    assert rungs.judge("mlp", 2, 3, 4.0), "judged once"
    assert rungs.next(anyone) is None


def test_the_median_rule_carries_a_value_into_the_rungs_that_were_skipped():
    rungs = Median([3, 6, 9])
    for milestone, value in ((3, 3.0), (6, 2.0), (9, 1.0)):
        rungs.judge("mlp", 0, milestone, value)
    assert [rungs.carry("mlp", trial, value) for trial, value in ((1, 0.5), (2, 1.7), (3, 1.9))] == [None, 6, 3]


def test_without_a_scheduler_nothing_is_judged():
    assert conf.load("digits", {"scheduler": "none"}, []).milestones == ()
