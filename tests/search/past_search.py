"""The event log of a search, written by hand: what later commands read of it."""

from pathlib import Path
from typing import Any

from search.events import FILE_NAME, Event, EventLog
from search.history import History
from search.task import Task


class PastSearch:
    """A search of a task. ``facts``: what its log says otherwise of it."""

    def __init__(self, task: Task, name: str = "past", **facts: Any) -> None:
        self.events: list[Event] = []
        self._trials = 0
        self._append("search", name=name, id=f"the id of {name}", task=task.name, metric=task.metric,
                     milestones=list(task.milestones), dataset_origin="there",
                     **{"dataset_digest": "abc", "conf": task.resolved, **facts})  # fmt: skip

    def _append(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, "time": 1e9 + len(self.events), **fields})

    def propose(self, config: dict[str, Any], **more: Any) -> int:
        """Returns the trial's number."""
        number, self._trials = self._trials, self._trials + 1
        self._append("proposal", trial=number, seed=1, config=config, **{"origin": "sampler", **more})
        return number

    def start(self, trial: int, parameters: int) -> None:
        """``parameters``: how many its model has."""
        self._append("start", trial=trial, worker={"node": "n", "pid": 1, "gpus": 0}, parameters=parameters)

    def report(self, trial: int, epochs: list[int], loss: float, best: float | None = None) -> None:
        """Epochs of a trial that all have a loss, after which its best is as given, or the same."""
        figures = {"train_loss": 1.0, "train_error": 0.5, "val_error": 0.1, "val_f1": 0.75, "seconds": 0.1, "lr": 0.1}
        best = loss if best is None else best
        curve = [{"index": index, "val_loss": loss, **figures} for index in epochs]
        self._append("report", trial=trial, epochs=curve, best={"index": epochs[-1], "val_loss": best, **figures})

    def pause(self, trial: int) -> None:
        self._append("pause", trial=trial, reason="so")

    def end(self, trial: int, state: str, **more: Any) -> None:
        self._append("ending", trial=trial, state=state, reason="so", **more)

    def complete(self, config: dict[str, Any], loss: float = 0.5) -> None:
        """A whole trial."""
        trial = self.propose(config)
        self.report(trial, [1, 2], loss)
        self.end(trial, "completed")

    @property
    def history(self) -> History:
        return History(self.events)

    def write(self, runs: Path) -> Path:
        """Writes the log into a folder of a runs folder."""
        folder = runs / self.events[0]["name"]
        folder.mkdir(parents=True)
        log = EventLog(folder / FILE_NAME)
        for event in self.events:
            log.append(**event)
        log.close()
        return folder
