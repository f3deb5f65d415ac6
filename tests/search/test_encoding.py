"""Points as numbers."""

import numpy as np
import pytest

from search.encoding import Encoding
from search.space import Choice, Fixed, Node, Range, Space
from search.thompson import drawn

RANGE, LOG = Range(10, 30), Range(1e-4, 1e-2, log=True)
WIDTHS = Choice(([8], [16, 8], [32]), {})


@pytest.mark.parametrize(
    ("node", "parameter", "numbers"),
    [
        (RANGE, 10.0, [0.0]),
        (RANGE, 25.0, [0.75]),
        (LOG, 1e-3, [0.5]),
        (LOG, 1e-2, [1.0]),
        (Range(1, 256, log=True, integer=True), 16, [0.5]),
        (Range(0, 8, step=2, integer=True), 2, [0.25]),
        (Range(3, 3, integer=True), 3, [0.5]),
        (Range(0.1, 0.1, log=True), 0.1, [0.5]),
        (Choice((64, 16, 32), {}), 32, [0.5]),
        (Choice((64, 16, 32), {}), 64, [1.0]),
        (Choice((0.5, 0, 3.0, 1), {}), 1, [2 / 3]),
        (Choice((True, False), {}), True, [1.0]),
        (Choice(("adam", "sgd"), {}), "adam", [0.0]),
        (Choice((None, 0.5), {}), None, [0.0]),
        (Choice((None, 1, True), {}), None, [1.0, 0.0, 0.0]),
        (Choice(("a", "b", "c"), {}), "b", [0.0, 1.0, 0.0]),
        (WIDTHS, "[16,8]", [0.0, 1.0, 0.0]),
        (Choice(([8], [16]), {}), "[16]", [1.0]),
        (Choice(("adam",), {}), None, []),
        (Fixed(0.1), None, []),
    ],
)
def test_a_setting_is_numbers_from_0_to_1(node: Node, parameter, numbers) -> None:
    assert Encoding({"x": node})({"x": parameter}) == pytest.approx(numbers)


TREE: Space = {
    "model": Choice(("mlp", "cnn"), {"mlp": {"widths": WIDTHS}, "cnn": {"dropout": RANGE}}),
    "optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"lr": LOG, "momentum": Choice((0.5, 0.9), {})}}),
    "lr": LOG,
    "batch_size": Fixed(64),
}


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"model": "mlp", "mlp.widths": "[8]", "optimizer": "adam", "lr": 1e-2}, [0, 1, 0, 0, 0.5, 0, 0.5, 0.5, 1]),
        ({"model": "cnn", "cnn.dropout": 30, "optimizer": "sgd", "sgd.lr": 1e-4, "sgd.momentum": 0.9},
         [1, 0.5, 0.5, 0.5, 1, 1, 0, 1, 0.5]),
    ],
)  # fmt: skip
def test_what_a_point_does_not_have_is_in_the_middle(parameters, numbers) -> None:
    assert Encoding(TREE)(parameters) == pytest.approx(numbers)


def test_every_point_that_is_drawn_has_numbers_from_0_to_1() -> None:
    random, encoded = np.random.default_rng(0), Encoding(TREE)
    numbers = np.array([encoded(drawn(TREE, random)) for _ in range(200)])
    assert numbers.shape == (200, 9)
    assert ((numbers >= 0) & (numbers <= 1)).all()
    assert (numbers.max(0) > numbers.min(0)).all()
