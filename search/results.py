"""The end of a search: one opening of the test split, pictures, summary, recording, and what is shown."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from search import summary as summaries
from search import tracking
from search.cli import Options
from search.events import EventLog
from search.history import History
from search.recorder import Recorder
from search.selection import select
from search.task import Task

RECORDING_SECONDS = 30.0
"""How long the end of a search waits for MLflow."""
_TABLE_WIDTH = 120


class Finish:
    """The steps after the last trial, in their order."""

    def __init__(
        self,
        task: Task,
        options: Options,
        folder: Path,
        log: EventLog,
        history: History,
        recorder: Recorder,
        began: float,
    ) -> None:
        self.task, self.options, self.folder = task, options, folder
        self.log, self.history, self.recorder, self.began = log, history, recorder, began
        self.recorded = True

    def _append(self, event: str, **fields: Any) -> None:
        self.history.apply(self.log.append(event, **fields))

    def test(self, dataset: Dataset, gpus: float) -> None:
        """Fixes winner and families' best by validation, then opens the test split once for all of them."""
        selected = select(self.history.trials.values(), self.task.metric, self.options.top_k)
        if not selected:
            return
        from search.testing import open_test_split

        trials = [item.trial.id for item in selected]
        roles = [item.chosen for item in selected]
        self._append("opening", number=len(self.history.openings) + 1, trials=trials, chosen=roles, why="search")
        folders = [str(self.folder.resolve() / str(item.trial.checkpoint)) for item in selected]
        reports, best = open_test_split(dataset, folders, trials, self.options.cpus_per_trial, gpus)
        summaries.write_aside(self.folder / "best.pt", best)
        for item, report in zip(selected, reports, strict=True):
            facts = {"opening": len(self.history.openings), "model": item.trial.model, "chosen": item.chosen,
                     "checkpoint": item.trial.checkpoint}  # fmt: skip
            self._append("test", **facts, **asdict(report))

    def _draw(self) -> None:
        """``curves.png`` and, of the winner, ``confusion.png``."""
        from search import pictures

        winner = next((test for test in self.history.tests if test["chosen"] == "winner"), None)
        number = winner["trial"] if winner else None
        pictures.curves(self.history, self.task.metric, self.task.milestones, number, self.folder / "curves.png")
        if winner:
            title = f"{self.folder.name}: trial {number} ({winner['model']}) on the test split"
            pictures.confusion(
                winner["confusion"], self.history.search["classes"], title, self.folder / "confusion.png"
            )

    def record(self, *, interrupted: bool) -> None:
        """Writes the results as soon as there are any, draws them, and waits for MLflow, but not for long."""
        self._summarise(interrupted)
        self._draw()
        self._append("end", wall_seconds=self._wall_seconds(), interrupted=interrupted)
        self.log.close()
        self.recorded = self.recorder.finish(RECORDING_SECONDS)
        self._summarise(interrupted)

    def _wall_seconds(self) -> float:
        return round(time.monotonic() - self.began, 3)

    def _summarise(self, interrupted: bool) -> None:
        self.summary = summaries.summarise(
            self.history, self.recorder.run_ids, wall_seconds=self._wall_seconds(), interrupted=interrupted
        )
        summaries.write(self.folder, self.summary)

    def show(self) -> None:
        """The result, on stdout."""
        if self.options.json:
            print((self.folder / "summary.json").read_text(encoding="utf-8"), end="")
            return
        from rich.console import Console

        from search import screen

        recorder, uri = self.recorder, self.history.search["tracking_uri"]
        how = tracking.how_to_see(uri, recorder.experiment_id, recorder.parent)
        places = [("results", str(self.folder)), *zip(["MLflow", ""], how, strict=False)]
        if not self.recorded:
            problem = recorder.problem or f"no end after {RECORDING_SECONDS:g} s"
            places.append(
                ("", f"MLflow is not complete ({problem}); {self.folder / self.log.path.name} has everything")
            )
        console = Console()
        if console.width < _TABLE_WIDTH:
            console = Console(width=_TABLE_WIDTH)
        screen.show(console, self.summary, self.task.references, places)
