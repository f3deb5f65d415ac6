"""A real search whose choice is confirmed, on a validation split of its own for each seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import events, predictions
from search.run import main

pytestmark = pytest.mark.slow
CONF = """
dataset: {name: spiral, train: 300, test: 200}
epochs: 6
grace: 2
scheduler: none
models: {mlp: {widths: [32]}}
space: {optimizer: adam, lr: {low: 3e-3, high: 3e-2, log: true}, batch_size: 32, normalise: standard}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search of eight trials, of which the best two are trained again with one seed."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "points.yaml").write_text(CONF)
    options = ["--runs-dir", str(folder), "--name", "mine", "--quiet", "--sampler", "random", "--confirm", "1"]
    assert main([str(folder / "points.yaml"), "--num-samples", "8", "--confirm-seeds", "2", *options]) == 0
    return folder / "mine"


def summary(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def test_the_winner_is_the_best_training_of_the_confirmed_configuration(run: Path) -> None:
    found = summary(run)
    trials = {trial["id"]: trial for trial in found["trials"]}
    (row,) = found["confirmed"]["configurations"]
    best = min((trial for trial in trials.values() if trial["apart"] is None), key=lambda trial: trial["val_loss"])
    assert row["trial"] == found["confirmed"]["winner"] == best["id"]
    assert row["values"] == [trials[number]["val_loss"] for number in row["trainings"]]
    assert row["mean"] == pytest.approx(np.mean(row["values"]))
    assert row["interval"][0] < row["mean"] < row["interval"][1]
    assert {trials[number]["origin"] for number in row["trainings"]} == {f"trial {best['id']}"}
    assert all(trials[number]["config"] == best["config"] for number in row["trainings"])
    used = min(row["trainings"], key=lambda number: trials[number]["val_loss"])
    assert found["best"]["trial"] == found["confirmed"]["best"] == used
    assert found["not_confirmed"] == ""
    assert found["confirmed"]["epochs"] <= found["confirmed"]["cap"] == sum(
        trial["epochs"] for trial in found["trials"] if trial["apart"] is None
    ) // 4  # fmt: skip


def test_each_seed_has_a_validation_split_of_its_own(run: Path) -> None:
    again = [event for event in events.read(run / events.FILE_NAME) if event.get("apart") == "confirmation"]
    assert len({event["split"] for event in again}) == len({event["seed"] for event in again}) == 2
    assert summary(run)["confirmed"]["resplit"]


def test_the_test_is_of_all_its_seeds_and_of_their_mean(run: Path) -> None:
    found = summary(run)
    roles = {test["trial"]: test["chosen"] for test in found["test"]}
    best, (row,) = found["confirmed"]["best"], found["confirmed"]["configurations"]
    assert {number: roles[number] for number in row["trainings"]} == {
        number: "winner" if number == best else "seed" for number in row["trainings"]
    }
    kept = predictions.load(run / predictions.FILE_NAME)
    assert kept is not None
    for test in found["test"]:
        assert test["error"] == np.mean(kept.predicted[test["trial"]] != kept.targets)
    together = sum(kept.probabilities[number] for number in row["trainings"])
    assert isinstance(together, np.ndarray)
    assert found["ensemble"]["error"] == pytest.approx(np.mean(together.argmax(1) != kept.targets), abs=0.01)
    assert found["verdict"]["learnt"]
    assert len(found["ledger"]["openings"]) == 1


def test_going_on_with_it_changes_nothing(run: Path) -> None:
    before = (run / events.FILE_NAME).read_text()
    assert main([str(run.parent / "points.yaml"), "--resume", "mine", "--runs-dir", str(run.parent), "--quiet"]) == 0
    after = (run / events.FILE_NAME).read_text()[len(before) :].splitlines()
    assert [json.loads(line)["event"] for line in after] == ["resumption", "end"]
