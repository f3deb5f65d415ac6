"""Where a search stands at one moment, for whoever shows it: counts, bests, rungs, and how long the rest will take."""

import heapq
import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.history import History, TrialResult
from search.task import Task
from trainables.epoch import rank

Budgets = Callable[[], Mapping[str, tuple[float, float]]]
"""Gives what was spent of what limit, by name; seconds under ``time``."""
_ENDINGS_TO_ESTIMATE = 3
_EPOCHS_FOR_PACE = 10
_PLAYS = 4
_MOST_PLAYED = 300
_GOLDEN = (math.sqrt(5) - 1) / 2
_BREAKAGES = ("oom", "failed")


@dataclass(frozen=True)
class Reached:
    """A rung: how many trials came to it, and how many of them went on."""

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
    ended: int
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
        budgets: Budgets | None = None,
    ) -> "Standing":
        """Reads a history that another thread may be adding to; ``now`` in seconds since the epoch."""
        trials = list(history.trials.values())
        states = [trial.state for trial in trials]
        running = [trial for trial, state in zip(trials, states, strict=True) if state == "running"]
        broken = [trial for trial, state in zip(trials, states, strict=True) if state in _BREAKAGES]
        spent = dict(budgets()) if budgets else {}
        expected = seconds_left(trials, num_samples, slots, task.epochs, now)
        if expected is not None and elapsed > 0:
            pace = [max(0.0, limit - used) * elapsed / used for used, limit in spent.values() if used > 0]
            expected = min(expected, *pace) if pace else expected
        return cls(
            task=task,
            num_samples=num_samples,
            ended=len(trials) - len(running),
            counts=dict(Counter(states)),
            running=running,
            bests=_bests(trials, task.metric),
            rungs=[_reached(trials, milestone) for milestone in task.milestones],
            broken=max(broken, key=lambda trial: trial.ended or 0.0, default=None),
            elapsed=elapsed,
            left=expected,
            budgets=spent,
        )


def _bests(trials: Sequence[TrialResult], metric: str) -> list[Best]:
    """As ``selection.ranked`` orders them: by the metric, then by the loss, then by age."""
    seen = [Best(trial, figures) for trial in trials if trial.apart is None and (figures := trial.best) is not None]
    seen.sort(key=lambda best: (rank(best.figures, metric), best.trial.id))
    first: dict[str, Best] = {}
    for best in seen:
        first.setdefault(best.trial.model, best)
    return list(first.values())


def _reached(trials: Sequence[TrialResult], milestone: int) -> Reached:
    there = [trial for trial in trials if trial.apart is None and trial.epochs >= milestone]
    pruned = sum(trial.state == "pruned" and trial.epochs == milestone for trial in there)
    return Reached(milestone, len(there), len(there) - pruned)


def seconds_left(trials: Sequence[TrialResult], num_samples: int, slots: int, epochs: int, now: float) -> float | None:
    """Expected seconds until the last of ``num_samples`` trials ends, ``slots`` at a time.

    The weak trials end first, so the mean of those that have ended would promise too much. A trial that still runs is
    therefore a lifetime cut off at its age (the product-limit estimate of Kaplan and Meier, JASA 53, 1958); none lasts
    longer than all its epochs take at its pace. With lives drawn from that, at even distances, the rest of the search
    is played a few times: what comes after the last start is then in it.

    Returns:
        None until some trials have ended.
    """
    first = min((trial.started for trial in trials if trial.started is not None), default=0.0)
    lives: list[tuple[float, bool]] = []
    running: list[tuple[float, float]] = []
    for trial in trials:
        ended = trial.ended
        # The first ones wait for their workers; that happens once.
        age = max(0.0, (now if ended is None else ended) - max(trial.proposed, first))
        if trial.apart is None:
            lives.append((age, ended is None))
        if ended is None:
            recent = [float(epoch["seconds"]) for epoch in trial.curve[-_EPOCHS_FOR_PACE:]]
            most = trial.own_epochs or epochs
            running.append((age, max(age, most * sum(recent) / len(recent)) if recent else math.inf))
    waiting = max(0, num_samples - len(trials))
    endings = sum(not cut_off for _, cut_off in lives)
    if endings < (_ENDINGS_TO_ESTIMATE if waiting else 1):
        return None
    longest = max([age for age, _ in lives] + [whole for _, whole in running if whole < math.inf])
    draw = _drawing(lives, longest)

    played = min(waiting, _MOST_PLAYED)
    total = 0.0
    for play in range(_PLAYS):
        # Multiples of the golden ratio lie evenly, however many of them one takes.
        chances = ((number + play / _PLAYS) * _GOLDEN % 1 for number in itertools.count(1))
        free = [min(draw(age, chance), whole) - age for (age, whole), chance in zip(running, chances, strict=False)]
        free += [0.0] * (slots - len(free))
        heapq.heapify(free)
        spent = 0.0
        for chance in itertools.islice(chances, played):
            life = draw(0.0, chance)
            spent += life
            heapq.heapreplace(free, free[0] + life)
        total += max(free) + (spent / played * (waiting - played) / slots if played else 0.0)
    return total / _PLAYS


def _drawing(lives: Iterable[tuple[float, bool]], longest: float) -> Callable[[float, float], float]:
    """Lives to draw from: (age, whether cut off) of each seen; who outlives them all lives to ``longest``.

    Returns:
        The life of one that has come to an age, by a chance of 0 to 1.
    """
    seen = sorted(lives)  # at the same age the ended come first
    ages, ended_by = [0.0], [0.0]
    for place, (age, cut_off) in enumerate(seen):
        if not cut_off:
            ages.append(age)
            ended_by.append(1 - (1 - ended_by[-1]) * (1 - 1 / (len(seen) - place)))
    ages.append(longest)

    def draw(age: float, chance: float) -> float:
        before = ended_by[bisect_right(ages, age, hi=len(ended_by)) - 1]
        return max(age, ages[bisect_right(ended_by, before + (1 - before) * chance)])

    return draw
