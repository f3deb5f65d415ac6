"""Finished searches in a moment: an event log, a winner of one epoch, and MLflow's run of it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from datasets import Dataset, Examples, Fold, digits
from search import events
from search.events import EventLog
from search.recorder import Recorder
from trainables.training import Training, without_resume_state

DIGITS = digits.load(Path("/nowhere"))
CONFIG = {"model": "cnn", "channels": [4], "widths": [], "batch_norm": True, "normalise": "standard", "lr": 0.01}
POINTS = {"model": "mlp", "widths": [8], "lr": 0.01}


def of_digits() -> Dataset:
    """200 of them, in two folds."""
    folds = (Fold(np.arange(160), np.arange(160, 200)), Fold(np.arange(40, 200), np.arange(40)))
    return Dataset("digits", DIGITS.classes, DIGITS.development.at(np.arange(200)), folds, None)


def of_bytes() -> Dataset:
    """Coloured pictures, uint8, 12 of 9×9 pixels, in classes of names like columns."""
    random = np.random.default_rng(0)
    examples = Examples(random.integers(256, size=(12, 3, 9, 9), dtype=np.uint8), np.arange(12) % 3)
    folds = (Fold(np.arange(9), np.arange(9, 12)),)
    return Dataset("pictures", ("class", "probability", "p_c"), examples, folds, None)


def of_points() -> Dataset:
    random = np.random.default_rng(0)
    examples = Examples(random.standard_normal((20, 2)).astype(np.float32), np.arange(20) % 2)
    return Dataset("points", ("arm 0", "arm 1"), examples, (Fold(np.arange(10), np.arange(10, 20)),), None)


def finish(folder: Path, task: str, dataset: Dataset, config: dict[str, Any], val_loss: float = 0.5) -> None:
    """A search's folder with its log and its ``best.pt``."""
    folder.mkdir()
    training = Training(dataset, config, epochs=1, patience=1)
    list(training)
    torch.save(without_resume_state(training.checkpoint()), folder / "best.pt")
    best = {"index": 1, "val_loss": val_loss, "val_error": 0.1, "val_f1": 0.9}
    figures = {"train_loss": 1.0, "train_error": 0.5, "seconds": 0.1, "lr": 0.1}
    log = EventLog(folder / events.FILE_NAME)
    log.append(
        "search", id=folder.name, name=folder.name, task=task, seed=0, command="", versions={}, options={},
        experiment=task, dataset_digest="abc", git_commit=None, git_dirty=None, metric="val_loss",
        conf={"dataset": {"name": dataset.name}},
    )  # fmt: skip
    log.append("proposal", trial=0, seed=0, config=config, parameters={})
    log.append("report", trial=0, epochs=[best | figures], best=best)
    log.append("checkpoint", trial=0, path="x", best=best)
    log.append("ending", trial=0, state="completed", reason="")
    log.append("test", trial=0, chosen="winner", loss=0.5, error=0.25, f1=0.75, interval=[0.2, 0.3])
    log.append("end", wall_seconds=1.0, interrupted=False)
    log.close()


def record(folder: Path, uri: str) -> str:
    """MLflow's run of the search."""
    recorder = Recorder(folder, uri)
    recorder.start()
    assert recorder.finish(60), recorder.problem
    assert recorder.parent
    return recorder.parent
