"""One opening of the test split: the selected checkpoints evaluated in the cluster, and their figures."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datasets import Dataset, Examples
from datasets.errors import one_line
from datasets.garbage import importing
from search.statistics import wilson
from trainables.epoch import CheckpointError
from trainables.storage import Storage

_NODES_LOST = 10
"""So often is an evaluation begun again whose worker dies, with its node as a rule; an exception ends it at once."""


@dataclass(frozen=True)
class TestReport:
    """A checkpoint's figures on the test split. Errors and scores are shares of 0 to 1."""

    __test__ = False
    trial: int
    loss: float
    """Mean negative log-likelihood, nats an example."""
    error: float
    interval: tuple[float, float]
    """Wilson's 95 % interval of the error."""
    f1: float
    """Macro-averaged."""
    per_class: list[dict[str, Any]]
    """``class``, ``precision``, ``recall``, ``f1`` and ``examples`` of each class."""
    confusion: list[list[int]]
    """Counts; rows are true classes, columns predictions."""
    fold_errors: list[float]
    """The test error of each fold's model alone; what is tested is their averaged probabilities."""


def report(trial: int, by_fold: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> TestReport:
    """The figures of the mean of probabilities, shape (folds, examples, classes), by scikit-learn and SciPy."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = list(range(len(classes)))
    probabilities = by_fold.mean(0)
    predictions = probabilities.argmax(1)
    wrong = int((predictions != targets).sum())
    precision, recall, f1, examples = precision_recall_fscore_support(
        targets, predictions, labels=labels, zero_division=0.0
    )
    likelihood = probabilities[np.arange(len(targets)), targets].clip(np.finfo(float).tiny)
    return TestReport(
        trial=trial,
        loss=float(-np.log(likelihood).mean()),
        error=wrong / len(targets),
        interval=wilson(wrong, len(targets)),
        f1=float(f1.mean()),
        per_class=[
            {
                "class": name,
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "examples": int(examples[k]),
            }
            for k, name in enumerate(classes)
        ],
        confusion=confusion_matrix(targets, predictions, labels=labels).tolist(),
        fold_errors=[float((fold.argmax(1) != targets).mean()) for fold in by_fold],
    )


def together(trials: Sequence[int], predicted: Sequence[np.ndarray], dataset: Dataset) -> dict[str, Any]:
    """``trials`` and the figures on the test split of these trials' class probabilities, averaged."""
    assert dataset.test is not None
    found = report(trials[0], np.stack(predicted), dataset.test.targets, dataset.classes)
    return {"trials": list(trials), **{name: getattr(found, name) for name in ("loss", "error", "interval", "f1")}}


@dataclass(frozen=True)
class Aside:
    """What is asked beside the test split, of the first checkpoint as a rule, for pictures; any may be empty."""

    elsewhere: np.ndarray
    """Inputs whose class probabilities are asked for."""
    validation: np.ndarray
    """Inputs whose last features are asked for, validation examples of the first fold."""
    pictures: np.ndarray
    """Inputs that are to be augmented."""
    augmentations: Sequence[Mapping[str, Any]]
    """How, see ``trainables.augmentation.augmented``."""


@dataclass(frozen=True)
class Answers:
    """What it answered."""

    elsewhere: np.ndarray
    """Class probabilities, shape (inputs, classes)."""
    features: np.ndarray
    """What the first fold's model gives to its last linear layer, shape (validation inputs, features)."""
    guesses: np.ndarray
    """The classes that this model predicts, shape (validation inputs,)."""
    augmented: list[np.ndarray] | None
    """The pictures in each augmentation; None where that failed, which must cost no result."""


@dataclass(frozen=True)
class Opening:
    """What one opening of the test split gave."""

    reports: list[TestReport]
    """Of the checkpoints in the order asked for."""
    best: bytes
    """The first checkpoint's file with its best weights only."""
    predicted: list[np.ndarray]
    """Of each, in the same order, class probabilities of the test examples, shape (examples, classes)."""
    answers: Answers | None
    """None where nothing was asked aside."""
    damaged: dict[int, str] = field(default_factory=dict)
    """By place, what is wrong with checkpoints that cannot be read; where there are any, nothing was evaluated."""


@dataclass(frozen=True)
class Evaluation:
    """What the cluster sends back, see ``Opening``."""

    predicted: list[np.ndarray]
    """Of each checkpoint, class probabilities by fold."""
    best: bytes
    answers: Answers | None
    damaged: dict[int, str]


def evaluate(
    storage: Storage, checkpoints: Sequence[str], inputs: np.ndarray, aside: Aside | None, gpus: float
) -> Evaluation:
    """Evaluates checkpoints of the storage, by name; runs in the cluster, in one process."""
    with importing():
        import torch

        from trainables.augmentation import augmented
        from trainables.training import (
            CHECKPOINT_FILE,
            ensemble,
            fold_probabilities,
            last_features,
            load_checkpoint,
            without_resume_state,
        )

    device = "cuda" if gpus and torch.cuda.is_available() else "cpu"
    loaded, damaged = [], {}
    for place, name in enumerate(checkpoints):
        try:
            with storage.reading(name) as folder:
                loaded.append(without_resume_state(load_checkpoint(folder / CHECKPOINT_FILE)))
        except (CheckpointError, OSError) as error:
            damaged[place] = one_line(str(error))
    if damaged:
        return Evaluation([], b"", None, damaged)
    models = [ensemble(checkpoint) for checkpoint in loaded]
    best = io.BytesIO()
    torch.save(loaded[0], best)
    predicted = [fold_probabilities(model, inputs, device) for model in models]
    answers = None
    if aside is not None:
        features, logits = last_features(models[0].members[0], aside.validation, device)
        elsewhere = fold_probabilities(models[0], aside.elsewhere, device).mean(0)
        changed = None
        with suppress(Exception):  # the driver will meet it when it draws
            changed = [augmented(aside.pictures, settings) for settings in aside.augmentations]
        answers = Answers(elsewhere, features, logits.argmax(1), changed)
    return Evaluation(predicted, best.getvalue(), answers, {})


class Evaluating:
    """An evaluation of checkpoints that has begun in the cluster. Only here does the test split enter it."""

    def __init__(
        self,
        dataset: Dataset,
        storage: Storage,
        checkpoints: Sequence[str],
        trials: Sequence[int],
        aside: Aside | None,
        cpus: float,
        gpus: float,
    ) -> None:
        """Begins it; the first checkpoint is also asked what is ``aside``, if anything. Ray must be connected."""
        import ray

        test = dataset.test
        assert isinstance(test, Examples)
        self.test, self.classes, self.storage, self.trials, self.cpus = test, dataset.classes, storage, trials, cpus
        remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_NODES_LOST)(evaluate)
        self._evaluation = remote.remote(storage, list(checkpoints), test.inputs, aside, gpus)

    def package(self, name: str, fit: str) -> Callable[[float], None]:
        """Has the first checkpoint's best weights packaged after it, see ``packaging.package``, under a name.

        Not before: a worker that has evaluated has imported what takes longest, and the driver draws meanwhile.

        Returns:
            What waits until that has ended, at most so many seconds. A failure is left to whoever misses the folder.
        """
        import ray

        remote = ray.remote(num_cpus=self.cpus, max_retries=0)(_package)
        ending = remote.remote(self._evaluation, self.storage, name, fit)

        def wait(seconds: float) -> None:
            ray.wait([ending], timeout=seconds)

        return wait

    def opened(self) -> Opening:
        """Waits for what it gave."""
        import ray

        found = ray.get(self._evaluation)
        if found.damaged:
            return Opening([], b"", [], None, found.damaged)
        reports = [
            report(trial, by_fold, self.test.targets, self.classes)
            for trial, by_fold in zip(self.trials, found.predicted, strict=True)
        ]
        return Opening(reports, found.best, [by_fold.mean(0) for by_fold in found.predicted], found.answers)


def _package(evaluation: Evaluation, storage: Storage, name: str, fit: str) -> None:
    if not evaluation.damaged:
        with importing():
            import torch
            import torch.export

            from search.packaging import import_models, package

            import_models()
        with storage.writing(name) as folder:
            package(torch.load(io.BytesIO(evaluation.best), weights_only=True), folder, fit)
