"""Points of any table: numeric features and a label in each row, from one text file or two."""

import math
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples
from datasets.errors import UserError
from datasets.splits import development_and_test, folds_of
from datasets.tables import Table, in_order, number_of, read


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

    Without ``test``, a stratified ``test_share`` of ``train`` is for testing. ``val``, a share of ``train`` too, is for
    validation, or each of ``folds`` in turn where there is more than one; ``seed`` draws all of it, in whatever order
    the rows stand.

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
    everything, *tests = (_ordered(table, codes) for table, codes in zip(tables, coded, strict=True))
    where = f"dataset {name}: {table.path}"
    if tests:
        development, (test,) = everything, tests
        split = folds_of(where, development.targets, classes, val, folds, seed)
        origin = f"{table.path}, {others[0].path}"
    else:
        left, held, split = development_and_test(
            where, everything.targets, classes, test_share=test_share, val=val, folds=folds, seed=seed
        )
        development, test = everything.at(left), everything.at(held)
        origin = f"{table.path}, of which {len(test)} examples are for testing"
    return Dataset(
        name=name,
        classes=classes,
        development=development,
        folds=split,
        test=test,
        origin=origin,
        randomly_split=len(development),
    )


def _ordered(table: Table, codes: np.ndarray) -> Examples:
    """The rows, sorted, so that nothing depends on the order in which they stand."""
    order = np.lexsort([codes, *table.features.T])
    return Examples(table.features[order], codes[order])


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
    classes = in_order(labels)
    codes = {label: code for code, label in enumerate(classes)}
    targets = np.array([codes[label] for label in labels], np.int64)
    return classes, np.split(targets, [len(tables[0].labels)])[: len(tables)]
