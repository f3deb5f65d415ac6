"""Reads a task's data and refuses a conf that does not fit it."""

from pathlib import Path

import datasets
from datasets import Dataset
from datasets.errors import UserError
from search.space import Fixed, nodes
from search.task import Task
from trainables.recipe import PICTURE_SETTINGS
from trainables.signatures import input_dimensions

_PICTURE = 3


def read(task: Task, data_root: Path) -> Dataset:
    """The task's dataset.

    Raises:
        UserError: data that is absent or broken, or models and settings that can't take its examples.
    """
    dataset = datasets.load(task.dataset, data_root, task.dataset_settings)
    shape = dataset.input_shape
    configs = [reference.config for reference in task.references]
    for family in (*task.families, *(config["model"] for config in configs)):
        dimensions = input_dimensions(family)
        if dimensions not in (None, len(shape)):
            raise UserError(
                f"{task.name}: model {family} takes pictures; dataset {task.dataset} has examples of shape {shape}"
            )
    if len(shape) != _PICTURE:
        asked = {key for key, node in nodes(task.space) if not (isinstance(node, Fixed) and not node.value)}
        asked |= {key for config in configs for key, value in config.items() if value}
        for key in sorted(asked):
            if key.rpartition(".")[2] in PICTURE_SETTINGS:
                raise UserError(
                    f"{task.name}: {key} changes pictures; dataset {task.dataset} has examples of shape {shape}"
                )
    return dataset
