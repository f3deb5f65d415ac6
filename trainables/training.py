"""Trains one configuration on all folds in step: a generator of epochs, with checkpoints to go on from."""

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from datasets import Dataset
from trainables.epoch import CheckpointError, Epoch, Metric
from trainables.learner import Learner, predict_logits
from trainables.models import Ensemble, State, build
from trainables.recipe import split_settings

CHECKPOINT_FILE = "checkpoint.pt"


class Training:
    """k learners, one a fold, trained in step; a hold-out is one fold.

    Each fold keeps its own best epoch and its own patience; one that stopped carries its best epoch's figures. The
    value of the configuration is the mean of the folds' best.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: dict[str, Any],
        *,
        epochs: int,
        patience: int,
        metric: Metric = "val_loss",
        seed: int = 0,
        device: str = "cpu",
        weights: Mapping[str, State] | None = None,
    ) -> None:
        """``dataset`` needs no test split. ``patience`` is epochs without a new best before a fold stops.

        ``weights``: what pretrained models begin from, see ``models.build``.
        """
        self.dataset, self.config, self.seed = dataset, config, seed
        self.epochs, self.patience, self.metric = epochs, patience, metric
        self.index = self.examples_trained = 0
        model, keywords, recipe = split_settings(config)
        inputs = on_device(dataset.development.inputs, device)
        targets = on_device(dataset.development.targets, device)
        self.learners = [
            Learner(
                model,
                keywords,
                recipe,
                inputs,
                targets,
                train=on_device(fold.train, device),
                val=on_device(fold.val, device),
                classes=len(dataset.classes),
                epochs=epochs,
                metric=metric,
                seed=(seed, number),
                weights=weights,
            )
            for number, fold in enumerate(dataset.folds)
        ]

    def __iter__(self) -> Iterator[Epoch]:
        """Epochs, the mean of all folds, until the last one or until every fold has run out of patience.

        Raises:
            DivergedError: a loss is not finite.
        """
        while self.index < self.epochs and not self.converged:
            self.index += 1
            yield mean_epoch([self._epoch(learner) for learner in self.learners], self.index)

    def _epoch(self, learner: Learner) -> Epoch:
        best = learner.best
        if best and self._stopped(best, self.index - 1):
            return replace(best, seconds=0.0)
        self.examples_trained += len(learner.train_index)
        return learner.epoch(self.index)

    def _stopped(self, best: Epoch, index: int) -> bool:
        return index - best.index >= self.patience

    @property
    def converged(self) -> bool:
        """Whether every fold has run out of patience."""
        return all(learner.best and self._stopped(learner.best, self.index) for learner in self.learners)

    @property
    def parameters(self) -> int:
        """Trainable parameters of one fold's model."""
        return self.learners[0].parameters.values.numel()

    @property
    def best(self) -> Epoch | None:
        """The mean of the folds' best epochs, its index the latest of theirs; None before the first epoch."""
        bests = [learner.best for learner in self.learners if learner.best]
        return mean_epoch(bests, max(best.index for best in bests)) if bests else None

    def checkpoint(self) -> dict[str, Any]:
        """Best weights a fold with their figures, and the state to go on from; plain types and tensors only."""
        return {
            "format": 1,
            "config": self.config,
            "classes": list(self.dataset.classes),
            "input_shape": list(self.dataset.input_shape),
            "input_dtype": str(self.dataset.development.inputs.dtype),
            "seed": self.seed,
            "index": self.index,
            "folds": [learner.state() for learner in self.learners],
        }

    def save(self, folder: Path) -> None:
        """Writes the checkpoint into a folder."""
        with (folder / CHECKPOINT_FILE).open("wb") as file:  # torch's own would not say that the disk is full
            torch.save(self.checkpoint(), file)

    def restore(self, folder: Path) -> None:
        """Goes on from a saved checkpoint with the figures of a training that never stopped (bitwise on the CPU).

        Raises:
            CheckpointError: it is damaged; nothing has changed.
        """
        checkpoint = load_checkpoint(folder / CHECKPOINT_FILE)
        self.index = checkpoint["index"]
        for learner, state in zip(self.learners, checkpoint["folds"], strict=True):
            learner.load_state(state)


def mean_epoch(epochs: Sequence[Epoch], index: int) -> Epoch:
    """The figure-wise mean, the seconds summed."""
    if len(epochs) == 1:
        return epochs[0]
    names = [field.name for field in fields(Epoch) if field.name not in ("index", "seconds")]
    means = {name: fmean(getattr(epoch, name) for epoch in epochs) for name in names}
    return Epoch(index=index, seconds=sum(epoch.seconds for epoch in epochs), **means)


def on_device(array: np.ndarray, device: str) -> torch.Tensor:
    """The array as a tensor; on the CPU they share memory, even a read-only array's, which must stay unwritten."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


def load_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any]:
    """What ``Training.checkpoint()`` gave, read without running any code from the file.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:  # torch does not look at the checksums that it writes
            damaged = file.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: is damaged ({str(error).partition(chr(10))[0]})") from None
    return checkpoint


def without_resume_state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The same with the best weights only: what is evaluated, kept and served."""
    folds = [{name: fold[name] for name in ("best", "epoch")} for fold in checkpoint["folds"]]
    return checkpoint | {"folds": folds}


def ensemble(checkpoint: dict[str, Any]) -> Ensemble:
    """The model that a checkpoint holds, with each fold's best weights, in evaluation mode."""
    model, keywords, _ = split_settings(checkpoint["config"])
    members = []
    for fold in checkpoint["folds"]:
        members.append(build(model, checkpoint["input_shape"], len(checkpoint["classes"]), keywords))
        members[-1].load_state_dict(fold["best"])
    return Ensemble(members, checkpoint["classes"]).eval()


def fold_probabilities(model: Ensemble, inputs: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Class probabilities of ``inputs`` by each fold's model, float64, shape (folds, examples, classes)."""
    examples = on_device(inputs, device)
    model.to(device)
    members = [predict_logits(member, examples).double().softmax(1) for member in model.members]
    result: np.ndarray = torch.stack(members).cpu().numpy()
    return result


def last_features(model: nn.Module, inputs: np.ndarray, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """What a model's last linear layer is given for ``inputs``, and the logits; of a model that has none, logits twice.

    Float32, shapes (examples, features) and (examples, classes), in evaluation mode.
    """
    given: list[torch.Tensor] = []

    def keep(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        given.append(arguments[0].flatten(1))

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(keep) for layer in layers[-1:]]
    logits = predict_logits(model.to(device), on_device(inputs, device))
    for hook in hooks:
        hook.remove()
    features = torch.cat(given) if given else logits
    return features.float().cpu().numpy(), logits.float().cpu().numpy()


def probabilities(checkpoint: dict[str, Any], inputs: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Class probabilities of ``inputs``, float64, shape (examples, classes): the mean over the folds' best weights."""
    mean: np.ndarray = fold_probabilities(ensemble(checkpoint), inputs, device).mean(0)
    return mean
