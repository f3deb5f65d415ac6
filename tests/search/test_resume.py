"""Searches that end where they stand, by SIGKILL or on a full disk, and go on by ``--resume``: the real command."""

import itertools
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

import pytest

from search import events
from search.history import History
from search.run import main
from trainables.object_store import ObjectStore

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
COMMAND = ["digits", "--model", "mlp", "--set", "mlp.widths=[512]", "--scheduler", "none", "--register", "never",
           "--confirm", "0", "--name", "mine"]  # fmt: skip


def begin(runs: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "search.run", *COMMAND, "--runs-dir", str(runs), *options],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def checkpoints(log: Path) -> list[str]:
    found = events.read(log) if log.is_file() else ()
    return [event["path"] for event in found if event["event"] == "checkpoint"]


def read_summary(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / "mine/summary.json").read_text())
    return found


@pytest.mark.soak
def test_a_checkpoint_that_was_cut_off_costs_only_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "mine/events.jsonl"
    process = begin(tmp_path, "--num-samples", "1", "--epochs", "150")
    deadline = time.monotonic() + 120
    while len(checkpoints(log)) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    worker = next(event["worker"]["pid"] for event in events.read(log) if event["event"] == "start")
    os.kill(worker, signal.SIGSTOP)
    time.sleep(0.5)  # what it had reported is in the log by then
    process.kill()
    process.communicate()
    os.kill(worker, signal.SIGKILL)
    before, newest = checkpoints(log)[-2:]
    whole = log.read_bytes()
    file = tmp_path / "mine" / newest / "checkpoint.pt"
    os.truncate(file, file.stat().st_size // 2)
    assert main(["digits", "--resume", "mine", "--runs-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert f"warning: trial 0 went on from {before}: {file}: is damaged (" in said
    assert log.read_bytes().startswith(whole)
    summary = read_summary(tmp_path)
    assert [damage["trial"] for damage in summary["damaged_checkpoints"]] == [0]
    assert summary["counts"].keys() <= {"completed", "converged"}
    trial = History(events.read(log)).trials[0]
    assert [epoch["index"] for epoch in trial.curve] == list(range(1, trial.epochs + 1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_ends_a_search_in_one_line_and_with_room_it_goes_on(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process = begin(small_disk, "--num-samples", "8", "--epochs", "20", "--tracking-uri", uri, "--quiet")
    _, said = process.communicate(timeout=150)
    assert process.returncode == 2, said
    (line,) = said.splitlines()
    assert line.startswith(f"error: {small_disk / 'mine'}")
    assert line.endswith(
        "no space left; what was reported until then is kept: make room, then go on: "
        f"python -m search.run digits --resume mine --runs-dir {small_disk}"
    )
    log = small_disk / "mine/events.jsonl"
    whole = log.read_bytes()
    assert whole.endswith(b"\n")
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert main(["digits", "--resume", "mine", "--runs-dir", str(small_disk), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert log.read_bytes().startswith(whole)
    summary = read_summary(small_disk)
    assert [(trial["state"], trial["epochs"]) for trial in summary["trials"]] == [("completed", 20)] * 8
    assert (summary["ended_by"], summary["mlflow"]["complete"]) == ("all trials", True)


def test_a_search_in_an_object_store_goes_on_from_an_empty_disk(object_store: ObjectStore, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    storage = object_store.uri.removesuffix("/mine")
    process = begin(here, "--num-samples", "3", "--epochs", "40", "--storage", storage, "--quiet")
    log = here / "mine/events.jsonl"
    deadline = time.monotonic() + 120
    while len(checkpoints(log)) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    sent = len(checkpoints(log))
    time.sleep(2)  # what it has reported is in the store
    process.kill()
    _, said = process.communicate()
    assert (sent, said) == (3, "")
    before = log.read_bytes()
    shutil.rmtree(here)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    go_on = ["digits", "--resume", "mine", "--runs-dir", str(there), "--storage", storage, "--tracking-uri", uri]
    assert main([*go_on, "--quiet"]) == 0
    after = (there / "mine/events.jsonl").read_bytes()
    lines = zip(before.splitlines(), after.splitlines(), strict=False)
    kept = [line for line, again in itertools.takewhile(lambda pair: pair[0] == pair[1], lines)]
    assert sum(b'"checkpoint"' in line for line in kept) >= 3, "at most the last second's lines are another's"
    summary = read_summary(there)
    assert [(trial["state"], trial["epochs"]) for trial in summary["trials"]] == [("completed", 40)] * 3
    assert (summary["mlflow"]["complete"], summary["tracking_uri"]) == (True, uri)
    assert not (there / "mine/trials").exists()
    assert object_store.read("events.jsonl") == after
    assert {"best.pt", "conf.yaml", "summary.json"} <= {file.name for file in object_store.files("")}


def test_more_samples_after_the_test_change_the_winner_in_an_opening_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["digits", "--runs-dir", str(tmp_path)]
    new = ["--model", "mlp", "--sampler", "random", "--epochs", "3", "--seed", "3", "--num-samples", "1"]
    assert main([*here, *new, "--name", "mine"]) == 0
    assert read_summary(tmp_path)["mlflow"]["registered"].startswith("digits version 1, champion")
    assert main([*here, "--resume", "mine", "--num-samples", "2", "--top-k", "1"]) == 0
    log = list(events.read(tmp_path / "mine/events.jsonl"))
    openings = [(event["trials"], event["chosen"]) for event in log if event["event"] == "opening"]
    assert openings == [([0], ["winner"]), ([1], ["winner"])]
    summary = read_summary(tmp_path)
    assert [(test["trial"], test["chosen"], test["opening"]) for test in summary["test"]] == [
        (1, "winner", 2),
        (0, None, 1),
    ]
    assert summary["best"]["trial"] == 1
    assert summary["mlflow"]["registered"].startswith("digits version 2, champion")
    assert "tested before, opening 1" in capsys.readouterr().out
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs(["1"], "tags.chosen LIKE '%winner'")
    chosen = {run.data.tags["rungs.trial"]: run.data.tags["chosen"] for run in runs}
    assert chosen == {"0": "formerly winner", "1": "winner"}
    versions = client.search_model_versions("name = 'digits'")
    assert {version.version: version.tags["trial"] for version in versions} == {1: "0", 2: "1"}
