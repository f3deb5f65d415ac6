"""What a report is made from: the files of a run's folder, as far as there are any, and nothing else."""

import fcntl
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets.errors import UserError
from search import confirmation, events, ledger, results
from search.events import Event
from search.history import History, TrialResult
from search.predictions import FILE_NAME as PREDICTIONS
from search.predictions import Predictions
from search.predictions import load as load_predictions
from search.selection import best_so_far
from search.summary import trial_row
from search.task import Task
from search.verdict import verdict

HEALTHY = ("completed", "converged", "pruned", "paused")
"""Trials that nothing went wrong with."""
BROKEN = ("diverged", "oom", "failed")


@dataclass(frozen=True)
class Material:
    """A run's folder, read."""

    folder: Path
    log: Sequence[Event]
    history: History
    summary: Mapping[str, Any]
    """What ``summary.json`` says, where it is of the log as it is now; else empty."""
    predictions: Predictions | None

    @property
    def search(self) -> Event:
        """What the log says of the search itself; a log from before may lack any of it."""
        return self.history.search

    @property
    def name(self) -> str:
        """The search's."""
        return str(self.search.get("name", self.folder.name))

    @property
    def metric(self) -> str:
        """What trials are ranked by."""
        return self.history.metric

    @cached_property
    def conf(self) -> Mapping[str, Any]:
        """As it was resolved."""
        return self.search.get("conf") or {}

    @cached_property
    def epochs(self) -> int:
        """The most that a trial trains; where the log does not say, the most that one did."""
        return int(self.conf.get("epochs") or max((trial.epochs for trial in self.history.trials.values()), default=0))

    @cached_property
    def task(self) -> Task | None:
        """What was searched; None where its conf is not valid here, as where a model of one's own is not found."""
        try:
            return results.Results(self.folder, self.history).task
        except (UserError, KeyError, TypeError, AttributeError):
            return None

    @property
    def milestones(self) -> Sequence[int]:
        """The rungs' epochs."""
        return self.search.get("milestones") or ()

    @cached_property
    def searched(self) -> list[TrialResult]:
        """The trials that count."""
        return self.history.searched()

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """What was tested, the winner's opening first."""
        winner = next((test for test in self.history.tests if test["chosen"] == "winner"), None)
        opening = winner.get("opening", 0) if winner else 0
        return sorted(self.history.tests, key=lambda test: test.get("opening", 0) < opening)

    @property
    def winner(self) -> Mapping[str, Any] | None:
        """The test of the trial that is ``best.pt``."""
        return next((test for test in self.tests if test["chosen"] == "winner"), None)

    @cached_property
    def winning(self) -> TrialResult | None:
        """The search's trial whose configuration won; where nothing was tested, the one that leads."""
        return self.history.winner() or best_so_far(self.searched, self.metric)

    @cached_property
    def told(self) -> Mapping[str, Any]:
        """What the summary says, and where it does not, what the log can: ``test``, ``trials``, ``references``,
        ``confirmed``, ``not_confirmed``, ``ensemble``, ``ledger``, ``verdict``.
        """
        history, metric, ends = self.history, self.metric, self.history.ends
        made: dict[str, Any] = {
            "test": self.tests,
            "trials": [trial_row(trial) for trial in history.trials.values()],
            "metric": metric,
            "interrupted": bool(ends) and bool(ends[-1].get("interrupted")),
            "confirmed": confirmation.facts(history, metric),
            "not_confirmed": confirmation.why_not(history, metric),
            "ensemble": history.ensemble or None,
        }
        if "references" not in self.summary:
            made["references"] = self._references()
        if "ledger" not in self.summary and "id" in self.search:
            made["ledger"] = ledger.told(history, None)
        made |= {name: value for name, value in self.summary.items() if value is not None}
        if "verdict" not in made:
            made["verdict"] = verdict(made, self.predictions)
        return made

    def _references(self) -> list[dict[str, Any]]:
        """Those of the conf, and which of them were trained in this search."""
        tests = {test.get("origin"): test for test in reversed(self.tests) if test["chosen"] == "reference"}
        return [
            {
                "name": one.get("name", ""),
                "model": (one.get("config") or {}).get("model", ""),
                "reported": one.get("reported"),
                "trained": tests.get(one.get("name")),
            }
            for one in self.conf.get("references") or ()
        ]

    @property
    def classes(self) -> Sequence[str]:
        """Their names; empty where a log from before has none."""
        return [str(name) for name in self.search.get("classes") or ()]

    @cached_property
    def standing(self) -> str:
        """``ended``, ``running`` (somebody is writing to the log) or ``cut off``."""
        last = next((event["event"] for event in reversed(self.log) if event["event"] in ("end", "resumption")), "")
        if last == "end":
            return "ended"
        with (self.folder / events.FILE_NAME).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return "running"
        return "cut off"

    def has(self, name: str) -> bool:
        """Whether the folder has a file."""
        return (self.folder / name).is_file()


def read(folder: Path) -> Material:
    """Reads a run's folder.

    Raises:
        UserError: it has no search.
    """
    path = folder / events.FILE_NAME
    if not path.is_file():
        raise UserError(f"{folder}: has no {events.FILE_NAME}: it is no search's folder")
    log = list(events.read(path))
    history = History(log)
    if not history.search:
        raise UserError(f"{folder}: was cut off before the search began: there is nothing to report")
    return Material(folder, log, history, _summary(folder, history), _predictions(folder))


def _predictions(folder: Path) -> Predictions | None:
    """None where the folder has none, or a file that was cut off."""
    try:
        return load_predictions(folder / PREDICTIONS)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _summary(folder: Path, history: History) -> Mapping[str, Any]:
    """Of a search that went on since, none: the log knows more."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(summary, dict) or summary.get("counts") != history.counts():
        return {}
    return summary
