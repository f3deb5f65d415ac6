"""How the best value falls while epochs are spent: costs, as ``trainables.epoch.cost`` has them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from search.events import Event
from search.history import History, TrialResult
from search.pictures import style
from search.pictures.curves import AXES, value_scale
from search.selection import best_so_far as leader
from trainables.epoch import cost

OVERALL = "all"
Step = tuple[int, float]
"""The epochs that the whole search has spent, and the best value from there on."""


@dataclass
class Spending:
    """What the epochs of a search brought, in the order of the reports; trials beside the search left out."""

    history: History = field(default_factory=History)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    """Of each family, and of all together under ``all``."""
    moments: dict[int, Step] = field(default_factory=dict)
    """When each trial had its best value, by its number."""
    epochs: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each of these epochs, when it was reported: since the search began, without the time between its commands."""

    def report(self, trial: TrialResult, epochs: int, metric: str) -> None:
        """So many new epochs at the end of a trial's curve. With folds its best is better than any of them."""
        values = [cost(epoch, metric) for epoch in trial.curve[len(trial.curve) - epochs :]]
        if epochs and trial.best is not None:
            values[-1] = min(values[-1], cost(trial.best, metric))
        for value in values:
            self.epochs += 1
            if value < self.moments.get(trial.id, (0, float("inf")))[1]:
                self.moments[trial.id] = (self.epochs, value)
            for name in (trial.model, OVERALL):
                steps = self.steps.setdefault(name, [])
                if not steps or value < steps[-1][1]:
                    steps.append((self.epochs, value))

    def winner(self, metric: str) -> TrialResult | None:
        """The trial that was tested as the winner, or where none was, the one that leads."""
        return self.history.winner() or leader(self.history.trials.values(), metric)


def spending(events: Iterable[Event], metric: str) -> Spending:
    """Goes through a log."""
    told = Spending()
    began = before = 0.0
    for event in events:
        if event["event"] in ("search", "resumption"):
            began += event.get("time", 0.0) - before
        before = event.get("time", before)
        trial = told.history.trials.get(event["trial"]) if event["event"] == "report" else None
        trained = len(trial.curve) if trial else 0
        told.history.apply(event)
        if trial and trial.apart is None:
            told.report(trial, len(trial.curve) - trained, metric)
            told.seconds += [before - began] * (len(trial.curve) - trained)
    return told


def best_so_far(events: Iterable[Event], metric: str, path: Path) -> None:
    """The best value so far against the epochs spent, of each family and of all; ``metric`` as in the task."""
    told = spending(events, metric)
    label, unit = AXES[metric]
    figure = style.sheet(8, 4.8, f"{told.history.search['name']}: best so far")
    axes = figure.subplots()
    axes.set(xlabel="epochs spent, of all trials", ylabel=f"best {label}")
    style.tidy(axes)
    overall = told.steps.pop(OVERALL, [])
    lines = [(OVERALL, overall), *sorted(told.steps.items())] if overall else []
    for place, (name, steps) in enumerate(lines):
        epochs = [at for at, _ in steps] + [max(told.epochs, steps[-1][0])]
        values = [unit * value for _, value in steps] + [unit * steps[-1][1]]
        look = {"color": style.MID_GREY, "linewidth": 5, "alpha": 0.6} if name == OVERALL else style.line(place - 1)
        ends = () if name == OVERALL else [len(epochs) - 1]
        axes.plot(epochs, values, drawstyle="steps-post", markevery=ends, clip_on=False, label=name, **look)
    if (winner := told.winner(metric)) and winner.id in told.moments:
        at, value = told.moments[winner.id]
        axes.plot([at], [unit * value], "*", color=style.YELLOW, markersize=17, markeredgecolor="black", zorder=6,
                  clip_on=False, label=f"winner: trial {winner.id}, {winner.model}")  # fmt: skip
    value_scale(axes, [unit * value for _, steps in lines for _, value in steps])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    style.legend(figure, axes)
    style.save(figure, path)
