"""``predictions.npz``: what the tested checkpoints said of each test example."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Of the test split."""

    targets: np.ndarray
    majority: int
    predicted: dict[int, np.ndarray]
    probabilities: dict[int, np.ndarray]
    references: dict[str, np.ndarray]


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
