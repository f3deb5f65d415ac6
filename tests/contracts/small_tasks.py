"""The tasks of conf/ on little data: on samples of a few files, or on none where a task reads none."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import sample
from datasets.errors import UserError
from search import conf
from search.task import Task, conf_folder
from trainables import pretrained
from trainables.signatures import dataset_keywords

CONFS = tuple(sorted(path.stem for path in conf_folder().glob("*.yaml")))
SIDE = 32
_EXAMPLES = 240
_FOLDS = 3


def counts_of(task: str) -> tuple[int, int]:
    """Training and test examples of a sample."""
    train, test = sample.FORMATS[task][1]
    share = min(1.0, _EXAMPLES / (train + test))
    return round(share * train), round(share * test)


def load(task: str) -> Task:
    """The task of a name or path, on pictures of ``SIDE`` pixels, no family of it from published weights.

    A number of examples to validate on becomes as much smaller as the task's sample is.
    """
    usual = conf.load(task, {}, [])
    settings = usual.dataset_settings
    assignments = [f"{family}.weights=none" for family, model in usual.models.items() if pretrained.named(model, {})]
    if "side" in settings:
        assignments.append(f"dataset.side={SIDE}")
    if isinstance(val := settings.get("val"), int) and task in sample.FORMATS:
        share = counts_of(task)[0] / sample.FORMATS[task][1][0]
        assignments.append(f"dataset.val={round(share * val)}")
    return conf.load(task, {}, assignments)


def loadable() -> Iterator[Task]:
    """Those of conf/; whether all of them load is a test of its own."""
    for name in CONFS:
        with suppress(UserError):
            yield load(name)


@dataclass(frozen=True)
class Case:
    """A dataset module on little data: on the sample of a task, or without any file where that is None."""

    name: str
    module: str
    sample: str | None
    settings: dict[str, Any] = field(hash=False)


def cases() -> dict[str, Case]:
    """By their names: each conf's dataset, what no conf has, and with several folds what can have them."""
    found = [
        Case(task.name, task.dataset, task.name if task.name in sample.FORMATS else None, task.dataset_settings)
        for task in loadable()
    ]
    tables = {"train": "spiral/train.csv", "test": "spiral/test.csv"}
    found += [
        Case("spiral, generated", "spiral", None, {"train": 120, "test": 60}),
        Case("points of one table", "points", "spiral", {"train": tables["train"]}),
        Case("points of two tables", "points", "spiral", tables),
    ]
    for case in tuple(found):
        if "folds" in dataset_keywords(case.module):
            folds = 1 if case.settings.get("folds", dataset_keywords(case.module)["folds"].default) > 1 else _FOLDS
            found.append(replace(case, name=f"{case.name}, folds {folds}", settings=case.settings | {"folds": folds}))
    return {case.name: case for case in found}
