"""All learning curves of a search, by fate."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search.history import History, TrialResult
from search.pictures import style
from trainables.epoch import cost

FATES = {  # colour, mark at the curve's end; the later ones are drawn over the earlier ones
    "pruned": (style.MID_GREY, "|"),
    "paused": (style.GREY, "|"),
    "failed": (style.BLACK, "X"),
    "oom": (style.PURPLE, "P"),
    "cancelled": (style.ORANGE, "D"),
    "diverged": (style.VERMILION, "x"),
    "running": (style.SKY, ">"),
    "completed": (style.GREEN, "o"),
    "converged": (style.BLUE, "s"),
}
AXES = {
    "val_loss": ("validation loss (nats per example)", 1),
    "val_error": ("validation error (%)", 100),
    "val_f1": ("1 − validation F1 (%)", 100),
}
"""What a metric's axis says, and what its costs (see ``trainables.epoch.cost``) are multiplied with."""
_OUTLYING = 3.0
_MANY = 40


def curves(history: History, metric: str, milestones: Sequence[int], winner: int | None, path: Path) -> None:
    """Each trial's validation curve, coloured and marked by how it ended; the winner thicker, the rungs dotted.

    ``metric``: as in the task; of a score, what it lacks to 1 is drawn. Trials beside the search are left out. A value
    of more than three times the usual first one is drawn at the upper edge.
    """
    label, unit = AXES[metric]
    trials = history.searched()
    figure = style.sheet(9, 5.6, f"{history.search['name']}: learning curves of {style.count(len(trials), 'trial')}")
    axes = figure.subplots()
    axes.set(xlabel="epoch", ylabel=label)
    style.tidy(axes)
    drawn = [trial for trial in trials if trial.curve]
    if drawn:
        top = _OUTLYING * median(unit * cost(trial.curve[0], metric) for trial in drawn) or math.inf
        for trial in sorted(drawn, key=lambda trial: (trial.id == winner, list(FATES).index(trial.state))):
            _curve(axes, trial, metric, unit, top, crowded=len(drawn) > _MANY, wins=trial.id == winner)
        value_scale(axes, [min(top, unit * cost(epoch, metric)) for trial in drawn for epoch in trial.curve])
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    else:
        value_scale(axes, [])
    for milestone in milestones:
        axes.axvline(milestone, color=style.GREY, linestyle=":", linewidth=1, zorder=1)
    handles = _legend(history, trials, winner)
    if milestones:
        handles.append(Line2D([], [], color=style.GREY, linestyle=":", linewidth=1, label="rungs"))
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    style.save(figure, path)


def _curve(axes: Axes, trial: TrialResult, metric: str, unit: float, top: float, *, crowded: bool, wins: bool) -> None:
    colour, mark = FATES[trial.state]
    epochs = [epoch["index"] for epoch in trial.curve]
    values = [min(top, unit * cost(epoch, metric)) for epoch in trial.curve]
    width, alpha = (2.6, 1.0) if wins else (0.7, 0.55) if crowded else (1.1, 0.75)
    if wins:
        axes.plot(epochs, values, color="white", linewidth=4.6, zorder=4)
    axes.plot(epochs, values, color=colour, linewidth=width, alpha=alpha, zorder=5 if wins else 2)
    size = 4 if crowded else 6
    axes.plot(epochs[-1:], values[-1:], mark, color=colour, markersize=size, zorder=3, clip_on=False, linestyle="none")
    if wins and trial.best:
        best = [trial.best["index"]], [unit * cost(trial.best, metric)]
        axes.plot(*best, "*", color=colour, markersize=15, markeredgecolor="black", zorder=6, clip_on=False)


def value_scale(axes: Axes, values: Sequence[float]) -> None:
    """Logarithmic, for the best differ by little; with a linear foot where a value is zero."""
    if not values:
        style.nothing(axes, "no epoch was reported")
    elif min(values) > 0:
        style.log_scale(axes, "y")
    elif positive := [value for value in values if value > 0]:
        style.log_scale_from_zero(axes, "y", min(positive))


def _legend(history: History, trials: Sequence[TrialResult], winner: int | None) -> list[Line2D]:
    counts = {fate: sum(trial.state == fate for trial in trials) for fate in reversed(FATES)}
    handles = [
        Line2D([], [], color=FATES[fate][0], marker=FATES[fate][1], label=f"{fate} ({count})")
        for fate, count in counts.items()
        if count
    ]
    if winner is not None:
        colour, _ = FATES[history.trials[winner].state]
        label = f"winner, trial {winner},\nand its best epoch"
        handles.insert(0, Line2D([], [], color=colour, linewidth=2.6, marker="*", markersize=13,
                                 markeredgecolor="black", label=label))  # fmt: skip
    return handles
