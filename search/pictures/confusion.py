"""The winner's confusions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from search.pictures import style

_NUMBERED = 30
_TICKS = 50
_GAMMA = 0.5
_DARK = 0.3


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str, path: Path) -> None:
    """Counts by true class, the rows, and predicted class, the columns; beside them the same in % of the true class.

    Both shaded by the share of the true class, the small ones darker than in proportion.
    Numbers are written for at most 30 classes.
    """
    counts = np.asarray(matrix)
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    side = float(np.clip(0.36 * len(classes), 3.6, 10.8 if len(classes) <= _NUMBERED else 9.0))
    names = [style.shortened(name, 18) for name in classes]
    beside = 0.085 * max(map(len, names))
    figure = style.sheet(2 * side + beside + 2.6, side + beside + 1.5, title, square=True)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, heading, numbers in (
        (left, "counts", [[str(count) for count in row] for row in counts]),
        (right, "% of the true class", [[_percent(share) for share in row] for row in shares]),
    ):
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(_GAMMA, 0, 1))
        if len(classes) <= _NUMBERED:
            _write(axes, shares, counts, numbers, 72 * side / len(classes))
        step = -(-len(classes) // _TICKS)
        ticks = range(0, len(classes), step)
        upright = max(map(len, names)) > 2
        axes.set_xticks(ticks, names[::step], rotation=90 if upright else 0)
        axes.set_yticks(ticks, names[::step])
        axes.tick_params(length=0, labelsize=7 if len(classes) > _NUMBERED else 9)
        axes.set_title(heading, fontsize=11)
        axes.set_xlabel("predicted class")
    left.set_ylabel("true class")
    bar = figure.colorbar(image, ax=[left, right], label="share of the true class (%)", shrink=0.9, pad=0.02)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    style.save(figure, path)


def _percent(share: float) -> str:
    """In %, with a decimal where that is short."""
    return f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"


def _write(axes: Axes, shares: np.ndarray, counts: np.ndarray, numbers: Sequence[Sequence[str]], cell: float) -> None:
    """``cell``: its side in points."""
    longest = max(len(number) for row in numbers for number in row)
    size = min(10.0, 1.2 * cell / longest)
    for row, column in np.argwhere(counts):
        axes.text(column, row, numbers[row][column], ha="center", va="center", fontsize=size,
                  color="white" if shares[row, column] > _DARK else "black")  # fmt: skip
