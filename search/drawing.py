"""Which pictures a search gets, made from its event log and from what the one opening of the test split gave."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets import Dataset, Examples
from search import events, pictures
from search.history import History, TrialResult
from search.importance import importance, judged
from search.space import Config, strongest
from search.task import Task
from search.testing import Aside, Opening
from trainables.recipe import PICTURE_SETTINGS

_COLOURS = (1, 3)
_PLANE = (2,)
_SHOWN = 20
_EMBEDDED = 1000


def of_the_data(path: Path, task: Task, dataset: Dataset, name: str) -> None:
    """What the task learns from; ``name``: of the search or the task, for the title."""
    pictures.data(dataset, augmentations(task), f"{name}: what is learnt from", path)


def augmentations(task: Task) -> Sequence[pictures.Augmentation]:
    """The strongest augmentation of pictures that each family can get; families with the same one are together."""
    found: list[tuple[list[str], Config]] = []
    for family in task.families:
        most = sorted(strongest(task.space, family, PICTURE_SETTINGS).items())
        settings = {name: value for name, value in most if value}
        alike = next((families for families, others in found if others == settings), None)
        if alike is not None:
            alike.append(family)
        elif settings:
            found.append(([family], settings))
    return found


def aside(dataset: Dataset) -> Aside:
    """What the winner is asked for its pictures: decision regions over a plane, of other data none; last features."""
    validation = dataset.development.inputs[validated(dataset)]
    if dataset.input_shape != _PLANE:
        return Aside(dataset.development.inputs[:0], validation)
    return Aside(pictures.grid(_points(dataset.development)), validation)


def validated(dataset: Dataset) -> np.ndarray:
    """Validation examples of the first fold, indices of the development examples: all, or 1,000 drawn at random."""
    examples = dataset.folds[0].val
    if len(examples) <= _EMBEDDED:
        return examples
    return np.random.default_rng(0).choice(examples, _EMBEDDED, replace=False)


def _points(examples: Examples) -> pictures.Points:
    return pictures.Points(examples.inputs, examples.targets)


def of_the_winner(folder: Path, dataset: Dataset, winner: TrialResult, opening: Opening) -> None:
    """Its test pictures with its predictions, or its decision regions; its last features of validation examples."""
    assert opening.answers is not None
    predicted, elsewhere = opening.predicted[0], opening.answers.elsewhere
    test, classes = dataset.test, dataset.classes
    assert isinstance(test, Examples)
    title = f"{folder.name}: trial {winner.id} ({winner.model})"
    if len(elsewhere):
        development = _points(dataset.development)
        pictures.regions(pictures.grid(development), elsewhere, development, _points(test), predicted, classes,
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
    shown, among = validated(dataset), len(dataset.folds[0].val)
    if len(shown) >= pictures.FEWEST_EMBEDDED:
        answers, targets = opening.answers, dataset.development.targets[shown]
        fold = f" (first of {len(dataset.folds)} folds)" if len(dataset.folds) > 1 else ""
        pictures.embedding(answers.features, targets, answers.guesses, classes, among,
                           f"{title}, last features by t-SNE{fold}", folder / "embedding.png")  # fmt: skip


def of_the_search(folder: Path, task: Task, history: History, winner: int | None) -> None:
    """What the event log tells of trials, families and settings; ``winner``: the search's trial that has won."""
    log = list(events.read(folder / events.FILE_NAME))
    pictures.curves(history, task.metric, task.milestones, winner, folder / "curves.png")
    pictures.best_so_far(log, task.metric, folder / "best_so_far.png")
    pictures.families(history, folder / "families.png")
    families = judged(log, task.metric)
    counts = {family: len(trials) for family, trials in families.items()}
    title = f"{folder.name}: which settings decide {task.metric}"
    pictures.importances(importance(task.space, families), counts, title, folder / "importance.png")


def of_the_tests(folder: Path, history: History) -> None:
    """The checkpoints that were tested, the winner's confusions first."""
    winner = next((test for test in history.tests if test["chosen"] == "winner"), None)
    if winner:
        title = f"{folder.name}: trial {winner['trial']} ({winner['model']}) on the test split"
        pictures.confusion(winner["confusion"], history.search["classes"], title, folder / "confusion.png")
        pictures.tested_curves(history, folder / "tested_curves.png")
