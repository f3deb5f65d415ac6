"""The driver's decisions, driven without Ray."""

import json
import time
from pathlib import Path

import pytest
from driving import MakeDriver, leave, message, pass_on

from search import conf, events
from search.budgets import Budgets
from search.driver import Beside, trial_seed
from search.history import History


def test_a_proposal_is_in_the_log_before_it_is_given_out(make_driver: MakeDriver) -> None:
    driver = make_driver([{}, {}])
    proposal = driver.propose()
    (event,) = events.read(driver.log.path)
    assert (event["event"], event["trial"], event["config"]) == ("proposal", 0, proposal["config"])
    assert proposal["seed"] == trial_seed(0, 0) != driver.propose()["seed"]
    assert driver.propose() is None


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
