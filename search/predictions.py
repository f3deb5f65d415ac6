"""What the tested checkpoints answered on the test split, as the run's folder keeps it."""

from dataclasses import dataclass
from pathlib import Path

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


def load(folder: Path) -> Predictions | None:
    """A stand-in until the real one is merged."""
    try:
        with np.load(folder / "predictions.npz", allow_pickle=False) as file:
            stored = dict(file)
    except (OSError, ValueError):
        return None

    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): stored[name] for name in stored if name.startswith(prefix)}

    return Predictions(
        stored["targets"],
        int(stored["majority"]),
        {int(name): value for name, value in under("predicted_").items()},
        {int(name): value.astype(np.float32) for name, value in under("probabilities_").items()},
        under("reference_"),
    )
