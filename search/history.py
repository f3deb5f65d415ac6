"""What is known of a search: the event log folded into trials, for the running search and for its report alike."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from search.events import Event
from search.space import Config
from trainables.epoch import CHECKPOINTS_KEPT, cost

State = Literal["running", "paused", "completed", "pruned", "converged", "diverged", "oom", "failed", "cancelled"]
Apart = Literal["reference", "confirmation", "again"]
"""Of trials trained to their own end beside the search: hand-tuned references, and configurations trained again, to
confirm the choice or because somebody asked for it."""
BY_RANK = ("winner", "seed", "family")
"""Roles of what was chosen among all trials that count, so that more of them can change it."""


@dataclass
class TrialResult:
    """One trial as the events so far tell it.

    ``curve`` has the figures of each epoch (see ``trainables.epoch.Epoch``), an epoch seen again after a restart left
    out; ``best`` those of the best so far: with folds, the mean of each fold's best.
    """

    id: int
    config: Config
    seed: int
    proposed: float
    """Seconds since the epoch."""
    origin: str = "sampler"
    """Who proposed it: the sampler, or a reference's name."""
    apart: Apart | None = None
    """None for a trial that counts: proposed, judged, ranked."""
    own_epochs: int | None = None
    own_patience: int | None = None
    """Of one beside the search: the most that it trains and its patience, where the others have the task's."""
    split: int | None = None
    """The seed of a validation split of its own."""
    state: State = "running"
    reason: str = ""
    traceback: str = ""
    curve: list[dict[str, Any]] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Start and end of each report's epochs, seconds since the epoch, laid end to end before the report."""
    at_rungs: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By the epoch of each rung that it reached, the figures of the best so far."""
    missed_rung: int | None = None
    """Of a converged one: the first of the rungs it skipped that its best would have missed."""
    best: dict[str, Any] | None = None
    checkpoints: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The last ones that are there, the newest last: each one's path, relative to the run's folder, and the figures of
    the best weights in it."""
    checkpoints_made: int = 0
    """How many there have ever been of it."""
    damaged: list[str] = field(default_factory=list)
    """What was found wrong with checkpoints that could not be read."""
    started: float | None = None
    promoted: float | None = None
    """When it last went on after a pause."""
    ended: float | None = None
    parameters: int | None = None
    """How many its model has, trainable ones; None before it starts."""
    workers: list[dict[str, Any]] = field(default_factory=list)
    """Node, process id, share of a GPU and device of each stay on one."""
    examples_trained: int = 0
    """Training examples that it has gone through, those of an epoch that was trained again after a death too."""
    seconds_trained: float = 0.0
    """How long that took."""
    gpu_memory: int | None = None
    """The most bytes that PyTorch has held of a GPU for it."""
    deaths: list[str] = field(default_factory=list)
    """What each worker of it that died, died of."""

    @property
    def model(self) -> str:
        """The model family."""
        return str(self.config["model"])

    @property
    def repeats(self) -> int | None:
        """The search's trial whose configuration this one trains again."""
        again = self.apart in ("confirmation", "again")
        return int(self.origin.rpartition(" ")[2]) if again else None

    @property
    def checkpoint(self) -> str | None:
        """Path of the newest checkpoint's folder, relative to the run's folder."""
        return self.checkpoints[-1][0] if self.checkpoints else None

    @property
    def checkpoint_best(self) -> dict[str, Any] | None:
        """Figures of the best weights that are in it: what it is worth."""
        return self.checkpoints[-1][1] if self.checkpoints else None

    @property
    def epochs(self) -> int:
        """Epochs trained and reported."""
        return self.curve[-1]["index"] if self.curve else 0

    @property
    def seconds(self) -> float:
        """Time spent in its epochs."""
        return sum(float(epoch["seconds"]) for epoch in self.curve)

    @property
    def examples_per_second(self) -> float | None:
        """Training examples a second of its epochs, validation included; None where a log from before has none."""
        return self.examples_trained / self.seconds_trained if self.examples_trained and self.seconds_trained else None

    def figure(self, metric: str) -> float | None:
        """The best value of a metric so far; None where it has none, as in logs from before there was the metric."""
        value = None if self.best is None else self.best.get(metric)
        return None if value is None else float(value)

    def cost(self, metric: str) -> float | None:
        """The same as what is minimised."""
        return None if self.best is None else cost(self.best, metric)


class History:
    """Applies events in their order."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.search: Event = {}
        self.slots: list[tuple[float, int]] = [(0.0, 1)]
        """Trials side by side, from when on: seconds since the epoch."""
        self.trials: dict[int, TrialResult] = {}
        self.epochs_trained = 0
        """Epochs of all trials, as reported."""
        self.epochs_searched = 0
        """The same of the trials that count."""
        self.sizes: dict[str, int] = {}
        """Bytes of each checkpoint that is there, by its path."""
        self.checkpoint_bytes = 0
        """Of all together."""
        self.stop: Event | None = None
        """What ended the search before its last trial."""
        self.confirmation: Event = {}
        """What is trained again to confirm the choice, see ``confirmation.Plan``."""
        self.openings: list[Event] = []
        self.tests: list[Event] = []
        self.ensemble: Event = {}
        """The figures of the winner's trainings together, where there are several."""
        self.ends: list[Event] = []
        self.seconds_cut_off = 0.0
        """What commands took that were killed, until the last that is known of them."""
        self._latest = self._began = 0.0
        self._over = self._opened = False
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Takes one event in; kinds it does not know are left for others."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)
        self._latest = event.get("time", self._latest)

    @property
    def seconds_spent(self) -> float:
        """Wall time of all commands that have ended or were cut off."""
        return self.seconds_cut_off + sum(float(end["wall_seconds"]) for end in self.ends)

    @property
    def tested_last(self) -> dict[str, Any] | None:
        """``trials`` and ``chosen`` of the last opening that tested a winner, if its command came to its end."""
        openings = [opening for opening in self.openings if "winner" in opening.get("chosen", ())]
        if not openings or self._opened or not {test["trial"] for test in self.tests} >= {*openings[-1]["trials"]}:
            return None
        return {name: openings[-1][name] for name in ("trials", "chosen")}

    @property
    def to_confirm(self) -> int:
        """Trainings that are to confirm the choice, once that is planned."""
        return len(self.confirmation.get("configurations", ())) * int(self.confirmation.get("seeds", 0))

    def counts(self) -> dict[str, int]:
        """Trials by state, in the order of first appearance."""
        return dict(Counter(trial.state for trial in self.trials.values()))

    @property
    def metric(self) -> str:
        """What trials are ranked by; the loss where a log from before does not say."""
        return str(self.search.get("metric", "val_loss"))

    def of_the_search(self, test: Event) -> TrialResult:
        """The search's own trial whose configuration was tested."""
        trial = self.trials[test["trial"]]
        return trial if trial.repeats is None else self.trials[trial.repeats]

    def winner(self) -> TrialResult | None:
        """The search's trial whose configuration was tested as the winner, if any was."""
        return next((self.of_the_search(test) for test in self.tests if test["chosen"] == "winner"), None)

    def damages(self) -> list[dict[str, Any]]:
        """``trial`` and ``problem`` of each checkpoint that could not be read."""
        return [{"trial": trial.id, "problem": problem} for trial in list(self.trials.values())
                for problem in trial.damaged]  # fmt: skip

    def searched(self) -> list[TrialResult]:
        """The trials that count: not the references, nor what was trained again."""
        return [trial for trial in list(self.trials.values()) if trial.apart is None]

    def _on_search(self, event: Event) -> None:
        self.search = event
        self._began = event.get("time", 0.0)
        self.slots = [(self._began, event.get("slots", 1))]

    def _on_resumption(self, event: Event) -> None:
        if not self._over:
            self.seconds_cut_off += self._latest - self._began
        self._began, self._over, self.stop = event["time"], False, None
        self.search = self.search | {name: event[name] for name in ("options", "tracking_uri") if event.get(name)}
        self.ends = [end | {"interrupted": False} for end in self.ends]
        self.slots += [(self._latest, 0), (event["time"], event["slots"])]
        for number in event["reopened"]:
            trial = self.trials[number]
            trial.state = "paused" if trial.state == "pruned" else "running"
            trial.ended = None
        for trial in self.trials.values():
            if trial.state == "running":
                trial.promoted = event["time"]

    def _on_confirmation(self, event: Event) -> None:
        self.confirmation = event

    def _on_slots(self, event: Event) -> None:
        self.slots.append((event["time"], event["slots"]))

    def _on_proposal(self, event: Event) -> None:
        trial = TrialResult(
            event["trial"],
            event["config"],
            event["seed"],
            event["time"],
            event.get("origin", "sampler"),
            event.get("apart"),
            event.get("epochs"),
            event.get("patience"),
            event.get("split"),
        )
        self.trials[trial.id] = trial

    def _on_start(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.started = trial.started or event["time"]
        trial.workers.append(event["worker"])
        trial.parameters = event.get("parameters")

    def _on_report(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.examples_trained += event.get("examples", 0)
        trial.seconds_trained += sum(epoch["seconds"] for epoch in event["epochs"])
        if "gpu_memory" in event:
            trial.gpu_memory = max(trial.gpu_memory or 0, event["gpu_memory"])
        new = [epoch for epoch in event["epochs"] if epoch["index"] > trial.epochs]
        if new:
            more = new[-1]["index"] - trial.epochs
            self.epochs_trained += more
            self.epochs_searched += more if trial.apart is None else 0
            trial.curve += new
            trial.spans.append((event["time"] - sum(epoch["seconds"] for epoch in new), event["time"]))
            trial.best = event["best"]
            if trial.epochs in self.search.get("milestones", ()):
                trial.at_rungs[trial.epochs] = event["best"]

    def _on_checkpoint(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.checkpoints_made += 1
        size = event.get("bytes", 0)
        self.checkpoint_bytes += size - self.sizes.get(event["path"], 0)
        self.sizes[event["path"]] = size
        self._hold(trial, [*trial.checkpoints, (event["path"], event["best"])][-CHECKPOINTS_KEPT:])

    def _on_damaged(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        self._hold(trial, [one for one in trial.checkpoints if one[0] != event["path"]])
        trial.damaged.append(event["problem"])

    def _on_removal(self, event: Event) -> None:
        only = event.get("checkpoints")
        for number in event["trials"]:
            trial = self.trials[number]
            self._hold(trial, [one for one in trial.checkpoints if only is not None and one[0] not in only])

    def _hold(self, trial: TrialResult, checkpoints: list[tuple[str, dict[str, Any]]]) -> None:
        """Leaves a trial only these."""
        for path in {path for path, _ in trial.checkpoints} - {path for path, _ in checkpoints}:
            self.checkpoint_bytes -= self.sizes.pop(path, 0)
        trial.checkpoints = checkpoints

    def _on_pause(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.state, trial.reason = "paused", event["reason"]

    def _on_promotion(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.state, trial.reason, trial.promoted = "running", "", event["time"]

    def _on_ending(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.state, trial.reason, trial.ended = event["state"], event["reason"], event["time"]
        trial.traceback, trial.missed_rung = event.get("traceback", ""), event.get("missed_rung")

    def _on_death(self, event: Event) -> None:
        self.trials[event["trial"]].deaths.append(event["reason"])

    def _on_stop(self, event: Event) -> None:
        if not self._over:  # later commands on a finished search are not the search
            self.stop = event

    def _on_opening(self, event: Event) -> None:
        self.openings.append(event)
        if "winner" in event.get("chosen", ()):  # another choice, of a search that went on
            self._opened, self.ensemble = True, {}
            self.tests = [
                test | {"chosen": None if test["chosen"] in BY_RANK else test["chosen"]} for test in self.tests
            ]

    def _on_ensemble(self, event: Event) -> None:
        self.ensemble = event

    def _on_end(self, event: Event) -> None:
        self.ends.append(event)
        self._over, self._opened = True, False

    def _on_test(self, event: Event) -> None:
        self.tests = [test for test in self.tests if test["trial"] != event["trial"]]
        self.tests.append(event)
