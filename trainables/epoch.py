"""One epoch's figures. Imports no torch: whatever reports epochs can use it."""

from dataclasses import dataclass
from typing import Literal

Metric = Literal["val_loss", "val_error"]


class DivergedError(ArithmeticError):
    """The training or validation loss is not finite."""


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures. Losses are nats an example, errors are shares of 0 to 1.

    The training figures are means over the epoch as it went, with augmentation, dropout and smoothing in them;
    ``val_loss`` is the plain cross-entropy of the model after the epoch.
    """

    index: int
    """Counted from 1."""
    train_loss: float
    train_error: float
    val_loss: float
    val_error: float
    seconds: float
    lr: float
    """Learning rate of the last step."""

    def rank(self, metric: Metric) -> tuple[float, float]:
        """Less is better: the metric, ties by the validation loss."""
        return getattr(self, metric), self.val_loss
