"""The driver's decisions, driven without Ray."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from closed_form import Scripted

from search import conf, events
from search.budgets import Budgets
from search.driver import Beside, Driver, trial_seed
from search.endings import told
from search.events import EventLog
from search.history import History, State
from search.proposer import Proposer
from search.summary import trial_row
from search.task import Task

MakeDriver = Callable[..., Driver]


@pytest.fixture
def make_driver(tmp_path: Path) -> Iterator[MakeDriver]:
    """Makes a driver whose configurations come from a list, or from a task's own sampler."""
    logs = []

    def make(
        configs: list[dict[str, Any]] | None = None,
        epochs: int = 9,
        grace: int = 1,
        metric: str = "val_loss",
        task: Task | None = None,
        **more: Any,
    ) -> Driver:
        logs.append(EventLog(tmp_path / events.FILE_NAME))
        proposer: Any = Scripted(configs or [])
        if task is not None:
            proposer = Proposer(task.space, "gp", 0, task.references)
        task = task or conf.load("digits", {"epochs": epochs, "grace": grace, "metric": metric}, [])
        history = History()
        history.search = {"milestones": list(task.milestones)}
        return Driver(task, logs[-1], history, proposer, num_samples=len(configs or "123"), seed=0, **more)

    yield make
    for log in logs:
        log.close()


def message(trial: int, epochs: list[int], value: float, ending: str | None = None, **more: Any) -> dict[str, Any]:
    """A report of a trial whose cost is ``value``, by the loss and by F1."""
    curve = [
        {
            "index": index,
            "train_loss": 1.0,
            "train_error": 0.5,
            "val_loss": value,
            "val_error": 0.1,
            "val_f1": 1 - value,
            "seconds": 0.1,
            "lr": 0.1,
        }
        for index in epochs
    ]
    return {"trial": trial, "epochs": curve, "best": curve[-1] if curve else None, "value": value, "ending": ending,
            "worker": None, "parameters": None, **more}  # fmt: skip


def pass_on(driver: Driver, report: dict[str, Any]) -> bool:
    """What Ray does with a report: the stopper first, then, unless that stops it, the scheduler."""
    return driver.report(report) or driver.judge(report)


def test_a_proposal_is_in_the_log_before_it_is_given_out(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}])
    proposal = driver.propose()
    (event,) = events.read(driver.log.path)
    assert (event["event"], event["trial"], event["config"]) == ("proposal", 0, proposal["config"])
    assert proposal["seed"] == trial_seed(0, 0) != driver.propose()["seed"]
    assert driver.propose() is None


def leave(driver: Driver, report: dict[str, Any]) -> bool:
    """The same, and where it leaves its worker that is free."""
    leaves = pass_on(driver, report)
    if leaves:
        driver.left(report["trial"])
    return leaves


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
    assert (on["trial"], on["checkpoint"], on["seed"]) == (0, "trials/00000/checkpoint_000000", trial.seed)
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


def test_epochs_seen_again_after_a_restart_are_dropped(make_driver: MakeDriver) -> None:
    driver = make_driver([{}])
    driver.propose()
    driver.report(message(0, [1, 2, 3], 0.5))
    driver.worker_died(0, "ActorDiedError")
    driver.report(message(0, [2, 3, 4], 0.4))
    trial = driver.history.trials[0]
    assert [epoch["index"] for epoch in trial.curve] == [1, 2, 3, 4]
    assert [epoch["val_loss"] for epoch in trial.curve] == [0.5, 0.5, 0.5, 0.4]


def test_a_trial_given_up_after_its_workers_deaths_has_failed(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}])
    assert driver.propose()
    assert driver.propose()
    for _ in range(2):
        driver.worker_died(0, "ActorDiedError")
    driver.lost(0)
    driver.worker_died(1, "OutOfMemoryError")
    driver.lost(1)
    states = [(trial.state, trial.reason) for trial in driver.history.trials.values()]
    assert states == [("failed", "worker died, 2 times: ActorDiedError"), ("oom", "worker died: OutOfMemoryError")]


@pytest.mark.parametrize(
    ("reasons", "stops"),
    [
        (["KeyError: a (x.py:3)", "KeyError: b (x.py:3)", "KeyError: (c) (x.py:3)"], True),
        (["KeyError: a (x.py:3)", "KeyError: a (x.py:4)", "KeyError: a (x.py:3)"], False),
        (["KeyError: a (x.py:3)", "ValueError: a (x.py:3)", "KeyError: a (x.py:3)"], False),
        (["KeyError: a (x.py:3)", None, "KeyError: a (x.py:3)"], False),
        ([None, "KeyError: a (x.py:3)", "KeyError: a (x.py:3)", "KeyError: a (x.py:3)"], False),
    ],
)
def test_the_search_stops_when_its_first_three_trials_fail_alike(
    make_driver: MakeDriver, reasons: list[str | None], stops: bool
) -> None:
    driver = make_driver([{}] * 4)
    for number, reason in enumerate(reasons):
        driver.propose()
        driver.report(message(number, [1], 0.5, "failed" if reason else "completed", reason=reason or ""))
    assert (driver.stopping, driver.failure is not None) == (stops, stops)
    if stops:
        assert driver.propose() is None


def test_a_trial_that_pauses_shows_that_not_all_fail(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 6, grace=3)
    for _ in range(5):
        driver.propose()
    assert leave(driver, message(0, [3], 0.5))
    for number in (1, 2, 3):
        leave(driver, message(number, [1], 0.5, "failed", reason="KeyError: a (x.py:3)"))
    assert not driver.stopping
    assert driver.propose() is not None


def test_what_still_runs_is_cancelled_and_tells_the_sampler_nothing(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}])
    assert driver.propose()
    assert driver.propose()
    driver.report(message(0, [1], 0.5, "completed"))
    driver.interrupted = True
    assert driver.stopping
    assert driver.propose() is None
    driver.end()
    assert [trial.state for trial in driver.history.trials.values()] == ["completed", "cancelled"]


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


def beside(epochs: int = 50) -> Beside:
    return Beside("reference", "by hand", {"model": "mlp", "lr": 0.1}, epochs, patience=7, seed=5)


def test_what_is_trained_beside_the_search_comes_first_and_to_its_own_end(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}, {}], grace=2, beside=[beside()])
    driver.num_samples = 2
    first = driver.propose()
    assert first == {"trial": 0, "seed": 5, "config": {"model": "mlp", "lr": 0.1}, "epochs": 50, "patience": 7}
    assert [driver.propose()["seed"] for _ in range(2)] == [trial_seed(0, 0), trial_seed(0, 1)]
    assert driver.propose() is None
    assert pass_on(driver, message(1, [2], 0.1))
    assert not pass_on(driver, message(0, [1, 2], 0.9)), "a reference is not judged"
    assert pass_on(driver, message(0, [3, 4], 0.9, "converged"))
    assert 0 not in driver.proposer.seen
    trial = driver.history.trials[0]
    assert (trial.apart, trial.origin, trial.state) == ("reference", "by hand", "converged")


@pytest.mark.parametrize(
    ("budgets", "reports", "by"),
    [
        (Budgets(epochs=5), [(1, [1, 2], 0.5), (2, [1, 2, 3], 0.4)], "epoch budget"),
        (Budgets(epochs=6), [(1, [1, 2], 0.5), (2, [1, 2, 3], 0.4)], None),
        (Budgets(epochs=5), [(0, [1, 2, 3, 4, 5], 0.5)], None),
        (Budgets(target=0.1), [(1, [1], 0.5)], "target"),
        (Budgets(target=0.1), [(0, [1], 0.5)], None),
        (Budgets(target=0.09), [(1, [1], 0.5)], None),
    ],
)
def test_a_spent_budget_ends_each_trial_at_its_next_report_but_no_reference(
    make_driver: MakeDriver, budgets: Budgets, reports: list[tuple[int, list[int], float]], by: str | None
) -> None:
    driver = make_driver([{}, {}, {}, {}], beside=[beside()], budgets=budgets, epochs=90, grace=80)
    for _ in range(3):
        driver.propose()
    stopped = [driver.report(message(*report)) for report in reports]
    assert stopped == [False] * (len(reports) - 1) + [by is not None]
    assert not driver.stopping, "running trials are not killed"
    assert (driver.propose() is None) == (by is not None)
    if by:
        assert not driver.report(message(0, [1], 0.5))
        assert driver.report(message(1, [7], 0.3))
        trial = driver.history.trials[1]
        assert (trial.state, driver.history.stop["by"]) == ("cancelled", by)
        assert trial.reason == driver.history.stop["reason"]
        assert driver.history.trials[0].state == "running"


def test_when_the_time_is_up_everything_ends_where_it_is(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}], beside=[beside()], budgets=Budgets(seconds=1.0, began=time.monotonic() - 0.5))
    assert driver.propose()
    assert not driver.stopping
    driver.budgets = Budgets(seconds=1.0, began=time.monotonic() - 1.5)
    assert driver.stopping
    assert driver.propose() is None
    driver.end()
    assert driver.history.trials[0].reason == "time budget of 1 s spent"
    assert [event["by"] for event in events.read(driver.log.path) if event["event"] == "stop"] == ["time budget"]


def test_an_interruption_does_not_wait_for_the_reports_that_a_budget_would(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}], budgets=Budgets(epochs=1))
    assert driver.propose()
    assert driver.propose()
    assert driver.report(message(0, [1], 0.5))
    assert not driver.stopping
    driver.interrupted = True
    assert driver.stopping
    assert driver.history.stop["by"] == "interruption"


def test_the_log_alone_gives_the_same_history(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}])
    assert driver.propose()
    assert driver.propose()
    pass_on(driver, message(0, [1], 0.5, worker={"node": "n", "pid": 1, "gpus": 0}))
    driver.checkpoint(0, "trials/00000/checkpoint_000000", {"index": 1, "val_loss": 0.5, "val_error": 0.1})
    pass_on(driver, message(1, [1], 0.7))
    driver.report(message(0, [2], 0.4, "completed"))
    history = History([{"event": "search", **driver.history.search}, *events.read(driver.log.path)])
    assert history.trials == driver.history.trials


def test_a_reference_inside_the_space_is_the_first_proposal_and_counts(make_driver: MakeDriver, tmp_path: Path) -> None:
    document = tmp_path / "mine.yaml"
    document.write_text(
        "dataset: digits\nepochs: 3\nmodels: {mlp: {widths: {choice: [[8], [16]]}}}\n"
        "space:\n  lr: {low: 1e-4, high: 1e-1, log: true}\n"
        "  optimizer: {choice: {adam: {}, sgd: {momentum: {low: 0, high: 0.9}}}}\n"
        "references: [{name: by hand, config: {model: mlp, widths: [16], lr: 0.01}},"
        " {name: outside, config: {model: mlp, widths: [99]}}]\n"
    )
    task = conf.load(str(document), {}, [])
    driver = make_driver(task=task)
    first = driver.propose()["config"]
    assert (first["mlp.widths"], first["lr"], first["optimizer"]) == ([16], 0.01, "adam")
    assert driver.propose() is not None
    assert driver.propose() is not None
    assert driver.propose() is None
    origins = [event["origin"] for event in events.read(driver.log.path)]
    assert origins == ["by hand", "sampler", "sampler"]
    json.dumps(first)
