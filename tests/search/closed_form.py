"""Trials in closed form: no torch, no waiting, every way to end on demand."""

import gc
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from datasets import Dataset, Examples, Fold
from search.history import TrialResult
from trainables.epoch import DivergedError, Epoch
from trainables.trial import Plan, torch_learning


class ClosedForm:
    """Validation loss ``level + 1 / epoch``, of error and lack of F1 a tenth; ``fate`` says what is ``at`` an epoch.

    Each epoch takes ``seconds``, asleep.
    """

    def __init__(self, config: dict[str, Any], plan: Plan) -> None:
        self.config, self.plan = config, plan
        self.index, self.last_best = 0, None

    def __iter__(self) -> Iterator[Epoch]:
        while self.index < self.plan.epochs and not self.converged:
            self.index += 1
            time.sleep(self.config.get("seconds", 0.0))
            self._meet_fate()
            loss = self.config.get("level", 1.0) + 1 / min(self.index, self.config.get("flat_after", self.index))
            epoch = Epoch(self.index, loss, loss / 10, loss, loss / 10, 1 - loss / 10, 0.001, 0.1)
            if self.last_best is None or loss < self.last_best.val_loss:
                self.last_best = epoch
            yield epoch

    def _meet_fate(self) -> None:
        if self.index != self.config.get("at"):
            return
        match self.config["fate"]:
            case "diverge":
                raise DivergedError("validation loss is nan after epoch 3")
            case "out of memory":
                import torch

                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nmore")
            case "raise":
                raise KeyError("no such thing")
            case "die once":
                self._die_once()
            case "in turn":
                folder, turn = Path(self.config["folder"]), self.config["turn"]
                while turn and not (folder / f"turn-{turn - 1}").exists():
                    time.sleep(0.02)
                (folder / f"turn-{turn}").touch()
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(600)

    def _die_once(self) -> None:
        marker = Path(self.config["marker"])
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def parameters(self) -> int:
        return 7

    @property
    def examples_trained(self) -> int:
        return 4 * self.index

    @property
    def best(self) -> Epoch | None:
        return self.last_best

    @property
    def converged(self) -> bool:
        return self.last_best is not None and self.index - self.last_best.index >= self.plan.patience

    def save(self, folder: Path) -> None:
        best = vars(self.last_best) if self.last_best else None
        (folder / "state.json").write_text(json.dumps({"index": self.index, "best": best}))
        if self.config.get("fate") == "die in saving" and self.index == self.config["at"]:
            self._die_once()

    def restore(self, folder: Path) -> None:
        state = json.loads((folder / "state.json").read_text())
        self.index, self.last_best = state["index"], Epoch(**state["best"])


def make_closed_form(dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> ClosedForm:
    return ClosedForm(config, plan)


class Circular(ClosedForm):
    """Refers to itself; its level is the number of those before it that are still in memory."""

    def __init__(self, config: dict[str, Any], plan: Plan) -> None:
        left = sum(type(other).__name__ == "Circular" for other in gc.get_objects())
        super().__init__(config | {"level": float(left)}, plan)
        self.itself = self


def make_circular(dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Circular:
    gc.disable()
    return Circular(config, plan)


class Scripted:
    """Stands where the proposer does: gives configurations from a list, keeps what it is shown."""

    def __init__(self, configs: list[dict[str, Any]]) -> None:
        self.configs = [{"model": "mlp", **config} for config in configs]
        self.seen: dict[int, list[tuple[str, dict[int, float]]]] = {}
        """By trial, its state and its losses at the rungs, each time it was shown."""

    def ask(self, number: int) -> tuple[dict[str, Any], str]:
        return self.configs[number], "script"

    def parameters(self, number: int) -> dict[str, Any]:
        return {}

    def see(self, trial: TrialResult) -> None:
        rungs = {epoch: best["val_loss"] for epoch, best in trial.at_rungs.items()}
        self.seen.setdefault(trial.id, []).append((trial.state, rungs))


def tiny_dataset() -> Dataset:
    inputs = np.arange(32, dtype=np.float32).reshape(8, 1, 2, 2)
    targets = np.arange(8, dtype=np.int64) % 2
    fold = Fold(np.arange(4), np.arange(4, 6))
    return Dataset("tiny", ("a", "b"), Examples(inputs[:6], targets[:6]), (fold,), Examples(inputs[6:], targets[6:]))


class DiesOnce:
    """Torch training that kills its process after its best epoch, the first time it gets to epoch 8."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __call__(self, dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Any:
        learning = torch_learning(dataset, config, plan, seed)
        marker, train = self.marker, type(learning).__iter__

        def dying(self: Any) -> Any:
            for epoch in train(self):
                if epoch.index == 8 and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield epoch

        learning.__class__ = type("Dying", (type(learning),), {"__iter__": dying})
        return learning
