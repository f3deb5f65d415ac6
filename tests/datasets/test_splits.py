import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import Fold
from datasets.errors import UserError
from datasets.splits import development_and_test, folds_of, hold_out, redrawn

CLASSES = ("a", "b", "c")
TARGETS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))


def everything(*parts: np.ndarray) -> list[int]:
    return np.sort(np.concatenate(parts)).tolist()


@pytest.mark.parametrize(("val", "counts"), [(0.2, [12, 6, 2]), (50, [30, 15, 5]), (10, [6, 3, 1])])
def test_a_hold_out_is_stratified_and_disjoint(val, counts):
    fold = hold_out("name", TARGETS, CLASSES, val, 0)
    assert np.bincount(TARGETS[fold.val]).tolist() == counts
    assert everything(fold.train, fold.val) == list(range(100))
    for side in (fold.train, fold.val):
        np.testing.assert_array_equal(side, np.sort(side))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_are_stratified_and_disjoint_and_cover_everything_once(folds):
    found = folds_of("name", TARGETS, CLASSES, 0.2, folds, 0)
    assert everything(*(fold.val for fold in found)) == list(range(100))
    for fold in found:
        assert everything(fold.train, fold.val) == list(range(100))
        assert np.abs(np.bincount(TARGETS[fold.val]) - np.array([60, 30, 10]) / folds).max() < 1


def test_shares_are_of_everything():
    development, test, (fold,) = development_and_test(
        "name", TARGETS, CLASSES, test_share=0.2, val=0.1, folds=1, seed=0
    )
    assert [len(part) for part in (test, fold.val, fold.train)] == [20, 10, 70]
    assert everything(development, test) == list(range(100))
    assert np.bincount(TARGETS[development][fold.val]).tolist() == [6, 3, 1]


@pytest.mark.parametrize(
    "split",
    [
        lambda seed: (hold_out("n", TARGETS, CLASSES, 0.2, seed),),
        lambda seed: folds_of("n", TARGETS, CLASSES, 0.2, 5, seed),
        lambda seed: development_and_test("n", TARGETS, CLASSES, test_share=0.2, val=0.2, folds=1, seed=seed)[2],
    ],
    ids=["hold-out", "folds", "both"],
)
def test_splits_follow_the_seed_and_nothing_else(split):
    one, again, other = split(1), split(1), split(2)
    for fold, same in zip(one, again, strict=True):
        np.testing.assert_array_equal(fold.val, same.val)
        np.testing.assert_array_equal(fold.train, same.train)
    assert {tuple(fold.val) for fold in one}.isdisjoint(tuple(fold.val) for fold in other)


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_redrawn_folds_are_others_of_the_same_sizes_in_every_class(folds):
    before = folds_of("n", TARGETS, CLASSES, 0.2, folds, 0)
    after, again, other = (redrawn(before, TARGETS, 100, seed) for seed in (1, 1, 2))
    for one, same, old in zip(after, again, before, strict=True):
        assert everything(one.train, one.val) == list(range(100))
        for side in ("train", "val"):
            new = getattr(one, side)
            np.testing.assert_array_equal(new, np.sort(new))
            np.testing.assert_array_equal(new, getattr(same, side))
            np.testing.assert_array_equal(np.bincount(TARGETS[new]), np.bincount(TARGETS[getattr(old, side)]))
    if folds > 1:
        assert everything(*(fold.val for fold in after)) == list(range(100))
    held = [{tuple(fold.val) for fold in drawn} for drawn in (before, after, other)]
    assert len(set.union(*held)) == 3 * folds


def test_redrawn_each_example_validates_as_often_as_its_share():
    (fold,) = folds_of("n", TARGETS, CLASSES, 0.2, 1, 0)
    counts = np.zeros(100)
    for seed in range(1000):
        counts[redrawn([fold], TARGETS, 100, seed)[0].val] += 1
    assert np.abs(counts / 1000 - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / 1000)


def test_a_class_of_two_is_on_both_sides_whatever_the_seed():
    targets = np.repeat([0, 1], [18, 2])
    fold = Fold(np.r_[0:14, 18], np.r_[14:18, 19])
    for seed in range(50):
        (other,) = redrawn([fold], targets, 20, seed)
        assert set(targets[other.train]) == set(targets[other.val]) == {0, 1}


@pytest.mark.parametrize("val", [0, -1, 0.0, 1.0, 1.5, 100])
def test_a_size_that_cannot_be_is_refused(val):
    with pytest.raises(UserError) as error:
        hold_out("the table", TARGETS, CLASSES, val, 0)
    assert str(error.value) == (
        f"the table: val must be a share between 0 and 1 or a number of its 100 examples, not {val}"
    )


def rare(setting: str, count: int = 3) -> str:
    return f"x: the class 'c' is too rare to split: with {setting} its {count} of 100 examples do not reach both sides"


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda t: hold_out("x", t, CLASSES, 0.1, 0), rare("val 0.1")),
        (lambda t: hold_out("x", t, CLASSES, 2, 0), rare("val 2")),
        (lambda t: hold_out("x", t, CLASSES, 0.1, 0, keyword="test_share"), rare("test_share 0.1")),
        (
            lambda t: folds_of("x", t, CLASSES, 0.2, 4, 0),
            "x: the class 'c' is too rare for 4 folds: it has 3 examples to train on and validate with",
        ),
        (lambda t: folds_of("x", t, CLASSES, 0.2, 0, 0), "x: folds must be 1 (a hold-out of val) or more, not 0"),
        (lambda t: folds_of("x", t, CLASSES, 0.2, 2, -1), "x: seed must be from 0 to 2**32 - 1, not -1"),
        (
            lambda t: development_and_test("x", t, CLASSES, test_share=0.5, val=0.5, folds=1, seed=0),
            "x: val and test_share together leave none of 100 examples to train on",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_by_name(split, message):
    with pytest.raises(UserError) as error:
        split(np.repeat([0, 1, 2], [60, 37, 3]))
    assert str(error.value) == message


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    test_share=st.one_of(st.floats(0.05, 0.6), st.integers(1, 60)),
    val=st.one_of(st.floats(0.05, 0.6), st.integers(1, 60)),
    folds=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_split_is_whole_disjoint_and_near_its_shares_or_refused(counts, test_share, val, folds, seed):
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    names = [f"class {number}" for number in range(len(counts))]
    keywords = {"test_share": test_share, "val": val, "folds": folds, "seed": seed}
    try:
        development, test, split = development_and_test("x", targets, names, **keywords)
    except UserError:
        return
    assert everything(development, test) == list(range(len(targets)))
    assert len(split) == folds
    total = len(targets)
    assert len(test) == (test_share if test_share >= 1 else max(1, round(test_share * total)))
    for part, size in ((test, len(test)), *((development[fold.val], len(fold.val)) for fold in split)):
        of = len(targets) if part is test else len(development)
        pool = np.bincount(targets if part is test else targets[development], minlength=len(counts))
        assert np.abs(np.bincount(targets[part], minlength=len(counts)) - pool * size / of).max() < 1 + 1e-9
    for fold in split:
        assert everything(fold.train, fold.val) == list(range(len(development)))
        assert set(targets[development][fold.train]) == set(targets) == set(targets[development][fold.val])
    if folds > 1:
        assert everything(*(fold.val for fold in split)) == list(range(len(development)))
