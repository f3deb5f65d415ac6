"""Handwritten digits, 8×8 pixels: the copy of UCI's optical recognition test set that scikit-learn carries.

The order of the file is kept: it is grouped by writer, so a split by position asks for writers never seen.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples, Fold
from datasets.errors import UserError


def load(root: Path, *, train: int = 1000, val: int = 350) -> Dataset:  # noqa: ARG001 - every dataset takes it
    """1,797 pictures (1, 8, 8), float32 in 0 to 1; the first ``train``, the next ``val``, the rest for testing.

    ``root`` is not read: the data comes with scikit-learn.

    Raises:
        UserError: the sizes leave no test example.
    """
    pixels, targets = _read()
    if min(train, val) < 1 or train + val >= len(targets):
        raise UserError(
            f"dataset digits: train {train} and val {val} must be positive and leave some of its {len(targets)} "
            "examples for testing"
        )
    inputs = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    development = train + val
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        development=Examples(inputs[:development], targets[:development]),
        folds=(Fold(np.arange(train), np.arange(train, development)),),
        test=Examples(inputs[development:], targets[development:]),
        origin="scikit-learn's copy of UCI's optical digits",
    )


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of 0 to 16, shape (1797, 64), and targets, int64, as ``sklearn.datasets.load_digits`` gives them.

    From its file, since importing scikit-learn takes a second that every search on digits would wait for.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return table[:, :-1], table[:, -1]
