"""The ledger: who has looked at a test split when, with which checkpoints and why, in MLflow.

One experiment of all tasks has a run for each opening. A split is known by the digest of its examples alone, so that
neither another validation split nor another name of the task begins a new count.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from search import experiments
from search.events import Event
from search.history import History
from search.tracking import artifact_location

EXPERIMENT = "test-split openings"
_NOTE = "Each opening of a task's test split, by whichever search: the more there are, the less its figures are worth."
_VALUE_LENGTH = 6000
_DELETED_TOO = 3
"""``mlflow.entities.ViewType.ALL``: who has looked has looked, whatever is deleted in the UI afterwards."""

Entry = dict[str, Any]
"""``search``, its name, ``id``, its unique id, and ``task``; ``number``, of the opening in it; ``time``, seconds since
the epoch; ``checkpoints``, the trials whose were evaluated; ``why``."""


def split_of(search: Event) -> str:
    """The digest of the test split that a search has; of its whole dataset where a log from before has no other."""
    return str(search.get("test_digest", search["dataset_digest"]))


class Ledger:
    """Where one search writes."""

    def __init__(self, client: Any, tracking_uri: str, search: Event) -> None:
        """``client``: MLflow's."""
        self.client, self.search = client, search
        self.location = artifact_location(tracking_uri, EXPERIMENT)
        self.experiment_id = ""
        self.written: dict[int, Any] = {}
        """Runs of this search's openings, by their numbers."""

    def write(self, opening: Event) -> None:
        """Writes an opening down, unless it is there; not where the server lets this user write no such thing."""
        with _permitted():
            if not self.experiment_id:
                self.experiment_id = experiments.opened(self.client, EXPERIMENT, self.location, _NOTE).experiment_id
                where = f"tags.`rungs.id` = '{self.search['id']}'"
                for run in _runs(self.client, self.experiment_id, where):
                    self.written.setdefault(int(run.data.tags["rungs.opening"]), run)
            when = int(opening["time"] * 1000)
            run = self.written.get(opening["number"])
            if run is None:
                entry = _entry(self.search, opening)
                name = f"{entry['search']}, opening {entry['number']}"
                run = self.client.create_run(self.experiment_id, when, self._tags(entry), name)
                self.written[opening["number"]] = run
            if run.info.status == "RUNNING" and run.info.lifecycle_stage == "active":
                self.client.set_terminated(run.info.run_id, "FINISHED", when)

    def _tags(self, entry: Entry) -> dict[str, str]:
        return {
            "rungs.id": entry["id"],
            "rungs.search": entry["search"],
            "rungs.opening": str(entry["number"]),
            "rungs.test_split": split_of(self.search),
            "task": entry["task"],
            "why": entry["why"][:_VALUE_LENGTH],
            "checkpoints": json.dumps(entry["checkpoints"]),
        }


def openings(client: Any, test_digest: str) -> list[Entry]:
    """All openings of a test split that MLflow has, the oldest first; ``client`` is MLflow's."""
    runs: list[Any] = []
    with _permitted():
        if experiment := client.get_experiment_by_name(EXPERIMENT):
            runs += _runs(client, experiment.experiment_id, f"tags.`rungs.test_split` = '{test_digest}'")
    # One may be there twice: a server that was stopped still does, once it goes on, what it was asked for before the
    # client gave up waiting.
    found = {(run.data.tags["rungs.id"], run.data.tags["rungs.opening"]): _entry_of(run) for run in runs}
    return sorted(found.values(), key=lambda entry: (entry["time"], entry["number"]))


def told(history: History, found: Sequence[Entry] | None) -> dict[str, Any] | None:
    """How often a search's test split has been looked at: ``split``, its digest, ``openings``, the oldest first, and
    whether that is ``complete``; None where the search has not opened it.

    ``found`` is what MLflow has, None where it could not be asked. What it lacks of the search's own is added.
    """
    if not history.openings:
        return None
    known = {(entry["id"], entry["number"]) for entry in found or ()}
    own = [_entry(history.search, opening) for opening in history.openings]
    lacking = [entry for entry in own if (entry["id"], entry["number"]) not in known]
    entries = sorted([*(found or ()), *lacking], key=lambda entry: entry["time"])
    return {"split": split_of(history.search), "openings": entries, "complete": found is not None and not lacking}


def _entry(search: Event, opening: Event) -> Entry:
    return {
        "search": search["name"],
        "id": search["id"],
        "task": search["task"],
        "number": opening["number"],
        "time": opening["time"],
        "checkpoints": opening.get("trials", []),
        "why": opening.get("why", ""),
    }


def _entry_of(run: Any) -> Entry:
    tags = run.data.tags
    return {
        "search": tags["rungs.search"],
        "id": tags["rungs.id"],
        "task": tags["task"],
        "number": int(tags["rungs.opening"]),
        "time": run.info.start_time / 1000,
        "checkpoints": json.loads(tags["checkpoints"]),
        "why": tags["why"],
    }


def _runs(client: Any, experiment_id: str, where: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], where, _DELETED_TOO, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def _permitted() -> Iterator[None]:
    """What is forbidden is left out: another's server must not cost a search the rest of its records."""
    try:
        yield
    except Exception as error:
        if getattr(error, "error_code", None) != "PERMISSION_DENIED":
            raise
