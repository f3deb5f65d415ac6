"""What every conf file meets by being there, and a task of one's own, which is one conf file more, too."""

import functools
import importlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import small_tasks
import torch

from datasets import Dataset, Fold, sample
from datasets.errors import UserError
from search import conf, reading
from search.space import propose
from search.task import Task
from trainables import pretrained
from trainables.recipe import split_settings
from trainables.training import CHECKPOINT_FILE, Training, load_checkpoint, probabilities

torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.WARNING)

TASKS = {task.name: task for task in small_tasks.loadable()}
SEEDS = (0, 1)
EPOCHS = 2


def few(dataset: Dataset) -> Dataset:
    """Of each class two examples to train on and one to validate with in each fold."""
    targets = dataset.development.targets

    def first(index: np.ndarray, count: int) -> np.ndarray:
        return np.concatenate([index[targets[index] == code][:count] for code in range(len(dataset.classes))])

    folds = [(first(fold.train, 2), first(fold.val, 1)) for fold in dataset.folds]
    kept = np.unique(np.concatenate([side for fold in folds for side in fold]))
    return replace(
        dataset.blind(),
        development=dataset.development.at(kept),
        folds=tuple(Fold(*(np.searchsorted(kept, side) for side in fold)) for fold in folds),
    )


def proposed(task: Task, family: str, seed: int) -> dict[str, Any]:
    """A random configuration of a family."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    while (config := propose(task.space, study.ask()))["model"] != family:
        pass
    return config


def without_weights(config: dict[str, Any]) -> dict[str, Any]:
    """The same from scratch."""
    return config | {"weights": "none"} if pretrained.named(*split_settings(config)[:2]) else config


def assert_fits(task: Task, dataset: Dataset, root: Path) -> None:
    """People are told where the data is from, and that a stand-in is none of what a module knows to be published.

    The models can do without published weights.
    """
    assert dataset.origin
    assert (str(root) in dataset.origin) == any(root.iterdir())
    published = hasattr(importlib.import_module(f"datasets.{task.dataset}"), "SOURCES")
    assert any("not the published" in line for line in dataset.warnings) == bool(dataset.warnings) == published
    assert all(line.startswith(f"dataset {task.dataset}: ") for line in dataset.warnings)
    assert not any("\n" in line for line in (dataset.origin, *dataset.warnings))
    assert reading.weights_of_space(task) == {}


def assert_learns(task: Task, config: dict[str, Any], dataset: Dataset, folder: Path) -> None:
    """The configuration is trained, and again from its first checkpoint on, which predicts too."""
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    examples = few(dataset)

    def start() -> Training:
        return Training(examples, config, epochs=EPOCHS, patience=EPOCHS, metric=task.metric, seed=7)

    undisturbed = start()
    epochs = iter(undisturbed)
    first = next(epochs)
    undisturbed.save(folder)
    rest = list(epochs)
    assert [epoch.index for epoch in (first, *rest)] == list(range(1, EPOCHS + 1))
    assert all(math.isfinite(figure) for epoch in (first, *rest) for figure in astuple(epoch))
    resumed = start()
    resumed.restore(folder)
    assert without_seconds(resumed) == without_seconds(rest)
    assert without_seconds([resumed.best]) == without_seconds([undisturbed.best])
    inputs = dataset.test.inputs[:5]
    predicted = probabilities(load_checkpoint(folder / CHECKPOINT_FILE), inputs)
    assert predicted.shape == (len(inputs), len(dataset.classes))
    assert (predicted >= 0).all()
    np.testing.assert_allclose(predicted.sum(1), 1, rtol=1e-9)


def without_seconds(epochs: Any) -> list[str]:
    """All other figures, as text, which differs where a single bit does."""
    return [repr(replace(epoch, seconds=0.0)) for epoch in epochs]


def sampled(name: str) -> str | None:
    """The task whose sample a conf's data is, itself; None where it must do without files."""
    return name if name in sample.FORMATS else None


@pytest.fixture(scope="session")
def read(root_of) -> Callable[[str], Dataset]:
    """A conf's data, as a search reads it."""

    @functools.cache
    def read(name: str) -> Dataset:
        try:
            return reading.read(small_tasks.load(name), root_of(sampled(name)))
        except UserError as error:
            said = "" if sampled(name) else f"; datasets.sample.FORMATS has no {name}, which may be what is missing"
            pytest.fail(f"conf/{name}.yaml: its data cannot be read: {error}{said}", pytrace=False)

    return read


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """For checkpoints, which are large: nothing of it is kept."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("name", small_tasks.CONFS)
def test_it_is_a_task(name):
    task = conf.load(name, {}, [])
    assert task.name == name
    assert json.loads(json.dumps(task.resolved)) == task.resolved
    said = re.search(rf"^#   python -m search.run {name}\b", conf.find(name).read_text(encoding="utf-8"), re.MULTILINE)
    assert said, f"conf/{name}.yaml does not say by what command it is searched"


@pytest.mark.parametrize("name", small_tasks.CONFS)
def test_its_data_is_read(name, read, root_of):
    dataset = read(name)
    assert_fits(TASKS[name], dataset, root_of(sampled(name)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "family"), [(name, family) for name in TASKS for family in TASKS[name].families])
def test_its_families_learn(name, family, seed, read, folder):
    assert_learns(TASKS[name], proposed(TASKS[name], family, seed), read(name), folder)


@pytest.mark.parametrize(
    ("name", "reference"),
    [(name, reference) for name, task in TASKS.items() for reference in task.references],
    ids=lambda value: getattr(value, "name", value),
)
def test_its_references_learn(name, reference, read, folder):
    assert_learns(TASKS[name], without_weights(reference.config), read(name), folder)


OWN = {
    "wildlife": """
        dataset: {name: image_folder, root: ../data, folder: wildlife, side: 32}
        metric: val_f1
        epochs: 9
        models:
          plain: {model: cnn, channels: {choice: [[8, 16], [16, 32]]}, widths: []}
          deep: {model: cnn, channels: [8, 16, 16], widths: [], batch_norm: true, flip: true}
        space:
          lr: {low: 1e-3, high: 1e-2, log: true}
          normalise: imagenet
        """,
    "insects": """
        dataset:
          {name: csv_images, root: ../data, train: insects/insects.csv, folder: insects/pictures,
           label: species, side: 32, folds: 3}
        epochs: 9
        models:
          mlp:
          cnn: {channels: [8, 16], flip: true}
        space: {batch_size: {low: 16, high: 64}}
        references:
          - {name: by hand, config: {model: mlp, lr: 1e-3, normalise: standard}}
        """,
    "spiral": """
        dataset: {name: points, root: ../data, train: spiral/train.csv, test: spiral/test.csv, folds: 3}
        epochs: 9
        models: {mlp: {widths: {choice: [[32], [32, 32]]}}}
        space: {lr: {low: 1e-3, high: 1e-2, log: true}, optimizer: {choice: {adam: , sgd: {momentum: 0.9}}}}
        """,
}


@pytest.mark.parametrize("data", OWN)
def test_a_task_of_ones_own_is_one_file(data, sample_of, folder):
    shutil.copytree(sample_of(data).root / data, folder / "data" / data)
    path = folder / "tasks/mine.yaml"
    path.parent.mkdir()
    path.write_text(OWN[data], encoding="utf-8")
    assert len(OWN[data].strip().splitlines()) <= 20
    task = small_tasks.load(str(path))
    dataset = reading.read(task, None)
    assert_fits(task, dataset, folder / "data")
    configs = [proposed(task, family, seed) for family in task.families for seed in SEEDS]
    for config in (*configs, *(reference.config for reference in task.references)):
        assert_learns(task, config, dataset, folder)
