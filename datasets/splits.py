"""Stratified splits, the same for the same targets and seed."""

from collections.abc import Sequence

import numpy as np

from datasets import Fold
from datasets.errors import UserError


def development_and_test(
    where: str,
    targets: np.ndarray,
    classes: Sequence[str],
    *,
    test_share: float,
    val: float,
    folds: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, tuple[Fold, ...]]:
    """Indices of the development examples, those of the test examples, and folds that index the former.

    ``test_share`` and ``val`` are shares of all targets, or whole numbers of them; for the rest see ``folds_of``.

    Raises:
        UserError: as of ``folds_of``.
    """
    split = hold_out(where, targets, classes, test_share, seed, keyword="test_share")
    development = targets[split.train]
    if folds == 1:
        val = _number("val", where, val, targets)
        if val >= len(development):
            raise UserError(f"{where}: val and test_share together leave none of {len(targets)} examples to train on")
    return split.train, split.val, folds_of(where, development, classes, val, folds, seed)


def folds_of(
    where: str, targets: np.ndarray, classes: Sequence[str], val: float, folds: int, seed: int
) -> tuple[Fold, ...]:
    """A hold-out of ``val`` for one fold, else so many folds, each validating on its own share.

    Raises:
        UserError: beginning with ``where``; a size that cannot be, or a class too rare for it.
    """
    from sklearn.model_selection import StratifiedKFold

    _check_seed(where, seed)
    if folds < 1:
        raise UserError(f"{where}: folds must be 1 (a hold-out of val) or more, not {folds}")
    if folds == 1:
        return (hold_out(where, targets, classes, val, seed),)
    counts = np.bincount(targets, minlength=len(classes))
    rare = int(counts.argmin())
    if counts[rare] < folds:
        raise UserError(
            f"{where}: the class {classes[rare]!r} is too rare for {folds} folds: it has {counts[rare]} examples to "
            "train on and validate with"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return tuple(Fold(train, val) for train, val in splitter.split(np.zeros(len(targets)), targets))


def hold_out(
    where: str, targets: np.ndarray, classes: Sequence[str], size: float, seed: int, *, keyword: str = "val"
) -> Fold:
    """One stratified fold; ``size``, the setting ``keyword``, are its validation examples: a share, or so many.

    Raises:
        UserError: beginning with ``where``; a size that cannot be, or that leaves a class without examples on a side.
    """
    from sklearn.model_selection import train_test_split

    _check_seed(where, seed)
    number = _number(keyword, where, size, targets)
    counts = np.bincount(targets, minlength=len(classes))
    try:
        train, val = train_test_split(np.arange(len(targets)), test_size=number, random_state=seed, stratify=targets)
        lacking = np.minimum(*(np.bincount(targets[side], minlength=len(classes)) for side in (train, val))) == 0
    except ValueError:  # its reason does not name the class
        lacking = counts == counts.min()
    if lacking.any():
        rare = int(np.argmax(lacking))
        raise UserError(
            f"{where}: the class {classes[rare]!r} is too rare to split: with {keyword} {size} its {counts[rare]} of "
            f"{len(targets)} examples do not reach both sides"
        )
    return Fold(np.sort(train), np.sort(val))


def redrawn(folds: Sequence[Fold], targets: np.ndarray, among: int, seed: int) -> tuple[Fold, ...]:
    """Folds as random as these: within each class, the first ``among`` examples change places with one another.

    So each side of each fold has as many of each class as before, and no seed can leave one without.
    """
    random = np.random.default_rng(seed)
    places = np.arange(len(targets))
    for target in np.unique(targets):
        mine = np.flatnonzero(targets[:among] == target)
        places[mine] = random.permutation(mine)
    return tuple(Fold(np.sort(places[fold.train]), np.sort(places[fold.val])) for fold in folds)


def _number(keyword: str, where: str, size: float, targets: np.ndarray) -> int:
    """A share as a number of examples, at least one."""
    if 0 < size < 1:
        return max(1, round(size * len(targets)))
    if isinstance(size, int) and 1 <= size < len(targets):
        return size
    raise UserError(
        f"{where}: {keyword} must be a share between 0 and 1 or a number of its {len(targets)} examples, not {size}"
    )


def _check_seed(where: str, seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise UserError(f"{where}: seed must be from 0 to 2**32 - 1, not {seed}")
