"""Thompson sampling on a model of learning curves: what to try next, from all that any trial has shown so far."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from search.encoding import Encoding
from search.space import Config, Space, identity, propose
from search.surrogate import Array, CurveModel, Observations

_AT_RANDOM = 10
"""So many values are seen before the model is asked."""
_CANDIDATES = 300
_NEAR = 100
"""So many more are near one of the best."""
_BEST = 5
_KEPT = 0.75
"""A candidate near another one has each of its settings from it with this probability."""
_LEAST = 0.01
"""Costs are told apart down to this share of their median."""


class Thompson:
    """Proposes the least of a function drawn from the posterior of ``CurveModel`` at the last epoch.

    A draw at each proposal tries what may be best as often as it may be, also where many trials run side by side
    (Kandasamy et al., AISTATS 2018). A trial that came to its last epoch counts as seen there, one that diverged or ran
    out of memory as the worst that was seen, all others by the rungs they reached.

    ``milestones``: the epochs of the rungs. Of rungs close together one in each doubling of the epochs is looked at.
    """

    def __init__(self, space: Space, milestones: Sequence[int], random: np.random.Generator) -> None:
        self.space, self._random = space, random
        apart: list[int] = []
        for milestone in milestones:
            if not apart or milestone >= 2 * apart[-1]:
                apart.append(milestone)
        self._stages = {milestone: place / len(apart) for place, milestone in enumerate(apart)}
        self._encoded = Encoding(space)
        self._model = CurveModel()

    def candidates(self, trials: Sequence[FrozenTrial]) -> Iterator[Config]:
        """Optuna's parameters of points of the space, without end.

        The most promising come first; those of trials after all others; points at random after the last.
        """
        seen = [
            (self._encoded(trial.params), stage, number, cost)
            for number, trial in enumerate(trials)
            for stage, cost in self._curve(trial).items()
        ]
        if len(seen) >= _AT_RANDOM:
            points = self._points(trials)
            settings, stages, numbers, costs = (np.array(column) for column in zip(*seen, strict=True))
            with threadpool_limits(1):  # the other cores are the workers'
                self._model.condition(Observations(settings, stages, numbers, _log(costs)), self._random)
                values = self._model.draw_last(np.array([self._encoded(point) for point in points]), self._random)
            known = {identity(trial.params) for trial in trials}
            again = np.array([identity(point) in known for point in points])
            for place in np.lexsort((values, again)):
                yield points[place]
        while True:
            yield drawn(self.space, self._random)

    def _points(self, trials: Sequence[FrozenTrial]) -> list[Config]:
        """Different ones, at random and near the best trials."""
        best = sorted(trials, key=_place)[:_BEST]
        points = [drawn(self.space, self._random) for _ in range(_CANDIDATES)]
        points += [
            drawn(self.space, self._random, best[place].params)
            for place in self._random.integers(len(best), size=_NEAR)
        ]
        return list({identity(point): point for point in points}.values())

    def _curve(self, trial: FrozenTrial) -> dict[float, float]:
        """The costs that a trial has shown, by stage."""
        costs = trial.intermediate_values
        if trial.state is TrialState.PRUNED and not costs:
            return {1.0: math.inf}
        curve = {stage: costs[milestone] for milestone, stage in self._stages.items() if milestone in costs}
        return curve | {1.0: trial.value} if trial.state is TrialState.COMPLETE else curve


def _place(trial: FrozenTrial) -> tuple[bool, int, float]:
    """Sorts trials: complete ones by their value, then the others by how far they came, and their value there."""
    if trial.state is TrialState.COMPLETE:
        return False, 0, trial.value
    last = max(trial.intermediate_values, default=0)
    return True, -last, trial.intermediate_values.get(last, math.inf)


def _log(costs: Array) -> Array:
    """Logs of costs; of those next to 0 that of the least that is told apart, of infinite ones that of the greatest."""
    told = costs[np.isfinite(costs) & (costs > 0)]
    least, most = (_LEAST * np.median(told), told.max()) if len(told) else (_LEAST, 1.0)
    logs: Array = np.log(np.clip(costs, least, most))
    return logs


def drawn(space: Space, random: np.random.Generator, near: Config | None = None) -> Config:
    """Optuna's parameters of a point drawn at random, or near another one."""
    draw = _Draw(random, near or {})
    propose(space, draw)
    return draw.parameters


class _Draw:
    """Stands where Optuna's trial does: draws each value at random, or keeps that of a point to be near."""

    def __init__(self, random: np.random.Generator, near: Config) -> None:
        self.random, self.near = random, near
        self.parameters: Config = {}

    def suggest_int(self, name: str, low: int, high: int, log: bool, step: int) -> Any:
        if log:
            value = round(math.exp(self.random.uniform(math.log(low - 0.5), math.log(high + 0.5))))
            return self._take(name, min(max(value, low), high))
        return self._take(name, low + step * int(self.random.integers((high - low) // step + 1)))

    def suggest_float(self, name: str, low: float, high: float, log: bool, step: float | None) -> Any:
        if log:
            value = math.exp(self.random.uniform(math.log(low), math.log(high)))
            return self._take(name, min(max(value, low), high))
        if step:
            return self._take(name, min(high, low + step * int(self.random.integers(round((high - low) / step) + 1))))
        return self._take(name, float(self.random.uniform(low, high)))

    def suggest_categorical(self, name: str, labels: Sequence[Any]) -> Any:
        return self._take(name, labels[int(self.random.integers(len(labels)))])

    def _take(self, name: str, value: Any) -> Any:
        kept = name in self.near and self.random.random() < _KEPT
        self.parameters[name] = self.near[name] if kept else value
        return self.parameters[name]
