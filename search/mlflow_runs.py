"""A search's runs in MLflow, made from its event log: a run for the search, a child run for each trial.

Each call to MLflow costs milliseconds of the driver's interpreter, so a trial that has ended is written in three, and
one that runs only every half minute.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search import experiments
from search.endings import told
from search.events import FILE_NAME, Event, EventReader
from search.history import BY_RANK, History
from search.ledger import Ledger
from search.mlflow_rows import insert
from search.tracking import artifact_location
from trainables.epoch import METRICS

FIGURES = ("train_loss", "train_error", *METRICS, "lr")
GIVEN_FILES = ("conf.yaml", "requirements.txt")
"""In the run's folder from the start: the conf as it was given, and all packages as they are installed."""
_ARTIFACTS = (".json", ".csv", ".png", ".pt", ".npz", ".html", ".md")
_EVENTS_A_STEP = 500
_VALUE_LENGTH = 6000
_SECONDS_BETWEEN_CURVES = 30.0
_SHARE = 0.02
"""What running trials have reported is written so often, more seldom where it would take more of the time."""


@dataclass
class _Unwritten:
    """What MLflow has not been told of a trial that has not ended."""

    name: str
    began: int
    """Milliseconds since the epoch."""
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[Any] = field(default_factory=list)
    summed_up: int = 0
    """The epochs of which the best is among the metrics."""


class Runs:
    """Reads the log from its start and brings MLflow up to it; after any error a new one starts over."""

    def __init__(self, run_folder: Path, client: Any, entities: Any, run_ids: dict[int, str]) -> None:
        """``client`` and ``entities`` are MLflow's; ``run_ids``, by trial, is kept up to date."""
        self.run_folder, self.client, self.mlflow, self.run_ids = run_folder, client, entities, run_ids
        self.reader = EventReader(run_folder / FILE_NAME)
        self.history = History()
        """Without the curves."""
        self.unwritten: dict[int, _Unwritten] = {}
        """By trial; those that had been recorded to their end before are left out."""
        self.complete: set[int] = set()
        self.due = time.monotonic() + _SECONDS_BETWEEN_CURVES
        self.parent: str | None = None
        self.experiment_id: str | None = None
        self.ledger: Ledger | None = None

    def connect(self, tracking_uri: str) -> None:
        """Finds or makes the search's run."""
        (event,) = self.reader.new(limit=1)
        self.history.apply(event)
        location = artifact_location(tracking_uri, event["experiment"])
        self.experiment_id = experiments.for_files(self.client, event["experiment"], location)
        self.ledger = Ledger(self.client, tracking_uri, event)
        known = self._runs()
        self.parent = self._write_parent(event, known.pop("", None))
        self.run_ids |= {int(trial): run.info.run_id for trial, run in known.items()}
        self.complete = {int(trial) for trial, run in known.items() if run.info.status != "RUNNING"}

    def step(self, *, everything: bool) -> bool:
        """Takes in the next events; returns whether there may be more.

        Trials that have ended are written at once, the others from time to time, or where the log is at its end and
        ``everything`` is asked for.
        """
        events = self.reader.new(_EVENTS_A_STEP)
        for event in events:
            self._take(event)
        more = len(events) == _EVENTS_A_STEP
        if time.monotonic() >= self.due or (everything and not more):
            began = time.thread_time()
            for number, unwritten in self.unwritten.items():
                if unwritten.metrics or unwritten.tags:  # most of those that are paused have nothing new
                    self._write(number)
            seconds = max(_SECONDS_BETWEEN_CURVES, (time.thread_time() - began) / _SHARE)
            self.due = time.monotonic() + seconds
        return more

    def compared(self, interrupted: Callable[[], bool]) -> tuple[int, int, int, int, int]:
        """Looks in MLflow for what the log has: trials there and logged, epochs there and logged, trials with others.

        A trial's epochs are those of its validation losses. What is ``interrupted`` counts the rest as missing.
        """
        known = {int(trial): run.info.run_id for trial, run in self._runs().items() if trial}
        there = wrong = 0
        trials = self.history.trials
        for number, trial in trials.items():
            history = []
            if number in known and trial.epochs and not interrupted():
                history = self.client.get_metric_history(known[number], "val_loss")
            steps = sorted(metric.step for metric in history)
            there += len(set(steps))
            wrong += steps != list(range(1, trial.epochs + 1))
        return len(known), len(trials), there, sum(trial.epochs for trial in trials.values()), wrong

    def _take(self, event: Event) -> None:
        seen = self.history.trials[event["trial"]].epochs if event["event"] == "report" else 0
        tested = self.history.tests
        self.history.apply(event)
        match event["event"]:
            case "proposal" if event["trial"] not in self.complete:
                self.unwritten[event["trial"]] = self._begin_trial(event)
            case "start" if unwritten := self.unwritten.get(event["trial"]):
                worker = event["worker"]
                unwritten.tags |= {name: str(worker[name]) for name in ("node", "device") if name in worker}
            case "report":
                if unwritten := self.unwritten.get(event["trial"]):
                    unwritten.metrics.extend(self._curve(event, after=seen))
                trial = self.history.trials[event["trial"]]
                del trial.curve[:-1], trial.spans[:]
            case "pause" | "promotion" if unwritten := self.unwritten.get(event["trial"]):
                unwritten.tags |= self._fate(event["trial"])
                if event["event"] == "pause":  # as a rule there is nothing to be added at its end
                    self._sum_up(event)
            case "ending" if event["trial"] in self.unwritten:
                self._end_trial(event)
            case "resumption":
                self._go_on(event)
            case "opening":
                assert self.ledger is not None
                self.ledger.write(event)
                for test in tested if "winner" in event.get("chosen", ()) else ():
                    if test["chosen"] in BY_RANK:
                        self._log(self.run_ids[test["trial"]], tags={"chosen": f"formerly {test['chosen']}"})
            case "test":
                self._test(event)
            case "end":
                self._end(event)

    def _runs(self) -> dict[str, Any]:
        """The search's runs by trial number as text, its own under the empty text.

        A server that was stopped still does, once it goes on, what it was asked for before the client gave up waiting:
        of two runs of a trial the emptier one is deleted.
        """
        where = f"tags.`rungs.id` = '{self.history.search['id']}'"  # names are unique in a runs folder only
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], where, page_token=token)
            for run in page:
                trial = run.data.tags.get("rungs.trial", "")
                less, more = sorted([run, found.get(trial, run)], key=_fullness)
                found[trial] = more
                if less is not more:
                    self.client.delete_run(less.info.run_id)
            token = page.token
            if not token:
                return found

    def _search_tags(self) -> dict[str, str]:
        return {"rungs.id": self.history.search["id"], "rungs.search": self.history.search["name"]}

    def _write_parent(self, event: Event, run: Any) -> str:
        """The search's run, made where there is none, with all that is known of it when it begins."""
        tags = (
            self._search_tags()
            | {
                "mlflow.source.name": "search.run",  # of a whole command MLflow's UI shows what is after its last slash
                "command": event["command"][:_VALUE_LENGTH],
                "mlflow.source.type": "LOCAL",
                "seed": str(event["seed"]),
                "dataset.digest": event["dataset_digest"],
            }
        )
        if event["git_commit"]:
            tags |= {"mlflow.source.git.commit": event["git_commit"], "git.dirty": str(event["git_dirty"])}
        run = run or self.client.create_run(self.experiment_id, _milliseconds(event["time"]), tags, event["name"])
        run_id = str(run.info.run_id)
        self.client.log_inputs(run_id, [self._dataset(event)])
        facts = {name: value for name, value in event.items() if name not in ("event", "conf")}
        self.client.log_dict(run_id, facts, "search.json")
        self.client.log_dict(run_id, event["conf"], "conf-resolved.yaml")
        for name in GIVEN_FILES:
            if (self.run_folder / name).is_file():
                self.client.log_artifact(run_id, str(self.run_folder / name))
        return run_id

    def _dataset(self, event: Event) -> Any:
        """What was learnt from, in MLflow's terms."""
        name = event["conf"].get("dataset", {}).get("name", event["task"])
        origin = json.dumps({"origin": event.get("dataset_origin", "")})
        sizes = json.dumps(event.get("dataset_sizes", {}))
        dataset = self.mlflow.Dataset(name, event["dataset_digest"], "local", origin, profile=sizes)
        return self.mlflow.DatasetInput(dataset, [self.mlflow.InputTag("mlflow.data.context", "search")])

    def _begin_trial(self, event: Event) -> _Unwritten:
        number, family = event["trial"], event["config"]["model"]
        assert self.parent is not None
        tags = self._search_tags() | {
            "mlflow.parentRunId": self.parent,
            "rungs.trial": str(number),
            "state": "running",
            "seed": str(event["seed"]),
            "config": json.dumps(event["config"])[:_VALUE_LENGTH],
        }
        name = f"{number:03d} {family}"
        if event.get("apart"):
            tags["apart"] = event["apart"]
            name += f" ({event['apart']}: {event['origin']})"
        params = {key: str(value) for key, value in event["parameters"].items()} | {"model": family}
        return _Unwritten(name, _milliseconds(event["time"]), params, tags)

    def _write(self, number: int) -> None:
        unwritten, inserted = self.unwritten[number], False
        if number not in self.run_ids:
            run = self.client.create_run(self.experiment_id, unwritten.began, unwritten.tags, unwritten.name)
            self.run_ids[number] = run.info.run_id
            unwritten.tags = {}
            inserted = insert(self.client, run.info.run_id, unwritten.metrics, self._params(unwritten.params))
        if not inserted:
            self._log(self.run_ids[number], unwritten.metrics, unwritten.params, unwritten.tags)
        unwritten.metrics, unwritten.params, unwritten.tags = [], {}, {}

    def _params(self, params: Mapping[str, str]) -> list[Any]:
        return [self.mlflow.Param(name, value) for name, value in params.items()]

    def _curve(self, event: Event, after: int) -> Iterator[Any]:
        """The figures of a report's epochs after one, each at the time it ended: they are laid end to end before it."""
        when = event["time"] - sum(epoch["seconds"] for epoch in event["epochs"])
        for epoch in event["epochs"]:
            when += epoch["seconds"]
            if epoch["index"] > after:
                yield from self._figures(epoch, FIGURES, _milliseconds(when), epoch["index"])

    def _figures(
        self, figures: Mapping[str, Any], names: Iterable[str], when: int, step: int, before: str = ""
    ) -> list[Any]:
        """MLflow's metrics of those that there are: a log from before a metric was has none of it."""
        return [self.mlflow.Metric(f"{before}{name}", figures[name], when, step) for name in names if name in figures]

    def _fate(self, number: int) -> dict[str, str]:
        trial = self.history.trials[number]
        tags = {"state": trial.state, "reason": trial.reason[:_VALUE_LENGTH]}
        return tags | ({"rung": str(max(trial.at_rungs))} if trial.at_rungs else {})

    def _sum_up(self, event: Event) -> None:
        number, trial, when = event["trial"], self.history.trials[event["trial"]], _milliseconds(event["time"])
        unwritten = self.unwritten[number]
        if trial.epochs == unwritten.summed_up:
            return
        unwritten.summed_up = trial.epochs
        if trial.best:
            unwritten.metrics += self._figures(trial.best, METRICS, when, trial.best["index"], "best_")
        used = {
            "examples_per_second": trial.examples_per_second,
            "gpu_memory_peak_mb": trial.gpu_memory and trial.gpu_memory / 1e6,
        }
        figures = {name: value for name, value in used.items() if value}
        unwritten.metrics += self._figures(figures, figures, when, trial.epochs)

    def _end_trial(self, event: Event) -> None:
        number, when = event["trial"], _milliseconds(event["time"])
        self.unwritten[number].tags |= self._fate(number)
        self._sum_up(event)
        self._write(number)
        self.client.set_terminated(self.run_ids[number], told(self.history.trials[number].state).mlflow, when)
        del self.unwritten[number]

    def _go_on(self, event: Event) -> None:
        """The search runs again, and those of its trials that had ended without coming to their own end."""
        assert self.parent is not None
        self.client.update_run(self.parent, status="RUNNING")
        for number in event["reopened"]:
            self.complete.discard(number)
            self.client.update_run(self.run_ids[number], status="RUNNING")
            self.unwritten[number] = _Unwritten("", 0, {}, self._fate(number))  # its run is there already

    def _test(self, event: Event) -> None:
        when = _milliseconds(event["time"])
        metrics = self._figures(event, ("loss", "error", "f1"), when, 0, "test_")
        self._log(self.run_ids[event["trial"]], metrics, tags={"chosen": event["chosen"]} if event["chosen"] else {})
        if event["chosen"] == "winner":
            assert self.parent is not None
            best = self.history.trials[event["trial"]].checkpoint_best or {}
            metrics += self._figures(best, METRICS, when, 0)
            self._log(self.parent, metrics, tags={"winner": str(event["trial"])})

    def _end(self, event: Event) -> None:
        assert self.parent is not None
        for path in sorted(self.run_folder.iterdir()):
            if path.suffix in _ARTIFACTS:
                self.client.log_artifact(self.parent, str(path))
        when = _milliseconds(event["time"])
        self.client.set_terminated(self.parent, "KILLED" if event["interrupted"] else "FINISHED", when)

    def _log(
        self,
        run_id: str,
        metrics: list[Any] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self.client.log_batch(
            run_id,
            metrics or [],
            self._params(params or {}),
            [self.mlflow.RunTag(name, value) for name, value in (tags or {}).items()],
            synchronous=True,
        )


def _fullness(run: Any) -> tuple[bool, int, str]:
    return run.info.status != "RUNNING", len(run.data.metrics), run.info.run_id


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
