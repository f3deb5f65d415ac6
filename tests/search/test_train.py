"""Training one trial of a search again: the whole commands, on a cross-validated search of points."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets import spiral
from search import events, results
from search.run import main as search
from search.train import main as train

CONF = """
dataset: {name: spiral, train: 300, test: 200, folds: 3}
metric: val_f1
epochs: 6
grace: 2
models: {mlp: {widths: {choice: [[16], [32]]}, lr: {low: 1e-3, high: 3e-2, log: true}}}
references: [{name: small, config: {model: mlp, widths: [4]}, epochs: 2}]
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the search ``points`` of six trials, cut to the first that is any good."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "points.yaml").write_text(CONF)
    options = ["--runs-dir", str(folder), "--name", "points", "--target", "0.9", "--max-concurrent", "1", "--quiet"]
    assert search([str(folder / "points.yaml"), "--num-samples", "30", "--references", *options]) == 0
    return folder


def summary(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / "points/summary.json").read_text())
    return found


@pytest.mark.slow
def test_a_reached_target_ends_the_search_with_that_trial_as_its_winner(runs: Path) -> None:
    found = summary(runs)
    assert (found["ended_by"], found["slots"]) == ("target", 1)
    assert "target 0.9" in found["ended_reason"]
    assert len(found["trials"]) < 30
    assert found["counts"]["cancelled"] == 1
    winner = next(trial for trial in found["trials"] if trial["id"] == found["best"]["trial"])
    assert winner["val_error"] <= 0.9
    assert winner["val_f1"] == max(trial["val_f1"] or 0 for trial in found["trials"] if trial["apart"] is None)
    assert (found["metric"], found["best"]["val_f1"]) == ("val_f1", winner["val_f1"])
    assert found["references"][0]["trained"]["trained_epochs"] == 2


@pytest.mark.slow
def test_the_averaged_folds_are_the_model_that_is_tested_and_given_out(runs: Path) -> None:
    import torch

    found = results.load("points", runs)
    winner = found.tests.iloc[0]
    test = spiral.load(runs, train=300, test=200, folds=3).test
    assert test is not None
    model = found.winner()
    assert len(model.members) == len(winner["fold_errors"]) == 3
    with torch.inference_mode():
        predictions = model(torch.from_numpy(test.inputs)).argmax(1).numpy()
        alone = [member(torch.from_numpy(test.inputs)).argmax(1).numpy() for member in model.members]
    assert np.mean(predictions != test.targets) == pytest.approx(winner["error"])
    assert [np.mean(one != test.targets) for one in alone] == pytest.approx(winner["fold_errors"])


@pytest.mark.slow
def test_a_trial_is_trained_again_tested_in_an_opening_of_its_own_and_recorded(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = summary(runs)
    winner = before["best"]["trial"]
    best = (runs / "points/best.pt").read_bytes()
    arguments = ["points", "--trial", str(winner), "--epochs", "9", "--runs-dir", str(runs), "--quiet", "--json"]
    assert train(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == summary(runs)
    assert found["best"] == before["best"], "the search's winner stays what validation chose"
    assert (runs / "points/best.pt").read_bytes() == best
    again = found["trials"][-1]
    assert (again["apart"], again["origin"], again["state"], again["epochs"]) == (
        "again", f"trial {winner}", "completed", 9,
    )  # fmt: skip
    assert again["config"] == before["best"]["config"]
    assert [test["opening"] for test in found["test"]] == [1] * len(before["test"]) + [2]
    assert found["wall_seconds"] > before["wall_seconds"]
    log = list(events.read(runs / "points/events.jsonl"))
    assert [event["why"] for event in log if event["event"] == "opening"][-1] == f"trial {winner} trained again"
    assert [entry["number"] for entry in found["ledger"]["openings"]] == [1, 2]
    _is_recorded(found, again)


def _is_recorded(found: dict[str, Any], again: dict[str, Any]) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=found["tracking_uri"])
    run = client.get_run(again["mlflow_run_id"])
    assert (run.data.tags["apart"], run.info.status) == ("again", "FINISHED")
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 9
    experiment = client.get_experiment_by_name(found["experiment"])
    assert len(client.search_runs([experiment.experiment_id])) == len(found["trials"]) + 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing", "--trial", "0", "--epochs", "3"], "no search nothing in"),
        (["nothing", "--epochs", "3"], "--trial"),
        (["nothing", "--trial", "0", "--epochs", "0"], "a whole number from 1"),
        (["nothing", "--trial", "-1", "--epochs", "3"], "a trial's number"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert train([*arguments, "--runs-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.slow
def test_a_trial_that_is_not_there_and_data_that_have_changed_are_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["points", "--epochs", "3", "--runs-dir", str(runs)]
    assert train([*arguments, "--trial", "999"]) == 2
    assert "--trial 999: points has trials 0 to" in capsys.readouterr().err
    monkeypatch.setattr(spiral, "_TRAIN_SEED", 7)
    assert train([*arguments, "--trial", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the data of points" in line
