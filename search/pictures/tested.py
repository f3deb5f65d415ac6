"""How what was tested had learnt: training against validation."""

import math
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search.history import History, TrialResult
from search.pictures import style
from search.pictures.curves import value_scale

_SHOWN = 8
_OUTLYING = 3.0
_NAMES = {
    "winner": "winner",
    "seed": "winner, another seed",
    "family": "best of its family",
    "again": "trained again",
    None: "also tested",
}
_ORDER = {"winner": 0, "family": 1, "reference": 2, "seed": 3, None: 4, "again": 5}
_KINDS = (("loss", 1, "loss (nats per example)"), ("error", 100, "error (%)"))
_REFERENCE_GROUND = "#F2F2F2"


def columns(history: History) -> list[tuple[TrialResult, dict[str, Any]]]:
    """The tested trials, each once, with what its first test says: winner, families' best, references, the others."""
    first = {test["trial"]: test for test in reversed(history.tests)}
    ordered = sorted(first.values(), key=lambda test: (_ORDER[test["chosen"]], history.tests.index(test)))
    return [(history.trials[test["trial"]], test) for test in ordered]


def tested_curves(history: History, path: Path) -> None:
    """A column for each of at most 8 tested checkpoints: above losses, below errors, of training and validation.

    References have a grey ground; a line marks the epoch that was tested, with folds the mean of theirs.
    A value of more than three times the usual first one is drawn at the upper edge.
    """
    every = columns(history)
    shown = every[:_SHOWN]
    many = f"{len(shown)} of {len(every)}" if len(every) > len(shown) else str(len(every))
    title = f"{history.search['name']}: learning curves of {many} tested checkpoint{'' if len(every) == 1 else 's'}"
    figure = style.sheet(max(6.0, 2.1 * len(shown) + 1.4), 5.6, title)
    panels = figure.subplots(2, max(1, len(shown)), sharex="col", sharey="row", squeeze=False)
    for row, (kind, unit, label) in enumerate(_KINDS):
        top = _OUTLYING * median([unit * trial.curve[0][f"val_{kind}"] for trial, _ in shown] or [0]) or math.inf
        panels[row, 0].set_ylabel(label)
        values: list[float] = []
        for axes, (trial, test) in zip(panels[row], shown, strict=False):
            values += _panel(axes, trial, kind, unit, top)
            if test["chosen"] == "reference":
                axes.set_facecolor(_REFERENCE_GROUND)
        if shown:
            value_scale(panels[row, 0], values)
    for column, (trial, test) in enumerate(shown):
        panels[0, column].set_title(_heading(trial, test), fontsize=10)
        panels[1, column].set_xlabel("epoch")
    if not shown:
        for axes in panels[:, 0]:
            style.nothing(axes, "nothing was tested")
    else:
        figure.legend(handles=_legend(), loc="outside lower center", ncols=3, frameon=False)
    style.save(figure, path)


def _panel(axes: Axes, trial: TrialResult, kind: str, unit: float, top: float) -> list[float]:
    """Draws one trial's two curves, cut off at ``top``, and returns their values."""
    epochs = [epoch["index"] for epoch in trial.curve]
    curves = [[min(top, unit * epoch[f"{part}_{kind}"]) for epoch in trial.curve] for part in ("train", "val")]
    style.tidy(axes)
    dot = "o" if len(epochs) == 1 else ""
    axes.plot(epochs, curves[0], color=style.ORANGE, linestyle=style.DASHES[1], linewidth=1.6, marker=dot)
    axes.plot(epochs, curves[1], color=style.BLUE, linewidth=1.6, marker=dot)
    best = trial.checkpoint_best or trial.best
    if best:
        axes.axvline(best["index"], color=style.GREY, linestyle=":", linewidth=1.2, zorder=1)
        axes.plot([best["index"]], [unit * best[f"val_{kind}"]], "*", color=style.BLUE, markersize=12,
                  markeredgecolor="black", zorder=5, clip_on=False)  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    return curves[0] + curves[1]


def _heading(trial: TrialResult, test: dict[str, Any]) -> str:
    name = _NAMES.get(test["chosen"]) or style.shortened(f"reference {test['origin']}", 24)
    return f"{name}\n{style.shortened(trial.model, 14)}, trial {trial.id}"


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=style.ORANGE, linestyle=style.DASHES[1], label="training, as it went"),
        Line2D([], [], color=style.BLUE, label="validation"),
        Line2D([], [], color=style.BLUE, linestyle="none", marker="*", markersize=12, markeredgecolor="black",
               label="best epoch, the one tested"),
    ]  # fmt: skip
