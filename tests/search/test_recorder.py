"""Recording from an event log alone, and a search whose tracking server has stopped answering."""

import json
import shutil
import signal
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from recorded_log import record, recorded, runs_of, write_log
from tracking_server import TrackingServer

from search import events, finish, mlflow_runs, recorder
from search.events import EventLog
from search.recorder import Recorder
from search.run import main


@pytest.mark.slow
def test_recording_twice_changes_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("completed", "pruned", "oom", "cancelled"))
    assert record(tmp_path, uri)
    once = recorded(uri)
    losses = [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert once == [
        ("", "FINISHED", None, [(0, pytest.approx(1 / 3))]),
        ("0", "FINISHED", "completed", losses),
        ("1", "KILLED", "pruned", losses),
        ("2", "FAILED", "oom", losses),
        ("3", "KILLED", "cancelled", losses),
    ]
    assert record(tmp_path, uri)
    assert recorded(uri) == once
    (tmp_path / "elsewhere").mkdir()
    write_log(tmp_path / "elsewhere", ("completed",))
    assert record(tmp_path / "elsewhere", uri)
    assert len(recorded(uri)) == len(once) + 2, "a search of the same name in another folder is another search"


@pytest.mark.slow
def test_a_trial_that_still_runs_is_recorded_too_and_goes_on_in_its_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("completed",))
    path = tmp_path / events.FILE_NAME
    lines = path.read_text().splitlines(keepends=True)
    half = next(place for place, line in enumerate(lines) if '"report"' in line) + 1
    path.write_text("".join(lines[:half]))
    assert record(tmp_path, uri)
    running = runs_of(tmp_path.name, uri)["0"]
    assert (running.info.status, running.data.tags["state"]) == ("RUNNING", "running")
    assert (running.data.metrics["val_loss"], "best_val_loss" in running.data.metrics) == (0.5, False)

    path.write_text("".join(lines))
    assert record(tmp_path, uri)
    ended = runs_of(tmp_path.name, uri)["0"]
    assert (ended.info.run_id, ended.info.status) == (running.info.run_id, "FINISHED")
    assert ended.data.params == {"lr": "0.1", "model": "mlp"}
    tags = {name: ended.data.tags[name] for name in ("state", "reason", "seed", "node", "chosen")}
    assert tags == {"state": "completed", "reason": "so", "seed": "0", "node": "here", "chosen": "winner"}
    assert json.loads(ended.data.tags["config"]) == {"model": "mlp", "lr": 0.1}
    assert ended.data.metrics["best_val_loss"] == ended.data.metrics["val_loss"] == pytest.approx(1 / 3)


@pytest.mark.slow
def test_pauses_and_promotions_are_told_and_a_pause_takes_no_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    calls = Counter[str]()
    log_batch = mlflow.MlflowClient.log_batch

    def counted(client: Any, run: str, *arguments: Any, **named: Any) -> None:
        log_batch(client, run, *arguments, **named)
        calls[run] += 1

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", counted)
    monkeypatch.setattr(mlflow_runs, "insert", lambda *_: False)  # as with a server
    monkeypatch.setattr(recorder, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(mlflow_runs, "_SECONDS_BETWEEN_CURVES", 0.01)
    monkeypatch.setattr(mlflow_runs, "_SHARE", 1e9)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("pruned",))
    path = tmp_path / events.FILE_NAME
    before, ending = path.read_text().split('{"event": "ending"')
    path.write_text(before)
    log = EventLog(path, resume=True)
    started = Recorder(tmp_path, uri)
    started.start()

    def told(state: str) -> tuple[str, str, int]:
        while (run := started.run_ids.get(0)) is None or runs_of(tmp_path.name, uri)["0"].data.tags["state"] != state:
            time.sleep(0.05)
        time.sleep(0.2)  # in which there is nothing to tell
        found = runs_of(tmp_path.name, uri)["0"]
        return found.info.status, found.data.tags.get("reason", ""), calls[run]

    assert told("running")[::2] == ("RUNNING", 1)
    log.append("pause", trial=0, reason="rung 3: place 2 of 4, where 1 may go on")
    assert told("paused") == ("RUNNING", "rung 3: place 2 of 4, where 1 may go on", 2)
    log.append("promotion", trial=0)
    assert told("running") == ("RUNNING", "", 3)
    log.close()
    with path.open("a") as file:
        file.write('{"event": "ending"' + ending)
    assert started.finish(60)
    assert recorded(uri)[1][1:3] == ("KILLED", "pruned")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "breaks"), [(True, ()), (False, ()), (True, (1, 3, 6, 10)), (False, (1, 3, 6, 10, 15, 20))]
)
def test_three_calls_a_trial_and_whatever_breaks_is_made_up_for(
    rows: bool, breaks: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the calls that break every second one is heard nevertheless. ``rows``: whether one is not needed."""
    import mlflow

    monkeypatch.setattr(recorder, "_SECONDS_BETWEEN_TRIES", 0.0)
    if not rows:
        monkeypatch.setattr(mlflow_runs, "insert", lambda *_: False)  # as with a server
    calls: list[str] = []

    def counted(name: str) -> Any:
        call = getattr(mlflow.MlflowClient, name)

        def called(client: Any, *arguments: Any, **named: Any) -> Any:
            calls.append(name)
            number = len(calls)
            answer = None if number in breaks[::2] else call(client, *arguments, **named)
            if number in breaks:
                raise OSError("the line is dead")
            return answer

        return called

    names = ("create_run", "log_batch", "set_terminated", "set_tag", "log_metric", "log_param", "log_dict")
    for name in names:
        monkeypatch.setattr(mlflow.MlflowClient, name, counted(name))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_log(tmp_path, ("completed", "pruned", "failed"))
    assert record(tmp_path, uri)
    losses = [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert recorded(uri) == [
        ("", "FINISHED", None, [(0, pytest.approx(1 / 3))]),
        ("0", "FINISHED", "completed", losses),
        ("1", "KILLED", "pruned", losses),
        ("2", "FAILED", "failed", losses),
    ]
    search = runs_of(tmp_path.name, uri)[""]
    assert not search.data.params, "the columns of MLflow's table are for what was searched"
    files = {file.path for file in mlflow.MlflowClient(tracking_uri=uri).list_artifacts(search.info.run_id)}
    assert files == {"conf-resolved.yaml", "search.json"}
    if breaks:
        assert len(calls) >= breaks[-1]
    else:
        batches = 2 + (0 if rows else 3)
        once_and_a_trial = {"create_run": 1 + 3, "log_batch": batches, "set_terminated": 1 + 3, "log_dict": 2}
        assert Counter(calls) == once_and_a_trial


@pytest.mark.slow
def test_f1_is_recorded_of_epochs_trials_and_the_winner_where_the_log_has_it(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for name, more in (("before", {}), ("now", {"val_f1": 0.875})):
        (tmp_path / name).mkdir()
        write_log(tmp_path / name, ("completed",), **more)
        assert record(tmp_path / name, uri)
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    figures = {(run.data.tags["rungs.id"], run.data.tags.get("rungs.trial")): run.data.metrics for run in runs}
    parent, trial = {"val_f1": 0.875}, {"val_f1": 0.875, "best_val_f1": 0.875}
    assert figures["now", None] == figures["before", None] | parent
    assert figures["now", "0"] == figures["before", "0"] | trial
    assert "val_f1" not in figures["before", "0"]


def test_a_store_that_cannot_be_used_is_told_and_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    write_log(tmp_path, ("completed",))
    recorder = Recorder(tmp_path, "sqlite:////proc/none/mlflow.db")
    recorder.start()
    started = time.monotonic()
    assert not recorder.finish(6)
    assert time.monotonic() - started < 8
    assert recorder.problem


@pytest.mark.slow
def test_a_search_does_not_wait_for_a_server_that_stops(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ray.tune.execution.tune_controller import TuneController

    monkeypatch.setattr(finish, "RECORDING_SECONDS", 3.0)
    steps: list[float] = []
    step = TuneController.step

    def noted_step(controller: Any) -> None:
        steps.append(time.monotonic())
        step(controller)

    monkeypatch.setattr(TuneController, "step", noted_step)
    log = tmp_path / "runs/stopped" / events.FILE_NAME

    def stop_after_the_first_ending() -> None:
        while not (log.exists() and '"ending"' in log.read_text()):
            time.sleep(0.05)
        server.signal(signal.SIGSTOP)

    thread = threading.Thread(target=stop_after_the_first_ending)
    thread.start()
    arguments = ["--num-samples", "8", "--epochs", "6", "--grace", "6", "--confirm", "0", "--quiet"]
    arguments += ["--runs-dir", str(tmp_path / "runs")]
    code = main(["digits", *arguments, "--name", "stopped", "--model", "mlp", "--tracking-uri", server.uri])
    thread.join()
    out = capsys.readouterr().out
    longest = max(after - before for before, after in pairwise(steps))
    print(f"longest wait of the driver between two of its steps: {longest:.2f} s")
    assert code == 0
    assert longest < 5
    assert f"this sends the rest: python -m search.record {tmp_path / 'runs/stopped'}" in out
    assert sum(event["event"] == "ending" for event in events.read(log)) == 8
    shutil.rmtree(tmp_path / "runs")
