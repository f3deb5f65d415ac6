"""Intervals and tests against textbooks' examples and figures made by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from search import statistics


def wrong(first_only: int, second_only: int, both: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Which examples two classifiers have wrong."""
    counts = (first_only, second_only, both, neither)
    return np.repeat([True, False, True, False], counts), np.repeat([False, True, True, False], counts)


@pytest.mark.parametrize(
    ("count", "examples", "interval"),
    [
        (81, 263, (0.2553, 0.3662)),  # Newcombe 1998, method 3
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_as_in_newcombes_table(count, examples, interval):
    assert statistics.wilson(count, examples) == pytest.approx(interval, abs=5e-5)


def test_student_by_hand_and_none_of_a_single_value():
    assert statistics.mean_interval([1, 2, 3]) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)
    assert statistics.mean_interval([0.5, 0.5]) == (0.5, 0.5)
    assert statistics.mean_interval([0.5]) is None


def test_alone_a_selected_mean_is_students():
    assert statistics.selected_mean_interval([1, 2, 3], []) == pytest.approx(statistics.mean_interval([1, 2, 3]))


def test_of_a_selected_mean_the_upper_end_allows_for_the_others():
    low, high = statistics.selected_mean_interval([1, 2, 3], [[5, 6, 7], [4, 5, 6], [8, 9, 10], [8, 9, 10]])
    assert low == pytest.approx(2 - 2.22814 / 3**0.5, abs=1e-4)  # Student's t of 10 degrees of freedom, 2.5 %
    assert high == pytest.approx(2 + 2.76377 / 3**0.5, abs=1e-4)  # and 1 %


def test_the_variance_of_a_selected_mean_is_half_that_of_all():
    assert statistics.selected_mean_interval([1, 1, 1], [[2, 4, 6]]) == pytest.approx(
        (1 - 2.77645 * (1 / 3) ** 0.5, 1 + 2.77645 * (1 / 3) ** 0.5), abs=1e-4
    )
    assert statistics.selected_mean_interval([1], [[2], []]) is None
    assert statistics.selected_mean_interval([1], [[2, 4]]) == pytest.approx((1 - 17.9692, 1 + 17.9692), abs=1e-3)


@pytest.mark.parametrize(
    ("first_only", "second_only", "p"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 32),
        (1, 6, 2 * (1 + 7) / 128),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_by_hand(first_only, second_only, p):
    assert statistics.mcnemar(*wrong(first_only, second_only, 7, 9)) == pytest.approx(p)
    assert statistics.mcnemar(*wrong(second_only, first_only, 0, 0)) == pytest.approx(p)


def test_a_difference_is_the_firsts_error_less_the_seconds():
    found = statistics.difference(*wrong(3, 25, 2, 417))
    assert found.value == pytest.approx(-22 / 447)
    assert found.p == statistics.mcnemar(*wrong(3, 25, 2, 417))
    assert found.interval[0] < found.value < found.interval[1] < 0


def test_a_differences_interval_is_walds_where_examples_are_many():
    found = statistics.difference(*wrong(900, 1000, 300, 23_800))
    half = 1.96 * (1900 / 26_000 - (100 / 26_000) ** 2) ** 0.5 / 26_000**0.5
    assert found.interval == pytest.approx((-100 / 26_000 - half, -100 / 26_000 + half), abs=0.02 * half)


@pytest.mark.parametrize("both", [0, 12])
def test_classifiers_that_nothing_tells_apart_may_still_differ(both):
    found = statistics.difference(*wrong(0, 0, both, 100 - both))
    assert found.value == 0
    assert found.p == 1
    assert -0.05 < found.interval[0] < -0.005 < 0.005 < found.interval[1] < 0.05


def test_a_difference_turned_round_is_its_negative():
    first, second = wrong(4, 11, 3, 82)
    there, back = statistics.difference(first, second), statistics.difference(second, first)
    assert there.value == -back.value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=3e-3)
    assert there == statistics.difference(first, second)


def test_answers_to_other_examples_are_no_pairs():
    with pytest.raises(ValueError, match="answers to"):
        statistics.difference(np.zeros(3, bool), np.zeros(4, bool))


@pytest.mark.parametrize("classes", [3, 5])
def test_macro_f1_is_scikit_learns_with_absent_classes_as_zero(classes):
    random = np.random.default_rng(0)
    targets = random.integers(3, size=200)
    predicted = np.where(random.random(200) < 0.7, targets, random.integers(3, size=200))
    found = statistics.macro_f1(predicted, targets, classes)
    expected = f1_score(targets, predicted, labels=range(classes), average="macro", zero_division=0.0)
    assert found.value == pytest.approx(expected)
    assert expected - 0.1 < found.interval[0] < expected < found.interval[1] < expected + 0.1


def test_macro_f1_by_hand():
    assert statistics.macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).value == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_all_right_is_not_sure_to_stay_so():
    targets = np.arange(100) % 4
    found = statistics.macro_f1(targets, targets, 4)
    assert found.value == 1
    assert 0.95 < found.interval[0] < 0.99
    assert found.interval[1] <= 1


def test_agreement_knows_luck_from_knowledge():
    random = np.random.default_rng(1)
    targets = (random.random(300) < 0.1).astype(int)
    guessed = random.permutation(targets)
    known = np.where(random.random(300) < 0.4, targets, 1)  # more often wrong than always answering 0
    assert (known != targets).mean() > targets.mean()
    assert statistics.agreement(known, targets, 2) < 0.001
    assert statistics.agreement(guessed, targets, 2) > 0.05
    assert statistics.agreement(np.zeros(300, int), targets, 2) == 1


def test_calibration_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.4, 0.6], [1.0, 0.0]])
    found = statistics.calibration(probabilities, np.array([0, 1, 0, 0, 0]))
    assert [(group.low, group.high, group.examples, group.right) for group in found.bins] == [
        (pytest.approx(8 / 15), pytest.approx(9 / 15), 2, 0.5),
        (pytest.approx(14 / 15), 1, 3, pytest.approx(2 / 3)),
    ]
    assert [group.confidence for group in found.bins] == pytest.approx([0.6, 2.9 / 3])
    assert found.ece == pytest.approx((2 * 0.1 + 3 * 0.3) / 5)
    assert found.excess == pytest.approx((0.95 + 0.95 + 0.6 + 0.6 + 1) / 5 - 3 / 5)


def test_what_is_sure_and_right_is_calibrated():
    found = statistics.calibration(np.eye(3, dtype=np.float32), np.arange(3))
    assert found.ece == 0
    assert found.excess == 0
