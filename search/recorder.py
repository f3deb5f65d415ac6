"""Follows the event log into MLflow, from a thread of its own, and looks afterwards whether all of it has arrived.

What has been recorded is found again by tags, and a metric written twice with the same step and time is one metric to
MLflow, so recording can be repeated at will: ``python -m search.record`` does.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import tracking
from search.ledger import Entry, openings, split_of
from search.mlflow_runs import Runs

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_TRIES = 2.0
_PROBLEM_LENGTH = 200
# MLflow's own client would keep trying one call for over a minute, and tell its makers of each.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
                "MLFLOW_ENABLE_ASYNC_LOGGING": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # fmt: skip
_opening = threading.Lock()


def import_mlflow() -> Any:
    """The package, with its own chatter off; the first call takes a second."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    import mlflow
    from mlflow.utils import logging_utils

    logging_utils.disable_logging()
    return mlflow


def open_store(tracking_uri: str) -> Any:
    """MLflow's client; the first of a URI imports what it needs, and makes or checks the tables of a database."""
    with _opening, tracking.alone(tracking_uri):
        return import_mlflow().MlflowClient(tracking_uri=tracking_uri)


@dataclass(frozen=True)
class Arrived:
    """What MLflow was found to have, beside what the event log has."""

    trials: int
    trials_logged: int
    epochs: int
    """Different ones; those that are there twice count as wrong ones do, below."""
    epochs_logged: int
    wrong: int
    """Trials whose epochs in MLflow are not exactly those of the log."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing and nothing there twice."""
        return self.trials == self.trials_logged and not self.wrong

    def __str__(self) -> str:
        """For people."""
        if self.complete:
            return f"{self.trials} trials and {self.epochs} epochs recorded"
        return f"{self.trials} of {self.trials_logged} trials and {self.epochs} of {self.epochs_logged} epochs recorded"


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
        self.arrived: Arrived | None = None
        """What a look at MLflow found at the end; None before."""
        self.openings: list[Entry] | None = None
        """Of the search's test split, by all searches, as MLflow had them at the end; None before."""
        self._drain, self._give_up = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Waits, at most so long, until the whole log is recorded and was looked for in MLflow.

        Returns:
            Whether it has come to that, and all was there.
        """
        self._drain.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and self.arrived is not None and self.arrived.complete

    def finish(self, seconds: float) -> bool:
        """The same, and gives up what has not been recorded by then."""
        complete = self.wait(seconds)
        self._give_up.set()
        return complete

    def send(self, files: Iterable[Path]) -> None:
        """Puts files in the place of those that MLflow has of the search; where that fails, it keeps those."""
        with suppress(Exception):
            store = open_store(self.tracking_uri)
            for file in files:
                store.log_artifact(self.parent, str(file))

    @property
    def running(self) -> bool:
        """Whether it still follows, or tries to."""
        return self._thread.is_alive()

    def _follow(self) -> None:
        while not self._give_up.is_set():
            try:
                mlflow = import_mlflow()
                store = open_store(self.tracking_uri)
                runs = Runs(self.run_folder, store, mlflow.entities, self.run_ids)
                runs.connect(self.tracking_uri)
                self.parent, self.experiment_id = runs.parent, runs.experiment_id
                while not self._give_up.is_set():
                    draining = self._drain.is_set()
                    more = runs.step(everything=draining)
                    self.problem = None
                    if not more:
                        if draining:
                            self.openings = openings(store, split_of(runs.history.search))
                            self.arrived = Arrived(*runs.compared(self._give_up.is_set))
                            return
                        self._drain.wait(_SECONDS_BETWEEN_LOOKS)
            except Exception as error:  # whatever a server can answer; told at the end, never the search's end
                self.problem = _in_short(error)
                self._give_up.wait(_SECONDS_BETWEEN_TRIES)


def _in_short(error: Exception) -> str:
    """One line for people: urllib3 and requests tell in three hundred letters that nobody answers."""
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    if "Max retries exceeded" in text:
        return "the server does not answer"
    return text if len(text) <= _PROBLEM_LENGTH else f"{text[:_PROBLEM_LENGTH]}…"
