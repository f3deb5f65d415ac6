"""Points of any table: numeric features and a label in each row, from one text file or two."""

import math
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples, Fold
from datasets.errors import UserError
from datasets.splits import hold_out, k_folds
from datasets.tables import Table, number_of, read


def load(
    root: Path,
    *,
    train: str,
    test: str | None = None,
    label: str | int = -1,
    header: bool | None = None,
    delimiter: str | None = None,
    test_share: float = 0.2,
    val: float = 0.2,
    folds: int = 1,
    seed: int = 0,
) -> Dataset:
    """Points (features,), float32, of the tables ``train`` and ``test``, named relative to the data root.

    Without ``test``, a stratified ``test_share`` of ``train`` is for testing. Of the rest, ``val`` is for validation,
    or each of ``folds`` in turn where there is more than one; ``seed`` draws all of it.

    ``label`` is the name of a column, or its place from 0, from the end if negative. The ``header`` line and the
    ``delimiter`` (one of ; , a tab, or a space for any white space) are found where not said. The classes are the
    distinct labels, sorted, as numbers if all are: then equal numbers, as 1 and 1.0, are one class.

    Raises:
        UserError: a table that is absent or not of that form, with its file and line; too few examples of a class.
    """
    tables = [
        read("points", root, keyword, file, label=label, header=header, delimiter=delimiter)
        for keyword, file in (("train", train), ("test", test))
        if file is not None
    ]
    return dataset("points", tables, test_share=test_share, val=val, folds=folds, seed=seed)


def dataset(name: str, tables: list[Table], *, test_share: float, val: float, folds: int, seed: int) -> Dataset:
    """The dataset ``name`` of one table, or of those for development and for testing; see ``load``.

    Raises:
        UserError: tables that do not belong together; too few examples of a class.
    """
    table, *others = tables
    for other in others:
        _matching(name, table, other)
    classes, coded = _classes(tables)
    if len(classes) < 2:
        raise UserError(f"dataset {name}: {table.path}: every label is {classes[0]!r}; two classes are needed at least")
    if others:
        development, test = (Examples(t.features, codes) for t, codes in zip(tables, coded, strict=True))
        origin = f"{table.path}, {others[0].path}"
    else:
        split = _held_out(name, table.path, classes, coded[0], ("test_share", test_share), seed)
        development, test = (Examples(table.features[i], coded[0][i]) for i in (split.train, split.val))
        origin = f"{table.path}, of which {len(test)} examples are for testing"
    return Dataset(
        name=name,
        classes=classes,
        development=development,
        folds=_folds(name, table.path, classes, development.targets, val, folds, seed),
        test=test,
        origin=origin,
    )


def _matching(name: str, table: Table, test: Table) -> None:
    if table.path.samefile(test.path):
        raise UserError(f"dataset {name}: {test.path} is both train and test; leave test out to split it")
    counts = [t.features.shape[1] for t in (table, test)]
    if counts[0] != counts[1]:
        raise UserError(f"dataset {name}: {test.path}: {counts[1]} feature(s), where {table.path} has {counts[0]}")
    if table.names and test.names and table.names != test.names:
        place = next(i for i, names in enumerate(zip(table.names, test.names, strict=True)) if names[0] != names[1])
        raise UserError(
            f"dataset {name}: {test.path}: feature {place + 1} is {test.names[place]!r}, "
            f"where in {table.path} it is {table.names[place]!r}"
        )
    labels = _canonical([*table.labels, *test.labels])
    known = set(labels[: len(table.labels)])
    for label, line in zip(labels[len(table.labels) :], test.lines, strict=True):
        if label not in known:
            raise UserError(f"dataset {name}: {test.path}: line {line}: the label {label!r} is not in {table.path}")


def _canonical(labels: list[str]) -> list[str]:
    """Equal numbers written alike, if all labels are numbers."""
    try:
        written = {label: number_of(label) for label in set(labels)}
    except ValueError:
        return labels
    if not all(math.isfinite(number) for number in written.values()):
        return labels
    return [str(int(number)) if (number := written[label]).is_integer() else repr(number) for label in labels]


def _classes(tables: list[Table]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The classes, and each table's targets, int64 (rows,)."""
    labels = _canonical([label for table in tables for label in table.labels])
    try:
        classes = sorted(set(labels), key=float)
    except ValueError:
        classes = sorted(set(labels))
    codes = {label: code for code, label in enumerate(classes)}
    targets = np.array([codes[label] for label in labels], np.int64)
    return tuple(classes), np.split(targets, [len(tables[0].labels)])[: len(tables)]


def _folds(
    name: str, path: Path, classes: tuple[str, ...], targets: np.ndarray, val: float, folds: int, seed: int
) -> tuple[Fold, ...]:
    if folds < 1:
        raise UserError(f"dataset {name}: folds must be 1 (a hold-out of val) or more, not {folds}")
    if folds == 1:
        return (_held_out(name, path, classes, targets, ("val", val), seed),)
    counts = np.bincount(targets, minlength=len(classes))
    if counts.min() < folds:
        raise UserError(
            f"dataset {name}: {path}: the class {classes[counts.argmin()]!r} is too rare for {folds} folds: it has "
            f"{counts.min()} examples to train on and validate with"
        )
    return k_folds(name, targets, folds, seed)


def _held_out(
    name: str, path: Path, classes: tuple[str, ...], targets: np.ndarray, share: tuple[str, float], seed: int
) -> Fold:
    keyword, size = share
    if not (0 < size < 1 or (size == int(size) and 1 <= size < len(targets))):
        raise UserError(
            f"dataset {name}: {keyword} must be a share between 0 and 1 or a number of the {len(targets)} examples of "
            f"{path}, not {size}"
        )
    counts = np.bincount(targets, minlength=len(classes))
    try:
        (fold,) = hold_out(name, targets, size if size < 1 else int(size), seed)
        sides = [np.bincount(targets[side], minlength=len(classes)) for side in (fold.train, fold.val)]
        lacking = np.minimum(*sides) == 0
    except UserError:  # its reason does not name the class
        lacking = counts == counts.min()
    if lacking.any():
        rare = int(np.argmax(lacking))
        raise UserError(
            f"dataset {name}: {path}: the class {classes[rare]!r} is too rare to split: with {keyword} {size} its "
            f"{counts[rare]} of {len(targets)} examples do not reach both sides"
        )
    return fold
