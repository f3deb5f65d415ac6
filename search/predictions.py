"""What the tested checkpoints answered on the test split, as the run's folder keeps it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Of one opening."""

    targets: np.ndarray
    """int64 (examples,)."""
    majority: int
    """The most frequent class of the development examples."""
    predicted: dict[int, np.ndarray]
    """By trial, int64 (examples,)."""
    probabilities: dict[int, np.ndarray]
    """By trial, float32 (examples, classes)."""
    references: dict[str, np.ndarray]
    """By reference name, int64 (examples,)."""
