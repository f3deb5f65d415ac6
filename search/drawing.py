"""Which pictures a search gets, made from its event log and from what the one opening of the test split gave."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from datasets import Dataset, Examples
from search import events, pictures
from search.history import History, TrialResult
from search.importance import importance, judged
from search.space import Config, strongest
from search.task import Task
from search.testing import Aside, Opening
from trainables.recipe import PICTURE_SETTINGS

_PLANE = (2,)
_SHOWN = 20
_EMBEDDED = 1000


def of_the_data(
    path: Path, task: Task, dataset: Dataset, name: str, augmented: Sequence[np.ndarray] | None = None
) -> None:
    """What the task learns from.

    Args:
        path: of the PNG.
        task: the task.
        dataset: its data.
        name: of the search or the task, for the title.
        augmented: the ``Answers`` with that name; without them torch is imported here, which takes a second.
    """
    found = augmentations(task) if pictures.shows_pictures(dataset) else []
    if augmented is None and found:
        from trainables.augmentation import augmented as changed

        augmented = [changed(pictures.shown(dataset), settings) for _, settings in found]
    rows = [(*row, changed) for row, changed in zip(found, augmented or (), strict=True)]
    pictures.data(dataset, rows, f"{name}: what is learnt from", path)


def augmentations(task: Task) -> list[tuple[list[str], Mapping[str, Any]]]:
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
    return [*found]


def aside(task: Task, dataset: Dataset) -> Aside:
    """What is asked for pictures: decision regions over a plane, of other data none; last features; augmentation."""
    inputs = dataset.development.inputs
    plane = dataset.input_shape == _PLANE
    elsewhere = pictures.grid(_points(dataset.development)) if plane else inputs[:0]
    if not pictures.shows_pictures(dataset):
        return Aside(elsewhere, inputs[validated(dataset)], inputs[:0], [])
    settings = [settings for _, settings in augmentations(task)]
    return Aside(elsewhere, inputs[validated(dataset)], pictures.shown(dataset), settings)


def validated(dataset: Dataset) -> np.ndarray:
    """Validation examples of the first fold, indices of the development examples: all, or 1,000 drawn at random."""
    examples = dataset.folds[0].val
    if len(examples) <= _EMBEDDED:
        return examples
    return np.random.default_rng(0).choice(examples, _EMBEDDED, replace=False)


def _points(examples: Examples) -> pictures.Points:
    return pictures.Points(examples.inputs, examples.targets)


def of_the_opening(
    folder: Path, task: Task, dataset: Dataset, history: History, winner: TrialResult, opening: Opening
) -> None:
    """What an opening of the test split gave, and what the task learns from.

    Of the winner its test pictures with predictions, or its decision regions, and its last features of validation
    examples; and ``of_the_tests``.
    """
    answers = opening.answers
    assert answers is not None
    few = len(answers.features) < pictures.FEWEST_EMBEDDED
    with ThreadPoolExecutor(2) as pool:  # t-SNE leaves the interpreter to what is drawn meanwhile
        places = [] if few else [pool.submit(pictures.embedded, answers.features, dimensions) for dimensions in (2, 3)]
        of_the_data(folder / "data.png", task, dataset, folder.name, answers.augmented)
        title = f"{folder.name}: trial {winner.id} ({winner.model})"
        _predicted(folder, dataset, opening.predicted[0], answers.elsewhere, title)
        of_the_tests(folder, history)
        if places:
            targets, among = dataset.development.targets[validated(dataset)], len(dataset.folds[0].val)
            fold = f" (first of {len(dataset.folds)} folds)" if len(dataset.folds) > 1 else ""
            pictures.embedding([place.result() for place in places], targets, answers.guesses, dataset.classes, among,
                               f"{title}, last features by t-SNE{fold}", folder / "embedding.png")  # fmt: skip


def _predicted(folder: Path, dataset: Dataset, predicted: np.ndarray, elsewhere: np.ndarray, title: str) -> None:
    """``predicted``, ``elsewhere``: class probabilities of the test examples, and of the grid of decision regions."""
    test, classes = dataset.test, dataset.classes
    assert isinstance(test, Examples)
    if len(elsewhere):
        development = _points(dataset.development)
        pictures.regions(pictures.grid(development), elsewhere, development, _points(test), predicted, classes,
                         f"{title}, decision regions", folder / "regions.png")  # fmt: skip
    if pictures.shows_pictures(dataset):
        wrong = np.flatnonzero(predicted.argmax(1) != test.targets)
        for name, chosen, what in (
            ("examples", np.arange(len(test))[:_SHOWN], "the first test pictures"),
            ("mistakes", wrong[:_SHOWN], f"the first of {len(wrong)} mistakes in {len(test)} test pictures"),
        ):
            if len(chosen):
                pictures.examples(test.inputs[chosen], test.targets[chosen], predicted[chosen], classes,
                                  f"{title}, {what}", folder / f"{name}.png")  # fmt: skip


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
