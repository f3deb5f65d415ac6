"""A server that is slow, away or gone while a search goes on, and ``python -m search.record`` afterwards."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from recorded_log import record, recorded, runs_of, write_log
from tracking_server import TrackingServer

from search import events
from search.events import EventLog
from search.record import main
from search.recorder import Recorder

ROOT = Path(__file__).parents[2]


def epochs_of(folder: Path) -> dict[str, list[int]]:
    """By trial, the epochs that the log has."""
    found: dict[str, list[int]] = {}
    for event in events.read(folder / events.FILE_NAME):
        if event["event"] == "report":
            mine = found.setdefault(str(event["trial"]), [])
            mine += [epoch["index"] for epoch in event["epochs"] if epoch["index"] not in mine]
    return found


def epochs_in_mlflow(folder: Path, uri: str) -> dict[str, list[int]]:
    """By trial, the steps of every metric that MLflow has of an epoch; each must be there once."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    found = {}
    for trial, run in runs_of(folder.name, uri).items():
        if trial:
            steps = {
                name: sorted(metric.step for metric in client.get_metric_history(run.info.run_id, name))
                for name in ("val_loss", "train_loss", "lr")
            }
            assert steps["val_loss"] == steps["train_loss"] == steps["lr"]
            found[trial] = steps["val_loss"]
    return found


class GoesOn(threading.Thread):
    """Writes the log of a search whose trials go on and on, two at a time, until it is told to end it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir()
        write_log(folder, ())
        path = folder / events.FILE_NAME
        path.write_text(path.read_text().splitlines(keepends=True)[0])
        self.log, self.ends = EventLog(path, resume=True), threading.Event()

    def run(self) -> None:
        trial = 0
        while not self.ends.is_set():
            for number in (trial, trial + 1):
                facts = {"config": {"model": "mlp", "lr": 0.1}, "parameters": {"lr": 0.1}}
                self.log.append("proposal", trial=number, seed=number, **facts)
            for index in range(1, 6):
                for number in (trial, trial + 1):
                    self._report(number, index)
                time.sleep(0.2)
            for number in (trial, trial + 1):
                self.log.append("ending", trial=number, state="completed", reason="")
            trial += 2
        self.log.append("end", wall_seconds=1.0, interrupted=False)
        self.log.close()

    def _report(self, trial: int, index: int) -> None:
        figures = {"train_loss": 1.0, "train_error": 0.5, "val_error": 0.1, "seconds": 0.01, "lr": 0.1}
        epoch = {"index": index, "val_loss": 1 / index, **figures}
        self.log.append("report", trial=trial, epochs=[epoch], best=epoch)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_a_server_that_was_away_has_everything_once_in_the_end(
    fault: str, server: TrackingServer, tmp_path: Path
) -> None:
    folder = tmp_path / "search"
    search = GoesOn(folder)
    search.start()
    recorder = Recorder(folder, server.uri)
    recorder.start()
    time.sleep(3)
    if fault == "stopped":
        server.signal(signal.SIGSTOP)
        time.sleep(13)  # longer than a call waits, so that it is made again
        assert recorder.problem is not None
        server.signal(signal.SIGCONT)
    else:
        server.kill()
        time.sleep(3)
        assert recorder.problem is not None
        server.start()
    time.sleep(2)
    search.ends.set()
    search.join()
    assert recorder.finish(60), recorder.problem
    logged = epochs_of(folder)
    assert len(logged) > 8
    assert epochs_in_mlflow(folder, server.uri) == logged
    assert recorder.arrived is not None
    assert str(recorder.arrived) == f"{len(logged)} trials and {5 * len(logged)} epochs recorded"


@pytest.mark.slow
def test_what_a_server_that_is_gone_lacks_is_sent_later_and_once(
    server: TrackingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs/small"
    folder.mkdir(parents=True)
    write_log(folder, ("completed", "pruned", "failed"))
    path = folder / events.FILE_NAME
    whole = path.read_text()
    half = whole.index('{"event": "proposal"', whole.index('"trial": 1'))
    path.write_text(whole[:half])
    assert record(folder, server.uri)
    path.write_text(whole)
    server.kill()
    arguments = ["small", "--runs-dir", str(tmp_path / "runs"), "--tracking-uri", server.uri]
    assert main(arguments) == 2
    assert "no MLflow server answers there" in capsys.readouterr().err
    server.start()
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"small: 3 trials and 9 epochs recorded in {server.uri}\n"
    once = recorded(server.uri)
    assert [row[:3] for row in once] == [
        ("", "FINISHED", None),
        ("0", "FINISHED", "completed"),
        ("1", "KILLED", "pruned"),
        ("2", "FAILED", "failed"),
    ]
    assert main(arguments) == 0
    assert recorded(server.uri) == once


@pytest.mark.slow
def test_a_run_that_a_stopped_server_made_after_all_is_deleted(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("completed",))
    assert record(tmp_path, uri)
    once = recorded(uri)
    client = mlflow.MlflowClient(tracking_uri=uri)
    whole = runs_of(tmp_path.name, uri)
    for trial in ("", "0"):
        client.create_run(whole[trial].info.experiment_id, tags=whole[trial].data.tags)
    assert len(recorded(uri)) == 4
    assert record(tmp_path, uri)
    assert recorded(uri) == once


@pytest.mark.slow
def test_epochs_that_are_missing_are_told_of(tmp_path: Path) -> None:
    import sqlite3

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("completed", "pruned"))
    assert record(tmp_path, uri)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("delete from metrics where key = 'val_loss' and step = 2 and run_uuid in "
                         "(select run_uuid from tags where key = 'rungs.trial' and value = '1')")  # fmt: skip
    recorder = Recorder(tmp_path, uri)
    recorder.start()
    assert not recorder.finish(60)
    assert str(recorder.arrived) == "2 of 2 trials and 5 of 6 epochs recorded"


def test_a_search_that_still_runs_is_left_to_its_own_recorder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(tmp_path, ("completed",))
    log = EventLog(tmp_path / events.FILE_NAME, resume=True)
    assert main([str(tmp_path), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]) == 2
    assert "another command is writing to this search" in capsys.readouterr().err
    log.close()
    assert main(["nothing", "--runs-dir", str(tmp_path)]) == 2
    assert "no search nothing in" in capsys.readouterr().err


def recording(folder: Path, uri: str) -> Any:
    """A process that records a search."""
    command = [sys.executable, "-m", "search.record", str(folder), "--tracking-uri", uri]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_many_recorders_at_once_lose_nothing(count: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Two on a new SQLite file, four on a server."""
    uri = f"sqlite:///{tmp_path / 'new.db'}" if count == 2 else request.getfixturevalue("server").uri
    folders = [tmp_path / f"search-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
        write_log(folder, ("completed", "pruned", "diverged", "converged"))
    processes = [recording(folder, uri) for folder in folders]
    for folder, process in zip(folders, processes, strict=True):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "4 trials and 12 epochs recorded" in out
        assert epochs_in_mlflow(folder, uri) == {str(trial): [1, 2, 3] for trial in range(4)}
    assert len(recorded(uri)) == 5 * len(folders)


@pytest.mark.slow
def test_what_a_search_was_is_on_its_run(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "conf.yaml").write_text("dataset: {name: digits}  # as given\n")
    (tmp_path / "requirements.txt").write_text("torch==1\n")
    write_log(tmp_path, ("completed",))
    assert record(tmp_path, uri)
    assert record(tmp_path, uri)
    client = mlflow.MlflowClient(tracking_uri=uri)
    search = runs_of(tmp_path.name, uri)[""]
    folder = Path(client.download_artifacts(search.info.run_id, "", str(tmp_path)))
    assert (folder / "conf.yaml").read_text() == "dataset: {name: digits}  # as given\n"
    assert (folder / "requirements.txt").read_text() == "torch==1\n"
    facts = json.loads((folder / "search.json").read_text())
    assert (facts["command"], facts["options"]) == ("python -m search.run digits", {"seed": 1})
    (given,) = search.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("digits", "abc")
    experiment = client.get_experiment_by_name("digits")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    client.delete_experiment(experiment.experiment_id)
    (tmp_path / "again").mkdir()
    write_log(tmp_path / "again", ("completed",))
    assert record(tmp_path / "again", uri), "an experiment deleted in the UI is restored"


@pytest.mark.slow
def test_an_experiment_that_a_server_made_is_told_of_where_no_server_is_asked(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.MlflowClient(tracking_uri=uri).create_experiment("digits", "mlflow-artifacts:/1")
    write_log(tmp_path, ("completed",))
    recorder = Recorder(tmp_path, uri)
    recorder.start()
    assert not recorder.finish(6)
    assert recorder.problem is not None
    assert "start python -m mlflow_server, and add --tracking-uri http://127.0.0.1:5000" in recorder.problem
