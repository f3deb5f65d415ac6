"""Handwritten digits, 8×8 pixels: the copy of UCI's optical recognition test set that scikit-learn carries.

The order of the file is kept: it is grouped by writer, so a split by position asks for writers never seen.
"""

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
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)
    if min(train, val) < 1 or train + val >= len(targets):
        raise UserError(
            f"dataset digits: train {train} and val {val} must be positive and leave some of its {len(targets)} "
            "examples for testing"
        )
    inputs = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    targets = targets.astype(np.int64)
    development = train + val
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        development=Examples(inputs[:development], targets[:development]),
        folds=(Fold(np.arange(train), np.arange(train, development)),),
        test=Examples(inputs[development:], targets[development:]),
        origin="scikit-learn's copy of UCI's optical digits",
    )
