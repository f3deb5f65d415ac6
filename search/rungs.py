"""Early stopping at rungs, decided asynchronously (ASHA, median rule): pure tables of values by rung."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from search.history import TrialResult
from search.task import Task
from trainables.epoch import cost

Ready = Callable[[int], bool]


class Rungs(Protocol):
    """Judges trials at milestones. Less is better.

    Each group (model family) has rungs of its own: families learn at different speeds, and each one's best is reported.
    """

    milestones: tuple[int, ...]
    pauses: ClassVar[bool]
    """Whether a trial that does not go on at once may go on later."""

    def judge(self, group: str, trial: int, milestone: int, value: float) -> bool:
        """Records a trial's best value so far at a milestone; returns whether it goes on at once.

        A trial judged before at this rung goes on.
        """

    def verdict(self, trial: int) -> str:
        """Why a trial does not go on."""

    def carry(self, group: str, trial: int, value: float) -> int | None:
        """Carries the best value of a trial that converged through all rungs it has not reached.

        Returns:
            The first one that it misses, or None.
        """

    def next(self, ready: Ready) -> int | None:
        """The paused trial, among the ready ones, that goes on before anything new is tried; None if there is none."""

    def resume(self, trial: int) -> None:
        """Lets a paused trial go on whatever its place."""

    def restore(self, group: str, trial: int, values: Mapping[int, float], *, waits: bool) -> None:
        """Takes in a trial of a search that goes on: its values by milestone, and whether it waits at the last one."""


class Promotion:
    """ASHA as its paper has it (Li et al., arXiv 1810.05934, algorithm 2): one in ``reduction_factor`` goes on.

    A trial waits at its rung until it is among the best 1 / ``reduction_factor`` of those that have come there. So the
    first ones do not run on unopposed, and more than that share goes on only as far as later ones are better. Of those
    who may go on, the ones on the highest rung come first, and there the best.
    """

    pauses: ClassVar[bool] = True

    def __init__(self, milestones: Sequence[int], reduction_factor: int) -> None:
        self.milestones = tuple(milestones)
        self.reduction_factor = reduction_factor
        self._values: dict[tuple[int, str], dict[int, float]] = {}
        """By milestone and group, of all that ever came there."""
        self._waiting: dict[int, tuple[int, str]] = {}
        """The rung at which each paused trial waits."""

    def judge(self, group: str, trial: int, milestone: int, value: float) -> bool:
        """See ``Rungs``; one that may go on need not leave its worker for it."""
        values = self._values.setdefault((milestone, group), {})
        if trial in values:
            return True
        values[trial] = value
        self._waiting[trial] = milestone, group
        return self.next(lambda waiting: waiting == trial) == trial

    def verdict(self, trial: int) -> str:
        """See ``Rungs``."""
        milestone, group = self._waiting[trial]
        values = self._values[milestone, group]
        place = 1 + sum(other < values[trial] for other in values.values())
        return f"rung {milestone}: place {place} of {len(values)}, where {self._room(values)} may go on"

    def carry(self, group: str, trial: int, value: float) -> int | None:
        """See ``Rungs``; where so few are that none may go on, the best passes."""
        for milestone in self.milestones:
            values = self._values.setdefault((milestone, group), {})
            if trial not in values:
                values[trial] = value
                if sum(other < value for other in values.values()) >= max(1, self._room(values)):
                    return milestone
        return None

    def next(self, ready: Ready) -> int | None:
        """See ``Rungs``."""
        for milestone, group in sorted(self._values, reverse=True):
            values = self._values[milestone, group]
            for trial in sorted(values, key=values.__getitem__)[: self._room(values)]:
                if self._waiting.get(trial) == (milestone, group) and ready(trial):
                    self.resume(trial)
                    return trial
        return None

    def resume(self, trial: int) -> None:
        """See ``Rungs``."""
        del self._waiting[trial]

    def restore(self, group: str, trial: int, values: Mapping[int, float], *, waits: bool) -> None:
        """See ``Rungs``."""
        for milestone, value in values.items():
            self._values.setdefault((milestone, group), {})[trial] = value
        if waits:
            self._waiting[trial] = max(values), group

    def _room(self, values: Collection[int]) -> int:
        return len(values) // self.reduction_factor


class Median:
    """The median rule (Golovin et al., KDD 2017) on best values so far, as Optuna's MedianPruner has it.

    A trial that is worse than the median of those judged there before ends; the first goes on.
    """

    pauses: ClassVar[bool] = False

    def __init__(self, milestones: Sequence[int]) -> None:
        self.milestones = tuple(milestones)
        self._values: dict[tuple[str, int], dict[int, float]] = {}
        self._verdicts: dict[int, str] = {}

    def judge(self, group: str, trial: int, milestone: int, value: float) -> bool:
        """See ``Rungs``."""
        values = self._values.setdefault((group, milestone), {})
        if trial in values:
            return True
        earlier = list(values.values())
        values[trial] = value
        self._verdicts[trial] = f"rung {milestone}: worse than the median of {len(earlier)}"
        return not earlier or value <= float(np.median(earlier))

    def verdict(self, trial: int) -> str:
        """See ``Rungs``."""
        return self._verdicts[trial]

    def carry(self, group: str, trial: int, value: float) -> int | None:
        """See ``Rungs``."""
        for milestone in self.milestones:
            if not self.judge(group, trial, milestone, value):
                return milestone
        return None

    def next(self, ready: Ready) -> int | None:
        """See ``Rungs``: none is paused."""
        return None

    def resume(self, trial: int) -> None:
        """See ``Rungs``: none is paused."""
        raise KeyError(trial)

    def restore(self, group: str, trial: int, values: Mapping[int, float], *, waits: bool) -> None:
        """See ``Rungs``."""
        for milestone, value in values.items():
            self._values.setdefault((group, milestone), {})[trial] = value


def restore(rungs: Rungs, trials: Sequence[TrialResult], metric: str) -> None:
    """Brings new rungs to where those of a search that goes on were, by its trials that count.

    What a running trial's last rung said of it may not be known: it is to be judged there again.
    """
    for trial in trials:
        judged = {epoch: cost(best, metric) for epoch, best in trial.at_rungs.items()}
        if trial.state == "running":
            judged.pop(trial.epochs, None)
        rungs.restore(trial.model, trial.id, judged, waits=trial.state == "paused")
    for trial in trials:
        if trial.state == "converged" and (value := trial.cost(metric)) is not None:
            rungs.carry(trial.model, trial.id, value)


def rungs_of(task: Task) -> Rungs:
    """The task's."""
    if task.scheduler == "median":
        return Median(task.milestones)
    return Promotion(task.milestones, task.reduction_factor)
