"""How a trial stands or has ended, and what the sampler and MLflow are told of it: one table."""

from dataclasses import dataclass
from typing import Literal

from search.history import State


@dataclass(frozen=True)
class Told:
    """``optuna`` is the name of an Optuna trial state, ``mlflow`` of an MLflow run status.

    ``curve`` says whether the sampler is shown the values at the rungs. A PRUNED trial without any is ranked below
    all others, so the sampler turns away from where it was, as it does, proposal for proposal, from one that breaks a
    constraint; FAIL tells it nothing, and it comes back.
    """

    optuna: Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]
    mlflow: Literal["RUNNING", "FINISHED", "KILLED", "FAILED"]
    curve: bool


_TOLD: dict[State, Told] = {
    "running": Told("RUNNING", "RUNNING", curve=True),
    "paused": Told("PRUNED", "RUNNING", curve=True),
    "completed": Told("COMPLETE", "FINISHED", curve=True),
    "converged": Told("COMPLETE", "FINISHED", curve=True),
    "pruned": Told("PRUNED", "KILLED", curve=True),
    "diverged": Told("PRUNED", "FAILED", curve=False),
    "oom": Told("PRUNED", "FAILED", curve=False),
    "failed": Told("FAIL", "FAILED", curve=False),
    "cancelled": Told("FAIL", "KILLED", curve=False),
}


def told(state: State, missed_rung: int | None = None) -> Told:
    """What is told of a trial in this state.

    ``missed_rung``: for a converged trial, the first of the rungs it skipped that its best value would have missed. It
    then stands among the pruned, or a hopeless trial that stopped by patience would outrank a good one that was pruned.
    """
    if state == "converged" and missed_rung is not None:
        return Told("PRUNED", "FINISHED", curve=True)
    return _TOLD[state]
