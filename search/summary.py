"""``summary.json`` (a contract: later versions only add keys, a renaming raises its number) and ``trials.csv``."""

import csv
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search import confirmation
from search.history import History, TrialResult
from trainables.epoch import METRICS

SCHEMA_VERSION = 1
TEST_FIELDS = (
    "trial", "model", "origin", "chosen", "opening", "error", "loss", "f1", "interval", "fold_errors", "checkpoint"
)  # fmt: skip
ENSEMBLE_FIELDS = ("trials", "error", "interval", "loss", "f1")


def summarise(
    history: History,
    run_ids: Mapping[int, str],
    recorded: Mapping[str, Any],
    references: Sequence[Mapping[str, Any]],
    *,
    wall_seconds: float,
    interrupted: bool,
    folder_bytes: int,
    ledger: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The summary of a search, from its history, what MLflow has of it, and what is known of the references.

    ``started`` is in seconds since the epoch; ``wall_seconds``, of all commands of this search, and a trial's
    ``seconds`` in its epochs, are seconds; losses are nats an example, errors and scores shares of 0 to 1;
    ``metric`` is what trials are ranked by.

    ``trials``: one entry a trial, with the best figures so far, null where it has none; ``apart`` is null for a
    trial that counts, "reference" for a hand-tuned one, "confirmation" and "again" for a configuration trained
    again; ``counts``: trials by state; ``ended_by``: all trials, time budget, epoch budget, target, interruption or
    failures; ``busy``: the share of the workers' time that epochs took, from the first one's start to the last
    proposal's; ``worker_processes``: how many processes ran them; ``damaged_checkpoints``: ``trial`` and
    ``problem`` of those that could not be read.

    ``test``: one entry a tested checkpoint, those of the winner's opening first (``chosen``: winner, seed, which is
    the winner's configuration trained with another one, family, reference, again or null; ``interval``: 95 %, of
    the error; ``fold_errors``: each fold's model alone); ``best``: the winner's, or null; ``references``: what was
    ``reported`` of each and, where it has ever been trained here on these data, ``trained``; ``confirmed``: null,
    or what was ``asked``, the ``note`` of what of it had to be left, and of each configuration the search's trial,
    its value there (``searched``) and the ``values`` of its ``trainings`` with fresh seeds, null where one broke,
    their ``mean``, by which the ``winner`` is chosen, and the training of it that is tested, ``best``;
    ``not_confirmed``: why not; ``ensemble``: the winner's trainings, their probabilities averaged, on the test
    split; ``dataset_warnings``: what one should know of the data before one trusts a figure; ``mlflow``: whether
    all trials and epochs were found there in the end, how many, and where not all, why and what to run;
    ``registered``: what the registry has of the winner; ``ledger``: who has looked at this test split, or null
    where this search has not (``split``: its digest; ``openings``: see ``ledger.Entry``; ``complete``: false where
    MLflow could not be asked and only this search's are known); ``verdict``: see ``verdict.verdict``; ``disk``:
    ``checkpoints``, how many trials keep one, ``checkpoint_bytes``, of all of these together, and ``bytes``, of
    everything in the run's folder.
    """
    search = history.search
    tests = [{name: test[name] for name in TEST_FIELDS} for test in history.tests]
    winner = next((test for test in tests if test["chosen"] == "winner"), None)
    if winner:
        tests.sort(key=lambda test: test["opening"] < winner["opening"])  # what an earlier choice tested comes last
    best = None
    if winner:
        trial = history.trials[winner["trial"]]
        figures = trial.checkpoint_best or {}
        best = {"trial": trial.id, "model": trial.model, **{name: figures.get(name) for name in METRICS},
                "test_error": winner["error"], "config": trial.config}  # fmt: skip
    return {
        "schema_version": SCHEMA_VERSION,
        "name": search["name"],
        "task": search["task"],
        "seed": search["seed"],
        "metric": history.metric,
        "started": search["time"],
        "wall_seconds": round(history.seconds_spent + wall_seconds, 3),
        "interrupted": interrupted or any(end["interrupted"] for end in history.ends),
        "ended_by": history.stop["by"] if history.stop else "all trials",
        "ended_reason": history.stop["reason"] if history.stop else "",
        "command": search["command"],
        "trials": [trial_row(trial) | {"mlflow_run_id": run_ids.get(trial.id)} for trial in history.trials.values()],
        "counts": history.counts(),
        "epochs_trained": history.epochs_trained,
        "slots": search["slots"],
        "busy": busy_share(history),
        "worker_processes": len({(w["node"], w["pid"]) for trial in history.trials.values() for w in trial.workers}),
        "worker_deaths": sum(len(trial.deaths) for trial in history.trials.values()),
        "damaged_checkpoints": history.damages(),
        "test": tests,
        "best": best,
        "references": list(references),
        "confirmed": confirmation.facts(history, history.metric),
        "not_confirmed": confirmation.why_not(history, history.metric),
        "ensemble": {name: history.ensemble[name] for name in ENSEMBLE_FIELDS} if history.ensemble else None,
        "dataset_origin": search["dataset_origin"],
        "dataset_warnings": search["dataset_warnings"],
        "tracking_uri": search["tracking_uri"],
        "experiment": search["experiment"],
        "mlflow": recorded,
        "ledger": ledger,
        "disk": {
            "checkpoints": sum(bool(trial.checkpoints) for trial in history.trials.values()),
            "checkpoint_bytes": history.checkpoint_bytes,
            "bytes": folder_bytes,
        },
    }


def trial_row(trial: TrialResult) -> dict[str, Any]:
    """A trial's fate, best figures and configuration."""
    return {
        "id": trial.id,
        "model": trial.model,
        "origin": trial.origin,
        "apart": trial.apart,
        "state": trial.state,
        "reason": trial.reason,
        "epochs": trial.epochs,
        "config": trial.config,
        **{name: trial.figure(name) for name in METRICS},
        "seconds": round(trial.seconds, 3),
        "examples_per_second": trial.examples_per_second and round(trial.examples_per_second, 1),
        "gpu_memory_mb": trial.gpu_memory and round(trial.gpu_memory / 1e6, 1),
        "parameters": trial.parameters,
    }


def busy_share(history: History) -> float | None:
    """The share of the workers' time that epochs took, from the first epoch's start to the last proposal's.

    Until then no worker need ever wait. None before anything is trained.
    """
    spans = [span for trial in history.trials.values() for span in trial.spans]
    if not spans:
        return None
    began = min(start for start, _ in spans)
    until = max((trial.started or trial.proposed for trial in history.searched()), default=began)
    busy = sum(max(0.0, min(end, until) - max(start, began)) for start, end in spans)
    changes = [*history.slots, (math.inf, 0)]
    there = sum(
        slots * max(0.0, min(end, until) - max(start, began))
        for (start, slots), (end, _) in itertools.pairwise(changes)
    )
    return round(min(1.0, busy / there), 4) if there else None


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
