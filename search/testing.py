"""One opening of the test split: the selected checkpoints evaluated in the cluster, and their figures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets import Dataset, Examples


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


def report(trial: int, probabilities: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> TestReport:
    """The figures of ``probabilities``, shape (examples, classes), by scikit-learn and SciPy."""
    from scipy.stats import binomtest
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = list(range(len(classes)))
    predictions = probabilities.argmax(1)
    wrong = int((predictions != targets).sum())
    interval = binomtest(wrong, len(targets)).proportion_ci(method="wilson")
    precision, recall, f1, examples = precision_recall_fscore_support(
        targets, predictions, labels=labels, zero_division=0.0
    )
    likelihood = probabilities[np.arange(len(targets)), targets].clip(np.finfo(float).tiny)
    return TestReport(
        trial=trial,
        loss=float(-np.log(likelihood).mean()),
        error=wrong / len(targets),
        interval=(float(interval.low), float(interval.high)),
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
    )


def evaluate(folders: Sequence[str], inputs: np.ndarray, gpus: float) -> tuple[list[np.ndarray], bytes]:
    """Class probabilities of each checkpoint, and the first one's file with its best weights only.

    Runs in the cluster, in one process.
    """
    import torch

    from trainables.training import CHECKPOINT_FILE, load_checkpoint, probabilities, without_resume_state

    device = "cuda" if gpus and torch.cuda.is_available() else "cpu"
    checkpoints = [load_checkpoint(Path(folder) / CHECKPOINT_FILE, device) for folder in folders]
    best = io.BytesIO()
    torch.save(without_resume_state(load_checkpoint(Path(folders[0]) / CHECKPOINT_FILE)), best)
    return [probabilities(checkpoint, inputs, device) for checkpoint in checkpoints], best.getvalue()


def open_test_split(
    dataset: Dataset, folders: Sequence[str], trials: Sequence[int], cpus: float, gpus: float
) -> tuple[list[TestReport], bytes]:
    """The reports of checkpoints in the order given, and the first one's file with its best weights only.

    Only here does the test split enter the cluster; Ray must be connected.
    """
    import ray

    test = dataset.test
    assert isinstance(test, Examples)
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=2)(evaluate)
    predicted, best = ray.get(remote.remote(list(folders), test.inputs, gpus))
    reports = [
        report(trial, probabilities, test.targets, dataset.classes)
        for trial, probabilities in zip(trials, predicted, strict=True)
    ]
    return reports, best
