"""Five spiral arms of 2-D points, generated; or read, where the data root has them."""

from pathlib import Path

import numpy as np

from datasets import Dataset, Examples, points
from datasets.errors import UserError
from datasets.splits import folds_of
from datasets.tables import read

ARMS = 5
CLASSES = tuple(f"arm {arm}" for arm in range(ARMS))
FILES = ("spiral/train.csv", "spiral/test.csv")
_TURN = 2.5
_VAL = 0.2
"""Held out where there is one fold."""
_TRAIN_SEED, _TEST_SEED = 0, 1


def load(root: Path, *, train: int = 1500, test: int = 10000, folds: int = 5, seed: int = 0) -> Dataset:
    """``train`` development points in stratified ``folds`` (drawn by ``seed``) and ``test`` test points, shape (2,).

    The points themselves come from fixed seeds. Where there are root/spiral/train.csv and test.csv, tables as those of
    ``points``, all their points are read instead, and ``train`` and ``test`` do not count.

    Raises:
        UserError: numbers that leave no points for a fold; one file of the two; wrong ones, as of ``points``.
    """
    if there := _files(root):
        tables = [read("spiral", root, Path(file).stem, file) for file in there]
        return points.dataset("spiral", tables, test_share=0, val=_VAL, folds=folds, seed=seed)
    development = generate(train, _TRAIN_SEED)
    return Dataset(
        name="spiral",
        classes=CLASSES,
        development=development,
        folds=folds_of("dataset spiral", development.targets, CLASSES, _VAL, folds, seed),
        test=generate(test, _TEST_SEED),
        origin="generated from fixed seeds",
        randomly_split=len(development),
    )


def _files(root: Path) -> list[str]:
    """Both files below ``root``, or none."""
    try:
        there = [file for file in FILES if (root / file).exists()]
    except OSError as error:
        raise UserError(f"dataset spiral: {root / 'spiral'} cannot be read: {error.strerror}") from None
    if len(there) == 1:
        (missing,) = set(FILES) - set(there)
        raise UserError(
            f"dataset spiral: {root / there[0]} is there, but {root / missing} is not; "
            "put it there, or take away the first for generated points"
        )
    return there


def generate(count: int, seed: int) -> Examples:
    """``count`` points, float32, shape (count, 2).

    The class k and the place t in 0 to 1 are uniform; the arm is t (cos a, sin a) at the angle a = 2 pi k / 5 + 2.5 t,
    with Gaussian noise of deviation ``noise(t)`` in each coordinate.
    """
    random = np.random.default_rng(seed)
    arms = random.integers(ARMS, size=count)
    t = random.random(count)
    points = arm(arms, t) + random.standard_normal((count, 2)) * noise(t)[:, None]
    return Examples(points.astype(np.float32), arms.astype(np.int64))


def arm(k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of the noiseless arms, shape (..., 2)."""
    angle = 2 * np.pi * k / ARMS + _TURN * t
    return np.stack([t * np.cos(angle), t * np.sin(angle)], axis=-1)


def noise(t: np.ndarray) -> np.ndarray:
    """Standard deviation of each coordinate."""
    return 0.02 * (0.25 + 0.75 * t)
