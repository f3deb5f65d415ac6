"""A small finished log, and what MLflow has of it."""

from pathlib import Path
from typing import Any

from search import events
from search.events import EventLog
from search.recorder import Recorder


def write_log(folder: Path, endings: tuple[str, ...], **more: float) -> None:
    """The log of a finished search with a trial an ending, of three epochs each, the first one's the winner.

    ``more``: further figures of each epoch.
    """
    log = EventLog(folder / events.FILE_NAME)
    facts = {
        "id": folder.name,
        "name": "small",
        "task": "digits",
        "seed": 1,
        "command": "python -m search.run digits",
        "versions": {},
    }
    facts |= {"experiment": "digits", "dataset_digest": "abc", "git_commit": None, "git_dirty": None, "conf": {}}
    log.append("search", **facts, options={"seed": 1})
    for trial, state in enumerate(endings):
        log.append("proposal", trial=trial, seed=trial, config={"model": "mlp", "lr": 0.1}, parameters={"lr": 0.1})
        log.append("start", trial=trial, worker={"node": "here", "pid": 1, "gpus": 0})
        figures = {"train_loss": 1.0, "train_error": 0.5, "val_error": 0.1, "seconds": 0.1, "lr": 0.1, **more}
        curve = [{"index": index, "val_loss": 1 / index, **figures} for index in (1, 2, 3)]
        log.append("report", trial=trial, epochs=curve[:2], best=curve[1])
        log.append("report", trial=trial, epochs=curve[1:], best=curve[2])
        log.append("checkpoint", trial=trial, path="x", best=curve[2])
        log.append("ending", trial=trial, state=state, reason="so")
    log.append("test", trial=0, chosen="winner", loss=0.5, error=0.25, f1=0.75)
    log.append("end", wall_seconds=1.0, interrupted=False)
    log.close()


def record(folder: Path, uri: str) -> bool:
    recorder = Recorder(folder, uri)
    recorder.start()
    return recorder.finish(60)


def recorded(uri: str) -> list[tuple[Any, ...]]:
    """Every run with its status, state and validation losses, sorted."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    rows = []
    for run in runs:
        losses = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "val_loss")]
        rows.append((run.data.tags.get("rungs.trial", ""), run.info.status, run.data.tags.get("state"), sorted(losses)))
    return sorted(rows)


def runs_of(name: str, uri: str) -> dict[str, Any]:
    """Runs of the search in the folder of this name by trial, the search's own under the empty text."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], f"tags.`rungs.id` = '{name}'")
    return {run.data.tags.get("rungs.trial", ""): run for run in runs}
