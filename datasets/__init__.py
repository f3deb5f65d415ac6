"""What is learnt from: arrays and index splits, free of models, Ray and MLflow.

Each module of this package with a ``load(root, **keywords) -> Dataset`` is a dataset; a task's conf names it and gives
its keywords.
"""

import hashlib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Dataset", "Examples", "Fold", "load"]


@dataclass(frozen=True)
class Examples:
    """Labelled examples.

    ``inputs``: uint8 (0 to 255) or float32, shape (examples, ...): (channels, height, width) for pictures, (features,)
    for points. ``targets``: int64, shape (examples,), 0 to classes - 1.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        assert self.inputs.dtype in (np.uint8, np.float32), self.inputs.dtype
        assert self.targets.dtype == np.int64, self.targets.dtype
        assert len(self.inputs) == len(self.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def at(self, places: np.ndarray) -> "Examples":
        """Those at some indices, copied."""
        return Examples(self.inputs[places], self.targets[places])


@dataclass(frozen=True)
class Fold:
    """One split of the development examples: ``train`` and ``val`` are index arrays, disjoint."""

    train: np.ndarray
    val: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """Development examples with one or more folds (a hold-out is one fold), and the test split, kept apart.

    ``test`` is ``None`` in a blind copy, the only form in which trials ever see a dataset.
    """

    name: str
    classes: tuple[str, ...]
    development: Examples
    folds: tuple[Fold, ...]
    test: Examples | None
    origin: str = ""
    """Where the data came from, for people: its files, or how it was made."""
    warnings: tuple[str, ...] = ()
    """What people should know about the files before they trust a result: one line each."""
    randomly_split: int = 0
    """So many development examples, the first ones, were shared out between training and validation at random, class by
    class, as ``splits`` does; those after them are only trained on. 0: the split is fixed."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.development.inputs.shape[1:]

    @property
    def nbytes(self) -> int:
        """Bytes of the development examples: what a node's object store must hold."""
        return self.development.inputs.nbytes + self.development.targets.nbytes

    def blind(self) -> "Dataset":
        """The same without the test split."""
        return replace(self, test=None)

    @property
    def resplits(self) -> bool:
        """Whether another seed could have split it otherwise."""
        return self.randomly_split > 0

    def resplit(self, seed: int) -> "Dataset":
        """The same examples and test split, not copied, in other folds of the same sizes, drawn by ``seed`` from 0.

        A dataset whose split is fixed comes back as it is.
        """
        from datasets.splits import redrawn

        if not self.resplits:
            return self
        return replace(self, folds=redrawn(self.folds, self.development.targets, self.randomly_split, seed))

    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over every array, with dtypes and shapes."""
        arrays = [self.development.inputs, self.development.targets]
        arrays += [index for fold in self.folds for index in (fold.train, fold.val)]
        arrays += [self.test.inputs, self.test.targets] if self.test else []
        return _digest(arrays)

    def test_digest(self) -> str:
        """The same over the test split alone, which must be there: how often that was opened counts, however the rest
        is split.
        """
        assert self.test is not None
        return _digest([self.test.inputs, self.test.targets])


def _digest(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def load(name: str, root: Path, keywords: Mapping[str, Any]) -> Dataset:
    """The dataset of module ``datasets.<name>``, read from below ``root``.

    Raises:
        UserError: data that is absent or not what the keywords say.
    """
    dataset: Dataset = importlib.import_module(f"datasets.{name}").load(root, **keywords)
    return dataset
