"""What the driver lets go of as trials end, and how what has lost its checkpoints goes on."""

from collections.abc import Sequence
from typing import Any

import pytest
from closed_form import Scripted
from driving import MakeDriver, message

from search import events
from search.driver import Beside, Driver
from search.history import History
from search.retention import Retention


def train(
    driver: Driver, number: int, epochs: list[int], value: float, ending: str | None = None, size: int = 10
) -> bool:
    """A report with a checkpoint, in the order that Ray has; returns whether the trial left its worker."""
    report = message(number, epochs, value, ending)
    leaves = driver.report(report)
    made = driver.history.trials[number].checkpoints_made
    driver.checkpoint(number, f"trials/{number:05d}/checkpoint_{made:06d}", report["best"], size)
    if leaves or driver.judge(report):
        driver.left(number)
        return True
    return False


def go_on(driver: Driver, configs: Sequence[dict[str, Any]], **more: Any) -> Driver:
    """Another command that goes on with the search, from its log."""
    history = History([{"event": "search", **driver.history.search}, *events.read(driver.log.path)])
    proposer: Any = Scripted([{} for _ in history.trials] + list(configs))
    books = Retention(history, driver.task.metric, top_k=1, **{"keep": 1, **more})
    samples = len(proposer.configs)
    resumed = Driver(driver.task, driver.log, history, proposer, num_samples=samples, seed=0, retention=books)
    resumed.resume(slots=1)
    return resumed


def has(driver: Driver) -> dict[int, int]:
    """How many checkpoints each trial has that has any."""
    return {trial.id: len(trial.checkpoints) for trial in driver.history.trials.values() if trial.checkpoints}


def test_as_trials_end_the_best_keep_their_checkpoints_with_what_the_last_report_brought(
    make_driver: MakeDriver,
) -> None:
    removed: list[str] = []
    driver = make_driver([{}] * 5, keep=2, remove=removed.append)
    for number, (early, late) in enumerate([(0.5, 0.4), (0.3, 0.2), (0.9, 0.1), (0.8, 0.7), (0.6, 0.3)]):
        driver.propose()
        driver.report(message(number, [1], early))
        train(driver, number, [2], late, "completed")
    assert removed == ["trials/00000", "trials/00003", "trials/00004"]
    assert has(driver) == {1: 1, 2: 1}
    removals = [event for event in events.read(driver.log.path) if event["event"] == "removal"]
    assert [event["trials"] for event in removals] == [[0], [3], [4]]


def test_what_is_paused_or_beside_the_search_stays_until_the_pauses_are_endings(make_driver: MakeDriver) -> None:
    removed: list[str] = []
    beside = [Beside("reference", "by hand", {"model": "mlp"}, 50, 7, 5)]
    driver = make_driver([{}] * 5, grace=3, keep=1, remove=removed.append, beside=beside)
    for _ in range(5):
        driver.propose()
    train(driver, 0, [1], 0.9, "completed")
    for number, value in ((1, 0.4), (2, 0.5), (3, 0.6)):
        assert train(driver, number, [3], value)
    train(driver, 4, [1], 0.7, "completed")
    assert has(driver) == dict.fromkeys(range(5), 1)
    assert removed == []
    driver.end()
    assert has(driver) == {0: 1, 1: 1}
    assert removed == ["trials/00004", "trials/00003", "trials/00002"]


def test_without_a_number_to_keep_all_stay(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 3)
    for number in range(3):
        driver.propose()
        train(driver, number, [1], 0.5, "completed")
    driver.end()
    assert has(driver) == dict.fromkeys(range(3), 1)


@pytest.mark.parametrize("interrupted", [True, False])
def test_what_an_interruption_or_a_breakdown_leaves_can_go_on(make_driver: MakeDriver, interrupted: bool) -> None:
    driver = make_driver([{}] * 3, grace=3, keep=1)
    for _ in range(3):
        driver.propose()
    for number in range(2):
        train(driver, number, [3], 0.5)
    train(driver, 2, [1], 0.6)
    driver.interrupted = interrupted
    assert driver.stopping == interrupted
    driver.end()
    assert driver.history.counts() == {"pruned": 2, "cancelled": 1}
    assert has(driver) == {0: 1, 1: 1, 2: 1}
    resumed = go_on(driver, [])
    assert resumed.propose()["checkpoints"] == ["trials/00002/checkpoint_000000"]
    assert has(resumed) == {0: 1, 1: 1, 2: 1}


def test_a_pruned_trial_without_checkpoint_that_is_promoted_later_begins_again(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 3, grace=3, keep=1)
    for _ in range(3):
        driver.propose()
    for number, value in ((0, 0.1), (1, 0.3), (2, 0.2)):
        assert train(driver, number, [1, 2, 3], value)
    assert driver.propose()["trial"] == 0
    assert train(driver, 0, [4, 5, 6, 7, 8, 9], 0.1, "completed")
    driver.end()
    assert has(driver) == {0: 2}
    resumed = go_on(driver, [{}] * 3)
    for number in (3, 4, 5):
        assert resumed.propose()["trial"] == number
        train(resumed, number, [1, 2, 3], 0.5)
    again = resumed.propose()
    assert (again["trial"], again["next_checkpoint"]) == (2, 1), "two of six may go on"
    assert "checkpoints" not in again
    trained = resumed.history.epochs_trained
    assert not train(resumed, 2, [1, 2], 0.2)
    assert not train(resumed, 2, [3], 0.2), "at its rung it has been judged before"
    assert resumed.history.epochs_trained == trained, "what is trained again is not counted again"
    assert train(resumed, 2, [4, 5, 6, 7, 8, 9], 0.05, "completed")
    trial = resumed.history.trials[2]
    assert [epoch["index"] for epoch in trial.curve] == list(range(1, 10))
    assert [path for path, _ in trial.checkpoints] == [f"trials/00002/checkpoint_{made:06d}" for made in (2, 3)]
    assert (trial.state, resumed.history.epochs_trained) == ("completed", trained + 6)


def test_beyond_its_disk_budget_the_least_valuable_go(make_driver: MakeDriver) -> None:
    removed: list[str] = []
    driver = make_driver([{}] * 9, epochs=20, grace=3, keep=9, budget=60, remove=removed.append)
    for _ in range(4):
        driver.propose()
    for number, value in enumerate([0.3, 0.4, 0.5, 0.6]):
        assert not train(driver, number, [1], value)
        assert train(driver, number, [2, 3], value)
    assert removed == ["trials/00002/checkpoint_000000", "trials/00001/checkpoint_000000"], "the ones before the newest"
    assert has(driver) == {0: 2, 1: 1, 2: 1, 3: 2}
    assert [driver.propose()["trial"] for _ in range(3)] == [0, 4, 5]
    assert train(driver, 4, [1], 0.45, "failed", size=25)
    assert removed[2:] == ["trials/00004"]
    assert not train(driver, 5, [1], 0.9, size=25)
    assert removed[3:] == [f"trials/{name}" for name in ("00003/checkpoint_000000", "00003/checkpoint_000001",
                                                         "00002/checkpoint_000001")]  # fmt: skip
    assert has(driver) == {0: 2, 1: 1, 5: 1}
    assert driver.history.checkpoint_bytes == 55


def test_where_what_is_needed_is_more_than_the_budget_that_is_said_once(make_driver: MakeDriver) -> None:
    said: list[str] = []
    driver = make_driver([{}] * 3, grace=2, keep=3, budget=2_000_000, say=said.append)
    for number in range(3):
        driver.propose()
        train(driver, number, [1], 0.5, size=2_500_000)
    assert said == ["warning: what running trials and the best need takes 2.5 MB, more than --disk-budget"]
    assert has(driver) == {0: 1, 1: 1, 2: 1}


def test_the_log_alone_gives_the_same_history(make_driver: MakeDriver) -> None:
    driver = make_driver([{}] * 4, grace=3, keep=1, budget=25)
    for number in range(4):
        driver.propose()
        driver.report(message(number, [1], 0.5))
        driver.checkpoint(number, f"trials/{number:05d}/checkpoint_000000", {"val_loss": 0.5}, 10)
        train(driver, number, [2, 3], 0.5 - number / 10, "completed" if number == 1 else None)
    driver.end()
    history = History([{"event": "search", **driver.history.search}, *events.read(driver.log.path)])
    assert history.trials == driver.history.trials
    assert history.checkpoint_bytes == driver.history.checkpoint_bytes
