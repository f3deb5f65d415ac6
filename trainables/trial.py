"""One trial as a Ray Tune function: trains, reports at the milestones and about once a second, ends with its fate."""

import gc
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ray import tune

from datasets import Dataset
from datasets.errors import no_space
from datasets.garbage import importing
from trainables.epoch import CHECKPOINTS_KEPT, CheckpointError, DivergedError, Epoch, Metric, cost
from trainables.storage import Storage, checkpoint_number, trial_folder


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What holds for every trial of a search."""

    epochs: int
    patience: int
    metric: Metric
    milestones: tuple[int, ...] = ()
    """Epochs that are reported at once."""
    pauses: bool = False
    """Whether a trial may leave its worker at a milestone, to go on later from its checkpoint."""
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

    @property
    def parameters(self) -> int:
        """Trainable parameters of the model; of one fold's."""

    @property
    def examples_trained(self) -> int:
        """Training examples that it has gone through, on this worker, one of every epoch and fold."""

    def save(self, folder: Path) -> None:
        """Writes a checkpoint."""

    def restore(self, folder: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            CheckpointError: it is damaged; nothing has changed.
        """


class MakeLearning(Protocol):
    """Builds the learning of one configuration."""

    def __call__(self, dataset: Dataset, config: dict[str, Any], plan: Plan, seed: int) -> Learning: ...


def torch_learning(
    dataset: Dataset,
    config: dict[str, Any],
    plan: Plan,
    seed: int,
    weights: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> Learning:
    """Torch training on the trial's share of its node, of pretrained models from ``weights`` (see ``models.build``).

    The share of a GPU is enforced: what goes beyond it is an out-of-memory error of this trial alone.
    """
    with nullcontext() if "torch" in sys.modules else importing():
        import torch

        from trainables.training import Training

    torch.set_num_threads(max(1, int(plan.cpus)))
    device = "cuda" if plan.gpus and torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(min(1.0, plan.gpus))
        torch.cuda.reset_peak_memory_stats()
    return Training(
        dataset,
        config,
        epochs=plan.epochs,
        patience=plan.patience,
        metric=plan.metric,
        seed=seed,
        device=device,
        weights=weights,
    )


def run_trial(
    config: dict[str, Any],
    *,
    dataset: Dataset,
    plan: Plan,
    storage: Storage,
    make_learning: MakeLearning = torch_learning,
) -> None:
    """The trainable.

    ``config`` has ``trial`` (its number), ``seed`` and ``config`` (the settings); for one that is trained to an end of
    its own also ``epochs`` and ``patience``, and ``split``, the seed of a validation split of its own, if it has one;
    for one that goes on after a pause, or the death of its worker, its last ``checkpoints``, names in the storage, the
    newest last. It goes on from the newest that can be read, if any. One whose checkpoints are gone has the number of
    its ``next_checkpoint``: what removes the old ones may still be at it.

    Each report holds the epochs since the last one, the best so far, and in the last one how the trial ended. Only a
    death of the process is left to Ray to retry; every exception is an ending of this trial. A report names the
    checkpoint that was written with it, and its size: one of Ray's own would cost the driver as much again as the
    report.
    """
    own = {name: config[name] for name in ("epochs", "patience") if name in config}
    plan = replace(plan, **own, milestones=()) if own else plan
    kept, following = config.get("checkpoints", ()), config.get("next_checkpoint", 0)
    reports = _Reports(config["trial"], plan, storage, kept, following)
    learning = None
    gc.collect()  # a model in a cycle, of the worker's last trial, would keep its share of the GPU
    gc.freeze()  # the rest stays: modules as a rule, through which a look would take a tenth of a second each time
    try:
        storage.check()
        if "split" in config:
            dataset = dataset.resplit(config["split"])
        learning = reports.restored(lambda: make_learning(dataset, config["config"], plan, config["seed"]))
        for epoch in learning:
            reports.epoch(epoch, learning)
    except Exception as error:
        reports.failure(error, learning)
    finally:
        if torch := sys.modules.get("torch"):
            torch.cuda.empty_cache()


class _Reports:
    """Gathers epochs until a report is due, and writes checkpoints."""

    def __init__(self, trial: int, plan: Plan, storage: Storage, checkpoints: Sequence[str], following: int) -> None:
        """``checkpoints``: what the trial can go on from, the newest last; ``following``: where it has none, the number
        of its next one.
        """
        self.trial, self.plan, self.storage = trial, plan, storage
        self.folder = trial_folder(trial)
        self.kept = list(checkpoints)
        self.following = checkpoint_number(self.kept[-1]) + 1 if self.kept else following
        self.damaged: dict[str, str] = {}
        self.epochs: list[dict[str, Any]] = []
        self.new_best = False
        self.reported = self.saved = time.monotonic()
        self.examples = 0
        self.worker: dict[str, Any] | None = {"node": socket.gethostname(), "pid": os.getpid(), "gpus": plan.gpus}

    def restored(self, make: Callable[[], Learning]) -> Learning:
        """A learning that goes on from the newest checkpoint that can be read, or begins where none can."""
        learning = make()
        while self.kept:
            try:
                with self.storage.reading(self.kept[-1]) as folder:
                    learning.restore(folder)
                break
            except (CheckpointError, OSError) as error:
                self.damaged[self.kept.pop()] = str(error).partition("\n")[0]
        for left in set(self.storage.names(self.folder)) - set(self.kept):  # damaged, or of no report
            self.storage.remove(left)
        return learning

    def epoch(self, epoch: Epoch, learning: Learning) -> None:
        self.epochs.append(asdict(epoch))
        self.new_best |= learning.best is not None and learning.best.index == epoch.index
        now = time.monotonic()
        at_rung = epoch.index in self.plan.milestones
        save = self.new_best or now - self.saved > self.plan.seconds_between_checkpoints
        if epoch.index == self.plan.epochs:
            self._send(learning, save, ending="completed")
        elif learning.converged:
            self._send(learning, save, ending="converged", reason=f"no new best in {self.plan.patience} epochs")
        elif at_rung or now - self.reported >= self.plan.seconds_between_reports:
            self._send(learning, save or (at_rung and self.plan.pauses))

    def failure(self, error: Exception, learning: Learning | None) -> None:
        """The epochs before the failure, and their best weights, are as good as any."""
        fate = _fate(error)
        try:
            self._send(learning, self.new_best, **fate)
        except Exception:
            self._send(learning, save=False, **fate)

    def _send(self, learning: Learning | None, save: bool, **fate: str) -> None:
        message: dict[str, Any] = {
            "trial": self.trial,
            "epochs": self.epochs,
            "worker": self.worker and self.worker | {"device": _device(self.plan)},
            "parameters": None if learning is None else learning.parameters,
            "damaged": self.damaged,
            "ending": None,
            **fate,
        }
        if learning is not None and learning.best is not None:
            best = asdict(learning.best)
            message |= {"best": best, "value": cost(best, self.plan.metric)}
        if learning is not None:
            message["used"] = {"examples": learning.examples_trained - self.examples, **_gpu_memory(self.plan)}
            self.examples = learning.examples_trained
        if save and learning is not None:
            message["checkpoint"], message["bytes"] = self._checkpoint(learning)
        # In a list: of each number in a dictionary Tune would keep statistics.
        tune.report({"message": [message], "done": bool(message["ending"])})
        self.epochs, self.worker, self.damaged, self.reported = [], None, {}, time.monotonic()
        if save:
            self.new_best, self.saved = False, self.reported

    def _checkpoint(self, learning: Learning) -> tuple[str, int]:
        """Writes one, whole or not at all, and removes those before the last two; the driver knows of the last.

        Returns:
            Its name, and its size in bytes.
        """
        name = f"{self.folder}/checkpoint_{self.following:06d}"
        with self.storage.writing(name) as folder:
            learning.save(folder)
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        self.following += 1
        self.kept.append(name)
        while len(self.kept) > CHECKPOINTS_KEPT:
            self.storage.remove(self.kept.pop(0))
        return name, size


def _device(plan: Plan) -> str:
    """What the trial trains on, by its maker's name."""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name()) if plan.gpus and torch and torch.cuda.is_available() else "cpu"


def _gpu_memory(plan: Plan) -> dict[str, int]:
    """``gpu_memory``: the most bytes that PyTorch has held of the GPU for this trial; nothing where there is none."""
    torch = sys.modules.get("torch")
    if plan.gpus and torch and torch.cuda.is_available():
        return {"gpu_memory": int(torch.cuda.max_memory_reserved())}
    return {}


def _fate(error: Exception) -> dict[str, str]:
    """How an exception ends a trial: ``ending`` and ``reason``, and the traceback of one that was not expected."""
    if isinstance(error, DivergedError):
        return {"ending": "diverged", "reason": str(error)}
    if full := no_space(error):
        return {"ending": "full", "reason": f"{full.filename or socket.gethostname()}: no space left"}
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, not imported here
        return {"ending": "oom", "reason": str(error).partition("\n")[0] or type(error).__name__}
    frame = traceback.extract_tb(error.__traceback__)[-1]
    summary = f"{type(error).__name__}: {error}".partition("\n")[0]
    return {
        "ending": "failed",
        "reason": f"{summary} ({Path(frame.filename).name}:{frame.lineno})",
        "traceback": "".join(traceback.format_exception(error)),
    }
