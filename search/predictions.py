"""What the tested checkpoints said of each test example, kept in the run's folder: the report is made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from search.summary import write_aside

FILE_NAME = "predictions.npz"
_TARGETS, _MAJORITY, _PREDICTED, _PROBABILITIES, _REFERENCE = (
    "targets",
    "majority",
    "predicted-",
    "probabilities-",
    "reference-",
)


@dataclass(frozen=True)
class Predictions:
    """Of one test split."""

    targets: np.ndarray
    """int64, shape (examples,)."""
    majority: int
    """The class that most development examples have: who always answers it has learnt nothing."""
    predicted: dict[int, np.ndarray]
    """By trial, int64, shape (examples,): the class that the mean of its folds' probabilities makes likeliest."""
    probabilities: dict[int, np.ndarray]
    """By trial, float32, shape (examples, classes), kept with three decimals or so."""
    references: dict[str, np.ndarray]
    """The same as ``predicted``, of references by name, trained here or in an earlier search."""


def save(path: Path, predictions: Predictions) -> None:
    """Writes a file, whole or not at all. Probabilities are rounded to float16, classes are not made from these."""
    arrays = {_TARGETS: _small(predictions.targets), _MAJORITY: np.array(predictions.majority)}
    arrays |= {f"{_PREDICTED}{trial}": _small(classes) for trial, classes in predictions.predicted.items()}
    arrays |= {f"{_PROBABILITIES}{trial}": rows.astype(np.float16) for trial, rows in predictions.probabilities.items()}
    arrays |= {f"{_REFERENCE}{name}": _small(classes) for name, classes in predictions.references.items()}
    content = BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_aside(path, content.getvalue())


def load(path: Path) -> Predictions | None:
    """What ``save`` has written to a file; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file, np.load(file) as arrays:

        def named(prefix: str) -> Mapping[str, np.ndarray]:
            return {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}

        return Predictions(
            arrays[_TARGETS].astype(np.int64),
            int(arrays[_MAJORITY]),
            {int(trial): classes.astype(np.int64) for trial, classes in named(_PREDICTED).items()},
            {int(trial): rows.astype(np.float32) for trial, rows in named(_PROBABILITIES).items()},
            {name: classes.astype(np.int64) for name, classes in named(_REFERENCE).items()},
        )


def _small(classes: np.ndarray) -> np.ndarray:
    """Class numbers in few bytes."""
    return classes.astype(np.uint8 if classes.max(initial=0) < 256 else np.uint16)
