"""Pictures in folders, one folder a class."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from datasets import Dataset
from datasets.decoding import endings
from datasets.errors import UserError
from datasets.labelled import Labelled, Settings, dataset
from datasets.tables import unreadable, within

_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_NAMED = 5


def load(
    root: Path,
    *,
    folder: str,
    side: int = 128,
    fit: Literal["crop", "stretch", "pad"] = "crop",
    test_share: float = 0.2,
    val: float = 0.1,
    folds: int = 1,
    max_broken: float = 0.01,
    seed: int = 0,
) -> Dataset:
    """Pictures (3, side, side), uint8, of ``folder`` below the data root: of each folder in it one class, by its name.

    Where it holds nothing but the folders train, test and val (or valid, validation; in capitals or not), the classes
    are in these. Without test, a stratified ``test_share`` of all that is not in val is for testing; without val, a
    ``val`` of all that is not in test is for validation, or each of ``folds`` in turn where there is more than one;
    ``seed`` draws all of it.

    Any picture that Pillow opens will do; it is made square by ``fit`` (see ``decoding.decode``). Up to ``max_broken``,
    a share, may be broken: they are left out, and a warning names them.

    Raises:
        UserError: no such folder, or one of another form; what ``labelled.dataset`` raises.
    """
    place = within("image_folder", root, "folder", folder)
    files: list[Labelled] = []
    others: Counter[str] = Counter()
    for part, classes in _parts(place).items():
        for kind in classes:
            names = list(_pictures(root, kind, others))
            label = unicodedata.normalize("NFC", os.fsencode(kind.name).decode(errors="backslashreplace"))
            if not names and part in ("", "train"):
                raise UserError(f"dataset image_folder: {place}: the class {label!r} has no pictures in {kind}")
            files += [Labelled(name, label, part) for name in names]
    warnings = []
    if others:
        told = ", ".join(f"{count} {ending}" for ending, count in others.most_common(_NAMED))
        warnings = [f"dataset image_folder: {place}: {others.total()} files are no pictures by their ending: {told}"]
    settings = Settings(side, fit, test_share, val, folds, max_broken, seed)
    return dataset("image_folder", root, place, files, settings, warnings)


def _parts(place: Path) -> dict[str, list[Path]]:
    """The folders of classes by what their pictures are for: train, val and test, or "" where that is not decided."""
    folders = _folders(place)
    known = [_PARTS.get(folder.name.lower(), "") for folder in folders]
    if "train" not in known or "" in known:
        return {"": folders}
    parts: dict[str, list[Path]] = {}
    for part, folder in zip(known, folders, strict=True):
        if part in parts:
            raise UserError(f"dataset image_folder: {place}: {folder.name} is a second folder for {part}")
        parts[part] = _folders(folder)
    return parts


def _folders(place: Path) -> list[Path]:
    try:
        found = sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
        there = not found and any(place.iterdir())
    except OSError as error:
        raise unreadable("image_folder", "folder", place, error) from None
    if not found:
        what = "holds files, but no folders" if there else "is empty"
        raise UserError(f"dataset image_folder: {place}: {what}; a folder of pictures for each class is expected in it")
    return found


def _pictures(root: Path, kind: Path, others: Counter[str]) -> Iterator[str]:
    """The names below ``root`` of a class's pictures, however deep; counts other files by their ending."""

    def failed(error: OSError) -> None:
        raise unreadable("image_folder", "folder", Path(error.filename), error) from None

    within("image_folder", root, "folder", str(_below(root, kind)))
    valid = endings()
    for walked, folders, names in os.walk(kind, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        folder = _below(root, Path(walked))
        for name in folders:
            if os.path.islink(root / folder / name):  # noqa: PTH114
                others["link to a folder"] += 1
        for name in names:
            ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of very many
            if name.startswith("."):
                continue
            if ending not in valid:
                others[ending or "without one"] += 1
                continue
            if os.path.islink(root / folder / name):  # noqa: PTH114
                within("image_folder", root, "file", str(folder / name))
            yield (folder / name).as_posix()


def _below(root: Path, path: Path) -> Path:
    """Its name below ``root``; itself where the conf gives an absolute one."""
    return path.relative_to(root) if path.is_relative_to(root) else path
