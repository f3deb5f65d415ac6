"""Test pictures with what they are and what the winner takes them for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.pictures import style

_SHOWN = 20
_COLUMNS = 5
_SHORT = 8
_BYTE = 255
_RIGHT, _WRONG = (style.GREEN, "✓"), (style.VERMILION, "✗")


def examples(
    inputs: np.ndarray,
    targets: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """The first 20 pictures at most, each with its class, and the predicted one with its probability.

    ``inputs``: shape (n, 1 or 3, height, width), uint8 or floats of 0 to 1; ``targets``: shape (n,); ``probabilities``:
    shape (n, classes). Right is a tick in green, wrong a cross in vermilion.
    """
    count = min(len(inputs), _SHOWN)
    columns = min(count, _COLUMNS)
    figure = style.sheet(max(6.0, 1.75 * columns), 2.1 * -(-count // columns) + 0.6, title)
    panels = figure.subplots(-(-count // columns), columns, squeeze=False).ravel()
    break_ = "\n" if max(map(len, classes)) > _SHORT else ", "
    for axes in panels[count:]:
        axes.set_axis_off()
    for axes, picture, target, probability in zip(panels, inputs[:count], targets, probabilities, strict=False):
        predicted = int(probability.argmax())
        colour, sign = _RIGHT if predicted == target else _WRONG
        axes.imshow(displayed(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=colour, linewidth=2.5)
        axes.set_title(f"true: {style.shortened(classes[int(target)], 14)}", fontsize=9, pad=4)
        name = style.shortened(classes[predicted], 14)
        said = f"{sign} {name}{break_}{_percent(float(probability[predicted]))}"
        axes.set_xlabel(said, fontsize=9, color=colour, fontweight="bold", labelpad=4)
    style.save(figure, path)


def displayed(picture: np.ndarray) -> np.ndarray:
    """A picture (1 or 3, height, width) as floats of 0 to 1, shape (height, width) or (height, width, 3)."""
    scaled = picture / _BYTE if picture.dtype == np.uint8 else picture.astype(np.float64)
    return np.clip(scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0), 0, 1)


def _percent(share: float) -> str:
    """Never rounded up to certainty."""
    return f"{np.floor(1000 * share) / 10:.1f} %"
