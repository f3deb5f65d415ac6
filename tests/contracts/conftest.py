import functools
import inspect
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small_tasks
from small_tasks import Case

import datasets
from datasets import Dataset, Examples, sample
from datasets.errors import UserError


@dataclass(frozen=True)
class Sample:
    """A task's sample as it was written, and what was drawn for it: ``Examples``, or pairs of label and picture."""

    root: Path
    paths: list[Path]
    drawn: list[Any]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def sample_of(tmp_path_factory) -> Callable[[str], Sample]:
    @functools.cache
    def written(task: str) -> Sample:
        root = tmp_path_factory.mktemp(task)
        with pytest.MonkeyPatch.context() as monkeypatch:
            drawn = _listening(monkeypatch)
            paths = sample.write(task, root, 0, small_tasks.counts_of(task))
        return Sample(root, paths, drawn)

    return written


def _listening(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the functions that the samples' writer calls will have drawn."""
    heard: list[Any] = []

    def listened(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            if isinstance(result, Examples) or (isinstance(result, list) and result and isinstance(result[0], tuple)):
                heard.append(result)
            return result

        return call

    for module in vars(sample).values():
        if inspect.ismodule(module) and module.__name__.startswith("datasets."):
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if not name.startswith("_"):
                    monkeypatch.setattr(module, name, listened(function))
    return heard


@pytest.fixture(scope="session")
def root_of(sample_of, tmp_path_factory) -> Callable[[str | None], Path]:
    """The data root with a task's sample, or for None an empty one."""
    nothing = tmp_path_factory.mktemp("nothing")
    return lambda task: nothing if task is None else sample_of(task).root


@pytest.fixture(scope="session")
def loaded(root_of) -> Callable[[Case], Dataset]:
    @functools.cache
    def loaded(case: Case) -> Dataset:
        root = root_of(case.sample)
        try:
            return datasets.load(case.module, root, case.settings)
        except UserError as error:
            what = f"of the sample of {case.sample}"
            if case.sample is None:
                what = "without files, and datasets.sample.FORMATS has none for it"
            pytest.fail(f"{case.name}: datasets/{case.module}.py makes no dataset {what}: {error}", pytrace=False)

    return loaded
