"""Replays recorded learning curves under a simulated clock: the searches that ``benchmarks.quality`` compares."""

import heapq
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from benchmarks.curves import FOLDER, GRIDS

WORKERS = 4


class Table:
    """A recorded grid and the space over it; numbers are proposed between the grid's and taken for the nearest."""

    def __init__(self, name: str) -> None:
        self.grid = GRIDS[name]
        with np.load(FOLDER / f"{name}.npz") as stored:
            self.curves = stored["curves"].astype(np.float64)
            self.seconds = stored["seconds"]
        self.places = {self._key(config): place for place, config in enumerate(self.grid.configurations())}
        self.true = self.curves.min(2).mean(1)
        """The best loss of a whole training, the mean over seeds."""
        models = {
            family: {name: _entry(values) for name, values in settings.items()}
            for family, settings in self.grid.families.items()
        }
        epochs = self.grid.epochs
        self.document = {"dataset": {"name": self.grid.dataset}, "epochs": epochs, "patience": epochs,
                         "models": models, "space": self.grid.fixed}  # fmt: skip
        """As a conf file has it."""

    def task(self, **changes: Any) -> Any:
        """The product's task of the grid."""
        from search.validation import Validator

        validator = Validator("table")
        return validator.task("table", validator.shaped(self.document | changes))

    def _key(self, config: dict[str, Any]) -> str:
        family = config["model"]
        return json.dumps([family, [config[name] for name in self.grid.families[family]]])

    def place(self, config: dict[str, Any]) -> int:
        """The configuration's, or the nearest one's, in the grid."""
        family = config["model"]
        nearest = {"model": family}
        for name, values in self.grid.families[family].items():
            value = config.get(f"{family}.{name}", config.get(name))
            nearest[name] = min(values, key=partial(_distance, value)) if _is_range(values) else value
        return self.places[self._key(nearest)]


def _is_range(values: Sequence[Any]) -> bool:
    return all(isinstance(value, float) for value in values)


def _entry(values: list[Any]) -> dict[str, Any]:
    if _is_range(values):
        return {"low": min(values), "high": max(values), "log": min(values) > 0}
    return {"choice": values}


def _distance(value: float, other: float) -> float:
    return abs(math.log(value / other)) if other > 0 and value > 0 else abs(value - other)


@cache
def table(name: str) -> Table:
    """The recorded table of that name."""
    return Table(name)


class System(Protocol):
    """A searcher with its scheduler."""

    def next(self) -> tuple[int, dict[str, Any]]:
        """What a free worker does: the number of a trial, from 0 in the order of proposals, and its configuration.

        One that was given out before goes on where it was.
        """

    def report(self, number: int, epoch: int, losses: Sequence[float]) -> bool:
        """Takes a trial's losses up to an epoch; whether it must leave its worker."""


@dataclass
class Outcome:
    """What a search spent and found, at each trial that left its worker."""

    trials: int = 0
    completed: int = 0
    spent: list[int] = field(default_factory=list)
    """Epochs."""
    found: list[float] = field(default_factory=list)
    """The find's true loss."""
    proposed: list[float] = field(default_factory=list)
    """The least true loss of what was proposed."""

    def at(self, epochs: float, what: str = "found") -> float:
        """The figure when so many epochs were spent; not a number before there was one."""
        values = [value for spent, value in zip(self.spent, getattr(self, what), strict=True) if spent <= epochs]
        return values[-1] if values else math.nan


def simulate(grid: Table, system: System, seed: int, budget: int) -> Outcome:
    """Runs a search until ``budget`` epochs are spent."""
    random = np.random.default_rng(seed)
    epochs, seeds = grid.grid.epochs, grid.curves.shape[1]
    queue: list[tuple[float, int]] = []
    trials: dict[int, list[int]] = {}
    outcome = Outcome()
    lead, true, proposed, spent = math.inf, math.nan, math.inf, 0

    def start(now: float) -> None:
        nonlocal proposed
        number, config = system.next()
        if number not in trials:
            outcome.trials += 1
            place = grid.place(config)
            proposed = min(proposed, float(grid.true[place]))
            trials[number] = [place, int(random.integers(seeds)), 0]
        heapq.heappush(queue, (now + float(grid.seconds[trials[number][0]]), number))

    for _ in range(WORKERS):
        start(0.0)
    while spent < budget:
        now, number = heapq.heappop(queue)
        trials[number][2] += 1
        place, curve, epoch = trials[number]
        spent += 1
        losses = grid.curves[place, curve, :epoch]
        leaves = system.report(number, epoch, losses)
        if epoch == epochs:
            outcome.completed += 1
            if losses.min() < lead:
                lead, true = float(losses.min()), float(grid.true[place])
        if leaves or epoch == epochs:
            outcome.spent.append(spent)
            outcome.found.append(true)
            outcome.proposed.append(proposed)
            start(now)
        else:
            heapq.heappush(queue, (now + float(grid.seconds[place]), number))
    return outcome
