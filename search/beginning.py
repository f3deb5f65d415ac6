"""What a new search begins with: its folder, and the first line of its log."""

import itertools
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from search import conf, place
from search.cli import Options
from search.task import Task

if TYPE_CHECKING:
    from datasets import Dataset


def make_folder(task: Task, options: Options) -> Path:
    """The run's folder, by the name asked for, or by one made of task and time that no search has.

    Raises:
        UserError: there is one of the name asked for.
    """
    from search.provenance import installed

    runs = place.root(options.storage, options.runs_dir)
    stem = options.name or f"{task.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = runs / stem
    for number in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            if options.name:
                raise UserError(f"--name {options.name}: {folder} exists; choose another name") from None
            folder = runs / f"{stem}-{number}"
    (folder / "conf.yaml").write_bytes(conf.find(options.task).read_bytes())
    (folder / "requirements.txt").write_text(installed(), encoding="utf-8")
    return folder


def facts(
    name: str, task: Task, options: Options, command: str, dataset: "Dataset", slots: int, tracking_uri: str
) -> dict[str, Any]:
    """What the log says of the search itself."""
    from search.provenance import git_state, installed_versions

    assert dataset.test is not None
    commit, dirty = git_state()
    return {
        "schema_version": 1,
        "id": uuid.uuid4().hex,
        "name": name,
        "task": task.name,
        "seed": options.seed,
        "command": command,
        "options": written(options),
        "slots": slots,
        "conf": task.resolved,
        "metric": task.metric,
        "milestones": list(task.milestones),
        "tracking_uri": tracking_uri,
        "experiment": task.name,
        "dataset_digest": dataset.digest(),
        "test_digest": dataset.test_digest(),
        "dataset_origin": dataset.origin,
        "dataset_warnings": list(dataset.warnings),
        "dataset_sizes": {
            "development": len(dataset.development),
            "folds": [[len(fold.train), len(fold.val)] for fold in dataset.folds],
            "test": len(dataset.test),
            "input_shape": list(dataset.input_shape),
        },
        "classes": list(dataset.classes),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
    }


def written(options: Options) -> dict[str, Any]:
    """The options as the log has them."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
