"""Learns one fold: minibatch training over whole arrays on the device, and a plain validation after each epoch."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trainables.augmentation import augment
from trainables.balance import balanced_draw, class_weights
from trainables.epoch import DivergedError, Epoch, Metric
from trainables.models import Classifier, State, build, scaled
from trainables.optimisation import FlatParameters, MovingAverage, learning_rate, make_optimizer
from trainables.recipe import Recipe

# Values gathered and augmented in one piece: some batches at once on small data, for less overhead a step, yet no more
# than a CPU's cache or a small share of a GPU's memory.
_PIECE = {"cpu": 1 << 18, "cuda": 1 << 24}
_STEPS_BETWEEN_FINITE_CHECKS = 64


class Learner:
    """A model, its optimiser and its best weights so far, on one fold's examples.

    The generators are seeded anew for each epoch from (seed, fold, epoch), so that a learner started again from a
    checkpoint needs no generator's state to go on as if it had never stopped.
    """

    def __init__(
        self,
        model: str,
        keywords: dict[str, Any],
        recipe: Recipe,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        train: torch.Tensor,
        val: torch.Tensor,
        classes: int,
        epochs: int,
        metric: Metric,
        seed: tuple[int, int],
        weights: Mapping[str, State] | None = None,
    ) -> None:
        self.recipe, self.epochs, self.metric, self.seed = recipe, epochs, metric, seed
        self.classes = classes
        self.inputs, self.targets, self.train_index, self.val_index = inputs, targets, train, val
        self.val_targets = targets[val]
        self.class_weights = class_weights(targets[train], classes) if recipe.balance == "loss" else None
        torch.manual_seed(_epoch_seed(seed, 0))
        self.model: Classifier = build(model, inputs.shape[1:], classes, keywords, weights).to(inputs.device)
        self.model.fit_normalisation(recipe.normalise, in_pieces(inputs, train))
        self.parameters = FlatParameters(self.model.net)
        self.average = MovingAverage(self.parameters, self.model, recipe.average) if recipe.average else None
        self.optimizer = make_optimizer(self.parameters, recipe)
        self.best: Epoch | None = None
        self.best_weights: dict[str, torch.Tensor] = {}

    def epoch(self, index: int) -> Epoch:
        """Trains epoch ``index`` (from 1) and validates.

        Raises:
            DivergedError: a loss is not finite.
        """
        started = time.perf_counter()
        torch.manual_seed(_epoch_seed(self.seed, index))
        train_loss, train_error, lr = self._train(index)
        with self.average.in_place() if self.average else nullcontext():
            val_loss, val_error, val_f1 = self._validate()
            if not math.isfinite(val_loss):
                raise DivergedError(f"validation loss is {val_loss} after epoch {index}")
            seconds = time.perf_counter() - started
            epoch = Epoch(index, train_loss, train_error, val_loss, val_error, val_f1, seconds, lr)
            if self.best is None or epoch.rank(self.metric) < self.best.rank(self.metric):
                self.best = epoch
                self.best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        return epoch

    def _train(self, index: int) -> tuple[float, float, float]:
        recipe, device = self.recipe, self.inputs.device
        count, size = len(self.train_index), recipe.batch_size
        steps = math.ceil(count / size)
        batches_a_piece = max(1, _PIECE.get(device.type, 1 << 18) // (self.inputs[0].numel() * size))
        if recipe.balance == "sampling":
            order = self.train_index[balanced_draw(self.targets[self.train_index])]
        else:
            order = self.train_index[torch.randperm(count, device=device)]
        loss_sum = torch.zeros((), device=device)
        wrong = torch.zeros((), device=device, dtype=torch.int64)
        precision = torch.autocast(
            device.type, torch.bfloat16, enabled=device.type == "cuda" and recipe.mixed_precision
        )
        step, seen = steps * (index - 1), 0
        lr = recipe.lr
        self.model.train()
        for piece in order.split(batches_a_piece * size):
            pictures = augment(scaled(self.inputs[piece]), recipe)
            for inputs, targets in zip(pictures.split(size), self.targets[piece].split(size), strict=True):
                if len(targets) == 1 < min(size, count):
                    continue  # batch normalisation can't learn from a last batch of one
                seen += len(targets)
                lr = learning_rate(recipe, step, steps, self.epochs)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr * group["share"]
                self.parameters.gradients.zero_()
                with precision:
                    logits = self.model(inputs)
                    loss = functional.cross_entropy(
                        logits.float(), targets, self.class_weights, label_smoothing=recipe.label_smoothing
                    )
                loss.backward()
                if recipe.clip:
                    self.parameters.clip(recipe.clip)
                self.optimizer.step()
                if self.average:
                    self.average.update()
                loss_sum += loss.detach() * len(targets)
                wrong += (logits.argmax(1) != targets).sum()
                step += 1
                if step % _STEPS_BETWEEN_FINITE_CHECKS == 0 and not math.isfinite(loss_sum.item()):
                    break
        train_loss = loss_sum.item() / seen
        if not math.isfinite(train_loss):
            raise DivergedError(f"training loss is {train_loss} in epoch {index}")
        return train_loss, wrong.item() / seen, lr

    def _validate(self) -> tuple[float, float, float]:
        logits = predict_logits(self.model, self.inputs, self.val_index)
        loss = functional.cross_entropy(logits, self.val_targets).item()
        predicted = logits.argmax(1)
        error = (predicted != self.val_targets).float().mean().item()
        return loss, error, macro_f1(predicted, self.val_targets, self.classes)

    def state(self) -> dict[str, Any]:
        """Best weights with their epoch, and all that is needed to go on; plain types and tensors."""
        resume = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.average:
            resume["average"] = self.average.state_dict()
        return {"best": self.best_weights, "epoch": asdict(self.best) if self.best else None, "resume": resume}

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state()`` gave."""
        self.best_weights = state["best"]
        self.best = Epoch(**state["epoch"]) if state["epoch"] else None
        self.model.load_state_dict(state["resume"]["model"])
        self.optimizer.load_state_dict(state["resume"]["optimizer"])
        if self.average:
            self.average.load_state_dict(state["resume"]["average"])


@torch.inference_mode()
def predict_logits(model: nn.Module, inputs: torch.Tensor, index: torch.Tensor | None = None) -> torch.Tensor:
    """Logits of ``inputs``, or of those at ``index``, in float32, shape (examples, classes), in evaluation mode."""
    model.eval()
    return torch.cat([model(piece) for piece in in_pieces(inputs, index)])


def in_pieces(inputs: torch.Tensor, index: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
    """``inputs``, or ``inputs[index]``, a few examples at a time: no copy of them all is ever made."""
    size = max(1, 8 * _PIECE.get(inputs.device.type, 1 << 18) // math.prod(inputs.shape[1:]))
    if index is None:
        yield from inputs.split(size)
    else:
        yield from (inputs[some] for some in index.split(size))


def macro_f1(predicted: torch.Tensor, targets: torch.Tensor, classes: int) -> float:
    """The mean of all classes' F1 scores, 0 for one that is neither there nor predicted, from their class numbers."""
    counts = torch.bincount(targets * classes + predicted, minlength=classes * classes).view(classes, classes).double()
    either = counts.sum(0) + counts.sum(1)  # of a class: twice the right ones, and the wrong ones of both kinds
    return (2 * counts.diagonal() / either.clamp(min=1)).mean().item()


def _epoch_seed(seed: tuple[int, int], epoch: int) -> int:
    return int(np.random.SeedSequence([*seed, epoch]).generate_state(1, np.uint64)[0])
