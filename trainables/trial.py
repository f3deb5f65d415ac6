"""One trial as a Ray Tune function: trains, reports at the milestones and about once a second, ends with its fate."""

import os
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ray import tune

from datasets import Dataset
from trainables.epoch import DivergedError, Epoch, Metric


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What holds for every trial of a search."""

    epochs: int
    patience: int
    metric: Metric
    milestones: tuple[int, ...] = ()
    """Epochs that are reported at once."""
    cpus: float = 1
    gpus: float = 0
    seconds_between_reports: float = 1.0
    seconds_between_checkpoints: float = 60.0


class Learning(Protocol):
    """What a trial drives: ``trainables.training.Training``, or a closed form in tests of the machinery."""

    def __iter__(self) -> Iterator[Epoch]:
        """Epochs until the last or until converged."""

    @property
    def best(self) -> Epoch | None:
        """Figures of the best weights so far."""

    @property
    def converged(self) -> bool:
        """Whether patience has run out."""

    def save(self, folder: Path) -> None:
        """Writes a checkpoint."""

    def restore(self, folder: Path) -> None:
        """Goes on from a checkpoint."""


class MakeLearning(Protocol):
    """Builds the learning of one configuration."""

    def __call__(self, dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Learning: ...


def torch_learning(dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Learning:
    """Torch training on the trial's share of its node.

    The share of a GPU is enforced: what goes beyond it is an out-of-memory error of this trial alone.
    """
    import torch

    from trainables.training import Training

    torch.set_num_threads(max(1, int(plan.cpus)))
    device = "cuda" if plan.gpus and torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(min(1.0, plan.gpus))
    return Training(
        dataset, config, epochs=plan.epochs, patience=plan.patience, metric=plan.metric, seed=seed, device=device
    )


def run_trial(
    config: dict[str, Any], *, dataset: Dataset, plan: Plan, make_learning: MakeLearning = torch_learning
) -> None:
    """The trainable. ``config`` has ``trial`` (its number), ``seed`` and ``config`` (the settings).

    Each report holds the epochs since the last one, the best so far, and in the last one how the trial ended. Only a
    death of the process is left to Ray to retry; every exception is an ending of this trial.
    """
    reports = _Reports(config["trial"], plan)
    try:
        learning = make_learning(dataset, config["config"], plan, config["seed"])
        if checkpoint := tune.get_checkpoint():
            with checkpoint.as_directory() as folder:
                learning.restore(Path(folder))
        for epoch in learning:
            ending = "completed" if epoch.index == plan.epochs else "converged" if learning.converged else None
            reports.epoch(epoch, learning, ending)
    except Exception as error:
        reports.failure(error)
    finally:
        if torch := sys.modules.get("torch"):
            torch.cuda.empty_cache()


class _Reports:
    """Gathers epochs until a report is due."""

    def __init__(self, trial: int, plan: Plan) -> None:
        self.trial, self.plan = trial, plan
        self.epochs: list[dict[str, Any]] = []
        self.new_best = False
        self.reported = self.saved = time.monotonic()
        self.worker: dict[str, Any] | None = {"node": socket.gethostname(), "pid": os.getpid(), "gpus": plan.gpus}

    def epoch(self, epoch: Epoch, learning: Learning, ending: str | None) -> None:
        best = learning.best
        assert best is not None
        self.epochs.append(asdict(epoch))
        self.new_best |= best.index == epoch.index
        now = time.monotonic()
        due = now - self.reported >= self.plan.seconds_between_reports
        if not (ending or due or epoch.index in self.plan.milestones):
            return
        message: dict[str, Any] = {"best": asdict(best), "value": getattr(best, self.plan.metric)}
        if ending == "converged":
            message["reason"] = f"no new best in {self.plan.patience} epochs"
        if not (self.new_best or now - self.saved > self.plan.seconds_between_checkpoints):
            self._send(message, ending)
            return
        with tempfile.TemporaryDirectory() as folder:
            learning.save(Path(folder))
            self.new_best, self.saved = False, time.monotonic()
            self._send(message, ending, tune.Checkpoint.from_directory(folder))

    def failure(self, error: Exception) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        if isinstance(error, DivergedError):
            self._send({"reason": str(error)}, "diverged")
        elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, not imported here
            self._send({"reason": str(error).partition("\n")[0] or type(error).__name__}, "oom")
        else:
            summary = f"{type(error).__name__}: {error}".partition("\n")[0]
            text = "".join(traceback.format_exception(error))
            self._send({"reason": f"{summary} ({where})", "traceback": text}, "failed")

    def _send(self, message: dict[str, Any], ending: str | None, checkpoint: tune.Checkpoint | None = None) -> None:
        message |= {"trial": self.trial, "epochs": self.epochs, "worker": self.worker, "ending": ending}
        if ending:
            message["done"] = True
        self.epochs, self.worker, self.reported = [], None, time.monotonic()
        tune.report(message, checkpoint=checkpoint)
