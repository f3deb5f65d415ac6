"""Stratified splits of the development examples, the same for the same targets and seed."""

import numpy as np

from datasets import Fold
from datasets.errors import UserError


def hold_out(name: str, targets: np.ndarray, val: float, seed: int) -> tuple[Fold]:
    """One stratified fold. ``val``: validation examples, a whole number of them or else a share below 1.

    Raises:
        UserError: of dataset ``name``, a share or number that leaves a class without examples on either side.
    """
    from sklearn.model_selection import train_test_split

    try:
        train, chosen = train_test_split(np.arange(len(targets)), test_size=val, random_state=seed, stratify=targets)
    except ValueError as error:
        raise UserError(f"dataset {name}: val {val} of {len(targets)} examples: {error}") from None
    for part, side in ((train, "training"), (chosen, "validation")):
        if missing := set(targets.tolist()) - set(targets[part].tolist()):
            left = f"leaves class {min(missing)} without {side} examples"
            raise UserError(f"dataset {name}: val {val} of {len(targets)} examples {left}")
    return (Fold(np.sort(train), np.sort(chosen)),)


def k_folds(name: str, targets: np.ndarray, folds: int, seed: int) -> tuple[Fold, ...]:
    """Stratified folds, each validating on its own share.

    Raises:
        UserError: of dataset ``name``, fewer than two folds, or more than the rarest class has examples.
    """
    from sklearn.model_selection import StratifiedKFold

    rarest = int(np.unique(targets, return_counts=True)[1].min())
    if not 0 <= seed < 2**32:
        raise UserError(f"dataset {name}: seed must be from 0 to 2**32 - 1, not {seed}")
    if not 2 <= folds <= rarest:
        raise UserError(
            f"dataset {name}: folds must be from 2 to {rarest}, the examples of the rarest class, not {folds}"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return tuple(Fold(train, val) for train, val in splitter.split(np.zeros(len(targets)), targets))
