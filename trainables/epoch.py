"""One epoch's figures. Imports no torch: whatever reports epochs can use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from datasets.errors import UserError

Metric = Literal["val_loss", "val_error", "val_f1"]
METRICS: tuple[str, ...] = get_args(Metric)
CHECKPOINTS_KEPT = 2
"""Of each trial: where the newest is damaged, the one before serves."""
_SCORES = ("val_f1",)
"""More of these is better, up to 1."""


class DivergedError(ArithmeticError):
    """The training or validation loss is not finite."""


class CheckpointError(UserError):
    """A checkpoint cannot be read: it is cut off, or is none."""


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures. Losses are nats an example, errors and scores are shares of 0 to 1.

    The training figures are means over the epoch as it went, with augmentation, dropout and smoothing in them;
    ``val_loss`` is the plain cross-entropy of the model after the epoch.
    """

    index: int
    """Counted from 1."""
    train_loss: float
    train_error: float
    val_loss: float
    val_error: float
    val_f1: float
    """Macro-averaged over all classes, one without examples as 0: scikit-learn's ``f1_score`` with zero_division=0."""
    seconds: float
    lr: float
    """Learning rate of the last step."""

    def rank(self, metric: Metric) -> tuple[float, float]:
        """Less is better, see the function ``rank``."""
        return rank(vars(self), metric)


def cost(figures: Mapping[str, Any], metric: str) -> float:
    """What is minimised: the metric, or of a score what it lacks to 1. ``figures``: an ``Epoch``'s, by name."""
    value: float = figures[metric]
    return 1 - value if metric in _SCORES else value


def cost_name(metric: str) -> str:
    """What the cost is called."""
    return f"1 - {metric}" if metric in _SCORES else metric


def metric_at(cost: float, metric: str) -> float:
    """The metric's own value at a cost, as people read it."""
    return 1 - cost if metric in _SCORES else cost


def rank(figures: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Less is better: the cost, ties by the validation loss."""
    return cost(figures, metric), figures["val_loss"]
