"""What is kept of references, and when a later search may show it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import conf, references
from search.history import History
from search.task import Task


@pytest.fixture
def task() -> Task:
    return conf.load("digits", {}, [])


def history(task: Task, digest: str = "abc", name: str = "first", time: float = 1.0, **more: float) -> History:
    """A search that trained the task's first reference. ``more``: further figures of validation."""
    reference = task.references[0]
    figures = {"error": 0.1, "interval": [0.0, 0.2], "loss": 0.3, "f1": 0.9, "fold_errors": [0.1]}
    best = {"index": 3, "val_loss": 0.2, "val_error": 0.05, **more}
    events: list[dict[str, Any]] = [
        {"event": "search", "name": name, "dataset_digest": digest},
        {"event": "proposal", "trial": 0, "config": reference.config, "seed": 1, "origin": reference.name,
         "apart": "reference", "time": 0.0},
        {"event": "checkpoint", "trial": 0, "path": "x", "best": best},
        {"event": "test", "trial": 0, "chosen": "reference", "time": time, **figures},
    ]  # fmt: skip
    return History(events)


def trained(runs: Path, task: Task, digest: str = "abc") -> list[str | None]:
    """In which search each reference was trained."""
    rows = references.rows(runs, task, digest)
    return [row["trained"] and row["trained"]["search"] for row in rows]


def test_each_has_a_seed_and_its_own_end(task: Task) -> None:
    first, second = references.to_train(task, 0)
    assert (first.kind, first.origin, first.epochs, first.patience) == ("reference", "MLP by hand", 1000, 20)
    assert first.seed != second.seed
    assert first.seed != references.to_train(task, 1)[0].seed


def test_what_was_trained_once_is_shown_by_every_later_search(tmp_path: Path, task: Task) -> None:
    assert trained(tmp_path, task) == [None, None]
    references.keep(tmp_path, task, history(task))
    assert trained(tmp_path, task) == ["first", None]
    references.keep(tmp_path, task, History())
    (row, _) = references.rows(tmp_path, task, "abc")
    assert (row["reported"]["test_error"], row["trained"]["error"], row["trained"]["val_loss"]) == (0.0984, 0.1, 0.2)
    references.keep(tmp_path, task, history(task, name="second", time=2.0))
    assert trained(tmp_path, task) == ["second", None]
    references.keep(tmp_path, task, history(task))
    assert trained(tmp_path, task) == ["second", None], "the newest training stays"


def test_a_training_from_before_there_was_a_metric_is_kept_without_it(tmp_path: Path, task: Task) -> None:
    references.keep(tmp_path, task, history(task, val_f1=0.875))
    assert references.rows(tmp_path, task, "abc")[0]["trained"]["val_f1"] == 0.875
    references.keep(tmp_path, task, history(task, name="second", time=2.0))
    assert "val_f1" not in references.rows(tmp_path, task, "abc")[0]["trained"]


@pytest.mark.parametrize("change", ["data", "configuration", "epochs", "patience"])
def test_it_is_not_shown_where_anything_has_changed(tmp_path: Path, task: Task, change: str) -> None:
    references.keep(tmp_path, task, history(task))
    first = task.references[0]
    changes: dict[str, Any] = {
        "data": {},
        "configuration": {"config": first.config | {"lr": 0.5}},
        "epochs": {"epochs": 7},
        "patience": {"patience": 7},
    }
    other = replace(task, references=(replace(first, **changes[change]), *task.references[1:]))
    assert trained(tmp_path, other, "other data" if change == "data" else "abc") == [None, None]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"MLP by hand": 3}', json.dumps({"MLP by hand": {}})])
def test_a_file_that_is_not_ours_to_read_is_as_none(tmp_path: Path, task: Task, content: str) -> None:
    (tmp_path / "digits.references.json").write_text(content)
    assert trained(tmp_path, task) == [None, None]
    references.keep(tmp_path, task, history(task))
    assert trained(tmp_path, task) == ["first", None]
