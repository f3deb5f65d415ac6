"""What a task learns from: some examples, also as augmentation changes them, and how many there are of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.transforms import offset_copy

from datasets import Dataset
from search.pictures import style
from search.pictures.labelled import Augmentation, Labelled

_WIDTH, _SQUARE, _COUNTS = 13.2, 6.6, 8.5
_POINTS = 3000
_SPREAD = 0.3
_NAMED, _CROWDED = 60, 20
_ROW, _NARROW, _MOST = 0.26, 0.16, 9.6


def data(dataset: Dataset, augmentations: Sequence[Augmentation], title: str, path: Path) -> None:
    """Examples with their classes, and the counts of each class in each split (of folds, the first).

    Of pictures (1 or 3 channels), training examples of up to 20 classes, evenly spaced among those of their class, and
    below them the same ones changed by each of ``augmentations``. Of points, up to 3,000 development points coloured
    and marked by class: as they are in the plane, in a strip where there is one feature, else in the plane of the first
    two principal components of the standardised features.
    """
    counts = min(_MOST, max(1.2, _row(dataset.classes) * len(dataset.classes)))
    kind = len(dataset.input_shape)
    if shows_pictures(dataset):
        labelled = Labelled(dataset, augmentations, _WIDTH)
        figure = style.sheet(_WIDTH, labelled.height + counts + 1.3, title)
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[labelled.height, counts + 0.8]).ravel()
        labelled.draw(upper)
        _counts(lower, dataset, marked=False)
    elif kind == 1:
        figure = style.sheet(_SQUARE + _COUNTS, max(6.2, counts + 1.6), title)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[_SQUARE, _COUNTS]).ravel()
        _points(left.subplots(), dataset)
        _counts(right, dataset, marked=True)
    else:
        figure = style.sheet(_COUNTS, counts + 1.6, title)
        _counts(figure, dataset, marked=False)
    style.save(figure, path)


def shows_pictures(dataset: Dataset) -> bool:
    """Whether its examples are grey or coloured pictures."""
    return len(dataset.input_shape) == 3 and dataset.input_shape[0] in (1, 3)


def _row(classes: Sequence[str]) -> float:
    """Inches a class."""
    return min(_NARROW if len(classes) > _CROWDED else _ROW, _MOST / len(classes))


def _points(axes: Axes, dataset: Dataset) -> None:
    development = dataset.development
    inputs, targets = development.inputs, development.targets
    heading = style.count(len(targets), "development point")
    if len(targets) > _POINTS:
        sample = np.random.default_rng(0).choice(len(targets), _POINTS, replace=False)
        inputs, targets = inputs[sample], targets[sample]
        heading = f"{_POINTS:,} of {len(development):,} development points, drawn at random"
    axes.set_title(heading, fontsize=11)
    features = inputs.shape[1]
    if features == 1:
        scatter = np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(targets))
        inputs = np.stack([inputs[:, 0], targets + scatter], axis=1)
        axes.set_xlabel("the input")
        _class_axis(axes, dataset.classes)
    elif features == 2:
        axes.set(xlabel="first input", ylabel="second input")
    else:
        inputs, shares = principal(inputs)
        of = f"of {features} standardised inputs"
        axes.set_xlabel(f"first principal component {of} ({100 * shares[0]:.0f} % of the variance)")
        axes.set_ylabel(f"second principal component ({100 * shares[1]:.0f} % of the variance)")
    style.tidy(axes)
    size = float(np.clip(12000 / len(targets), 6, 30))
    for target in np.unique(targets):
        colour, marker = style.of_class(int(target))
        mine = inputs[targets == target]
        axes.scatter(mine[:, 0], mine[:, 1], s=size, c=colour, marker=marker, edgecolors="white", linewidths=0.2,
                     zorder=2)  # fmt: skip


def principal(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components of the standardised inputs, shape (n, 2), and their shares of the variance."""
    from sklearn.decomposition import PCA

    values = inputs.astype(np.float64)
    values = values[:, np.ptp(values, axis=0) > 0]
    if not values.size:
        return np.zeros((len(inputs), 2)), np.zeros(2)
    standardised = (values - values.mean(0)) / values.std(0)
    components = PCA(2, random_state=0)
    places: np.ndarray = components.fit_transform(np.pad(standardised, ((0, 0), (0, 1))))
    return places, components.explained_variance_ratio_


def _counts(figure: FigureBase, dataset: Dataset, *, marked: bool) -> None:
    """``marked``: with the classes' colours and markers, so that they are the legend of points beside them."""
    classes, fold = dataset.classes, dataset.folds[0]
    targets = dataset.development.targets
    of = f"\nof the first of {len(dataset.folds)} folds" if len(dataset.folds) > 1 else ""
    splits = [("training", targets[fold.train], of), ("validation", targets[fold.val], of)]
    if dataset.test:
        splits.append(("test", dataset.test.targets, ""))
    panels = figure.subplots(1, len(splits), sharey=True)
    points = 72 * _row(classes)
    for axes, (name, labels, more) in zip(panels, splits, strict=True):
        counts = np.bincount(labels, minlength=len(classes))
        colours = [style.of_class(k)[0] for k in range(len(classes))] if marked else style.BLUE
        axes.barh(range(len(classes)), counts, height=0.7, color=colours)
        if len(classes) <= _NAMED:
            for place, count in enumerate(counts.tolist()):
                axes.annotate(f"{count:,}", (count, place), (3, 0), textcoords="offset points", va="center",
                              fontsize=min(8.5, 0.62 * points))  # fmt: skip
        axes.set_title(f"{style.count(len(labels), f'{name} example')}{more}", fontsize=10)
        axes.set_xlim(0, 1.22 * max(1, counts.max()))
        axes.locator_params(axis="x", nbins=3, integer=True)
        style.tidy(axes)
        axes.grid(visible=False, axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    _class_axis(panels[0], classes)
    if marked:
        panels[0].tick_params(axis="y", pad=16)
        beside = offset_copy(panels[0].get_yaxis_transform(), panels[0].figure, x=-9, units="points")
        for place in _named(classes):
            colour, marker = style.of_class(place)
            panels[0].plot([0], [place], marker, color=colour, markersize=min(7, max(4, 0.6 * points)), clip_on=False,
                           transform=beside)  # fmt: skip


def _class_axis(axes: Axes, classes: Sequence[str]) -> None:
    """A row a class from above."""
    named = _named(classes)
    names = [style.shortened(classes[place], 30) for place in named]
    axes.set_yticks(named, names, fontsize=7 if len(classes) > _CROWDED else 9)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _named(classes: Sequence[str]) -> range:
    """The places of evenly spaced classes, at most 60."""
    return range(0, len(classes), -(-len(classes) // _NAMED))
