"""Trials that compute next to nothing, without torch: validation loss 1 / epoch, or asleep for as long as one takes."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import Dataset, Examples, Fold
from trainables.epoch import Epoch
from trainables.trial import Plan


class ClosedForm:
    """A ``trainables.trial.Learning`` whose every epoch is a new best one, so that each report has a checkpoint."""

    parameters = 7
    examples_trained = 0
    converged = False

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.best: Epoch | None = None

    def __iter__(self) -> Iterator[Epoch]:
        """All epochs."""
        for index in range(self.best.index + 1 if self.best else 1, self.epochs + 1):
            loss = 1 / index
            self.best = Epoch(index, loss, loss / 10, loss, loss / 10, 1 - loss / 10, 0.001, 0.1)
            yield self.best

    def save(self, folder: Path) -> None:
        """Writes the best epoch."""
        (folder / "state.json").write_text(json.dumps(vars(self.best) if self.best else None))

    def restore(self, folder: Path) -> None:
        """Goes on after it."""
        best = json.loads((folder / "state.json").read_text())
        self.best = Epoch(**best) if best else None


class Asleep(ClosedForm):
    """Sleeps through each epoch; its loss differs by its seed, and so does what an epoch takes."""

    def __init__(self, epochs: int, seconds: float, uneven: float, seed: int) -> None:
        """``seconds``: of an epoch, in the median; ``uneven``: the standard deviation of their logarithm."""
        super().__init__(epochs)
        level, deviate = np.random.default_rng(seed).standard_normal(2)
        self.level, self.seconds = math.exp(level), seconds * math.exp(uneven * deviate)

    def __iter__(self) -> Iterator[Epoch]:
        """All epochs."""
        for index in range(self.best.index + 1 if self.best else 1, self.epochs + 1):
            began = time.perf_counter()
            time.sleep(self.seconds)
            loss = self.level + 1 / index
            seconds = time.perf_counter() - began
            self.best = Epoch(index, loss, loss / 10, loss, loss / 10, 1 - min(1, loss / 10), seconds, 0.1)
            yield self.best


@dataclass(frozen=True)
class MakeAsleep:
    """A ``trainables.trial.MakeLearning``, see ``Asleep``."""

    seconds: float
    uneven: float

    def __call__(self, dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Asleep:
        """One trial."""
        return Asleep(plan.epochs, self.seconds, self.uneven, seed)


def make_closed_form(dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> ClosedForm:  # noqa: ARG001
    """A ``trainables.trial.MakeLearning``."""
    return ClosedForm(plan.epochs)


def no_data() -> Dataset:
    """Next to nothing."""
    examples = Examples(np.zeros((2, 1), np.float32), np.arange(2, dtype=np.int64))
    return Dataset("none", ("a", "b"), examples, (Fold(np.arange(1), np.arange(1, 2)),), None)
