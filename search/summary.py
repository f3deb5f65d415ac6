"""``summary.json`` (a contract: later versions only add keys, a renaming raises its number) and ``trials.csv``."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.history import History, TrialResult

SCHEMA_VERSION = 1


def summarise(
    history: History, run_ids: Mapping[int, str], *, wall_seconds: float, interrupted: bool
) -> dict[str, Any]:
    """The summary of a search, from its history and MLflow's run of each trial.

    ``started`` is in seconds since the epoch; ``wall_seconds``, and a trial's ``seconds`` in its epochs, are
    seconds; losses are nats an example, errors shares of 0 to 1. ``trials``: one entry a trial, with the best
    figures so far, null where it has none; ``counts``: trials by state; ``worker_processes``: how many processes
    ran them. ``test``: one entry a tested checkpoint (``chosen``: winner, family or null; ``interval``: 95 %, of
    the error); ``best``: the winner's, or null; ``confirmed`` is null until winners are confirmed by training them
    again.
    """
    search = history.search
    tests = [
        {name: test[name] for name in ("trial", "model", "chosen", "error", "loss", "f1", "interval", "checkpoint")}
        for test in history.tests
    ]
    winner = next((test for test in tests if test["chosen"] == "winner"), None)
    best = None
    if winner:
        trial = history.trials[winner["trial"]]
        figures = trial.checkpoint_best or {}
        best = {"trial": trial.id, "model": trial.model, "val_loss": figures.get("val_loss"),
                "test_error": winner["error"], "config": trial.config}  # fmt: skip
    return {
        "schema_version": SCHEMA_VERSION,
        "name": search["name"],
        "task": search["task"],
        "seed": search["seed"],
        "started": search["time"],
        "wall_seconds": wall_seconds,
        "interrupted": interrupted,
        "command": search["command"],
        "trials": [_trial(trial, run_ids.get(trial.id)) for trial in history.trials.values()],
        "counts": history.counts(),
        "epochs_trained": history.epochs_trained,
        "worker_processes": len({(w["node"], w["pid"]) for trial in history.trials.values() for w in trial.workers}),
        "worker_deaths": sum(len(trial.deaths) for trial in history.trials.values()),
        "test": tests,
        "best": best,
        "confirmed": None,
        "tracking_uri": search["tracking_uri"],
        "experiment": search["experiment"],
    }


def _trial(trial: TrialResult, run_id: str | None) -> dict[str, Any]:
    return {
        "id": trial.id,
        "model": trial.model,
        "state": trial.state,
        "reason": trial.reason,
        "epochs": trial.epochs,
        "config": trial.config,
        "val_loss": trial.figure("val_loss"),
        "val_error": trial.figure("val_error"),
        "seconds": round(trial.seconds, 3),
        "mlflow_run_id": run_id,
    }


def write(folder: Path, summary: dict[str, Any]) -> None:
    """Writes ``summary.json`` and ``trials.csv`` (a row a trial, a column a setting) into the run's folder."""
    write_aside(folder / "summary.json", (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())
    trials = summary["trials"]
    settings = sorted({key for trial in trials for key in trial["config"] if key != "model"})
    columns = [name for name in trials[0] if name != "config"] if trials else ["id"]
    part = folder / ".trials.csv.part"
    with part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns + settings)
        for trial in trials:
            config = {key: json.dumps(v) if isinstance(v, list) else v for key, v in trial["config"].items()}
            rows.writerow([trial[name] for name in columns] + [config.get(key, "") for key in settings])
    part.replace(folder / "trials.csv")


def write_aside(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
