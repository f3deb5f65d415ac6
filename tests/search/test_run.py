"""The whole command, in this process: a search from the command line to the tested winner, and what bad input gets."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets import digits
from search import events
from search.history import History
from search.run import main

ROOT = Path(__file__).parents[2]
SMALL = ["--num-samples", "5", "--epochs", "4", "--grace", "1", "--set", "mlp.widths=[32]", "--set", "cnn.channels=[4]",
         "--set", "cnn.widths=[16]"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of one small search, named ``small``."""
    runs = tmp_path_factory.mktemp("runs")
    options = ["--runs-dir", str(runs), "--name", "small", "--seed", "3", "--references", "--quiet"]
    code = main(["digits", *SMALL, *options])
    assert code == 0
    return runs


@pytest.fixture
def summary(finished: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((finished / "small/summary.json").read_text())
    return result


@pytest.mark.slow
def test_the_summary_keeps_its_contract(summary: dict[str, Any]) -> None:
    assert summary["schema_version"] == 1
    assert set(summary) >= {
        "schema_version", "name", "task", "seed", "metric", "started", "wall_seconds", "command", "trials", "counts",
        "epochs_trained", "test", "best", "confirmed", "tracking_uri", "experiment", "ended_by", "references", "busy",
    }  # fmt: skip
    assert set(summary["trials"][0]) >= {
        "id", "model", "state", "reason", "epochs", "config", "val_loss", "val_error", "val_f1", "seconds",
        "mlflow_run_id", "origin", "apart", "parameters",
    }  # fmt: skip
    assert set(summary["test"][0]) >= {"trial", "model", "chosen", "error", "loss", "f1", "interval", "checkpoint"}
    assert set(summary["best"]) >= {"trial", "model", "val_loss", "val_error", "val_f1", "test_error", "config"}
    assert (summary["name"], summary["task"], summary["seed"], summary["confirmed"]) == ("small", "digits", 3, None)
    assert len(summary["trials"]) == sum(summary["counts"].values()) == 7
    assert summary["disk"]["bytes"] > summary["disk"]["checkpoint_bytes"] > 0
    assert [trial["apart"] for trial in summary["trials"]] == ["reference"] * 2 + [None] * 5
    assert (summary["ended_by"], summary["ended_reason"]) == ("all trials", "")
    assert 0 < summary["busy"] <= 1
    assert summary["command"].startswith("python -m search.run digits --num-samples 5")


@pytest.mark.slow
def test_the_folder_of_trials_has_what_the_log_says_and_the_summary_counts(
    finished: Path, summary: dict[str, Any]
) -> None:
    folder = finished / "small"
    trials = History(events.read(folder / events.FILE_NAME)).trials.values()
    there = {str(path.relative_to(folder)) for path in (folder / "trials").glob("*/*")}
    assert there == {path for trial in trials for path, _ in trial.checkpoints}
    size = sum(file.stat().st_size for file in (folder / "trials").rglob("*.pt"))
    keeping = sum(bool(trial.checkpoints) for trial in trials)
    assert (summary["disk"]["checkpoints"], summary["disk"]["checkpoint_bytes"]) == (keeping, size)


@pytest.mark.slow
def test_the_winner_is_validations_and_its_file_gives_its_test_error(finished: Path, summary: dict[str, Any]) -> None:
    from trainables.training import load_checkpoint, probabilities

    winner = next(test for test in summary["test"] if test["chosen"] == "winner")
    searched = [trial for trial in summary["trials"] if trial["apart"] is None]
    assert winner["trial"] == min(searched, key=lambda trial: trial["val_loss"])["id"] == summary["best"]["trial"]
    test = digits.load(finished).test
    assert test is not None
    best = load_checkpoint(finished / "small/best.pt")
    predictions = probabilities(best, test.inputs).argmax(1)
    assert np.mean(predictions != test.targets) == pytest.approx(winner["error"])
    assert all("resume" not in fold for fold in best["folds"])
    assert best["config"] == summary["best"]["config"]


@pytest.mark.slow
def test_references_were_trained_to_their_own_end_tested_and_kept(finished: Path, summary: dict[str, Any]) -> None:
    by_hand = {trial["origin"]: trial for trial in summary["trials"] if trial["apart"]}
    assert by_hand.keys() == {"MLP by hand", "CNN by hand"}
    assert {trial["state"] for trial in by_hand.values()} == {"converged"}
    assert min(trial["epochs"] for trial in by_hand.values()) > 4, "not the search's four epochs"
    tested = {test["origin"]: test for test in summary["test"] if test["chosen"] == "reference"}
    assert [row["name"] for row in summary["references"]] == ["MLP by hand", "CNN by hand"]
    for row in summary["references"]:
        assert row["trained"]["error"] == tested[row["name"]]["error"]
        assert row["trained"]["search"] == "small"
        assert row["reported"]["test_error"] > 0.05
    kept = json.loads((finished / "digits.references.json").read_text())
    assert kept.keys() == by_hand.keys()


@pytest.mark.slow
def test_the_test_split_was_opened_once_after_the_last_trial(finished: Path, summary: dict[str, Any]) -> None:
    log = list(events.read(finished / "small/events.jsonl"))
    kinds = [event["event"] for event in log]
    assert kinds[0] == "search"
    assert kinds[-1] == "end"
    assert kinds.count("opening") == 1
    assert kinds.index("opening") > max(place for place, kind in enumerate(kinds) if kind == "ending")
    opening = log[kinds.index("opening")]
    assert opening["number"] == 1
    (entry,) = summary["ledger"]["openings"]
    assert (entry["search"], entry["number"], entry["why"]) == ("small", 1, opening["why"])
    assert (summary["ledger"]["split"], summary["ledger"]["complete"]) == (log[0]["test_digest"], True)


@pytest.mark.slow
def test_mlflow_has_every_epoch_once_and_says_how_each_trial_ended(finished: Path, summary: dict[str, Any]) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=summary["tracking_uri"])
    history = History(events.read(finished / "small/events.jsonl"))
    experiment = client.get_experiment_by_name(summary["experiment"])
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {int(run.data.tags["rungs.trial"]): run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert children.keys() == history.trials.keys()
    for trial in summary["trials"]:
        run = children[trial["id"]]
        assert run.info.run_id == trial["mlflow_run_id"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["state"] == trial["state"]
        assert run.data.tags["device"] == "cpu"
        assert run.data.metrics["examples_per_second"] == pytest.approx(trial["examples_per_second"], abs=0.1)
        for name in ("train_loss", "val_loss", "val_error", "val_f1", "lr"):
            recorded = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
            assert sorted(recorded) == [(epoch["index"], epoch[name]) for epoch in history.trials[trial["id"]].curve]
        if trial["apart"]:
            assert (run.data.tags["apart"], run.data.params) == ("reference", {"model": trial["model"]})
            continue
        assert "lr" in run.data.params or any(name.endswith(".lr") for name in run.data.params)
        assert "batch_norm" not in run.data.params, "what was fixed is no param"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test_error"] == summary["best"]["test_error"]
    artifacts = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    pictures = {"curves", "best_so_far", "families", "importance", "confusion", "tested_curves", "examples", "mistakes",
                "data", "embedding"}  # fmt: skip
    names = {
        "summary.json",
        "trials.csv",
        "best.pt",
        "predictions.npz",
        "report.html",
        "report.md",
        "conf.yaml",
        "conf-resolved.yaml",
        "search.json",
        "requirements.txt",
        *(f"{name}.png" for name in pictures),
    }
    assert artifacts == names
    (given,) = parent.inputs.dataset_inputs
    assert given.dataset.digest == history.search["dataset_digest"]
    assert not parent.data.params
    epochs = sum(trial["epochs"] for trial in summary["trials"])
    assert summary["mlflow"] == {
        "complete": True, "trials": 7, "epochs": epochs, "problem": None, "command": None,
        "registered": "digits version 1, champion (the first)",
    }  # fmt: skip
    assert str(finished) in experiment.artifact_location


@pytest.mark.slow
def test_a_row_a_trial_in_the_table(finished: Path, summary: dict[str, Any]) -> None:
    with (finished / "small/trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [trial["state"] for trial in summary["trials"]]
    assert all(any(row.get(name) for name in ("lr", "sgd.lr", "adamax.lr")) for row in rows)


@pytest.mark.slow
def test_a_warm_start_is_told_on_the_terminal_and_in_the_log(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*SMALL, "--num-samples", "2", "--seed", "3", "--runs-dir", str(tmp_path), "--name", "warm"]
    assert main(["digits", *arguments, "--warm-start", str(finished / "small")]) == 0
    assert "\nwarm start: 5 of 5 trials of small\n" in capsys.readouterr().err
    first, *log = events.read(tmp_path / "warm/events.jsonl")
    past = History(events.read(finished / "small/events.jsonl"))
    assert first["warm_starts"] == [{"name": "small", "id": past.search["id"], "trials": 5, "left_out": {}}]
    configs = [event["config"] for event in log if event["event"] == "proposal"]
    assert len(configs) == 2
    assert not any(config == trial.config for config in configs for trial in past.searched()), "drawn anew"


@pytest.mark.slow
def test_json_prints_the_summary_and_a_first_trial_that_fails_is_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of one can't be normalised: each such trial fails, and three alike from the start end the search."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    arguments = ["digits", "--num-samples", "9", "--epochs", "1", "--runs-dir", str(tmp_path), "--json", "--quiet"]
    assert main([*arguments, "--model", "mlp", "--set", "batch_size=1"]) == 1
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert summary["tracking_uri"].endswith("elsewhere.db")
    assert set(summary["counts"]) <= {"failed", "cancelled"}
    assert 3 <= len(summary["trials"]) <= 5
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith(
        "error: the first trials all ended with ValueError: Expected more than 1 value"
    )
    assert summary["best"] is None
    assert (tmp_path / summary["name"] / "data.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "interrupt",
    [
        "Ctrl-C in a terminal",
        pytest.param("SIGTERM to the command", marks=pytest.mark.soak),
        pytest.param("SIGTERM to its process group", marks=pytest.mark.soak),
    ],
)
def test_interrupted_once_it_cancels_tests_and_reports_what_is_there(interrupt: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "search.run",
        "digits",
        "--num-samples",
        "500",
        "--runs-dir",
        str(tmp_path),
        "--json",
    ]
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [*command, "--name", "mine"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            start_new_session=True,
        )
    log = tmp_path / "mine/events.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and '"checkpoint"' in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    if interrupt == "SIGTERM to the command":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT if interrupt == "Ctrl-C in a terminal" else signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    said = (tmp_path / "err").read_text()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    summary = json.loads(out)
    assert summary["interrupted"]
    assert summary["counts"]["cancelled"] >= 1
    assert summary["best"] is not None
    interrupted = [event["time"] for event in events.read(log) if event.get("state") == "cancelled"]
    assert max(interrupted) - min(interrupted) < 10


def test_a_dry_run_says_what_it_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digits", "--dry-run", "--num-samples", "10", "--epochs", "9", "--grace", "1", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["plan"]["rungs"] == [1, 3]
    assert plan["plan"]["most epochs"] == 90
    assert plan["plan"]["dataset"]["test"] == 447
    assert plan["conf"]["epochs"] == 9
    assert main(["digits", "--dry-run", "--set", "lr=0.002"]) == 0
    assert "lr: 0.002" in capsys.readouterr().out


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port where nobody listens."""
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()[1]


def test_a_port_that_is_silent_is_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    from search import cluster

    with socket.socket() as server, pytest.MonkeyPatch.context() as patch:
        server.bind(("127.0.0.1", 0))
        server.listen()
        patch.setattr(cluster, "PROBE_SECONDS", 0.2)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert main(["digits", "--ray-address", address, "--runs-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: --ray-address {address}: no Ray cluster answers there (timed out)\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digist"], "error: no task 'digist' in conf/ (did you mean digits?"),
        (["no/such.yaml"], "error: no file no/such.yaml"),
        (["digits", "--num-sample", "3"], "error: unrecognized arguments: --num-sample 3"),
        (["digits", "--num-samples", "0"], "error: argument --num-samples: must be a whole number from 1, not '0'"),
        (["digits", "--model", "mpl"], "error: --model mpl: not in "),
        (["digits", "--set", "lr=fast"], "space.lr: must be a number from 0, not 'fast'"),
        (["digits", "--set", "lrr=1"], "space.lrr: no such setting (did you mean lr?"),
        (["digits", "--epochs", "3", "--grace", "5"], "grace: 5 is more than epochs, 3"),
        (["digits", "--set", "dataset.train=1700"], "train 1700 and val 350 must be positive and leave some"),
        (["digits", "--name", "a/b"], "error: argument --name: must be letters, digits"),
        (["digits", "--ray-address", "ray://head:10001"], "'ray job submit'"),
        (["digits", "--ray-address", "127.0.0.1:{port}"], "error: --ray-address 127.0.0.1:{port}: no Ray cluster"),
        (["digits", "--tracking-uri", "http://127.0.0.1:{port}"], "no MLflow server answers there"),
        (["digits", "--tracking-uri", "ftp://x"], "must be http(s)://HOST:PORT"),
        (["digits", "--runs-dir", "/proc/none"], "error: --runs-dir /proc/none: cannot be made"),
        (["digits", "--gpus-per-trial", "64"], "error: no node has what a trial asks for"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], dead_port: int
) -> None:
    arguments = [argument.format(port=dead_port) for argument in arguments]
    if "--runs-dir" not in arguments:
        arguments += ["--runs-dir", str(tmp_path / "runs")]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said.format(port=dead_port) in err
    left = [path for path in (tmp_path / "runs").glob("*") if path.name != "mlflow.db"]
    assert left == []


def test_a_used_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    assert main(["digits", "--runs-dir", str(tmp_path), "--name", "mine"]) == 2
    assert f"error: --name mine: {tmp_path / 'mine'} exists" in capsys.readouterr().err


def test_an_unwritable_runs_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["digits", "--runs-dir", str(file)]) == 2
    assert "cannot be made" in capsys.readouterr().err
    shutil.rmtree(tmp_path)
