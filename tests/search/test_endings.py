from typing import get_args

import pytest
from optuna.trial import TrialState

from search.endings import Told, told
from search.history import State

TABLE = {
    # state: (what Optuna is told, what MLflow is told, whether the sampler sees the curve)
    "completed": ("COMPLETE", "FINISHED", True),
    "converged": ("COMPLETE", "FINISHED", True),
    "pruned": ("PRUNED", "KILLED", True),
    "diverged": ("PRUNED", "FAILED", False),
    "oom": ("PRUNED", "FAILED", False),
    "failed": ("FAIL", "FAILED", False),
    "cancelled": ("FAIL", "KILLED", False),
}


def test_every_state_but_running_is_an_ending():
    assert set(get_args(State)) == {"running", *TABLE}


@pytest.mark.parametrize(("state", "expected"), TABLE.items())
def test_what_is_told_of_an_ending(state, expected):
    assert told(state) == Told(*expected)
    assert TrialState[told(state).optuna].is_finished()


@pytest.mark.parametrize("state", TABLE)
def test_a_missed_rung_changes_only_what_is_told_of_the_converged(state):
    expected = Told("PRUNED", "FINISHED", curve=True) if state == "converged" else told(state)
    assert told(state, missed_rung=3) == expected


def test_a_running_trial_has_no_ending():
    with pytest.raises(KeyError):
        told("running")


def test_the_sampler_sees_a_curve_only_of_trials_that_it_may_learn_from():
    assert {state for state in TABLE if told(state).curve} == {"completed", "converged", "pruned"}
