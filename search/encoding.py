"""Points of a space as numbers from 0 to 1, for models of what happens there."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from search.space import Choice, Config, Node, Range, Space, label, nodes, searched

_Column = Callable[[Any], float]


class Encoding:
    """A number or more for each setting that is searched; 0.5 where a point does not have it.

    A range is from 0 to 1 on the scale that it is searched on. The values of a choice are spread evenly where they are
    numbers or only two; else there is a number for each of them, 1 where it is the one.
    """

    def __init__(self, space: Space) -> None:
        keys = searched(space)
        self._columns = [(key, column) for key, node in nodes(space) if key in keys for column in _columns(node)]

    def __call__(self, parameters: Config) -> list[float]:
        """The numbers of a point, given by its Optuna parameters."""
        return [column(parameters[key]) if key in parameters else 0.5 for key, column in self._columns]


def _columns(node: Node) -> list[_Column]:
    if isinstance(node, Range):
        return [partial(_scaled, node)]
    assert isinstance(node, Choice)
    labels: list[Any] = [label(value) for value in node.values]
    numbers = all(isinstance(value, int | float) for value in labels)
    if numbers or len(labels) == 2:
        order = sorted(labels) if numbers else labels
        return [{value: place / (len(order) - 1) for place, value in enumerate(order)}.__getitem__]
    return [{value: float(value == one) for value in labels}.__getitem__ for one in labels]


def _scaled(node: Range, value: float) -> float:
    if node.low == node.high:
        return 0.5
    if node.log:
        return math.log(value / node.low) / math.log(node.high / node.low)
    return (value - node.low) / (node.high - node.low)
