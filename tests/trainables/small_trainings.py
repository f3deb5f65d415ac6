"""Trainings of a fraction of a second on a few digits, and how they are compared."""

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import torch

from datasets import Dataset, Examples, Fold, digits
from trainables.training import Training

torch.set_num_threads(1)

PLAIN = {"model": "mlp", "widths": [32], "batch_size": 16, "lr": 0.01}
RICH = {
    "model": "cnn",
    "channels": [4],
    "widths": [8],
    "batch_norm": True,
    "dropout": 0.2,
    "channel_dropout": 0.1,
    "batch_size": 16,
    "lr": 0.02,
    "weight_decay": 1e-3,
    "momentum": 0.8,
    "nesterov": True,
    "every": 2,
    "balance": "sampling",
    "clip": 1.0,
    "label_smoothing": 0.1,
    "affine": 0.5,
    "shift": 0.1,
    "perspective": 0.3,
    "crop": 0.2,
    "flip": True,
    "jitter": 0.2,
    "erase": 0.2,
    "normalise": "standard",
}
DEVELOPMENT = digits.load(Path("/nowhere")).development


def tiny(*folds: tuple[range, range]) -> Dataset:
    """The first digits, blind; by default one fold of 40 to train and 24 to validate on."""
    folds = folds or ((range(40), range(40, 64)),)
    arrays = tuple(Fold(np.array(train), np.array(val)) for train, val in folds)
    examples = Examples(DEVELOPMENT.inputs[:120], DEVELOPMENT.targets[:120])
    return Dataset("digits", tuple("0123456789"), examples, arrays, None)


def three_folds() -> Dataset:
    return tiny((range(40), range(40, 60)), (range(20, 60), range(20)), (range(40, 80), range(20, 40)))


def with_wrong_validation() -> Dataset:
    """The first fold's validation targets are wrong: learning worsens it. The second validates on what it learns."""
    dataset = tiny((range(40), range(40, 80)), (range(40), range(40)))
    targets = dataset.development.targets.copy()
    targets[40:80] = (targets[40:80] + 1) % 10
    return replace(dataset, development=Examples(dataset.development.inputs, targets))


def worsening() -> Dataset:
    dataset = with_wrong_validation()
    return replace(dataset, folds=dataset.folds[:1])


def train(config: dict, dataset: Dataset | None = None, *, epochs: int = 4, patience: int = 99, **keywords) -> Training:
    return Training(dataset or tiny(), config, epochs=epochs, patience=patience, **keywords)


def run_to(index: int, training: Training) -> None:
    next(epoch for epoch in training if epoch.index == index)


def figures(epochs) -> list[str]:
    """All figures of epochs but the seconds, as text, which differs where a single bit does."""
    return [repr(astuple(replace(epoch, seconds=0.0))) for epoch in epochs]


def mangle_generators() -> None:
    torch.manual_seed(987)
    torch.rand(5)
    np.random.seed(5)  # noqa: NPY002 - nothing may depend on it


def weights_equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
