"""Which pictures a search gets, made from its event log and from what the one opening of the test split gave."""

from pathlib import Path

import numpy as np

from datasets import Dataset, Examples
from search import events, pictures
from search.history import History, TrialResult
from search.importance import importance, judged
from search.task import Task

_COLOURS = (1, 3)
_PLANE = (2,)
_SHOWN = 20


def grid(dataset: Dataset) -> np.ndarray:
    """Where the winner is asked for its decision regions: points over a plane, of other data none."""
    if dataset.input_shape != _PLANE:
        return dataset.development.inputs[:0]
    return pictures.grid(_points(dataset.development))


def _points(examples: Examples) -> pictures.Points:
    return pictures.Points(examples.inputs, examples.targets)


def of_the_winner(
    folder: Path, dataset: Dataset, winner: TrialResult, predicted: np.ndarray, elsewhere: np.ndarray
) -> None:
    """Its test pictures with its predictions, or its decision regions.

    ``predicted``, ``elsewhere``: its class probabilities of the test examples and of the grid, shape (n, classes).
    """
    test, classes = dataset.test, dataset.classes
    assert isinstance(test, Examples)
    title = f"{folder.name}: trial {winner.id} ({winner.model})"
    if len(elsewhere):
        development = _points(dataset.development)
        pictures.regions(grid(dataset), elsewhere, development, _points(test), predicted, classes,
                         f"{title}, decision regions", folder / "regions.png")  # fmt: skip
    if len(dataset.input_shape) == 3 and dataset.input_shape[0] in _COLOURS:
        wrong = np.flatnonzero(predicted.argmax(1) != test.targets)
        for name, chosen, what in (
            ("examples", np.arange(len(test))[:_SHOWN], "the first test pictures"),
            ("mistakes", wrong[:_SHOWN], f"the first of {len(wrong)} mistakes in {len(test)} test pictures"),
        ):
            if len(chosen):
                pictures.examples(test.inputs[chosen], test.targets[chosen], predicted[chosen], classes,
                                  f"{title}, {what}", folder / f"{name}.png")  # fmt: skip


def of_the_search(folder: Path, task: Task, history: History) -> None:
    """What the event log tells of trials, families and settings, and of the checkpoints that were tested."""
    log = list(events.read(folder / events.FILE_NAME))
    winner = next((test for test in history.tests if test["chosen"] == "winner"), None)
    number = winner["trial"] if winner else None
    pictures.curves(history, task.metric, task.milestones, number, folder / "curves.png")
    pictures.best_so_far(log, task.metric, folder / "best_so_far.png")
    pictures.families(history, folder / "families.png")
    families = judged(log, task.metric)
    counts = {family: len(trials) for family, trials in families.items()}
    title = f"{folder.name}: which settings decide {task.metric}"
    pictures.importances(importance(task.space, families), counts, title, folder / "importance.png")
    if winner:
        title = f"{folder.name}: trial {number} ({winner['model']}) on the test split"
        pictures.confusion(winner["confusion"], history.search["classes"], title, folder / "confusion.png")
        pictures.tested_curves(history, folder / "tested_curves.png")
