"""Figures over the repeats of a measurement, and tables of them."""

import argparse
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple


class Figure(NamedTuple):
    """Over the repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        """Of one value a repeat."""
        values = list(values)
        return cls(median(values), min(values), max(values))

    def text(self, digits: int, scale: float = 1) -> str:
        """The median, with the range where the values differ."""
        middle, low, high = (f"{scale * value:.{digits}f}" for value in self)
        return middle if low == high else f"{middle} ({low} to {high})"


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """The table; its first ``names`` columns are names, the others are figures."""
    cells = [list(heading), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    rules = ("-" * (width + 2) if column < names else "-" * (width + 1) + ":" for column, width in enumerate(widths))
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]])


def natural(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value
