"""Rows of training pictures under the names of their classes: as they are, and as augmentation changes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from datasets import Dataset
from search.pictures import style
from search.pictures.examples import displayed

_COLUMNS, _OF_A_CLASS = 20, 6
_GAP, _BETWEEN_CLASSES = 0.08, 0.16
_LETTERS, _LONG = 12, 28

Augmentation = tuple[Sequence[str], Mapping[str, Any], np.ndarray]
"""Model families, the settings of ``trainables.recipe`` that change pictures for them, and the pictures shown so
changed (see ``trainables.augmentation.augmented``)."""


class Labelled:
    """Training pictures of up to 20 classes, at most 20 and of one class 6, evenly spaced among those of their class.

    ``width``: of a row, in inches; all other lengths are in widths of a picture.
    """

    def __init__(self, dataset: Dataset, augmentations: Sequence[Augmentation], width: float) -> None:
        self.dataset, self.augmentations, self.width = dataset, augmentations, width
        self.groups = chosen(dataset)
        """The pictures of each class, indices of the development examples."""
        self.places: list[np.ndarray] = []
        """Where those of each class stand; one without pictures has an empty place."""
        end = 0.0
        for group in self.groups:
            self.places.append(end + (1 + _GAP) * np.arange(max(1, len(group))))
            end = self.places[-1][-1] + 1 + _GAP + _BETWEEN_CLASSES
        self.end = float(self.places[-1][-1]) + 1
        room = int(_LETTERS * width / self.end * min(map(len, self.places)))
        names = dataset.classes[: len(self.groups)]
        self.slanted = room < min(_LONG, max(map(len, names)))
        self.names = [style.shortened(name, _LONG if self.slanted else room) for name in names]

    @property
    def height(self) -> float:
        """Inches that all rows need."""
        _, height, width = self.dataset.input_shape
        names = 0.2 + (0.05 * max(map(len, self.names)) if self.slanted else 0.0)
        return names + (1 + len(self.augmentations)) * (self.width / self.end * height / width + 0.35)

    def draw(self, figure: SubFigure) -> None:
        """A row of the pictures as they are, then one for each augmentation."""
        inputs = shown(self.dataset)
        _, height, width = self.dataset.input_shape
        what = f"training pictures of {width}×{height} pixels"
        if len(self.groups) < len(self.dataset.classes):
            what += f", of the first {len(self.groups)} of {len(self.dataset.classes)} classes"
        rows = [(what, inputs)]
        for families, settings, changed in self.augmentations:
            strengths = ", ".join(_said(name, value) for name, value in settings.items())
            names = style.shortened(", ".join(families), 60)
            rows.append((f"the same as augmented for {names}: {strengths}", changed))
        panels = figure.subplots(len(rows), 1, squeeze=False).ravel()
        for axes, (heading, pictures) in zip(panels, rows, strict=True):
            axes.set_title(heading, loc="left", fontsize=10)
            self._row(axes, pictures)
        panels[0].xaxis.tick_top()
        panels[0].set_xticks([(places[0] + places[-1] + 1) / 2 for places in self.places], self.names, fontsize=9,
                             rotation=40 if self.slanted else 0, ha="left" if self.slanted else "center")  # fmt: skip

    def _row(self, axes: Axes, pictures: np.ndarray) -> None:
        height = pictures.shape[2] / pictures.shape[3]
        places = [
            place for group, places in zip(self.groups, self.places, strict=True) for place in places[: len(group)]
        ]
        for picture, left in zip(pictures, places, strict=True):
            axes.imshow(displayed(picture), cmap="gray", vmin=0, vmax=1, interpolation="nearest",
                        extent=(left, left + 1, height, 0))  # fmt: skip
            axes.add_patch(Rectangle((left, 0), 1, height, fill=False, edgecolor=style.MID_GREY, linewidth=0.5))
        axes.set(xlim=(-0.01, self.end + 0.01), ylim=(height + 0.01, -0.01), aspect="equal", xticks=[], yticks=[])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)


def shown(dataset: Dataset) -> np.ndarray:
    """Inputs of the pictures that are shown, in their order."""
    inputs: np.ndarray = dataset.development.inputs[np.concatenate(chosen(dataset))]
    return inputs


def chosen(dataset: Dataset) -> list[np.ndarray]:
    """The training examples of the first fold that stand for each class, indices of the development examples."""
    shown = min(len(dataset.classes), _COLUMNS)
    most = min(_OF_A_CLASS, _COLUMNS // shown)
    train = dataset.folds[0].train
    targets = dataset.development.targets[train]
    of_each = (train[targets == target] for target in range(shown))
    return [mine[np.linspace(0, max(0, len(mine) - 1), min(most, len(mine))).astype(int)] for mine in of_each]


def _said(name: str, value: object) -> str:
    if value is True:
        return name
    return f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
