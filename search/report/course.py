"""How the search went: learning curves by fate, the best value against epochs and time, and the rungs."""

import math
from statistics import median

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from search.history import TrialResult
from search.pictures import style
from search.pictures.curves import AXES, FATES, value_scale
from search.pictures.progress import OVERALL, Spending, spending
from search.report import drawn
from search.report.document import Block, Cell, Chart, Column, Row, Section, Table, Text
from search.report.material import BROKEN, Material
from search.report.wording import NAMES, count, duration, figure
from search.standing import reached
from trainables.epoch import cost, metric_at

_OUTLYING = 3.0
"""A value of more than so many times the usual first one is drawn at the upper edge."""
_MANY, _POINTS = 40, 6000
"""Curves from which they are thin; points from which they are pixels."""
_MINUTES = 180.0


def section(material: Material) -> Section | None:
    """None before anything was reported."""
    trials = [trial for trial in material.searched if trial.curve]
    if not trials:
        return None
    told = spending(material.log, material.metric)
    blocks: list[Block] = [_curves(material, trials), _best(material, told)]
    blocks += _rungs(material)
    return Section("course", "How the search went", blocks)


def _curves(material: Material, trials: list[TrialResult]) -> Chart:
    metric, winning = material.metric, material.winning
    label, unit = AXES[metric]
    top = _OUTLYING * median(unit * cost(trial.curve[0], metric) for trial in trials) or math.inf
    pixels = sum(len(trial.curve) for trial in trials) > _POINTS

    def draw(paper: drawn.Paper) -> None:
        axes = paper.figure.subplots()
        style.tidy(axes)
        axes.set(xlabel="epoch", ylabel=label)
        for trial in sorted(trials, key=lambda trial: (trial is winning, list(FATES).index(trial.state))):
            colour, marker = FATES[trial.state]
            epochs = [epoch["index"] for epoch in trial.curve]
            values = [min(top, unit * cost(epoch, metric)) for epoch in trial.curve]
            wins = trial is winning
            width = 2.4 if wins else 0.6 if len(trials) > _MANY else 1.0
            axes.plot(epochs, values, color=colour, linewidth=width, alpha=1 if wins else 0.65,
                      zorder=5 if wins else 2, rasterized=pixels)  # fmt: skip
            axes.plot(epochs[-1:], values[-1:], marker, color=colour, markersize=4.5, zorder=3, clip_on=False,
                      rasterized=pixels)  # fmt: skip
        if winning and winning.best:
            axes.plot([winning.best["index"]], [unit * cost(winning.best, metric)], "*", color=FATES[winning.state][0],
                      markersize=13, markeredgecolor="black", zorder=6, clip_on=False)  # fmt: skip
        value_scale(axes, [min(top, unit * cost(epoch, metric)) for trial in trials for epoch in trial.curve])
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5 if paper.narrow else 10, integer=True, steps=[1, 2, 5, 10]))
        for milestone in material.milestones:
            axes.axvline(milestone, color=style.GREY, linestyle=":", linewidth=1, zorder=1)
        drawn.key(paper, _fates(material, trials), 4)

    wide, narrow = drawn.drawn(draw, 4.4, 4.4)
    best = ""
    if winning and winning.best:
        value = figure(winning.best.get(metric), metric)
        best = (
            f" The thick one, trial {winning.id} ({winning.model}), is best at epoch {winning.best['index']}: {value}."
        )
    left_out = len(material.searched) - len(trials)
    none = f" {count(left_out, 'trial')} reported no epoch." if left_out else ""
    alt = (
        f"Learning curves of {count(len(trials), 'trial')}, {NAMES[metric]} by epoch: {_bests(material, trials)}.{best}"
    )
    rungs = " Dotted: the rungs." if material.milestones else ""
    sizes = material.search.get("dataset_sizes") or {}
    folds = ", of folds the mean of each one's best" if len(sizes.get("folds") or ()) > 1 else ""
    caption = (
        f"Every trial's {NAMES[metric]}, by how it ended; the star is the winning configuration's best{folds}."
        f"{rungs}{none}"
    )
    return Chart(wide, narrow, alt, caption, "curves.png")


def _fates(material: Material, trials: list[TrialResult]) -> list[Line2D]:
    handles = [Line2D([], [], color=colour, marker=marker, markersize=6, label=f"{fate} ({number})")
               for fate, (colour, marker) in reversed(FATES.items())
               if (number := sum(trial.state == fate for trial in trials))]  # fmt: skip
    if material.winning and material.winning.best:
        colour = FATES[material.winning.state][0]
        label = f"trial {material.winning.id}, the {'winning one' if material.winner else 'best so far'}"
        handles.insert(0, drawn.mark("*", colour, label, linestyle="-", linewidth=2.4, markersize=11,
                                     markeredgecolor="black"))  # fmt: skip
    return handles


def _bests(material: Material, trials: list[TrialResult]) -> str:
    parts = []
    for fate in reversed(FATES):
        own = [trial for trial in trials if trial.state == fate]
        costs = [value for trial in own if (value := trial.cost(material.metric)) is not None]
        if own:
            best = f", best {figure(metric_at(min(costs), material.metric), material.metric)}" if costs else ""
            parts.append(f"{len(own)} {fate}{best}")
    return "; ".join(parts)


def _best(material: Material, told: Spending) -> Chart:
    metric = material.metric
    label, unit = AXES[metric]
    minutes = bool(told.seconds) and told.seconds[-1] > _MINUTES
    clock = [second / 60 if minutes else second for second in told.seconds]
    overall, families = told.steps.get(OVERALL, []), sorted(set(told.steps) - {OVERALL})
    winner = material.winning

    def lines(axes: Axes, against: list[float]) -> None:
        for place, name in enumerate([OVERALL, *families]):
            steps = told.steps[name]
            where = [against[at - 1] for at, _ in steps] + against[-1:]
            values = [unit * value for _, value in steps] + [unit * steps[-1][1]]
            look = style.line(place - 1) | {"markersize": 5}
            if name == OVERALL:
                look = {"color": style.MID_GREY, "linewidth": 4.5, "alpha": 0.6}
            axes.plot(where, values, drawstyle="steps-post", markevery=[len(where) - 1] if place else [], clip_on=False,
                      label=name, **look)  # fmt: skip
        if winner and winner.id in told.moments:
            at, value = told.moments[winner.id]
            axes.plot([against[at - 1]], [unit * value], "*", color=style.YELLOW, markersize=13,
                      markeredgecolor="black", zorder=6, clip_on=False, label=f"trial {winner.id}")  # fmt: skip
        value_scale(axes, [unit * value for _, value in overall])
        axes.set_xlim(left=0)
        style.tidy(axes)

    def draw(paper: drawn.Paper) -> None:
        panels = paper.figure.subplots(2, 1) if paper.narrow else paper.figure.subplots(1, 2, sharey=True)
        lines(panels[0], [float(epoch) for epoch in range(1, told.epochs + 1)])
        lines(panels[1], clock)
        panels[0].set(xlabel="epochs spent, of all trials", ylabel=f"best {label}")
        panels[1].set(xlabel=f"{'minutes' if minutes else 'seconds'} of searching")
        if paper.narrow:
            for axes in panels:
                axes.set_ylabel(f"best {NAMES[metric]}")
        for axes in panels:
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        drawn.key(paper, panels[0].get_legend_handles_labels()[0], 5)

    wide, narrow = drawn.drawn(draw, 3.4, 5.6)
    final = ", ".join(
        f"{name} {figure(metric_at(told.steps[name][-1][1], metric), metric)} after "
        f"{count(told.steps[name][-1][0], 'epoch')}, {duration(told.seconds[told.steps[name][-1][0] - 1])}"
        for name in families
    )
    alt = (
        f"The best {NAMES[metric]} so far against {count(told.epochs, 'epoch')} and {duration(told.seconds[-1])}. Last "
        f"improvements by family: {final}."
    )
    return Chart(
        wide, narrow, alt, f"The best {NAMES[metric]} so far, against epochs and against time.", "best_so_far.png"
    )


def _rungs(material: Material) -> list[Block]:
    trials, whole = material.searched, material.epochs
    every = whole * len(trials)
    spent = sum(trial.epochs for trial in trials)

    def spared(*states: str) -> int:
        return sum(max(0, whole - trial.epochs) for trial in trials if trial.state in states)

    saved = {
        "by stopping at rungs": spared("pruned", "paused"), "by patience": spared("converged"),
        "by breaking": spared(*BROKEN), "by the search's end": spared("cancelled", "running"),
    }  # fmt: skip
    parts = ", ".join(f"{number:,} {how}" for how, number in saved.items() if number)
    text = (
        f"{len(trials):,} trials of {count(whole, 'epoch')} each would be {every:,} epochs; {spent:,} were trained"
        + (f", {100 * (1 - spent / every):.0f} % less: {parts}." if every and spent < every else ".")
    )
    if not material.milestones:
        return [Text(f"{text} There were no rungs.")]
    rows = []
    for milestone in material.milestones:
        rung = reached(trials, milestone)
        share = f"{100 * rung.went_on / rung.trials:.0f} %" if rung.trials else ""
        rows.append(Row([Cell(f"epoch {milestone}"), Cell(f"{rung.trials:,}"), Cell(f"{rung.went_on:,}"), Cell(share)]))
    ended = sum(trial.epochs >= whole for trial in trials)
    rows.append(Row([Cell(f"epoch {whole}, the last"), Cell(f"{ended:,}"), Cell(""), Cell("")]))
    columns = [Column("rung", numeric=False), Column("trials that came"), Column("went on"), Column("share")]
    return [Text(text), Table("The rungs, and how many came to each", columns, rows)]
