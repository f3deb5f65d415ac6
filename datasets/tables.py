"""Tables in text files: rows of cells, and what points need of them, numeric features and a label in each row."""

import csv
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import UserError

Row = tuple[int, list[str]]
"""The number of a line, from 1, that is not blank, and its cells."""
_DELIMITERS = {";": "a semicolon", "\t": "a tab", ",": "a comma", " ": "white space"}


@dataclass(frozen=True)
class Table:
    """What a file holds. ``features``: float32 (rows, features); ``labels`` and ``lines`` (from 1) a row each.

    ``names``: of the features; None without a header.
    """

    path: Path
    features: np.ndarray
    labels: list[str]
    lines: list[int]
    names: tuple[str, ...] | None


def read(
    name: str,
    root: Path,
    keyword: str,
    file: str,
    *,
    label: str | int = -1,
    header: bool | None = None,
    delimiter: str | None = None,
) -> Table:
    """The table ``file`` below ``root``, which the conf gives as ``keyword``; the rest as in ``points.load``.

    Raises:
        UserError: of dataset ``name``, a file that is absent, outside ``root``, or not such a table.
    """
    path, rows = cells_of(name, root, keyword, file, delimiter)
    place = f"dataset {name}: {path}"
    names = _header(place, rows, label, header)
    column = column_of(place, rows[0][1], names, label, "label")
    return _table(path, place, rows[1:] if names else rows, names, column)


def cells_of(
    name: str, root: Path, keyword: str, file: str, delimiter: str | None, *, marks: str = ";\t, "
) -> tuple[Path, list[Row]]:
    """Where the table ``file`` lies, and its rows, all as long; the delimiter is found among ``marks`` where not said.

    Raises:
        UserError: of dataset ``name``, a file that is absent, outside ``root``, or no table of two columns at least.
    """
    if delimiter is not None and delimiter not in list(marks):
        valid = " or ".join(_DELIMITERS[mark] for mark in marks)
        raise UserError(f"dataset {name}: delimiter must be {valid}, not {delimiter!r}")
    path = within(name, root, keyword, file)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(name, keyword, path, error) from None
    return path, rows_of(f"dataset {name}: {path}", content, delimiter, marks=marks)


def rows_of(
    place: str, content: bytes, delimiter: str | None = None, *, marks: str = ";\t, ", least: int = 2
) -> list[Row]:
    """The rows of a table's bytes, all as long, of ``least`` columns; the delimiter is found where not said.

    Raises:
        UserError: beginning with ``place``: no such table.
    """
    return _rows(place, _text(place, content), delimiter, marks, least)


def within(name: str, root: Path, keyword: str, file: str) -> Path:
    """The path ``file`` below ``root``, also when links are followed.

    Raises:
        UserError: of dataset ``name``, a path that leads elsewhere or cannot be followed.
    """
    path = root / file
    try:
        if path.resolve().is_relative_to(root.resolve()):
            return path
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(name, keyword, path, error) from None
    raise UserError(f"dataset {name}: {keyword} {file!r} leads outside the data root {root}")


def unreadable(name: str, keyword: str, path: Path, error: Exception) -> UserError:
    """What to raise for a file, named by ``keyword``, that cannot be opened."""
    reason = (isinstance(error, OSError) and error.strerror) or error
    return UserError(f"dataset {name}: {keyword}: {path} cannot be read: {reason}")


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels, sorted: as numbers if all are."""
    distinct = sorted(set(labels))
    try:
        numbers = [number_of(label) for label in distinct]
    except ValueError:
        return tuple(distinct)
    return tuple(label for _, label in sorted(zip(numbers, distinct, strict=True)))


def _text(place: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{place}: line {line}: the byte 0x{error.object[error.start]:02x} is not UTF-8, as which tables are read"
        ) from None


def _rows(place: str, text: str, delimiter: str | None, marks: str, least: int) -> list[Row]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise UserError(f"{place}: the file is empty; a table is expected")
    if delimiter is None:
        bare = re.sub('"[^"]*"', '""', first).strip()
        delimiter = next((mark for mark in marks if mark in bare), marks[-1])
    if delimiter == " ":
        rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    else:
        rows, number = [], 0
        reader = csv.reader((f"{line}\n" if line.strip() else "\n" for line in lines), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if cells:
                    rows.append((number + 1, [cell.strip() for cell in cells]))
                number = reader.line_num
        except csv.Error as error:
            raise UserError(f"{place}: line {number + 1}: its cells cannot be told apart: {error}") from None
    number, cells = rows[0]
    if len(cells) < least:
        raise UserError(
            f"{place}: line {number}: one column, separated by {_DELIMITERS[delimiter]}; two are needed at least"
        )
    for other, more in rows:
        if len(more) != len(cells):
            raise UserError(
                f"{place}: line {other}: {len(more)} columns, separated by {_DELIMITERS[delimiter]}, "
                f"where line {number} has {len(cells)}"
            )
    return rows


def _header(place: str, rows: list[Row], label: str | int, header: bool | None) -> list[str] | None:
    """The names of the columns; None without a header.

    Where not said, the first line is one if the label is given by name or if none of its features is a number.
    """
    cells = rows[0][1]
    if header is None and isinstance(label, int):
        features = [cell for i, cell in enumerate(cells) if i != label % len(cells)]
        header = not any(_is_number(cell) for cell in features)
    elif header is False and isinstance(label, str):
        raise UserError(f"{place}: label {label!r} is a name, but header is false; give the column's place from 0")
    if header is False:
        return None
    if len(rows) == 1:
        raise UserError(f"{place}: line {rows[0][0]}: a header and nothing after it")
    return cells


def column_of(place: str, cells: list[str], names: list[str] | None, label: str | int, keyword: str) -> int:
    """The place, from 0, of the column that the setting ``keyword`` names or counts.

    Raises:
        UserError: no such column, or several.
    """
    count = len(cells)
    if isinstance(label, str):
        assert names is not None
        if names.count(label) == 1:
            return names.index(label)
        reason = f"{names.count(label)} columns are" if label in names else "no column is"
        raise UserError(f"{place}: {reason} named {label!r}; there are {', '.join(map(repr, names))}")
    if not -count <= label < count:
        named = f" ({', '.join(map(repr, names))})" if names else ""
        raise UserError(
            f"{place}: there is no column {label} for the {keyword}; places are 0 to {count - 1}{named}, "
            f"or -{count} to -1 from the end"
        )
    return label % count


def _table(path: Path, place: str, rows: list[Row], names: list[str] | None, column: int) -> Table:
    values, labels = array("d"), []
    for number, cells in rows:
        label = cells.pop(column)
        if label.lower() in ("", "nan"):
            raise UserError(f"{place}: line {number}, column {column + 1}: the label is missing")
        labels.append(label)
        try:
            values.extend(map(number_of, cells))
        except ValueError:
            wrong = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            hint = "" if number != rows[0][0] or names else "; if this line is a header, say header: true"
            raise UserError(
                f"{place}: line {number}, {_column(wrong, column)}: {cells[wrong]!r} is not a number{hint}"
            ) from None
    with np.errstate(over="ignore"):
        features = np.array(values).reshape(len(rows), -1).astype(np.float32)
    if not np.isfinite(features).all():
        row, wrong = (int(i) for i in np.argwhere(~np.isfinite(features))[0])
        number, cells = rows[row]
        raise UserError(
            f"{place}: line {number}, {_column(wrong, column)}: {cells[wrong]!r} is not a finite 32-bit number"
        )
    return Table(
        path,
        features,
        labels,
        [number for number, _ in rows],
        tuple(n for i, n in enumerate(names) if i != column) if names else None,
    )


def _column(feature: int, label: int) -> str:
    return f"column {feature + 1 + (feature >= label)}"


def number_of(cell: str) -> float:
    """The number that a cell holds; may be infinite or not a number.

    Raises:
        ValueError: it holds none.
    """
    if "_" in cell:  # float() takes 1_000 for 1000
        raise ValueError
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        number_of(cell)
    except ValueError:
        return False
    return True
