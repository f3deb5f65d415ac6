"""The end of a search: one opening of the test split, pictures, summary, recording, and what is shown."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datasets import Dataset
from search import ledger, predictions, record, references, report, tracking
from search import summary as summaries
from search.cli import Register
from search.events import EventLog
from search.history import History, TrialResult
from search.packaging import MODEL_FOLDER
from search.place import Place
from search.predictions import Predictions
from search.recorder import Recorder
from search.selection import Selected
from search.task import Task
from search.verdict import verdict

RECORDING_SECONDS = 30.0
"""How long the end of a search waits for MLflow."""
_WITH_LAST_WORDS = ("summary.json", report.HTML, report.MARKDOWN)
"""What says also how the recording and the registration went, which is known when MLflow has all else."""
PACKAGING_SECONDS = 60.0
"""How long it waits for the model that is to be registered."""


class Finish:
    """The steps after the last trial, in their order."""

    def __init__(
        self,
        task: Task,
        dataset: Dataset,
        place: Place,
        log: EventLog,
        history: History,
        recorder: Recorder,
        began: float,
        register: Register = "never",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``register``: whether the winner is registered, and when it becomes its task's champion; ``say`` is called
        with lines for people.
        """
        self.task, self.dataset, self.place, self.folder = task, dataset, place, place.folder
        self.log, self.history, self.recorder, self.began = log, history, recorder, began
        self.register, self.say = register, say
        self.registered: str | None = None
        self.packaging: Callable[[float], None] | None = None
        self.undrawn = {"data", "search"}

    def _append(self, event: str, **fields: Any) -> None:
        self.history.apply(self.log.append(event, **fields))

    def tested(self, selected: Sequence[Selected]) -> bool:
        """Whether just these, in these roles, were tested last, by a command that came to its end."""
        return self.history.tested_last == _facts_of(selected)

    def test(self, selected: Sequence[Selected], why: str, cpus: float, gpus: float) -> bool:
        """Opens the test split once for all of the selected, whose choice is thereby fixed; draws what came of it.

        What is drawn without it is drawn while the cluster evaluates. Where a checkpoint of theirs is damaged, nothing
        is evaluated; what is then the choice is for another opening.

        Returns:
            Whether they were evaluated.
        """
        from search import drawing
        from search.packaging import fit_of
        from search.testing import Evaluating, together

        trials = [item.trial.id for item in selected]
        self._append("opening", number=len(self.history.openings) + 1, why=why, **_facts_of(selected))
        self.place.flush()
        checkpoints = [str(item.trial.checkpoint) for item in selected]
        winner = selected[0] if selected[0].chosen == "winner" else None
        aside = drawing.aside(self.task, self.dataset) if winner else None
        evaluating = Evaluating(self.dataset, self.place.storage, checkpoints, trials, aside, cpus, gpus)
        if winner:
            self.place.storage.remove(MODEL_FOLDER)  # of an earlier winner
            shutil.rmtree(self.folder / MODEL_FOLDER, ignore_errors=True)
        if winner and self.register != "never":
            self.packaging = evaluating.package(MODEL_FOLDER, fit_of(self.task.resolved))
        try:
            self._draw_search(winner.trial if winner else self.history.winner())
        finally:  # a picture that can't be drawn must cost no result
            opening = evaluating.opened()
            for place, problem in opening.damaged.items():
                self._append("damaged", trial=trials[place], path=checkpoints[place], problem=problem)
                self.say(f"warning: trial {trials[place]} is not tested as it was: {problem}")
            if winner and opening.reports:
                summaries.write_aside(self.folder / "best.pt", opening.best)
            for item, report in zip(selected, opening.reports, strict=not opening.damaged):
                facts = {"opening": len(self.history.openings), "model": item.trial.model, "chosen": item.chosen,
                         "origin": item.trial.origin, "checkpoint": item.trial.checkpoint}  # fmt: skip
                self._append("test", **facts, **asdict(report))
        if opening.damaged:
            return False
        seeds = [place for place, item in enumerate(selected) if item.chosen in ("winner", "seed")]
        if len(seeds) > 1:
            predicted = [opening.predicted[place] for place in seeds]
            self._append("ensemble", **together([trials[place] for place in seeds], predicted, self.dataset))
        self._keep_predictions(selected, opening.predicted)
        if winner:
            self.undrawn.discard("data")
            drawing.of_the_opening(self.folder, self.task, self.dataset, self.history, winner.trial, opening)
        else:
            drawing.of_the_tests(self.folder, self.history)
        return True

    def _keep_predictions(self, selected: Sequence[Selected], predicted: Sequence[np.ndarray]) -> None:
        """Adds these to what the run's folder has of the test examples."""
        test, path = self.dataset.test, self.folder / predictions.FILE_NAME
        assert test is not None
        known = predictions.load(path)
        classes = known.predicted if known else {}
        probabilities = known.probabilities if known else {}
        digest = self.history.search["dataset_digest"]
        by_hand = references.answers(self.folder.parent, self.task, digest) | (known.references if known else {})
        for item, rows in zip(selected, predicted, strict=True):
            classes[item.trial.id], probabilities[item.trial.id] = rows.argmax(1), rows
            if item.chosen == "reference":
                by_hand[item.trial.origin] = rows.argmax(1)
        majority = int(np.bincount(self.dataset.development.targets).argmax())
        predictions.save(path, Predictions(test.targets, majority, classes, probabilities, by_hand))

    def _draw_search(self, winner: TrialResult | None) -> None:
        from search import drawing

        self.undrawn.discard("search")
        of_the_search = None if winner is None else winner.id if winner.repeats is None else winner.repeats
        drawing.of_the_search(self.folder, self.task, self.history, of_the_search)

    def _draw_rest(self) -> None:
        from search import drawing

        if "search" in self.undrawn:
            self._draw_search(self.history.winner())
        if "data" in self.undrawn:
            drawing.of_the_data(self.folder / "data.png", self.task, self.dataset, self.folder.name)

    def record(self, *, interrupted: bool) -> None:
        """Writes the results as soon as there are any, and waits for MLflow, but not for long."""
        references.keep(self.folder.parent, self.task, self.history)
        self._summarise(interrupted)
        try:
            self._draw_rest()
        finally:
            self.log.append("end", wall_seconds=self._wall_seconds(), interrupted=interrupted)
            self.log.close()
            complete = self.recorder.finish(RECORDING_SECONDS)
            if complete:
                self._register()
            self._summarise(interrupted)
            try:
                report.write(self.folder)
                if complete:
                    self.recorder.send([self.folder / name for name in _WITH_LAST_WORDS])
            finally:
                self.place.keep_results()

    def _register(self) -> None:
        from search import registry

        if self.register != "never" and self.history.winner() is not None:
            uri, parent = self.recorder.tracking_uri, self.recorder.parent
            assert parent is not None
            if self.packaging:
                self.packaging(PACKAGING_SECONDS)
                self._fetch_model()
            registered = registry.register(self.folder, uri, parent, self.register)
            again = "" if registered.done else f"; this tries again: {record.command(self.folder)}"
            self.registered = registered.line + again

    def _fetch_model(self) -> None:
        here = self.folder / MODEL_FOLDER
        with suppress(OSError), self.place.storage.reading(MODEL_FOLDER) as packaged:
            if packaged != here.resolve():
                shutil.copytree(packaged, here)

    def _wall_seconds(self) -> float:
        return round(time.monotonic() - self.began, 3)

    def _summarise(self, interrupted: bool) -> None:
        self.summary = summaries.summarise(
            self.history,
            self.recorder.run_ids,
            self._recorded() | {"registered": self.registered},
            references.rows(self.folder.parent, self.task, self.history.search["dataset_digest"]),
            wall_seconds=self._wall_seconds(),
            interrupted=interrupted,
            folder_bytes=_bytes_in(self.folder) + (self.history.checkpoint_bytes if self.place.mirror else 0),
            ledger=ledger.told(self.history, self.recorder.openings),
        )
        self.summary["verdict"] = verdict(self.summary, predictions.load(self.folder / predictions.FILE_NAME))
        summaries.write(self.folder, self.summary)

    def _recorded(self) -> dict[str, Any]:
        """What MLflow was found to have of the search, and where that is not all, what to run."""
        arrived = self.recorder.arrived
        complete = arrived is not None and arrived.complete
        problem = self.recorder.problem or (str(arrived) if arrived else "not everything has been sent")
        return {
            "complete": complete,
            "trials": arrived.trials if arrived else None,
            "epochs": arrived.epochs if arrived else None,
            "problem": None if complete else problem,
            "command": None if complete else record.command(self.folder),
        }

    def show(self, *, json: bool) -> None:
        """The result, on stdout."""
        if json:
            print((self.folder / "summary.json").read_text(encoding="utf-8"), end="")
            return
        from rich.console import Console

        from search import screen

        recorder, uri = self.recorder, self.history.search["tracking_uri"]
        how = tracking.how_to_see(uri, recorder.experiment_id, recorder.parent)
        recorded = self.summary["mlflow"]
        places = [("results", str(self.folder)), ("", screen.disk(self.summary["disk"]))]
        places.append(("report", str(self.folder / report.HTML)))
        places += zip(["MLflow", ""], how, strict=False)
        if recorded["complete"]:
            places.append(("", f"{recorded['trials']} trials and {recorded['epochs']} epochs recorded, as in the log"))
        else:
            places.append(("", f"is not complete ({recorded['problem']}); this sends the rest: {recorded['command']}"))
        if self.place.problem:
            sends = f"python -m search.run {self.task.name} --resume {self.folder.name}"
            where = f"--storage {self.history.search['options']['storage']}"
            places.append(("storage", f"lacks something ({self.place.problem}); this sends it: {sends} {where}"))
        if recorded["registered"]:
            places.append(("model", recorded["registered"]))
        screen.show(Console(), self.summary, places)


def _bytes_in(folder: Path) -> int:
    """Of all files below a folder, from which some may be going."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(parent, name).lstat().st_size
    return size


def _facts_of(selected: Sequence[Selected]) -> dict[str, Any]:
    return {"trials": [item.trial.id for item in selected], "chosen": [item.chosen for item in selected]}
