"""What confirms a search's choice: its best configurations trained again from scratch, with fresh seeds.

The best value of a search is the luckiest of many: it promises too much, and the configuration that has it need not be
the best (overtuning, Schneider, Bischl and Feurer, arXiv 2506.19540). So the choice is made on trainings that nothing
was chosen by yet: by their mean.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from search.beside import Beside, trial_seed
from search.history import History, TrialResult
from search.selection import Selected, ranked, select
from search.task import Task
from trainables.epoch import metric_at

SHARE = 0.25
"""Of the search's epochs: so many may be spent on it."""
_SEED_OFFSET = 1 << 30
"""Places of these trainings among trial seeds, beyond those of any search's own trials."""
_CAME_TO_THEIR_END = ("completed", "converged")
_BROKE = ("diverged", "oom", "failed")


@dataclass(frozen=True)
class Plan:
    """What is trained again."""

    configurations: list[int]
    """The search's trials that have them, the best first; none where ``note`` says why not."""
    seeds: int
    cap: int
    """Epochs that it may take."""
    note: str
    """What of the wish had to be left, and why."""
    asked: dict[str, int]
    """``configurations`` and ``seeds``, as wished."""
    resplit: bool
    """Whether each seed has a validation split of its own."""

    def __str__(self) -> str:
        if not self.configurations:
            return f"the choice is not confirmed: {self.note}"
        trials = "trial " if len(self.configurations) == 1 else "trials "
        trials += ", ".join(map(str, self.configurations))
        seeds = "1 fresh seed" if self.seeds == 1 else f"{self.seeds} fresh seeds"
        return f"training {trials} again with {seeds}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Confirm:
    """What is asked for."""

    configurations: int
    seeds: int
    resplit: bool
    """Whether each seed has a validation split of its own."""

    def plan(self, history: History, task: Task) -> Plan:
        """As much of it as a quarter of the search's epochs allows: fewer seeds first, then fewer configurations.

        A training is expected to take as many epochs as the configuration took in the search, where it converged, or
        all of them.
        """
        trials: list[TrialResult] = []
        for trial in ranked(history.searched(), task.metric):
            if all(trial.config != other.config for other in trials) and (
                len(trials) < self.configurations or all(trial.model != other.model for other in trials)
            ):
                trials.append(trial)
        epochs = [trial.epochs if trial.state == "converged" else task.epochs for trial in trials]
        cap = int(SHARE * history.epochs_searched)
        limit = f"{SHARE:.0%} of the search's epochs are {cap}".replace("%", " %")
        asked = {"configurations": self.configurations, "seeds": self.seeds}
        if not trials or epochs[0] > cap:
            why = f"one training takes {epochs[0]} epochs, and {limit}" if trials else "no trial left a checkpoint"
            return Plan([], 0, cap, why, asked, self.resplit)
        seeds = max(1, min(self.seeds, cap // sum(epochs)))
        kept = len(trials)
        while sum(epochs[:kept]) * seeds > cap:
            kept -= 1
        less = [] if seeds == self.seeds else [f"{seeds} of {self.seeds} seeds"]
        less += [] if kept == len(trials) else [f"{kept} of {len(trials)} configurations"]
        note = f"{' and '.join(less)}: {limit}" if less else ""
        return Plan([trial.id for trial in trials[:kept]], seeds, cap, note, asked, self.resplit)

    def trainings(self, plan: Plan, history: History, task: Task, seed: int) -> Iterator[Beside]:
        """Those that there are not yet, a seed of all configurations after the other."""
        there = {(training.repeats, training.seed) for training in _trainings(history)}
        for place in range(plan.seeds):
            own = trial_seed(seed, _SEED_OFFSET + place)
            for number in plan.configurations:
                if (number, own) not in there:
                    config, split = history.trials[number].config, own if self.resplit else None
                    yield Beside("confirmation", f"trial {number}", config, task.epochs, task.patience, own, split)


@dataclass(frozen=True)
class Confirmed:
    """A configuration, and what it gave when it was trained again."""

    trial: TrialResult
    """Of the search."""
    trainings: list[TrialResult]
    """In the order of their seeds, which all configurations share."""
    costs: list[float]
    """See ``trainables.epoch.cost``; infinite for one that diverged, ran out of memory or failed."""
    best: TrialResult | None
    """The training that would be used, by validation; None where none left a checkpoint."""

    @property
    def mean(self) -> float:
        """Of the costs."""
        return fmean(self.costs)


def confirmed(history: History, metric: str) -> list[Confirmed]:
    """The configurations that were trained again, the best first; empty where there is nothing to choose by.

    Compared by the mean over the seeds that all of them came to the end of; ties go to the one with fewer parameters,
    then to the quicker.
    """
    rows: dict[int, dict[int, TrialResult]] = {number: {} for number in history.confirmation.get("configurations", ())}
    for training in _trainings(history):
        if training.repeats in rows and training.state in (*_CAME_TO_THEIR_END, *_BROKE):
            rows[training.repeats][training.seed] = training
    seeds = [seed for seed in next(iter(rows.values()), {}) if all(seed in row for row in rows.values())]
    found = []
    for number, row in rows.items() if seeds else ():
        trainings = [row[seed] for seed in seeds]
        best = next(iter(ranked(trainings, metric)), None)
        found.append(Confirmed(history.trials[number], trainings, [_cost(one, metric) for one in trainings], best))
    found.sort(key=lambda one: (one.mean, one.trial.parameters or 0, one.trial.seconds))
    return found if found and math.isfinite(found[0].mean) and found[0].best else []


def selected(history: History, metric: str, top_k: int) -> list[Selected]:
    """What is to be tested, see ``selection.select``, with the choice made by what was confirmed, where anything was.

    The winner is then the best training of the best configuration, the other ones of it come next.
    """
    plain = select(history.trials.values(), metric, top_k)
    found = confirmed(history, metric)
    if not found:
        return plain
    winner, families = found[0], {found[0].trial.model}
    assert winner.best is not None
    chosen = [Selected(winner.best, "winner")]
    others = (training for training in winner.trainings if training is not winner.best)
    chosen += [Selected(training, "seed") for training in others if training.checkpoint]
    for other in found[1:]:
        if other.trial.model not in families and other.best:
            families.add(other.trial.model)
            chosen.append(Selected(other.best, "family"))
    for item in plain:
        if item.chosen in ("winner", "family"):
            chosen.append(Selected(item.trial, None if item.trial.model in families else "family"))
            families.add(item.trial.model)
        else:
            chosen.append(item)
    return chosen


def facts(history: History, metric: str) -> dict[str, Any] | None:
    """What the summary says of it, see ``summary.summarise``; None where nothing was confirmed."""
    found = confirmed(history, metric)
    if not found:
        return None
    from search.statistics import mean_interval, selected_mean_interval

    plan, best = history.confirmation, found[0].best
    assert best is not None
    notes, seeds = [plan["note"]] if plan["note"] else [], len(found[0].trainings)
    if seeds < plan["seeds"]:
        notes.append(f"of {plan['seeds']} seeds {seeds} came to the end")
    families: set[str] = set()
    rows = []
    for one in found:
        role = None if one.trial.model in families else "family" if families else "winner"
        families.add(one.trial.model)
        values = [None if math.isinf(cost) else metric_at(cost, metric) for cost in one.costs]
        errors = [training.figure("val_error") for training in one.trainings]
        whole = [error for error in errors if error is not None]
        if one is found[0]:
            among = plan["configurations"][: plan["asked"]["configurations"]]
            others = [other.costs for other in found[1:] if other.trial.id in among and math.isfinite(other.mean)]
            interval = selected_mean_interval(one.costs, others)
        else:
            interval = mean_interval(one.costs) if math.isfinite(one.mean) else None
        rows.append(
            {
                "trial": one.trial.id,
                "model": one.trial.model,
                "trainings": [training.id for training in one.trainings],
                "searched": one.trial.figure(metric),
                "values": values,
                "mean": None if math.isinf(one.mean) else metric_at(one.mean, metric),
                "interval": interval and sorted(metric_at(max(0.0, end), metric) for end in interval),
                "val_error": {
                    "searched": one.trial.figure("val_error"),
                    "mean": fmean(whole) if len(whole) == len(errors) else None,
                },
                "parameters": one.trial.parameters,
                "chosen": role,
            }
        )
    return {
        "metric": metric,
        "asked": plan["asked"],
        "seeds": seeds,
        "epochs": sum(training.epochs for training in _trainings(history)),
        "cap": plan["cap"],
        "note": "; ".join(notes),
        "resplit": plan["resplit"],
        "configurations": rows,
        "winner": found[0].trial.id,
        "best": best.id,
    }


def why_not(history: History, metric: str) -> str:
    """Why the choice is of single trainings; empty where it is confirmed."""
    if not history.search.get("options", {}).get("confirm"):
        return "confirmation was not asked for"
    if confirmed(history, metric):
        return ""
    plan = history.confirmation
    if plan and not plan["configurations"]:
        return str(plan["note"])
    if history.stop and history.stop["by"] not in ("epoch budget", "target"):
        return str(history.stop["reason"])
    return "no training of it again came to its end" if plan else "the search broke off"


def _trainings(history: History) -> list[TrialResult]:
    return [trial for trial in list(history.trials.values()) if trial.apart == "confirmation"]


def _cost(training: TrialResult, metric: str) -> float:
    value = training.cost(metric) if training.state in _CAME_TO_THEIR_END else None
    return math.inf if value is None else value
