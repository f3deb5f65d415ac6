"""Follows the event log into MLflow, in batches, from a thread of its own.

A run for the search, a child run for each trial. What has been recorded is found again by tags, and a metric written
twice with the same step and time is one metric to MLflow, so recording can be repeated at will.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from search.endings import told
from search.events import FILE_NAME, Event, EventReader
from search.history import History
from search.tracking import artifact_location
from trainables.epoch import METRICS

FIGURES = ("train_loss", "train_error", *METRICS, "lr", "seconds")
_METRICS_A_BATCH = 1000
_VALUE_LENGTH = 6000
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_TRIES = 2.0
# MLflow's own client would keep trying one call for over a minute.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
                "MLFLOW_ENABLE_ASYNC_LOGGING": "false"}  # fmt: skip


def import_mlflow() -> Any:
    """The package, with its own chatter off; the first call takes a second."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    import mlflow
    from mlflow.utils import logging_utils

    logging_utils.disable_logging()
    return mlflow


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
                    busy = writer.step()
                    self.problem = None
                    if not busy:
                        if draining:
                            return
                        self._drain.wait(_SECONDS_BETWEEN_LOOKS)
            except Exception as error:  # whatever a server can answer; told at the end, never the search's end
                self.problem = f"{type(error).__name__}: {error}".partition("\n")[0]
                self._give_up.wait(_SECONDS_BETWEEN_TRIES)


class _Writer:
    """Reads the log from its start and brings MLflow up to it; after any error a new one starts over."""

    def __init__(self, run_folder: Path, tracking_uri: str, run_ids: dict[int, str]) -> None:
        self.run_folder, self.tracking_uri, self.run_ids = run_folder, tracking_uri, run_ids
        self.reader = EventReader(run_folder / FILE_NAME)
        self.history = History()
        self.parent: str | None = None
        self.experiment_id: str | None = None

    def connect(self) -> None:
        """Finds or makes the search's run."""
        mlflow = import_mlflow()
        self.mlflow = mlflow.entities
        self.client = mlflow.MlflowClient(tracking_uri=self.tracking_uri)
        (event,) = self.reader.new(limit=1)
        self.history.apply(event)
        self.experiment_id = self._experiment(event["experiment"])
        known = self._runs(f"tags.`rungs.id` = '{event['id']}'")  # names are unique in a runs folder only
        self.parent = known.get("", None) or self._make_parent(event)
        self.run_ids |= {int(trial): run for trial, run in known.items() if trial}

    def step(self) -> bool:
        """Records the next events; returns whether there were any."""
        events = self.reader.new(limit=500)
        metrics: dict[int, list[Any]] = {}
        for event in events:
            seen = self.history.trials[event["trial"]].epochs if event["event"] == "report" else 0
            self.history.apply(event)
            match event["event"]:
                case "proposal":
                    self._make_trial(event)
                case "report":
                    metrics.setdefault(event["trial"], []).extend(self._metrics(event, after=seen))
                case "start":
                    self.client.set_tag(self.run_ids[event["trial"]], "node", event["worker"]["node"])
                case "ending":
                    self._flush(metrics)
                    self._end_trial(event)
                case "test":
                    self._test(event)
                case "end":
                    self._end(event)
        self._flush(metrics)
        return bool(events)

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(self.client.create_experiment(name, artifact_location(self.tracking_uri, name)))

    def _runs(self, where: str) -> dict[str, str]:
        """Run ids by trial number as text, the search's own under the empty text."""
        found: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], where, page_token=token)
            found |= {run.data.tags.get("rungs.trial", ""): run.info.run_id for run in page}
            token = page.token
            if not token:
                return found

    def _search_tags(self) -> dict[str, Any]:
        return {"rungs.id": self.history.search["id"], "rungs.search": self.history.search["name"]}

    def _make_parent(self, event: Event) -> str:
        tags = self._search_tags() | {
            "mlflow.source.name": event["command"],
            "mlflow.source.type": "LOCAL",
            "seed": str(event["seed"]),
            "dataset.digest": event["dataset_digest"],
        }
        if event["git_commit"]:
            tags |= {"mlflow.source.git.commit": event["git_commit"], "git.dirty": str(event["git_dirty"])}
        run = self.client.create_run(self.experiment_id, _milliseconds(event), tags, event["name"])
        run_id = str(run.info.run_id)
        options = {name: str(value)[:_VALUE_LENGTH] for name, value in event["options"].items() if value is not None}
        self._log(run_id, params=options)
        self.client.log_dict(run_id, event["conf"], "conf.yaml")
        self.client.log_dict(run_id, event["versions"], "versions.json")
        return run_id

    def _make_trial(self, event: Event) -> None:
        number = event["trial"]
        if number not in self.run_ids:
            tags = self._search_tags() | {
                "mlflow.parentRunId": self.parent,
                "rungs.trial": str(number),
                "state": "running",
            }
            name = f"{number:03d} {event['config']['model']}"
            if event.get("apart"):
                tags["apart"] = event["apart"]
                name += f" ({event['apart']}: {event['origin']})"
            run = self.client.create_run(self.experiment_id, _milliseconds(event), tags, name)
            self.run_ids[number] = run.info.run_id
        params = {key: str(value) for key, value in event["parameters"].items()} | {"model": event["config"]["model"]}
        self._log(self.run_ids[number], params=params)
        self.client.log_dict(self.run_ids[number], event["config"], "config.json")
        self.client.set_tag(self.run_ids[number], "seed", str(event["seed"]))

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

    def _flush(self, metrics: dict[int, list[Any]]) -> None:
        for number, values in metrics.items():
            for start in range(0, len(values), _METRICS_A_BATCH):
                self._log(self.run_ids[number], metrics=values[start : start + _METRICS_A_BATCH])
        metrics.clear()

    def _end_trial(self, event: Event) -> None:
        number, trial = event["trial"], self.history.trials[event["trial"]]
        tags = {"state": trial.state, "reason": trial.reason[:_VALUE_LENGTH]}
        when = _milliseconds(event)
        best = self._figures(trial.best, METRICS, when, trial.best["index"], "best_") if trial.best else []
        self._log(self.run_ids[number], metrics=best, tags=tags)
        self.client.set_terminated(self.run_ids[number], told(trial.state).mlflow, when)

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
