"""How the driver lets trials pause, go on and end, and who is told."""

from pathlib import Path
from typing import get_args

import pytest
from driving import MakeDriver, leave, message, pass_on

from search import conf, events
from search.driver import Driver
from search.endings import told
from search.history import State
from search.summary import trial_row


@pytest.mark.parametrize("metric", ["val_loss", "val_f1"])
def test_a_trial_pauses_at_its_rung_and_goes_on_before_anything_new(make_driver: MakeDriver, metric: str) -> None:
    driver = make_driver([{}] * 6, grace=3, metric=metric)
    for _ in range(3):
        driver.propose()
    assert leave(driver, message(0, [1, 2, 3], 0.4))
    driver.checkpoint(0, "trials/00000/checkpoint_000000", {})
    assert driver.propose()["trial"] == 3, "one of three may go on, and one has come"
    assert not leave(driver, message(1, [1, 2], 0.5))
    assert leave(driver, message(1, [3], 0.5))
    assert leave(driver, message(2, [1, 2, 3], 0.6))
    trial = driver.history.trials[0]
    assert (trial.state, trial.reason) == ("paused", "rung 3: place 1 of 1, where 0 may go on")
    on = driver.propose()
    assert (on["trial"], on["checkpoints"], on["seed"]) == (0, ["trials/00000/checkpoint_000000"], trial.seed)
    assert (trial.state, trial.reason) == ("running", "")
    assert [driver.propose()["trial"] for _ in range(2)] == [4, 5]
    states = [state for state, _ in driver.proposer.seen[0]]
    assert states == ["paused", "running"]
    driver.end()
    assert [trial.state for trial in driver.history.trials.values()] == [
        "cancelled", "pruned", "pruned", "cancelled", "cancelled", "cancelled"
    ]  # fmt: skip
    assert driver.history.trials[1].reason == "rung 3: place 2 of 3, where 1 may go on"


def test_the_best_that_comes_goes_on_where_it_is(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 3, grace=3)
    for _ in range(3):
        driver.propose()
    assert [leave(driver, message(number, [3], 0.6 - number / 10)) for number in range(3)] == [True, True, False]
    assert driver.proposer.seen[2] == [("running", {3: pytest.approx(0.4)})], "the sampler sees it all the same"
    assert driver.propose() is None


def test_a_trial_whose_worker_is_not_free_yet_does_not_go_on(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 4, grace=3)
    for _ in range(3):
        driver.propose()
    for number in range(3):
        assert pass_on(driver, message(number, [3], 0.4 + number / 10))
    assert driver.propose()["trial"] == 3, "its checkpoint may not be whole"
    driver.left(0)
    assert driver.propose()["trial"] == 0


def test_when_all_are_proposed_what_will_be_tested_goes_on_to_its_end(make_driver: MakeDriver) -> None:
    configs = [{"model": "mlp"}, {"model": "mlp"}, {"model": "cnn"}, {"model": "cnn"}]
    driver = make_driver(configs, grace=3, epochs=20, top_k=2)
    for _ in range(4):
        driver.propose()
    assert not driver.finished
    for number, value in enumerate([0.1, 0.2, 0.3, 0.4]):
        assert leave(driver, message(number, [3], value))
        best = {"index": 3, "val_loss": value, "val_error": value, "val_f1": 1 - value}
        driver.checkpoint(number, f"trials/{number}", best)
    went_on = [driver.propose() for _ in range(4)]
    assert [proposal and proposal["trial"] for proposal in went_on] == [0, 1, 2, None], "3 is neither of the best 2"
    assert not driver.finished
    assert leave(driver, message(1, [9], 0.2)), "it pauses again, but goes on at once"
    assert driver.propose()["trial"] == 1
    for number in (0, 1, 2):
        assert leave(driver, message(number, [20], 0.1, "completed"))
    assert driver.propose() is None
    assert driver.finished
    driver.end()
    assert [trial.state for trial in driver.history.trials.values()] == ["completed"] * 3 + ["pruned"]


def test_the_median_rule_ends_trials_where_they_miss_it(make_driver: MakeDriver) -> None:
    driver = make_driver(task=conf.load("digits", {"scheduler": "median", "grace": 3, "epochs": 9}, []))
    for _ in range(3):
        driver.propose()
    families = ["mlp"] * 3
    for trial, family in zip(driver.history.trials.values(), families, strict=True):
        trial.config["model"] = family
    assert [pass_on(driver, message(number, [3], 0.5 + number / 10)) for number in range(3)] == [False, True, True]
    assert driver.history.trials[2].state == "pruned"
    assert driver.history.trials[2].reason == "rung 3: worse than the median of 2"


@pytest.mark.parametrize("ending", ["completed", "diverged", "oom", "failed"])
def test_an_ending_is_shown_once(make_driver: MakeDriver, ending: str) -> None:
    driver = make_driver([{}])
    driver.propose()
    assert driver.report(message(0, [1, 2], 0.3, ending, reason="so"))
    assert driver.report(message(0, [], 0.3, "failed", reason="again"))
    assert driver.proposer.seen == {0: [(ending, {})]}
    assert driver.history.trials[0].state == ending


@pytest.mark.parametrize("metric", ["val_loss", "val_f1"])
def test_a_converged_trial_is_carried_into_the_rungs_it_skipped(make_driver: MakeDriver, metric: str) -> None:
    driver = make_driver([{}] * 3, epochs=20, grace=2, metric=metric)
    for _ in range(3):
        driver.propose()
    for milestone in (2, 6, 18):
        pass_on(driver, message(0, [milestone], 0.25))
        driver.rungs._waiting.clear()
        driver.history.trials[0].state = "running"
    assert driver.report(message(1, [5], 0.125, "converged"))
    assert driver.report(message(2, [5], 0.875, "converged"))
    assert [driver.history.trials[number].missed_rung for number in (1, 2)] == [None, 2]


def test_every_way_to_end_is_told_to_the_study_and_to_mlflow_as_the_summary_has_it(
    make_driver: MakeDriver, tmp_path: Path
) -> None:
    document = tmp_path / "mine.yaml"
    document.write_text(
        "dataset: digits\nepochs: 9\ngrace: 2\nmodels: {mlp: {}}\nspace: {lr: {low: 1e-4, high: 1e-1, log: true}}\n"
    )
    driver = make_driver(task=conf.load(str(document), {}, []))
    driver.num_samples = 10
    for _ in range(10):
        driver.propose()
    reports = [
        message(0, [1, 2], 0.5),
        message(1, [1, 2], 0.9),
        message(2, [1, 2], 0.2), message(2, [3, 4, 5], 0.2, "converged"),
        message(3, [1], 0.8, "converged"),
        message(4, [1, 2], 0.1), message(4, [], 0.1, "diverged"),
        message(5, [], 0.0, "diverged"),
        message(6, [1, 2], 0.1), message(6, [], 0.1, "oom"),
        message(7, [1], 0.1), message(7, [], 0.1, "failed"),
        message(8, [1], 0.1),
    ]  # fmt: skip
    for report in reports:
        leave(driver, report)
    driver.worker_died(8, "OutOfMemoryError")
    driver.lost(8)
    assert {trial.state.name for trial in driver.proposer.trials[:2]} == {"PRUNED"}, "they are paused"
    driver.checkpoint(0, "trials/00000/checkpoint_000000", {"index": 2, "val_loss": 0.5, "val_error": 0.1})
    for report in (message(0, [3, 4, 5, 6], 0.4), message(0, [7, 8, 9], 0.3, "completed")):
        assert driver.propose()["trial"] == 0
        assert leave(driver, report)
    driver.end()
    trials = driver.history.trials.values()
    rows = [
        (row["state"], told(row["state"]).mlflow, trial.state.name, trial.value, trial.intermediate_values)
        for row, trial in zip(map(trial_row, trials), driver.proposer.trials, strict=True)
    ]
    assert rows == [
        ("completed", "FINISHED", "COMPLETE", 0.3, {2: 0.5, 6: 0.4}),
        ("pruned", "KILLED", "PRUNED", 0.9, {2: 0.9}),
        ("converged", "FINISHED", "COMPLETE", 0.2, {2: 0.2}),
        ("converged", "FINISHED", "PRUNED", 0.8, {2: 0.8}),
        ("diverged", "FAILED", "PRUNED", None, {}),
        ("diverged", "FAILED", "PRUNED", None, {}),
        ("oom", "FAILED", "PRUNED", None, {}),
        ("failed", "FAILED", "FAIL", None, {}),
        ("oom", "FAILED", "PRUNED", None, {}),
        ("cancelled", "KILLED", "FAIL", None, {}),
    ]
    assert {state for state, *_ in rows} == {*get_args(State)} - {"running", "paused"}


def test_a_killed_search_that_is_opened_for_something_else_ends_its_paused_trials(make_driver: MakeDriver) -> None:
    killed = make_driver([{}], grace=3)
    killed.propose()
    leave(killed, message(0, [3], 0.5))
    killed.checkpoint(0, "trials/00000/checkpoint_000000", {"index": 3, "val_loss": 0.5, "val_error": 0.1})
    driver = Driver(killed.task, killed.log, killed.history, None, num_samples=0, seed=0)
    assert driver.propose() is None
    assert driver.finished
    driver.end()
    (trial,) = driver.history.trials.values()
    assert (trial.state, trial.reason) == ("pruned", "rung 3: place 1 of 1, where 0 may go on")


def test_a_checkpoint_is_in_the_log_before_the_ending_that_nobody_goes_on_after(make_driver: MakeDriver) -> None:
    driver = make_driver([{}])
    driver.propose()
    driver.report(message(0, [1, 2], 0.4, "completed", checkpoint="trials/00000/checkpoint_000000", bytes=7))
    kinds = [event["event"] for event in events.read(driver.log.path)]
    assert kinds == ["proposal", "report", "checkpoint", "ending"]


def test_damaged_checkpoints_are_told_with_what_the_trial_went_on_from(make_driver: MakeDriver) -> None:
    said: list[str] = []
    driver = make_driver([{}], say=said.append)
    driver.propose()
    for number in range(2):
        driver.report(message(0, [number + 1], 0.4, checkpoint=f"c{number}", bytes=7))
    driver.report(message(0, [3], 0.4, damaged={"c1": "c1: is damaged (cut off)"}))
    driver.report(message(0, [4], 0.4, damaged={"c0": "c0: is damaged (cut off)"}))
    assert said == [
        "warning: trial 0 went on from c0: c1: is damaged (cut off)",
        "warning: trial 0 began again: c0: is damaged (cut off)",
    ]
    assert [damage["trial"] for damage in driver.history.damages()] == [0, 0]
