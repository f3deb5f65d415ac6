"""What earlier searches of the same task teach the sampler before it proposes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from search import results
from search.history import History, TrialResult
from search.task import Task

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from datasets import Dataset


@dataclass(frozen=True)
class WarmStart:
    """One earlier search, as far as today's space has its trials."""

    history: History
    trials: tuple["FrozenTrial", ...]
    left_out: dict[str, int]
    """How many of its trials that count are not told, by reason."""

    @property
    def name(self) -> str:
        """The search's."""
        return str(self.history.search["name"])

    def __str__(self) -> str:
        why = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        of = f"{len(self.trials)} of {len(self.history.searched())} trials of {self.name}"
        return f"{of} ({why})" if why else of

    @property
    def facts(self) -> dict[str, Any]:
        """What the event log says of it."""
        search_id = self.history.search["id"]
        return {"name": self.name, "id": search_id, "trials": len(self.trials), "left_out": self.left_out}


def load(names: Sequence[str], runs_dir: Path, task: Task) -> list[WarmStart]:
    """The searches of these names (see ``results.load``), with their trials that the task's space could yield again.

    What was cancelled or failed says nothing, and what still runs nothing yet: they are left out.

    Raises:
        UserError: no such search; one whose values are not comparable with the task's; no trial to use in any of them.
    """
    found: dict[str, WarmStart] = {}
    for name in names:
        one = _load(name, runs_dir, task)
        if found.setdefault(one.history.search["id"], one) is not one:
            raise UserError(f"--warm-start {name}: stands twice")
    searches = list(found.values())
    if searches and not any(search.trials for search in searches):
        raise UserError(f"--warm-start: nothing to start from: {'; '.join(map(str, searches))}")
    return searches


def _load(name: str, runs_dir: Path, task: Task) -> WarmStart:
    from search.study import frozen_trials

    history = results.load(name, runs_dir).history
    for what, then, now in (("metric", history.metric, task.metric),
                            ("epochs", history.search["conf"]["epochs"], task.epochs)):  # fmt: skip
        if then != now:
            raise UserError(
                f"--warm-start {name}: its values can't be compared: {what} was {then}, and is {now}; "
                f"--{what} {then} would do"
            )
    inside = frozen_trials(history, task.space)
    left_out: Counter[str] = Counter()
    told = []
    for trial in history.searched():
        reason = _reason(trial, task, inside)
        if reason:
            left_out[reason] += 1
        else:
            told.append(inside[trial.id])
    return WarmStart(history, tuple(told), dict(left_out))


def _reason(trial: TrialResult, task: Task, inside: "dict[int, FrozenTrial]") -> str | None:
    """Why a trial is not told, or None where it is."""
    if trial.id not in inside:
        return "outside today's space"
    if task.max_parameters and (trial.parameters or 0) > task.max_parameters:
        return "larger than max_parameters"
    return trial.state if inside[trial.id].state.name in ("FAIL", "RUNNING") else None


def check_data(searches: Sequence[WarmStart], dataset: "Dataset", task: Task) -> None:
    """Refuses searches of other data, or of other splits.

    Raises:
        UserError: one of them is.
    """
    digest = dataset.digest() if searches else ""
    for search in searches:
        facts = search.history.search
        if facts["dataset_digest"] != digest:
            raise UserError(
                f"--warm-start {search.name}: the data of {task.name} ({dataset.origin}) are not those it was searched "
                f"on ({facts['task']}, {facts['dataset_origin']})"
            )
