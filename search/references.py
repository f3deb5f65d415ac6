"""Hand-tuned references: what was reported of them, and what they gave when they were trained here.

A training is kept beside the runs, one file a task, for the reports of later searches. It is shown only where
configuration, end and data are the same as today's.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search import predictions
from search.beside import Beside, trial_seed
from search.history import History
from search.summary import write_aside
from search.task import Reference, Task
from trainables.epoch import METRICS

_SEED_OFFSET = 1 << 31
"""Places of references among trial seeds, beyond those of any search's own trials."""


def to_train(task: Task, seed: int) -> list[Beside]:
    """The task's references as trials beside the search."""
    return [
        Beside("reference", reference.name, reference.config, reference.epochs, reference.patience,
               trial_seed(seed, _SEED_OFFSET + place))
        for place, reference in enumerate(task.references)
    ]  # fmt: skip


def _path(runs_folder: Path, task: Task) -> Path:
    return runs_folder / f"{task.name}.references.json"


def _stored(runs_folder: Path, task: Task) -> dict[str, Any]:
    path = _path(runs_folder, task)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or not ours to read: they can be trained again
        return {}
    return stored if isinstance(stored, dict) else {}


def _time(trained: Any) -> float:
    return float(trained.get("time", 0)) if isinstance(trained, Mapping) else 0.0


def _conditions(reference: Reference, digest: str) -> dict[str, Any]:
    return {**reference.facts, "dataset_digest": digest}


def keep(runs_folder: Path, task: Task, history: History) -> None:
    """Stores what this search's references gave, each in the place of an earlier training of the same name."""
    by_name = {reference.name: reference for reference in task.references}
    trained = {}
    for test in history.tests:
        trial = history.trials[test["trial"]]
        reference = by_name.get(trial.origin)
        if test["chosen"] == "reference" and reference is not None:
            best = trial.checkpoint_best or {}
            figures = {name: test[name] for name in ("error", "interval", "loss", "f1", "fold_errors")}
            trained[reference.name] = {
                **_conditions(reference, history.search["dataset_digest"]),
                **figures,
                **{name: best[name] for name in METRICS if name in best},
                "trained_epochs": trial.epochs,
                "state": trial.state,
                "parameters": trial.parameters,
                "search": history.search["name"],
                "trial": trial.id,
                "time": test["time"],
            }
    stored = _stored(runs_folder, task)
    newer = {name: facts for name, facts in trained.items() if not _time(stored.get(name)) > facts["time"]}
    if newer:
        merged = stored | newer
        write_aside(_path(runs_folder, task), (json.dumps(merged, indent=2, allow_nan=False) + "\n").encode())


def rows(runs_folder: Path, task: Task, digest: str) -> list[dict[str, Any]]:
    """Each reference with ``name``, ``model``, ``reported`` figures, and ``trained`` here, None where it was not."""
    stored = _stored(runs_folder, task)
    result = []
    for reference in task.references:
        trained = stored.get(reference.name)
        wanted = _conditions(reference, digest)
        same = isinstance(trained, Mapping) and all(trained.get(name) == value for name, value in wanted.items())
        result.append(
            {
                "name": reference.name,
                "model": reference.config["model"],
                "reported": reference.reported,
                "trained": trained if same else None,
            }
        )
    return result


def answers(runs_folder: Path, task: Task, digest: str) -> dict[str, np.ndarray]:
    """By name, the classes that references trained in earlier searches predict of the test examples, where kept."""
    found = {}
    for row in rows(runs_folder, task, digest):
        if trained := row["trained"]:
            kept = predictions.load(runs_folder / trained["search"] / predictions.FILE_NAME)
            if kept and trained["trial"] in kept.predicted:
                found[row["name"]] = kept.predicted[trained["trial"]]
    return found
