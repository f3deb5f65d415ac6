"""Labelled picture files as a dataset: what all formats of pictures have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples, Fold
from datasets.decoded import File, pictures
from datasets.decoding import Fit
from datasets.errors import UserError, one_line
from datasets.splits import development_and_test, folds_of, hold_out
from datasets.tables import in_order

_LARGEST = 4096
_NAMED = 3


@dataclass(frozen=True)
class Labelled:
    """A picture file: its name below the data root, its label, and its part: train, val or test, "" if not decided."""

    name: str
    label: str
    part: str = ""


@dataclass(frozen=True)
class Settings:
    """How files become a dataset: what ``load`` of every format of pictures takes."""

    side: int
    fit: Fit
    test_share: float
    val: float
    folds: int
    max_broken: float
    seed: int


def dataset(
    name: str, root: Path, place: Path, files: Iterable[Labelled], settings: Settings, warnings: Sequence[str] = ()
) -> Dataset:
    """The dataset ``name`` of pictures (3, side, side), uint8; ``place`` is where the files were found.

    The order in which they come does not matter. The classes are the labels to be trained on, sorted. Where no file is
    of part val, or none of part test, these are split off, stratified, by ``seed``.

    Raises:
        UserError: settings that cannot be; fewer than two classes; a label that is never trained on; more broken files
            than ``max_broken``, a share; a class too rare to split.
    """
    where = f"dataset {name}: {place}"
    _check(where, settings)
    found = sorted(files, key=lambda file: file.name)
    classes = _classes(where, found)
    decoded = pictures(where, root, place, [file.name for file in found], settings.side, settings.fit)
    broken = [file for file in decoded.files if file.broken]
    _check_broken(where, broken, len(found), settings.max_broken)
    sound = np.array([number for number, file in enumerate(decoded.files) if not file.broken], np.int64)
    codes = {label: code for code, label in enumerate(classes)}
    targets = np.array([codes[file.label] for file in found], np.int64)
    by_part = {
        part: np.array([number for number in sound if (found[number].part or "train") == part], np.int64)
        for part in ("train", "val", "test")
    }
    counts = np.bincount(targets[by_part["train"]], minlength=len(classes))
    if not counts.all():
        raise UserError(f"{where}: the class {classes[counts.argmin()]!r} has no picture to train on that can be read")
    for part in ("val", "test"):
        if not len(by_part[part]) and any(file.part == part for file in found):
            raise UserError(f"{where}: none of the pictures that are for {part} can be read")
    development, test, folds = _split(where, classes, targets, by_part, settings)
    sides = {"training": development[folds[0].train], "validation": development[folds[0].val], "test": test}
    digests = np.array([file.digest for file in decoded.files])
    return Dataset(
        name=name,
        classes=classes,
        development=Examples(decoded.pixels[development], targets[development]),
        folds=folds,
        test=Examples(decoded.pixels[test], targets[test]),
        origin=f"{place}, {len(sound)} pictures",
        warnings=tuple(
            one_line(warning)
            for warning in (
                *warnings,
                *_broken_warning(where, broken, len(found)),
                *_copies_warning(where, found, digests, sides),
            )
        ),
        randomly_split=0 if len(by_part["val"]) else len(development),
    )


def _check(where: str, settings: Settings) -> None:
    if not 1 <= settings.side <= _LARGEST:
        raise UserError(f"{where}: side must be from 1 to {_LARGEST} pixels, not {settings.side}")
    if not 0 <= settings.max_broken <= 1:
        raise UserError(f"{where}: max_broken must be a share from 0 to 1, not {settings.max_broken:g}")


def _classes(where: str, files: Sequence[Labelled]) -> tuple[str, ...]:
    classes = in_order(file.label for file in files if file.part in ("", "train"))
    if len(classes) < 2:
        what = f"the only class is {classes[0]!r}" if classes else "there are no pictures to train on"
        raise UserError(f"{where}: {what}; two classes are needed at least")
    for file in files:
        if file.label not in classes:
            raise UserError(f"{where}: the class {file.label!r} of {file.name} has no pictures to train on")
    return classes


def _split(
    where: str, classes: Sequence[str], targets: np.ndarray, by_part: Mapping[str, np.ndarray], settings: Settings
) -> tuple[np.ndarray, np.ndarray, tuple[Fold, ...]]:
    """Development and test pictures, and the folds over the former's places."""
    train, val, test = (by_part[part] for part in ("train", "val", "test"))
    if len(val) and settings.folds != 1:
        raise UserError(f"{where}: folds {settings.folds}, where there are pictures for validation: only one can be")
    if not len(val) and not len(test):
        left, held, folds = development_and_test(
            where, targets[train], classes, test_share=settings.test_share, val=settings.val, folds=settings.folds,
            seed=settings.seed,
        )  # fmt: skip
        return train[left], train[held], folds
    if not len(test):
        aside = hold_out(where, targets[train], classes, settings.test_share, settings.seed, keyword="test_share")
        train, test = train[aside.train], train[aside.val]
    if not len(val):
        return train, test, folds_of(where, targets[train], classes, settings.val, settings.folds, settings.seed)
    total = len(train) + len(val)
    return np.concatenate([train, val]), test, (Fold(np.arange(len(train)), np.arange(len(train), total)),)


def _check_broken(where: str, broken: Sequence[File], count: int, most: float) -> None:
    if len(broken) / count > most:
        raise UserError(
            f"{where}: {len(broken)} of {count} pictures cannot be read, and max_broken is {most:g}: {_named(broken)}"
        )


def _broken_warning(where: str, broken: Sequence[File], count: int) -> list[str]:
    if not broken:
        return []
    return [f"{where}: {len(broken)} of {count} pictures cannot be read and are left out: {_named(broken)}"]


def _named(broken: Sequence[File]) -> str:
    named = "; ".join(f"{file.name} ({file.broken})" for file in broken[:_NAMED])
    return named + ("" if len(broken) <= _NAMED else f"; and {len(broken) - _NAMED} more")


def _copies_warning(
    where: str, files: Sequence[Labelled], digests: np.ndarray, sides: Mapping[str, np.ndarray]
) -> list[str]:
    """Of pictures whose bytes are on two sides of a split: what is trained on tells nothing about them."""
    warnings = []
    for known, held in (("training", "validation"), ("training", "test"), ("validation", "test")):
        first = {digests[number]: number for number in sides[known]}
        copies = [number for number in sides[held] if digests[number] in first]
        if copies:
            example, original = files[copies[0]].name, files[first[digests[copies[0]]]].name
            warnings.append(
                f"{where}: {len(copies)} of {len(sides[held])} {held} pictures are copies of {known} pictures, "
                f"{example} of {original}: errors on them look smaller than they are"
            )
    return warnings
