"""Trials that compute next to nothing: validation loss 1 / epoch, without torch, all alike."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset
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


def make_closed_form(dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> ClosedForm:  # noqa: ARG001
    """A ``trainables.trial.MakeLearning``."""
    return ClosedForm(plan.epochs)
