"""Pictures of a search: all learning curves by fate, and the winner's confusions. Colours are Okabe and Ito's."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from search.history import History

mpl.use("Agg")

COLOURS = {
    "completed": "#009E73",
    "converged": "#0072B2",
    "pruned": "#999999",
    "diverged": "#D55E00",
    "oom": "#CC79A7",
    "failed": "#000000",
    "cancelled": "#E69F00",
    "running": "#56B4E9",
}
METRIC_NAMES = {"val_loss": "validation cross-entropy (nats an example)", "val_error": "validation error (share)"}


def curves(history: History, metric: str, milestones: Sequence[int], winner: int | None, path: Path) -> None:
    """Each trial's validation curve, coloured by how it ended; the winner thicker, the rungs dashed."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    counts = history.counts()
    order = {state: place for place, state in enumerate(COLOURS)}
    for trial in sorted(history.trials.values(), key=lambda trial: -order[trial.state]):
        colour = COLOURS[trial.state]
        epochs = [epoch["index"] for epoch in trial.curve]
        values = [epoch[metric] for epoch in trial.curve]
        thick = trial.id == winner
        axes.plot(epochs, values, color=colour, linewidth=2.6 if thick else 1.0, alpha=1.0 if thick else 0.65,
                  marker="." if len(epochs) == 1 else None, zorder=3 if thick else 2)  # fmt: skip
        if thick:
            best = trial.best or {}
            axes.plot(best["index"], best[metric], "*", color=colour, markersize=14, markeredgecolor="white", zorder=4)
            axes.plot([], [], "*-", color=colour, linewidth=2.6, markersize=12, label=f"winner, trial {winner}")
    for state in sorted(counts, key=order.__getitem__):
        axes.plot([], [], color=COLOURS[state], label=f"{state} ({counts[state]})")
    for milestone in milestones:
        axes.axvline(milestone, color="#666666", linestyle=":", linewidth=1, zorder=1)
    if milestones:
        axes.plot([], [], color="#666666", linestyle=":", label="rungs")
    if any(trial.curve for trial in history.trials.values()):
        axes.set_yscale("log" if metric == "val_loss" else "linear")
    axes.set(
        xlabel="epoch", ylabel=METRIC_NAMES[metric], title=f"{history.search['name']}: learning curves of all trials"
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str, path: Path) -> None:
    """Counts by true and predicted class, the shade by the share of the true class."""
    side = max(5.0, 0.5 * len(classes) + 1.8)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    totals = [max(1, sum(row)) for row in matrix]
    shares = [[count / total for count in row] for row, total in zip(matrix, totals, strict=True)]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 30:
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                if count:
                    dark = shares[row][column] > 0.5
                    axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=90 if max(map(len, classes)) > 3 else 0)
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    figure.colorbar(image, label="share of the true class", shrink=0.85)
    figure.savefig(path, dpi=150)
