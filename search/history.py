"""What is known of a search: the event log folded into trials, for the running search and for its report alike."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from search.events import Event
from search.space import Config
from trainables.epoch import cost

State = Literal["running", "paused", "completed", "pruned", "converged", "diverged", "oom", "failed", "cancelled"]
Apart = Literal["reference", "again"]
"""Of trials trained to their own end beside the search: hand-tuned references, and configurations trained again."""


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
    """Of one beside the search: the most that it trains, where the others have the task's."""
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
    checkpoint: str | None = None
    """Path of the newest checkpoint's folder, relative to the run's folder."""
    checkpoint_best: dict[str, Any] | None = None
    """Figures of the best weights that are in the checkpoint: what it is worth."""
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
        self.stop: Event | None = None
        """What ended the search before its last trial."""
        self.openings: list[Event] = []
        self.tests: list[Event] = []
        self.ends: list[Event] = []
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Takes one event in; kinds it does not know are left for others."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def counts(self) -> dict[str, int]:
        """Trials by state, in the order of first appearance."""
        return dict(Counter(trial.state for trial in self.trials.values()))

    @property
    def metric(self) -> str:
        """What trials are ranked by; the loss where a log from before does not say."""
        return str(self.search.get("metric", "val_loss"))

    def searched(self) -> list[TrialResult]:
        """The trials that count: not the references, nor what was trained again."""
        return [trial for trial in list(self.trials.values()) if trial.apart is None]

    def _on_search(self, event: Event) -> None:
        self.search = event
        self.slots = [(event.get("time", 0.0), event.get("slots", 1))]

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
        trial.checkpoint, trial.checkpoint_best = event["path"], event["best"]

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
        if not self.ends:  # later commands on a finished search are not the search
            self.stop = event

    def _on_opening(self, event: Event) -> None:
        self.openings.append(event)

    def _on_end(self, event: Event) -> None:
        self.ends.append(event)

    def _on_test(self, event: Event) -> None:
        self.tests.append(event)
