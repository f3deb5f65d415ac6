"""Pictures in a folder, and a table that has a row for each: its file and its label."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from datasets import Dataset
from datasets.errors import UserError
from datasets.labelled import Labelled, Settings, dataset
from datasets.tables import Row, cells_of, column_of, unreadable, within

_MARKS = ";\t,"


def load(
    root: Path,
    *,
    train: str,
    folder: str,
    test: str | None = None,
    file: str | int = "file",
    label: str | int = "label",
    suffix: str = "",
    delimiter: str | None = None,
    side: int = 128,
    fit: Literal["crop", "stretch", "pad"] = "crop",
    test_share: float = 0.2,
    val: float = 0.1,
    folds: int = 1,
    max_broken: float = 0.01,
    seed: int = 0,
) -> Dataset:
    """Pictures (3, side, side), uint8, of ``folder``, which the tables ``train`` and ``test`` name with their labels.

    All three are relative to the data root. ``file`` and ``label`` are the names of columns, or their places from 0
    where the table has no header; ``suffix`` (such as .jpg) is added to what stands in the file column. The
    ``delimiter`` (; or , or a tab) is found where not said.

    Without ``test``, a stratified ``test_share`` of the rows is for testing. ``val``, a share of ``train`` too, is for
    validation, or each of ``folds`` in turn where there is more than one; ``seed`` draws all of it, in whatever order
    the rows stand. ``fit`` and ``max_broken`` as in ``image_folder``; a file that is absent counts as broken.

    Raises:
        UserError: a table or folder that is absent or not of that form, with its line; a file outside the folder, or
            one that has two labels; what ``labelled.dataset`` raises.
    """
    place = within("csv_images", root, "folder", folder)
    try:
        there = place.is_dir()
    except OSError as error:
        raise unreadable("csv_images", "folder", place, error) from None
    if not there:
        raise UserError(f"dataset csv_images: folder: {place} is no folder")
    top, inside = root.resolve(), place.resolve()
    found: dict[str, tuple[str, Labelled]] = {}
    for keyword, table, part in (("train", train, "train" if test else ""), ("test", test, "test")):
        path, rows = cells_of("csv_images", root, keyword, table, delimiter, marks=_MARKS) if table else (root, [])
        for line, name, kind in _rows(f"dataset csv_images: {path}", rows, file, label):
            picture = Labelled(_below(line, top, inside, name + suffix), kind, part)
            before, known = found.setdefault(picture.name, (line, picture))
            if known != picture:
                what = f"the label {known.label!r}, here {kind!r}" if known.label != kind else "a row for training"
                raise UserError(f"{line}: {name + suffix!r} has {what}; it stands in {before.rpartition('/')[2]} too")
    settings = Settings(side, fit, test_share, val, folds, max_broken, seed)
    return dataset("csv_images", root, root / train, [picture for _, picture in found.values()], settings)


def _rows(where: str, rows: Sequence[Row], file: str | int, label: str | int) -> Iterator[tuple[str, str, str]]:
    """Each row's line, for messages, its file and its label."""
    names = rows[0][1] if rows and (isinstance(file, str) or isinstance(label, str)) else None
    if len(rows) == 1 and names:
        raise UserError(f"{where}: a header and nothing after it")
    for number, cells in rows[1:] if names else rows:
        line = f"{where}: line {number}"
        places = [column_of(where, cells, names, column, word) for word, column in (("file", file), ("label", label))]
        for word, place in zip(("file", "label"), places, strict=True):
            if not cells[place]:
                raise UserError(f"{line}, column {place + 1}: the {word} is missing")
        yield line, cells[places[0]], unicodedata.normalize("NFC", cells[places[1]])


def _below(line: str, root: Path, folder: Path, file: str) -> str:
    """The name below the data root of a file of the folder; both paths resolved."""
    try:
        path = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{line}: {file!r} cannot be followed: {error}") from None
    if not path.is_relative_to(folder):
        raise UserError(f"{line}: {file!r} leads outside the folder {folder}")
    return path.relative_to(root).as_posix()
