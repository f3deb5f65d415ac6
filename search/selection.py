"""Which checkpoints are tested, and which one is the winner: pure functions over what validation said."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from search.history import TrialResult
from trainables.epoch import rank

Role = Literal["winner", "seed", "family", "reference", "again"]


@dataclass(frozen=True)
class Selected:
    """A trial to be tested.

    ``chosen``: the winner, its configuration with another seed, the best of its family, a reference, one trained again,
    or None for one only shown beside them.
    """

    trial: TrialResult
    chosen: Role | None


def ranked(trials: Iterable[TrialResult], metric: str) -> list[TrialResult]:
    """Trials that left a checkpoint, the best first, by what the checkpoint is worth; ties by loss, then by age."""
    worth = [(trial.checkpoint_best, trial) for trial in trials]
    rows = [(rank(best, metric), trial.id, trial) for best, trial in worth if best is not None]
    return [trial for *_, trial in sorted(rows, key=lambda row: row[:2])]


def best_so_far(trials: Iterable[TrialResult], metric: str) -> TrialResult | None:
    """The trial that leads by its reports, also one whose checkpoint is still on its way."""
    rows = [
        (rank(trial.best, metric), trial.id, trial)
        for trial in trials
        if trial.apart is None and trial.best is not None
    ]
    return min(rows, key=lambda row: row[:2])[-1] if rows else None


def select(trials: Iterable[TrialResult], metric: str, top_k: int) -> list[Selected]:
    """The winner, each other family's best, and what else is among the best ``top_k``; in the order of validation.

    The references come last, each for itself: nothing is chosen among them.
    """
    trials = list(trials)
    order = ranked((trial for trial in trials if trial.apart is None), metric)
    seen: set[str] = set()
    selected = []
    for place, trial in enumerate(order):
        first_of_family = trial.model not in seen
        seen.add(trial.model)
        if place == 0:
            selected.append(Selected(trial, "winner"))
        elif first_of_family or place < top_k:
            selected.append(Selected(trial, "family" if first_of_family else None))
    references = [trial for trial in trials if trial.apart == "reference" and trial.checkpoint]
    return selected + [Selected(trial, "reference") for trial in references]
