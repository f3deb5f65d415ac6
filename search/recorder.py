"""Follows the event log into MLflow, in batches, from a thread of its own.

A run for the search, a child run for each trial. What has been recorded is found again by tags, and a metric written
twice with the same step and time is one metric to MLflow, so recording can be repeated at will.

Each call to MLflow costs milliseconds of the driver's interpreter, so a trial that has ended is written in three, and
one that runs only every few seconds.
"""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.endings import told
from search.events import FILE_NAME, Event, EventReader
from search.history import History
from search.tracking import artifact_location
from trainables.epoch import METRICS

FIGURES = ("train_loss", "train_error", *METRICS, "lr")
_EVENTS_A_STEP = 500
_VALUE_LENGTH = 6000
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_TRIES = 2.0
_SECONDS_BETWEEN_CURVES = 20.0
_SHARE = 0.02
"""What running trials have reported is written so often, more seldom where it would take more of the time."""
_opening = threading.Lock()
# MLflow's own client would keep trying one call for over a minute, and tell its makers of each.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
                "MLFLOW_ENABLE_ASYNC_LOGGING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # fmt: skip


def import_mlflow() -> Any:
    """The package, with its own chatter off; the first call takes a second."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    import mlflow
    from mlflow.utils import logging_utils

    logging_utils.disable_logging()
    return mlflow


def open_store(tracking_uri: str) -> Any:
    """MLflow's client; the first of a URI imports what it needs, and makes or checks the tables of a database."""
    with _opening:
        return import_mlflow().MlflowClient(tracking_uri=tracking_uri)


class Recorder:
    """The thread. The driver starts it, and at the end waits for it so long and no longer."""

    def __init__(self, run_folder: Path, tracking_uri: str) -> None:
        self.run_folder, self.tracking_uri = run_folder, tracking_uri
        self.problem: str | None = None
        """The last thing that went wrong with the server; None while all is well."""
        self.run_ids: dict[int, str] = {}
        """MLflow's run of each trial."""
        self.parent: str | None = None
        self.experiment_id: str | None = None
        self._drain, self._give_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Waits until the whole log is recorded, at most so long; returns whether it is."""
        self._drain.set()
        self._thread.join(seconds)
        self._give_up.set()
        return not self._thread.is_alive() and self.problem is None

    def _follow(self) -> None:
        while not self._give_up.is_set():
            writer = _Writer(self.run_folder, self.tracking_uri, self.run_ids)
            try:
                writer.connect()
                self.parent, self.experiment_id = writer.parent, writer.experiment_id
                while not self._give_up.is_set():
                    draining = self._drain.is_set()
                    more = writer.step(everything=draining)
                    self.problem = None
                    if not more:
                        if draining:
                            return
                        self._drain.wait(_SECONDS_BETWEEN_LOOKS)
            except Exception as error:  # whatever a server can answer; told at the end, never the search's end
                self.problem = f"{type(error).__name__}: {error}".partition("\n")[0]
                self._give_up.wait(_SECONDS_BETWEEN_TRIES)


@dataclass
class _Unwritten:
    """What MLflow has not been told of a trial that has not ended."""

    name: str
    began: int
    """Milliseconds since the epoch."""
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[Any] = field(default_factory=list)


class _Writer:
    """Reads the log from its start and brings MLflow up to it; after any error a new one starts over."""

    def __init__(self, run_folder: Path, tracking_uri: str, run_ids: dict[int, str]) -> None:
        self.run_folder, self.tracking_uri, self.run_ids = run_folder, tracking_uri, run_ids
        self.reader = EventReader(run_folder / FILE_NAME)
        self.history = History()
        """Without the curves."""
        self.unwritten: dict[int, _Unwritten] = {}
        """By trial; those that had been recorded to their end before are left out."""
        self.complete: set[int] = set()
        self.due = time.monotonic() + _SECONDS_BETWEEN_CURVES
        self.parent: str | None = None
        self.experiment_id: str | None = None

    def connect(self) -> None:
        """Finds or makes the search's run."""
        self.client = open_store(self.tracking_uri)
        self.mlflow = import_mlflow().entities
        (event,) = self.reader.new(limit=1)
        self.history.apply(event)
        self.experiment_id = self._experiment(event["experiment"])
        known = self._runs(f"tags.`rungs.id` = '{event['id']}'")  # names are unique in a runs folder only
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

    def _take(self, event: Event) -> None:
        seen = self.history.trials[event["trial"]].epochs if event["event"] == "report" else 0
        self.history.apply(event)
        match event["event"]:
            case "proposal" if event["trial"] not in self.complete:
                self.unwritten[event["trial"]] = self._begin_trial(event)
            case "start" if unwritten := self.unwritten.get(event["trial"]):
                unwritten.tags["node"] = event["worker"]["node"]
            case "report":
                if unwritten := self.unwritten.get(event["trial"]):
                    unwritten.metrics.extend(self._metrics(event, after=seen))
                trial = self.history.trials[event["trial"]]
                del trial.curve[:-1], trial.spans[:]
            case "pause" | "promotion" if unwritten := self.unwritten.get(event["trial"]):
                unwritten.tags |= self._fate(event["trial"])
            case "ending" if event["trial"] in self.unwritten:
                self._end_trial(event)
            case "test":
                self._test(event)
            case "end":
                self._end(event)

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(self.client.create_experiment(name, artifact_location(self.tracking_uri, name)))

    def _runs(self, where: str) -> dict[str, Any]:
        """Runs by trial number as text, the search's own under the empty text."""
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], where, page_token=token)
            found |= {run.data.tags.get("rungs.trial", ""): run for run in page}
            token = page.token
            if not token:
                return found

    def _search_tags(self) -> dict[str, str]:
        return {"rungs.id": self.history.search["id"], "rungs.search": self.history.search["name"]}

    def _write_parent(self, event: Event, run: Any) -> str:
        """The search's run, made where there is none."""
        tags = self._search_tags() | {
            "mlflow.source.name": event["command"],
            "mlflow.source.type": "LOCAL",
            "seed": str(event["seed"]),
            "dataset.digest": event["dataset_digest"],
        }
        if event["git_commit"]:
            tags |= {"mlflow.source.git.commit": event["git_commit"], "git.dirty": str(event["git_dirty"])}
        run = run or self.client.create_run(self.experiment_id, _milliseconds(event), tags, event["name"])
        run_id = str(run.info.run_id)
        options = {name: str(value)[:_VALUE_LENGTH] for name, value in event["options"].items() if value is not None}
        self._log(run_id, params=options)
        self.client.log_dict(run_id, event["conf"], "conf.yaml")
        self.client.log_dict(run_id, event["versions"], "versions.json")
        return run_id

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
        return _Unwritten(name, _milliseconds(event), params, tags)

    def _write(self, number: int) -> None:
        unwritten = self.unwritten[number]
        if number not in self.run_ids:
            run = self.client.create_run(self.experiment_id, unwritten.began, unwritten.tags, unwritten.name)
            self.run_ids[number] = run.info.run_id
            unwritten.tags = {}
        self._log(self.run_ids[number], unwritten.metrics, unwritten.params, unwritten.tags)
        unwritten.metrics, unwritten.params, unwritten.tags = [], {}, {}

    def _metrics(self, event: Event, after: int) -> Iterator[Any]:
        when = _milliseconds(event)
        for epoch in event["epochs"]:
            if epoch["index"] > after:
                yield from self._figures(epoch, FIGURES, when, epoch["index"])

    def _figures(
        self, figures: Mapping[str, Any], names: Iterable[str], when: int, step: int, before: str = ""
    ) -> list[Any]:
        """MLflow's metrics of those that there are: a log from before a metric was has none of it."""
        return [self.mlflow.Metric(f"{before}{name}", figures[name], when, step) for name in names if name in figures]

    def _fate(self, number: int) -> dict[str, str]:
        trial = self.history.trials[number]
        return {"state": trial.state, "reason": trial.reason[:_VALUE_LENGTH]}

    def _end_trial(self, event: Event) -> None:
        number, trial, when = event["trial"], self.history.trials[event["trial"]], _milliseconds(event)
        unwritten = self.unwritten[number]
        unwritten.tags |= self._fate(number)
        if trial.best:
            unwritten.metrics += self._figures(trial.best, METRICS, when, trial.best["index"], "best_")
        self._write(number)
        self.client.set_terminated(self.run_ids[number], told(trial.state).mlflow, when)
        del self.unwritten[number]

    def _test(self, event: Event) -> None:
        when = _milliseconds(event)
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
            if path.suffix in (".json", ".csv", ".png", ".pt"):
                self.client.log_artifact(self.parent, str(path))
        self.client.set_terminated(self.parent, "KILLED" if event["interrupted"] else "FINISHED", _milliseconds(event))

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
            [self.mlflow.Param(name, value) for name, value in (params or {}).items()],
            [self.mlflow.RunTag(name, value) for name, value in (tags or {}).items()],
            synchronous=True,
        )


def _milliseconds(event: Event) -> int:
    return int(event["time"] * 1000)
