"""Where a search stands at one moment, for whoever shows it: counts, bests, rungs, and how long the rest will take."""

import heapq
import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.history import History, TrialResult
from search.task import Task
from trainables.epoch import rank

Budgets = Callable[[], Mapping[str, tuple[float, float]]]
"""Gives what was spent of what limit, by name; seconds under ``time``."""
_LEFT_TO_ESTIMATE = 3
_EPOCHS_FOR_PACE = 10
_PLAYS = 4
_MOST_PLAYED = 300
_EVENLY = (0.7548776662466927, 0.5698402909980532)
"""1 / x and 1 / x² of the plastic number: their multiples lie evenly in a square, as the golden ratio's on a line."""
_BREAKAGES = ("oom", "failed")


@dataclass(frozen=True)
class Reached:
    """A rung: how many trials came to it, and how many of them went on beyond it so far."""

    milestone: int
    trials: int
    went_on: int


@dataclass(frozen=True)
class Best:
    """The best of a family so far."""

    trial: TrialResult
    figures: dict[str, Any]
    """Of its best epoch, see ``trainables.epoch.Epoch``."""


@dataclass(frozen=True)
class Standing:
    """One moment of a search."""

    task: Task
    num_samples: int
    done: int
    """Trials that no worker has: ended, or paused, which most of them stay."""
    counts: dict[str, int]
    """Trials by state, in the order of first appearance."""
    running: list[TrialResult]
    bests: list[Best]
    """One a family, the best first."""
    rungs: list[Reached]
    broken: TrialResult | None
    """The trial that failed last, or ran out of memory."""
    elapsed: float
    """Seconds since the first trial was asked for."""
    left: float | None
    """Expected seconds until the last trial ends; None where too little has happened."""
    budgets: dict[str, tuple[float, float]]

    @classmethod
    def of(
        cls,
        history: History,
        task: Task,
        num_samples: int,
        slots: int,
        *,
        elapsed: float,
        now: float,
        top_k: int = 1,
        budgets: Budgets | None = None,
    ) -> "Standing":
        """Reads a history that another thread may be adding to.

        ``now``: seconds since the epoch; ``top_k``: how many of the best go on to their end, besides each family's.
        """
        trials = list(history.trials.values())
        states = [trial.state for trial in trials]
        running = [trial for trial, state in zip(trials, states, strict=True) if state == "running"]
        broken = [trial for trial, state in zip(trials, states, strict=True) if state in _BREAKAGES]
        spent = dict(budgets()) if budgets else {}
        order = _order(trials, task.metric)
        bests: dict[str, Best] = {}
        for best in order:
            bests.setdefault(best.trial.model, best)
        finalists = {best.trial.id: best.trial for best in [*bests.values(), *order[:top_k]]}.values()
        unfinished = [(task.epochs - trial.epochs) * _pace(trial) for trial in finalists if trial.state == "paused"]
        expected = seconds_left(trials, num_samples, slots, task.epochs, now, unfinished)
        if expected is not None and elapsed > 0:
            pace = [max(0.0, limit - used) * elapsed / used for used, limit in spent.values() if used > 0]
            expected = min(expected, *pace) if pace else expected
        return cls(
            task=task,
            num_samples=num_samples,
            done=len(trials) - len(running),
            counts=dict(Counter(states)),
            running=running,
            bests=list(bests.values()),
            rungs=[reached(trials, milestone) for milestone in task.milestones],
            broken=max(broken, key=lambda trial: trial.ended or 0.0, default=None),
            elapsed=elapsed,
            left=expected,
            budgets=spent,
        )


def _order(trials: Sequence[TrialResult], metric: str) -> list[Best]:
    """As ``selection.ranked`` has them: by the metric, then by the loss, then by age."""
    seen = [Best(trial, figures) for trial in trials if trial.apart is None and (figures := trial.best) is not None]
    seen.sort(key=lambda best: (rank(best.figures, metric), best.trial.id))
    return seen


def reached(trials: Sequence[TrialResult], milestone: int) -> Reached:
    """Of the trials that count."""
    there = [trial for trial in trials if trial.apart is None and trial.epochs >= milestone]
    stayed = sum(trial.state in ("paused", "pruned") and trial.epochs == milestone for trial in there)
    return Reached(milestone, len(there), len(there) - stayed)


def seconds_left(
    trials: Sequence[TrialResult],
    num_samples: int,
    slots: int,
    epochs: int,
    now: float,
    unfinished: Sequence[float] = (),
) -> float | None:
    """Expected seconds until the last of ``num_samples`` trials ends, ``slots`` at a time, each of at most ``epochs``.

    A trial's life is counted in epochs. The weak ones leave their workers first, so the mean of those that have left
    would promise too much. A trial that still runs is therefore a life cut off at its age (the product-limit estimate
    of Kaplan and Meier, JASA 53, 1958). One that is paused has left: if it goes on, another one stays in its place.
    With lives drawn from that, at even distances, each at a pace that was seen, the rest of the search is played a few
    times: what comes after the last start is then in it. So are at its end, in seconds, the ``unfinished`` trainings.

    Returns:
        None until some trials have left.
    """
    lives = [(trial.epochs, trial.state == "running") for trial in trials if trial.apart is None]
    paces = sorted(_pace(trial) for trial in trials if trial.curve)
    waiting = max(0, num_samples - len(trials))
    left = sum(not runs for _, runs in lives)
    if not paces or left < (_LEFT_TO_ESTIMATE if waiting else 1):
        return None
    draw = _drawing(lives, epochs)
    running = [trial for trial in trials if trial.state == "running"]

    played = min(waiting, _MOST_PLAYED)
    total = 0.0
    for play in range(_PLAYS):
        chances = _chances(play / _PLAYS)
        free = []
        for trial, (chance, place) in zip(running, chances, strict=False):
            most = trial.own_epochs or epochs
            whole = trial.apart in ("again", "confirmation")
            life = most if whole else min(most, draw(trial.epochs if trial.curve else -1, chance))
            pace = _pace(trial) if trial.curve else paces[int(place * len(paces))]
            free.append(max(0.0, (life - trial.epochs) * pace - _silence(trial, now)))
        free += [0.0] * (slots - len(free))
        heapq.heapify(free)
        spent = 0.0
        for chance, place in itertools.islice(chances, played):
            seconds = draw(-1, chance) * paces[int(place * len(paces))]
            spent += seconds
            heapq.heapreplace(free, free[0] + seconds)
        for seconds in unfinished:
            heapq.heapreplace(free, free[0] + seconds)
        total += max(free) + (spent / played * (waiting - played) / slots if played else 0.0)
    return total / _PLAYS


def _pace(trial: TrialResult) -> float:
    """Seconds an epoch, of late."""
    recent = [float(epoch["seconds"]) for epoch in trial.curve[-_EPOCHS_FOR_PACE:]]
    return sum(recent) / len(recent)


def _silence(trial: TrialResult, now: float) -> float:
    """Seconds since a running trial's last report, or since it went to its worker."""
    return max(0.0, now - max(trial.proposed, trial.promoted or 0.0, trial.spans[-1][1] if trial.spans else 0.0))


def _chances(start: float) -> Iterator[tuple[float, float]]:
    """Pairs that lie evenly in the unit square, however many of them one takes."""
    for number in itertools.count(1):
        yield (number + start) * _EVENLY[0] % 1, (number + start) * _EVENLY[1] % 1


def _drawing(lives: Sequence[tuple[int, bool]], longest: int) -> Callable[[int, float], int]:
    """Lives to draw from: (epochs, whether cut off) of each seen; who outlives them all lives to ``longest``.

    Returns:
        The life of one that has outlived so many epochs, -1 for a new one, by a chance of 0 to 1.
    """
    ages, ended_by = [-1], [0.0]
    there, ended = Counter(age for age, _ in lives), Counter(age for age, cut_off in lives if not cut_off)
    at_risk = len(lives)
    for age in sorted(there):
        if ended[age]:
            ages.append(age)
            ended_by.append(1 - (1 - ended_by[-1]) * (1 - ended[age] / at_risk))
        at_risk -= there[age]
    ages.append(longest)

    def draw(age: int, chance: float) -> int:
        before = ended_by[bisect_right(ages, age, hi=len(ended_by)) - 1]
        return max(age, ages[bisect_right(ended_by, before + (1 - before) * chance)])

    return draw
