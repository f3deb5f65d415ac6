import numpy as np
import pytest

from datasets.errors import UserError
from datasets.splits import hold_out, k_folds

TARGETS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))


@pytest.mark.parametrize(("val", "counts"), [(0.2, [12, 6, 2]), (50, [30, 15, 5]), (10, [6, 3, 1])])
def test_a_hold_out_is_stratified_and_disjoint(val, counts):
    (fold,) = hold_out("name", TARGETS, val, 0)
    assert np.bincount(TARGETS[fold.val]).tolist() == counts
    np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(100))
    for side in (fold.train, fold.val):
        np.testing.assert_array_equal(side, np.sort(side))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_are_stratified_and_disjoint_and_cover_everything_once(folds):
    found = k_folds("name", TARGETS, folds, 0)
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.val for fold in found])), np.arange(100))
    for fold in found:
        np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.val]), np.arange(100))
        assert np.abs(np.bincount(TARGETS[fold.val]) - np.array([60, 30, 10]) / folds).max() < 1


@pytest.mark.parametrize(
    "split", [lambda seed: hold_out("n", TARGETS, 0.2, seed), lambda seed: k_folds("n", TARGETS, 5, seed)]
)
def test_splits_follow_the_seed_and_nothing_else(split):
    one, again, other = split(1), split(1), split(2)
    for fold, same in zip(one, again, strict=True):
        np.testing.assert_array_equal(fold.val, same.val)
        np.testing.assert_array_equal(fold.train, same.train)
    assert {tuple(fold.val) for fold in one}.isdisjoint(tuple(fold.val) for fold in other)


@pytest.mark.parametrize("val", [0, -1, 0.0, 1.0, 1.5, 2, 100, 0.01, 98])
def test_a_hold_out_that_cannot_hold_every_class_is_refused(val):
    with pytest.raises(UserError, match=f"^dataset name: val {val} of 100 examples: ."):
        hold_out("name", TARGETS, val, 0)


def test_a_share_that_leaves_a_rare_class_no_validation_example_is_refused():
    rare = np.repeat([0, 1, 2], [60, 37, 3])
    with pytest.raises(UserError, match=r"val 0\.1 of 100 examples leaves class 2 without validation examples"):
        hold_out("name", rare, 0.1, 0)


@pytest.mark.parametrize("folds", [1, 0, -2, 11])
def test_folds_that_cannot_hold_every_class_are_refused(folds):
    with pytest.raises(UserError) as error:
        k_folds("name", TARGETS, folds, 0)
    assert str(error.value) == (
        f"dataset name: folds must be from 2 to 10, the examples of the rarest class, not {folds}"
    )
