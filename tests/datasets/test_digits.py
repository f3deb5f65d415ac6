from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import datasets
from datasets import digits
from datasets.errors import UserError

NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def dataset():
    return digits.load(NOWHERE)


def test_split_is_1000_350_447_by_position(dataset):
    pixels, targets = load_digits(return_X_y=True)
    (fold,) = dataset.folds
    np.testing.assert_array_equal(fold.train, np.arange(1000))
    np.testing.assert_array_equal(fold.val, np.arange(1000, 1350))
    np.testing.assert_array_equal(dataset.development.targets, targets[:1350])
    np.testing.assert_array_equal(dataset.test.targets, targets[1350:])
    np.testing.assert_array_equal(dataset.test.inputs.reshape(447, 64) * 16, pixels[1350:])


def test_pictures_are_float32_of_one_channel_in_0_to_1(dataset):
    inputs = dataset.development.inputs
    assert inputs.dtype == np.float32
    assert inputs.shape == (1350, 1, 8, 8)
    assert dataset.input_shape == (1, 8, 8)
    assert inputs.min() == 0
    assert inputs.max() == 1


def test_classes_are_the_ten_digits(dataset):
    assert dataset.classes == tuple("0123456789")
    assert dataset.development.targets.dtype == np.int64
    assert set(dataset.development.targets) == set(dataset.test.targets) == set(range(10))


def test_sizes_can_be_chosen():
    dataset = datasets.load("digits", NOWHERE, {"train": 100, "val": 20})
    assert (len(dataset.folds[0].train), len(dataset.folds[0].val), len(dataset.test)) == (100, 20, 1677)
    assert len(dataset.development) == 120


@pytest.mark.parametrize(("train", "val"), [(0, 350), (1000, 0), (-5, 10), (1000, 797), (1797, 1)])
def test_sizes_that_leave_a_split_empty_are_refused(train, val):
    with pytest.raises(UserError, match=f"^dataset digits: train {train} and val {val} must be positive .* 1797 ") as e:
        digits.load(NOWHERE, train=train, val=val)
    assert "\n" not in str(e.value)


def test_smallest_test_split_is_one_example():
    assert len(digits.load(NOWHERE, train=1000, val=796).test) == 1


def test_blind_copy_has_all_but_the_test_split(dataset):
    blind = dataset.blind()
    assert blind.test is None
    assert replace(blind, test=dataset.test) == dataset


def test_its_split_by_position_is_the_only_one(dataset):
    assert not dataset.resplits
    assert dataset.resplit(1) is dataset


def test_the_test_splits_digest_follows_its_arrays_and_nothing_else(dataset):
    other_validation = digits.load(NOWHERE, train=900, val=450)
    assert dataset.test_digest() == other_validation.test_digest() != dataset.digest()
    test = dataset.test
    others = [replace(test, inputs=test.inputs + 1), replace(test, targets=test.targets[::-1].copy())]
    others.append(test.at(np.arange(400)))
    assert len({dataset.test_digest(), *(replace(dataset, test=other).test_digest() for other in others)}) == 4


def test_digest_follows_every_array_and_nothing_else(dataset):
    assert dataset.digest() == digits.load(Path("/elsewhere")).digest()
    assert len(dataset.digest()) == 16
    other_split = digits.load(NOWHERE, train=999, val=351)
    assert len({dataset.digest(), other_split.digest(), dataset.blind().digest()}) == 3
