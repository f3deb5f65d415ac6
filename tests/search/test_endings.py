from typing import get_args

import pytest
from optuna.trial import TrialState

from search.endings import Told, told
from search.history import State

TABLE = {
    # state: (what Optuna is told, what MLflow is told, whether the sampler sees the curve)
    "running": ("RUNNING", "RUNNING", True),
    "paused": ("PRUNED", "RUNNING", True),
    "completed": ("COMPLETE", "FINISHED", True),
    "converged": ("COMPLETE", "FINISHED", True),
    "pruned": ("PRUNED", "KILLED", True),
    "diverged": ("PRUNED", "FAILED", False),
    "oom": ("PRUNED", "FAILED", False),
    "failed": ("FAIL", "FAILED", False),
    "cancelled": ("FAIL", "KILLED", False),
}


def test_the_table_has_every_state():
    assert set(get_args(State)) == set(TABLE)


@pytest.mark.parametrize(("state", "expected"), TABLE.items())
def test_what_is_told_of_a_state(state, expected):
    assert told(state) == Told(*expected)
    assert TrialState[told(state).optuna].is_finished() == (state != "running")


@pytest.mark.parametrize("state", TABLE)
def test_a_missed_rung_changes_only_what_is_told_of_the_converged(state):
    expected = Told("PRUNED", "FINISHED", curve=True) if state == "converged" else told(state)
    assert told(state, missed_rung=3) == expected


def test_the_sampler_sees_a_curve_only_of_trials_that_it_may_learn_from():
    assert {state for state in TABLE if told(state).curve} == {
        "running", "paused", "completed", "converged", "pruned",
    }  # fmt: skip
