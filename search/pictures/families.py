"""The model families side by side: errors, sizes, times."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from search.history import History, TrialResult
from search.pictures import style
from search.selection import best_so_far as leader

_ROW = 0.62
_PALE = 0.3


@dataclass(frozen=True)
class Family:
    """A family's trials and the one of them that stands for it."""

    name: str
    trials: list[TrialResult]
    """Those with an epoch."""
    chosen: TrialResult
    """The one tested as the winner or as the family's best; where none was, the one that leads."""
    test: dict[str, Any] | None
    """Its figures on the test split."""

    @property
    def validation_error(self) -> float:
        """Of the chosen one, a share."""
        best = self.chosen.checkpoint_best or self.chosen.best
        assert best is not None
        return float(best["val_error"])

    @property
    def seconds(self) -> list[float]:
        """An epoch's, of each trial."""
        return [trial.seconds / len(trial.curve) for trial in self.trials]


def rows(history: History) -> list[Family]:
    """The families with an epoch, the least validation error first."""
    tests = {
        test["model"]: test for test in reversed(history.tests) if test["chosen"] in ("winner", "family")
    }  # of the first opening
    trials = [trial for trial in history.searched() if trial.curve]
    found = []
    for name in {trial.model for trial in trials}:
        own = [trial for trial in trials if trial.model == name]
        test = tests.get(name)
        chosen = history.trials[test["trial"]] if test else leader(own, history.metric)
        assert chosen is not None
        found.append(Family(name, own, chosen, test))
    return sorted(found, key=lambda family: (family.validation_error, family.name))


def families(history: History, path: Path) -> None:
    """A row a family: errors (%), trainable parameters and seconds an epoch of all its trials and of the chosen one."""
    found = rows(history)
    title = f"{history.search['name']}: {style.count(len(found), 'model famil', 'y', 'ies')}"
    figure = style.sheet(11.5, 1.9 + _ROW * max(1, len(found)), title)
    error, size, time = figure.subplots(1, 3, sharey=True, width_ratios=[2.0, 1.2, 1.2])
    for axes, label in ((error, "error (%)"), (size, "trainable parameters"), (time, "seconds per epoch")):
        axes.set_xlabel(label)
        style.tidy(axes)
    for place, family in enumerate(found):
        _errors(error, place, family)
        _strip(size, place, [trial.parameters for trial in family.trials if trial.parameters],
               family.chosen.parameters, style.BLUE, "o")  # fmt: skip
        _strip(time, place, family.seconds, median(family.seconds), style.BLACK, "|")
    if found:
        for axes in (error, size, time):
            _scale(axes)
        error.set_yticks(range(len(found)), [style.shortened(family.name, 24) for family in found])
        error.set_ylim(len(found) - 0.4, -0.6)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=4, frameon=False)
    else:
        style.nothing(error, "no epoch was reported")
    style.save(figure, path)


def _errors(axes: Axes, place: int, family: Family) -> None:
    every = [100 * trial.best["val_error"] for trial in family.trials if trial.best]
    _strip(axes, place - 0.14, every, 100 * family.validation_error, style.BLUE, "o")
    if family.test:
        low, high = (100 * end for end in family.test["interval"])
        axes.plot([low, high], [place + 0.2] * 2, color=style.VERMILION, linewidth=2, zorder=3)
        axes.plot([100 * family.test["error"]], [place + 0.2], "s", color=style.VERMILION, markersize=8, zorder=4,
                  clip_on=False)  # fmt: skip


def _strip(axes: Axes, place: float, every: Sequence[float], chosen: float | None, colour: str, mark: str) -> None:
    axes.plot(every, [place] * len(every), "o", color=style.GREY, alpha=_PALE, markersize=5, markeredgewidth=0,
              clip_on=False)  # fmt: skip
    if chosen is not None:
        thick = {"markersize": 16, "markeredgewidth": 2.5} if mark == "|" else {"markersize": 8}
        axes.plot([chosen], [place], mark, color=colour, zorder=4, clip_on=False, **thick)


def _scale(axes: Axes) -> None:
    values = [float(value) for line in axes.lines for value in np.asarray(line.get_xdata())]
    positive = [value for value in values if value > 0]
    if positive and len(positive) == len(values):
        style.log_scale(axes, "x")
    elif positive:
        style.log_scale_from_zero(axes, "x", min(positive))


def _legend() -> list[Line2D]:
    def mark(marker: str, colour: str, label: str, **more: Any) -> Line2D:
        return Line2D([], [], marker=marker, color=colour, label=label, **{"linestyle": "none", **more})

    return [
        mark("o", style.BLUE, "chosen trial (error: validation)", markersize=8),
        mark("s", style.VERMILION, "chosen trial, test, 95 % interval", markersize=8, linestyle="-", linewidth=2),
        mark("|", style.BLACK, "median", markersize=14, markeredgewidth=2.5),
        mark("o", style.GREY, "all trials (error: validation)", alpha=_PALE, markersize=5),
    ]
