"""Reads a task's data and refuses a conf that does not fit it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from datasets import Dataset
from datasets.errors import UserError
from search.space import Choice, Config, Node, Range, nodes
from search.task import Task
from trainables import pretrained
from trainables.recipe import PICTURE_SETTINGS, split_settings
from trainables.signatures import input_dimensions

if TYPE_CHECKING:
    from trainables.models import State

_PICTURE = 3


def root_of(task: Task, given: Path | None) -> Path:
    """Where a task's files lie: as given, else as its conf or the environment's ``DATA_ROOT`` says, else data/."""
    return given or task.data_root or Path(os.environ.get("DATA_ROOT", "data"))


def read(task: Task, data_root: Path | None) -> Dataset:
    """The task's dataset, from below ``root_of``.

    Raises:
        UserError: data that is absent or broken, or models and settings that can't take its examples.
    """
    dataset = datasets.load(task.dataset, root_of(task, data_root), task.dataset_settings)
    shape = dataset.input_shape
    configs = [reference.config for reference in task.references]
    for model in (*task.models.values(), *(split_settings(config)[0] for config in configs)):
        dimensions = input_dimensions(model)
        if dimensions not in (None, len(shape)):
            raise UserError(
                f"{task.name}: model {model} takes pictures; dataset {task.dataset} has examples of shape {shape}"
            )
    if len(shape) != _PICTURE:
        asked = [(key, value) for key, node in nodes(task.space) for value in _ends(node)]
        asked += [item for config in configs for item in config.items()]
        for key, value in sorted(asked, key=str):
            name, problem = key.rpartition(".")[2], ""
            if name in PICTURE_SETTINGS and value:
                problem = f"{key} changes pictures"
            elif (name, value) == ("normalise", "imagenet"):
                problem = f"{key} {value} takes pictures"
            if problem:
                raise UserError(f"{task.name}: {problem}; dataset {task.dataset} has examples of shape {shape}")
    return dataset


Wanted = Mapping[str, str]
"""Names of published weights (see ``trainables.pretrained``), each with how to do without."""


def weights_of_space(task: Task) -> Wanted:
    """Those from which models that are proposed may begin."""
    families = task.space["model"]
    assert isinstance(families, Choice)
    found: dict[str, str] = {}
    for family, model in task.models.items():
        node = families.settings[family].get("weights", task.space.get("weights"))
        for settings in [{"weights": value} for value in _ends(node)] if node else [{}]:
            if name := pretrained.named(model, settings):
                found[name] = f"{found.get(name, 'or train from scratch:')} --set {family}.weights=none"
    return found


def weights_of(configs: Iterable[Config]) -> Wanted:
    """Those from which the models of some configurations begin."""
    names = [pretrained.named(*split_settings(config)[:2]) for config in configs]
    return {name: "its trial cannot begin without" for name in names if name}


def wanted(task: Task, *, references: bool) -> Wanted:
    """Those from which trials of a search may begin, its references among them where they are trained."""
    beside = [reference.config for reference in task.references] if references else []
    return {**weights_of(beside), **weights_of_space(task)}


def read_weights(task: Task, data_root: Path | None, wanted: Wanted) -> "dict[str, State]":
    """The weights, as ``models.build`` takes them.

    Raises:
        UserError: they are nowhere and cannot be had, or are not the published ones.
    """
    weights = {}
    for name, otherwise in wanted.items():
        try:
            weights[name] = pretrained.load(name, root_of(task, data_root))
        except UserError as error:
            raise UserError(f"{error}; {otherwise}") from None
    return weights


def _ends(node: Node) -> tuple[Any, ...]:
    """The values of a node, or the two ends of a range."""
    if isinstance(node, Range):
        return node.low, node.high
    return node.values if isinstance(node, Choice) else (node.value,)
