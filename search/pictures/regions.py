"""Decision regions of the plane, over the points that were learnt from and over those of the test split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from search.pictures import style

_MARGIN = 0.04
_FEWEST, _MOST = 8, 1000
_MOST_OF, _AROUND = 0.8, 2.0
_LARGEST = 0.25
_PALE = 0.3


@dataclass(frozen=True)
class Points:
    """Points of the plane, shape (n, 2), with their classes, shape (n,)."""

    inputs: np.ndarray
    targets: np.ndarray


def grid(points: Points, side: int = 300) -> np.ndarray:
    """Where to ask for class probabilities: float32, shape (side * side or twice that, 2).

    Row by row from below, first over all points, then, where there is such a place, over the small square in which
    the classes mix: around the smallest disc with four fifths of the points whose nearest neighbour has another
    class.
    """
    low, high = points.inputs.min(0), points.inputs.max(0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-6) * (1 + _MARGIN)
    squares = [(middle, half)]
    mixed = _mixed(points)
    if mixed is not None and mixed[1] < _LARGEST * half:
        squares.append(mixed)
    steps = np.linspace(-1, 1, side)
    mesh = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return np.concatenate([centre + half * mesh for centre, half in squares]).astype(np.float32)


def _mixed(points: Points) -> tuple[np.ndarray, float] | None:
    """Centre and half the side of the square where classes mix, None where hardly any point has such a neighbour."""
    from scipy.spatial import cKDTree

    if len(points.inputs) < _FEWEST:
        return None
    _, neighbours = cKDTree(points.inputs).query(points.inputs, k=2)
    own, other = points.targets[neighbours].T
    contested = points.inputs[own != other]
    contested = contested[:: -(-len(contested) // _MOST) or 1]
    if len(contested) < _FEWEST:
        return None
    reach, _ = cKDTree(contested).query(contested, k=int(_MOST_OF * len(contested)))
    centre = int(reach[:, -1].argmin())
    return contested[centre], _AROUND * float(reach[centre, -1])


def regions(
    where: np.ndarray,
    probabilities: np.ndarray,
    train: Points,
    test: Points,
    predicted: np.ndarray,
    classes: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """What is predicted over the plane, as pale fills with lines between them; on it the train and the test points.

    ``where``: what ``grid`` gave; ``probabilities``: those there, shape (len(where), classes); ``predicted``: those of
    the test points, shape (n, classes). A point has its class's colour and marker; wrong test points are larger, with a
    black edge. Where ``where`` has a second grid, that is a second row.
    """
    side = int((where[:, 1] == where[0, 1]).argmin()) or len(where)
    rows = len(where) // side**2
    figure = style.sheet(11.0, 4.9 * rows + 0.6, title, square=True)
    panels = figure.subplots(rows, 2, squeeze=False)
    wrong = predicted.argmax(1) != test.targets
    squares = [part.reshape(side, side, 2) for part in np.split(where, rows)]
    for row, (square, chances) in enumerate(zip(squares, np.split(probabilities, rows), strict=True)):
        for axes, points, emphasised, heading in (
            (panels[row, 0], train, np.zeros(len(train.targets), bool), "development"),
            (panels[row, 1], test, wrong, "test"),
        ):
            _fill(axes, square, chances.reshape(side, side, -1))
            within = _within(points, square)
            size = float(np.clip(12000 / max(1, within.sum()), 6, 30))
            _scatter(axes, points, within & ~emphasised, size, edge="white")
            _scatter(axes, points, within & emphasised, 1.4 * size + 9, edge="black")
            text = style.count(int(within.sum()), f"{heading} point")
            if heading == "test":
                text += f", {(within & emphasised).sum()} wrong"
            axes.set_title(("enlarged: " if row else "") + text, fontsize=11)
            axes.set(xlabel="first input", ylabel="second input")
            if row == 0 and rows > 1:
                _frame(axes, squares[1])
    edge = Line2D([], [], color="white", marker="o", markeredgecolor="black", markeredgewidth=1.1, markersize=8,
                  linestyle="none", label="wrong: black edge")  # fmt: skip
    style.class_legend(panels[0, 1], classes, [edge] if wrong.any() else [])
    style.save(figure, path)


def _within(points: Points, square: np.ndarray) -> np.ndarray:
    inside: np.ndarray = ((points.inputs >= square[0, 0]) & (points.inputs <= square[-1, -1])).all(1)
    return inside


def _fill(axes: Axes, square: np.ndarray, chances: np.ndarray) -> None:
    chosen = chances.argmax(-1)
    colours = np.array([to_rgb(style.of_class(k)[0]) for k in range(chances.shape[-1])])
    step = (square[0, 1, 0] - square[0, 0, 0]) / 2
    (left, bottom), (right, top) = square[0, 0], square[-1, -1]
    extent = (left - step, right + step, bottom - step, top + step)
    axes.imshow(1 - _PALE * (1 - colours[chosen]), extent=extent, origin="lower", interpolation="nearest", zorder=0)
    present = np.unique(chosen)
    for target in present if len(present) > 1 else ():
        others = np.delete(chances, target, axis=-1).max(-1)
        axes.contour(square[0, :, 0], square[:, 0, 1], chances[..., target] - others, levels=[0.0], colors="#444444",
                     linewidths=0.7, zorder=1)  # fmt: skip


def _scatter(axes: Axes, points: Points, chosen: np.ndarray, size: float, edge: str) -> None:
    for target in np.unique(points.targets[chosen]):
        colour, marker = style.of_class(int(target))
        mine = points.inputs[chosen & (points.targets == target)]
        axes.scatter(mine[:, 0], mine[:, 1], s=size, c=colour, marker=marker, edgecolors=edge,
                     linewidths=1.0 if edge == "black" else 0.2, zorder=3 if edge == "black" else 2)  # fmt: skip


def _frame(axes: Axes, square: np.ndarray) -> None:
    corner, size = square[0, 0], square[-1, -1] - square[0, 0]
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor="black", linewidth=1.4, zorder=4))
