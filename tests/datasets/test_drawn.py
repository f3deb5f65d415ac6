import numpy as np
import pytest

from datasets import Examples, drawn


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


DRAW = {
    "handwritten": lambda count, random: drawn.handwritten(count, random),
    "handwritten, test": lambda count, random: drawn.handwritten(count, random, test=True),
    "house numbers": drawn.house_numbers,
}
SHAPES = {"handwritten": (1, 28, 28), "handwritten, test": (1, 28, 28), "house numbers": (3, 32, 32)}
each = pytest.mark.parametrize("kind", DRAW)


@pytest.fixture(scope="module")
def numbers() -> Examples:
    return drawn.house_numbers(600, random())


@each
def test_pictures_are_uint8_with_all_ten_classes(kind):
    examples = DRAW[kind](150, random())
    assert examples.inputs.shape == (150, *SHAPES[kind])
    assert examples.inputs.dtype == np.uint8
    assert set(examples.targets) == set(range(10))


@each
def test_same_state_same_pictures_and_another_others(kind):
    first, again, other = (DRAW[kind](12, random(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert (first.inputs != other.inputs).any((1, 2, 3)).all()


def test_no_two_pictures_are_alike():
    """Also where they come from one of the 447."""
    inputs = drawn.handwritten(1000, random(), test=True).inputs
    assert len(np.unique(inputs.reshape(1000, -1), axis=0)) == 1000


def test_handwriting_is_white_on_black_and_in_the_middle():
    inputs = drawn.handwritten(200, random()).inputs[:, 0].astype(float)
    assert (inputs.max((1, 2)) > 150).all()
    border = np.ones((28, 28), bool)
    border[2:-2, 2:-2] = False
    assert inputs[:, border].mean() < 2
    assert 0.08 < (inputs > 127).mean() < 0.3
    along = np.arange(28)
    across = inputs.sum(1) @ along / inputs.sum((1, 2))
    down = inputs.sum(2) @ along / inputs.sum((1, 2))
    assert np.abs(np.stack([across, down]) - 13.5).max() < 4


def test_house_numbers_differ_in_colour_and_in_which_of_digit_and_ground_is_lighter(numbers):
    inputs = numbers.inputs[:200].astype(float)
    assert (inputs.std((1, 2, 3)) > 3).all()
    assert inputs.mean((1, 2, 3)).std() > 20
    assert (inputs.max(1) - inputs.min(1)).mean() > 10
    middle = inputs[:, :, 8:24, 8:24].mean((1, 2, 3)) > inputs.mean((1, 2, 3))
    assert 0.2 < middle.mean() < 0.8


def test_house_numbers_are_about_as_frequent_as_in_svhn(numbers):
    counts = np.bincount(numbers.targets, minlength=10)
    assert counts.argmax() == 1
    assert counts[1] > 2 * counts[[0, 9]].mean() > 0


def neighbour_error(train: Examples, test: Examples) -> float:
    """Of the nearest training picture's class, in grey, without mean and contrast, inverted or not."""

    def normalised(inputs: np.ndarray) -> np.ndarray:
        flat = inputs.mean(1).reshape(len(inputs), -1)
        flat = flat - flat.mean(1, keepdims=True)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    likeness = np.abs(normalised(test.inputs) @ normalised(train.inputs).T)
    return (train.targets[likeness.argmax(1)] != test.targets).mean()


def test_classes_can_be_told_apart_but_not_by_likeness_alone(numbers):
    """Chance is 0.9 for handwriting, 0.81 for house numbers."""
    handwriting = [drawn.handwritten(count, random(), test=count < 500) for count in (500, 200)]
    assert 0.03 < neighbour_error(*handwriting) < 0.4
    parts = [Examples(numbers.inputs[part], numbers.targets[part]) for part in (slice(400), slice(400, None))]
    assert 0.3 < neighbour_error(*parts) < 0.7
