"""The values that trials had, against single settings, and in the plane of two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from search.history import TrialResult
from search.pictures import style
from search.pictures.curves import AXES, value_scale
from search.report import drawn
from search.report.document import Block, Chart
from search.report.material import Material
from search.report.wording import NAMES, count, figure, setting
from search.space import Range, Space, label, nodes
from trainables.epoch import metric_at

_SLICES = 4
_INTERPOLATED = 20
"""Trials from which the plane between them is shaded, too."""
_GRID, _KERNEL, _FAR = 70, 0.11, 0.15
"""Places along a side, the kernel's width as a share of it, and the weight below which nothing is near."""
_PIXELS = 200
"""Points of a panel from which they are pixels: the page stays small."""
_OUTLYING = 0.95
_TO_THEIR_END = ("completed", "converged")
_LONGEST = 14


@dataclass(frozen=True)
class Point:
    """A trial with its settings by their plain names (an alternative's own goes before the shared one)."""

    trial: TrialResult
    settings: Mapping[str, Any]
    cost: float


def points(material: Material, family: str) -> list[Point]:
    """A family's trials with a value."""
    found = []
    for trial in material.searched:
        value = trial.cost(material.metric)
        if trial.model == family and value is not None:
            found.append(Point(trial, plain(trial.config), value))
    return found


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the last part of their names."""
    shared = {name: value for name, value in config.items() if "." not in name}
    return shared | {name.rpartition(".")[2]: value for name, value in config.items() if "." in name}


def blocks(material: Material, space: Space, order: Mapping[str, Sequence[str]]) -> list[Block]:
    """A picture of slices a family, and of the winning one the plane of its two most important settings."""
    logs = {name.rpartition(".")[2] for name, node in nodes(space) if isinstance(node, Range) and node.log}
    found: list[Block] = []
    for family, names in order.items():
        trials = points(material, family)
        found.append(_slices(material, family, trials, names[:_SLICES], logs))
    family = material.winning.model if material.winning else ""
    if len(order.get(family, ())) > 1:
        found.append(_plane(material, family, points(material, family), order[family][:2], logs))
    return found


@dataclass(frozen=True)
class Scale:
    """Where a setting's values lie on an axis."""

    name: str
    places: np.ndarray
    log: bool
    labels: Sequence[str]
    """Of values that are no numbers, one each; else none."""

    def dress(self, axes: Axes, which: str) -> None:
        """Ticks and name."""
        axes.set(**{f"{which}label": style.shortened(self.name, 30)})
        if self.labels:
            names = [style.shortened(name, _LONGEST) for name in self.labels]
            axes.set(**{f"{which}ticks": range(len(names)), f"{which}ticklabels": names,
                        f"{which}lim": (-0.6, len(names) - 0.4)})  # fmt: skip
            if which == "x" and sum(map(len, names)) > _LONGEST:
                axes.set_xticklabels(names, rotation=25, ha="right", rotation_mode="anchor")
        elif self.log:
            style.log_scale(axes, which)


def scaled(name: str, values: Sequence[Any], logs: set[str]) -> Scale:
    """Numbers as they are; choices one beside the other, each trial a little aside."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and len(set(values)) > 3:
        return Scale(name, np.array(values, float), name in logs and min(values) > 0, ())
    kinds = {label(value): value for value in sorted(values, key=lambda value: (str(type(value)), value))}
    order = list(kinds)
    aside = np.random.default_rng(0).uniform(-0.22, 0.22, len(values))
    places = np.array([order.index(label(value)) for value in values]) + aside
    return Scale(name, places, False, [setting(value) for value in kinds.values()])


def _slices(material: Material, family: str, trials: Sequence[Point], names: Sequence[str], logs: set[str]) -> Chart:
    metric = material.metric
    text, unit = AXES[metric]
    values = np.array([unit * point.cost for point in trials])
    top = _upper(values)

    def draw(paper: drawn.Paper) -> None:
        columns = 1 if paper.narrow else 2
        panels = paper.figure.subplots(-(-len(names) // columns), columns, squeeze=False, sharey=True)
        for axes in panels.ravel()[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(panels.ravel(), names, strict=False):
            scale = scaled(name, [point.settings[name] for point in trials], logs)
            style.tidy(axes)
            for ended, look in (
                (False, {"markerfacecolor": "white", "color": style.GREY}),
                (True, {"color": style.BLUE}),
            ):
                own = np.array([(point.trial.state in _TO_THEIR_END) is ended for point in trials])
                axes.plot(scale.places[own], np.minimum(top, values[own]), "o", markersize=4.5, linestyle="none",
                          clip_on=False, zorder=3 + ended, rasterized=len(trials) > _PIXELS, **look)  # fmt: skip
            for place, point in enumerate(trials):
                if point.trial is material.winning:
                    axes.plot(scale.places[place], values[place], "*", color=style.YELLOW, markeredgecolor="black",
                              markersize=13, zorder=6, clip_on=False)  # fmt: skip
            scale.dress(axes, "x")
        value_scale(panels[0, 0], list(np.minimum(top, values)))
        for axes in panels[:, 0]:
            axes.set_ylabel(text.partition(" (")[0])
        drawn.key(paper, [
            drawn.mark("o", style.BLUE, "came to its end"),
            drawn.mark("o", style.GREY, "stopped, or broke", markerfacecolor="white"),
            *([drawn.mark("*", style.YELLOW, "the winning one" if material.winner else "the best so far",
                          markeredgecolor="black", markersize=11)]
              if any(point.trial is material.winning for point in trials) else []),
        ])  # fmt: skip

    rows = -(-len(names) // 2)
    wide, narrow = drawn.drawn(draw, 0.5 + 2.1 * rows, 0.8 + 2.0 * len(names))
    said = " ".join(_best_at(trials, name) for name in names)
    alt = f"Best {NAMES[metric]} of {count(len(trials), 'trial')} of {family} against {', '.join(names)}. {said}"
    caption = f"{family}: the best {NAMES[metric]} of each trial against the settings that matter most."
    return Chart(wide, narrow, alt, caption)


def _upper(values: np.ndarray) -> float:
    """Above it, values are drawn at the edge: they would press the others together."""
    finite = values[np.isfinite(values)]
    return float(max(np.quantile(finite, _OUTLYING), 3 * np.median(finite))) if len(finite) else 1.0


def _best_at(trials: Sequence[Point], name: str) -> str:
    """Where the best quarter lies."""
    order = sorted(trials, key=lambda point: point.cost)
    best = [point.settings[name] for point in order[: max(3, len(order) // 4)]]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in best):
        return f"The best quarter has {name} from {setting(min(best))} to {setting(max(best))}."
    kinds: dict[str, int] = {}
    for value in best:
        kinds[setting(value)] = kinds.get(setting(value), 0) + 1
    most = max(kinds, key=kinds.__getitem__)
    return f"Of the best quarter, {kinds[most]} of {len(best)} have {name} {most}."


def _plane(material: Material, family: str, trials: Sequence[Point], names: Sequence[str], logs: set[str]) -> Chart:
    metric = material.metric
    text, unit = AXES[metric]
    first, second = (scaled(name, [point.settings[name] for point in trials], logs) for name in names)
    values = np.array([unit * point.cost for point in trials])
    shown = np.minimum(values, _upper(values))
    log = bool(len(shown)) and shown.min() > 0
    shaded = len(trials) >= _INTERPOLATED and not first.labels and not second.labels
    best = min(trials, key=lambda point: point.cost)

    def draw(paper: drawn.Paper) -> None:
        axes = paper.figure.subplots()
        style.tidy(axes)
        colours = np.log10(shown) if log else shown
        if shaded:
            _shade(axes, first, second, colours)
        points_ = axes.scatter(first.places, second.places, c=colours, cmap="viridis_r", s=42, edgecolors="black",
                               linewidths=0.7, zorder=3, clip_on=False, rasterized=len(trials) > _PIXELS)  # fmt: skip
        place = trials.index(best)
        axes.plot(first.places[place], second.places[place], "*", color=style.YELLOW, markeredgecolor="black",
                  markersize=15, zorder=5, clip_on=False)  # fmt: skip
        first.dress(axes, "x")
        second.dress(axes, "y")
        bar = paper.figure.colorbar(points_, ax=axes, label=text, pad=0.02,
                                    location="bottom" if paper.narrow else "right")  # fmt: skip
        ticks = np.linspace(colours.min(), colours.max(), 5).tolist()
        bar.set_ticks(ticks, labels=[f"{10**tick if log else tick:.2g}" for tick in ticks])

    wide, narrow = drawn.drawn(draw, 4.0, 4.4)
    where = " and ".join(f"{name} {setting(best.settings[name])}" for name in names)
    value = figure(metric_at(best.cost, metric), metric)
    alt = (
        f"Best {NAMES[metric]} of {count(len(trials), 'trial')} of {family} in the plane of {' and '.join(names)}, "
        f"dark is bad. The best, {value}, is at {where}."
    )
    between = "The shade between them is a mean of those near" if shaded else "Nothing is interpolated"
    caption = (
        f"{family}: the two settings that matter most, each trial coloured by its best {NAMES[metric]}; the star is "
        f"the best. {between}: these are {count(len(trials), 'point')}, and other settings differ among them, too."
    )
    return Chart(wide, narrow, alt, caption)


def _shade(axes: Axes, first: Scale, second: Scale, colours: np.ndarray) -> None:
    """The mean of the trials near each place, weighed by a normal kernel (Nadaraya, 1964; Watson, 1964); far from all
    of them nothing.
    """
    spans, grids = [], []
    for scale in (first, second):
        places = np.log(scale.places) if scale.log else scale.places
        span = np.ptp(places) or 1.0
        spans.append((places - places.min()) / span)
        grid = np.linspace(-0.03, 1.03, _GRID)
        grids.append(np.exp(grid * span + places.min()) if scale.log else grid * span + places.min())
    unit = np.linspace(-0.03, 1.03, _GRID)
    across, up = ((unit[:, None] - places) ** 2 for places in spans)
    weights = np.exp(-(up[:, None] + across[None]) / (2 * _KERNEL**2))
    total = weights.sum(-1)
    mean = np.where(total > _FAR, (weights * colours).sum(-1) / np.maximum(total, _FAR), np.nan)
    levels = np.linspace(colours.min(), max(colours.max(), colours.min() + 1e-9), 13)
    axes.contourf(*grids, mean, levels=levels, cmap="viridis_r", alpha=0.5)
    axes.contour(*grids, mean, levels=levels, colors="white", linewidths=0.6)
