import math
from collections.abc import Sequence
from typing import Any

import pytest
from driving import MakeDriver, leave, message

from search import conf, confirmation
from search.beside import trial_seed
from search.budgets import Budgets
from search.confirmation import Confirm, Plan
from search.driver import Driver
from search.history import History, State, TrialResult

TASK = conf.load("digits", {"epochs": 30, "grace": 10}, [])


def trial(
    number: int, cost: float, model: str = "cnn", epochs: int = 30, state: State = "completed", **fields: Any
) -> TrialResult:
    best = {"index": epochs, "val_loss": cost, "val_error": cost / 10, "val_f1": 1 - cost}
    curve = [{"index": index, "seconds": 1.0} for index in range(1, epochs + 1)]
    config = fields.pop("config", {"model": model, "lr": cost})
    return TrialResult(number, config, 0, 0.0, state=state, curve=curve, best=best,
                       checkpoints=[(f"trials/{number:05d}/checkpoint_000000", best)], **fields)  # fmt: skip


def history_of(trials: Sequence[TrialResult], epochs: int = 0, **confirmation: Any) -> History:
    history = History()
    history.trials = {one.id: one for one in trials}
    history.epochs_searched = epochs
    history.confirmation = confirmation
    return history


ROWS = [
    trial(0, 0.5, "mlp"),
    trial(1, 0.1),
    trial(2, 0.2),
    trial(3, 0.3),
    trial(4, 0.4),
    trial(5, 0.05, apart="reference"),
]


@pytest.mark.parametrize(
    ("wish", "epochs", "configurations", "seeds", "note"),
    [
        ((3, 5), 2400, [1, 2, 3, 0], 5, ""),
        ((3, 5), 2399, [1, 2, 3, 0], 4, "4 of 5 seeds: 25 % of the search's epochs are 599"),
        ((3, 5), 480, [1, 2, 3, 0], 1, "1 of 5 seeds: 25 % of the search's epochs are 120"),
        ((3, 5), 400, [1, 2, 3], 1, "1 of 5 seeds and 3 of 4 configurations: 25 % of the search's epochs are 100"),
        ((3, 1), 400, [1, 2, 3], 1, "3 of 4 configurations: 25 % of the search's epochs are 100"),
        ((3, 5), 120, [1], 1, "1 of 5 seeds and 1 of 4 configurations: 25 % of the search's epochs are 30"),
        ((3, 5), 119, [], 0, "one training takes 30 epochs, and 25 % of the search's epochs are 29"),
        ((1, 2), 480, [1, 0], 2, ""),
        ((9, 1), 2400, [1, 2, 3, 4, 0], 1, ""),
    ],
)
def test_a_quarter_of_the_epochs_goes_to_the_best_and_each_familys_best(wish, epochs, configurations, seeds, note):
    plan = Confirm(*wish, resplit=False).plan(history_of(ROWS, epochs), TASK)
    asked = {"configurations": wish[0], "seeds": wish[1]}
    assert plan == Plan(configurations, seeds, epochs // 4, note, asked, False)


def test_who_converged_is_expected_to_converge_again_and_who_was_paused_to_go_on():
    rows = [trial(0, 0.1, epochs=12, state="converged"), trial(1, 0.2, epochs=10, state="pruned")]
    assert Confirm(2, 5, resplit=False).plan(history_of(rows, 4 * 84), TASK).seeds == 2


def test_a_configuration_that_was_tried_twice_is_one() -> None:
    rows = [trial(0, 0.1), trial(1, 0.2, config={"model": "cnn", "lr": 0.1}), trial(2, 0.3)]
    assert Confirm(2, 1, resplit=False).plan(history_of(rows, 4000), TASK).configurations == [0, 2]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan([7], 1, 9, "", {}, False), "training trial 7 again with 1 fresh seed"),
        (Plan([7, 2], 3, 9, "3 of 5 seeds: why", {}, False),
         "training trials 7, 2 again with 3 fresh seeds (3 of 5 seeds: why)"),
        (Plan([], 0, 9, "why", {}, False), "the choice is not confirmed: why"),
    ],
)  # fmt: skip
def test_what_is_said(plan, said):
    assert str(plan) == said


def again(number: int, origin: int, cost: float, seed: int = 1, **fields: Any) -> TrialResult:
    found = trial(number, cost, apart="confirmation", **fields)
    found.origin, found.seed = f"trial {origin}", seed
    return found


def small(number: int, cost: float, parameters: int) -> TrialResult:
    return trial(number, cost, parameters=parameters)


@pytest.mark.parametrize(
    ("trainings", "means"),
    [
        pytest.param([], {}, id="none yet"),
        pytest.param([again(9, 1, 0.4), again(10, 2, 0.3)], {2: 0.3, 1: 0.4}, id="the order changes"),
        pytest.param(
            [again(9, 1, 0.4), again(10, 2, 0.3), again(11, 1, 0.1, 2), again(12, 2, 0.4, 2)],
            {1: 0.25, 2: 0.35}, id="the mean decides",
        ),
        pytest.param(
            [again(9, 1, 0.4), again(10, 2, 0.3), again(11, 1, 0.1, 2), again(12, 2, 0.4, 2, state="running")],
            {2: 0.3, 1: 0.4}, id="only seeds that both came to the end of",
        ),
        pytest.param(
            [again(9, 1, 0.4), again(10, 2, 0.3, state="cancelled")], {}, id="nothing to compare",
        ),
        pytest.param(
            [again(9, 1, 0.1), again(10, 2, 0.3), again(11, 1, 0.1, 2, state="diverged"), again(12, 2, 0.4, 2)],
            {2: 0.35, 1: math.inf}, id="who may diverge is not chosen",
        ),
        pytest.param([again(9, 1, 0.1, state="failed"), again(10, 2, 0.3, state="oom")], {}, id="all broke"),
        pytest.param([again(9, 1, 0.3), again(10, 2, 0.3)], {2: 0.3, 1: 0.3}, id="a tie goes to the cheaper"),
        pytest.param([again(9, 3, 0.1)], {}, id="of a configuration that is no longer among the best"),
    ],
)  # fmt: skip
def test_the_best_by_the_mean(trainings, means):
    rows = [small(1, 0.1, 900), small(2, 0.2, 800), small(3, 0.3, 700)]
    found = confirmation.confirmed(history_of([*rows, *trainings], configurations=[1, 2]), "val_loss")
    assert {one.trial.id: one.mean for one in found} == pytest.approx(means)
    assert [one.trial.id for one in found] == list(means)


def test_a_score_is_better_where_it_is_higher():
    rows = [trial(1, 0.1), trial(2, 0.2), again(9, 1, 0.4), again(10, 2, 0.3)]
    history = history_of(
        rows, configurations=[1, 2], seeds=1, asked={"configurations": 2}, cap=1, note="", resplit=False
    )
    found = confirmation.facts(history, "val_f1")
    assert found is not None
    assert [(row["trial"], row["searched"], row["mean"]) for row in found["configurations"]] == [
        (2, pytest.approx(0.8), pytest.approx(0.7)),
        (1, pytest.approx(0.9), pytest.approx(0.6)),
    ]


def test_seeds_that_were_cut_off_are_told() -> None:
    rows = [trial(1, 0.1), again(9, 1, 0.4), again(10, 1, 0.3, 2, state="cancelled")]
    plan = {"configurations": [1], "seeds": 2, "asked": {"configurations": 1, "seeds": 3}, "cap": 9, "resplit": False}
    found = confirmation.facts(history_of(rows, **plan, note="2 of 3 seeds: why"), "val_loss")
    assert found is not None
    assert (found["seeds"], found["note"]) == (1, "2 of 3 seeds: why; of 2 seeds 1 came to the end")


def test_what_is_tested_is_the_best_training_of_each_then_what_the_search_had():
    rows = [
        trial(0, 0.5, "mlp"),
        trial(1, 0.1),
        trial(2, 0.2),
        *(again(9, 1, 0.4), again(10, 2, 0.35), again(11, 0, 0.6, model="mlp")),
        *(again(12, 1, 0.5, 2), again(13, 2, 0.3, 2), again(14, 0, 0.55, 2, model="mlp")),
        trial(15, 0.01, apart="reference"),
    ]
    history = history_of(rows, configurations=[1, 2, 0])
    found = [(item.trial.id, item.chosen) for item in confirmation.selected(history, "val_loss", 2)]
    assert found == [
        *((13, "winner"), (10, "seed"), (14, "family")),
        *((1, None), (2, None), (0, None), (15, "reference")),
    ]


def test_without_any_the_search_alone_decides():
    history = history_of([trial(1, 0.1), trial(2, 0.2)])
    found = [(item.trial.id, item.chosen) for item in confirmation.selected(history, "val_loss", 2)]
    assert found == [(1, "winner"), (2, None)]


def finish(driver: Driver, proposal: dict[str, Any], cost: float) -> None:
    number = proposal["trial"]
    size = {"checkpoint": f"trials/{number:05d}/checkpoint_000000", "bytes": 7}
    leave(driver, message(number, list(range(1, 31)), cost, "completed", **size))


def searched(make_driver: MakeDriver, costs: Sequence[float], **more: Any) -> Driver:
    """A driver that has trained so many configurations to their end."""
    configs = [{"model": "cnn", "lr": cost} for cost in costs]
    driver = make_driver(configs, epochs=30, grace=30, **more)
    proposals = [driver.propose() for _ in configs]
    for proposal, cost in zip(proposals, costs, strict=True):
        assert proposal is not None
        finish(driver, proposal, cost)
    return driver


def test_the_choice_is_confirmed_when_nothing_of_the_search_runs_any_more(make_driver: MakeDriver) -> None:
    said: list[str] = []
    configs = [{"model": "cnn", "lr": 0.1 * number} for number in range(1, 5)]
    driver = make_driver(configs, epochs=30, grace=30, confirm=Confirm(2, 1, True), say=said.append)
    proposals = [driver.propose() for _ in configs]
    for proposal, cost in zip(proposals[:3], (0.3, 0.1, 0.4), strict=True):
        assert proposal is not None
        finish(driver, proposal, cost)
    assert driver.propose() is None
    assert not driver.finished
    assert proposals[3] is not None
    finish(driver, proposals[3], 0.2)
    seed = trial_seed(0, (1 << 30))
    own = {"seed": seed, "split": seed, "epochs": 30, "patience": driver.task.patience}
    assert driver.propose() == {"trial": 4, "config": configs[1], **own}
    note = "1 of 2 configurations: 25 % of the search's epochs are 30"
    assert said == [f"training trial 1 again with 1 fresh seed ({note})"]
    finish(driver, {"trial": 4}, 0.15)
    assert driver.propose() is None
    assert driver.finished
    assert driver.history.epochs_searched == 120
    assert confirmation.why_not(driver.history, "val_loss") == "confirmation was not asked for"
    (found,) = confirmation.confirmed(driver.history, "val_loss")
    assert (found.trial.id, found.mean) == (1, 0.15)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_search_that_is_stopped_is_confirmed_unless_at_once(make_driver: MakeDriver, at_once: bool) -> None:
    driver = searched(make_driver, [0.4, 0.3, 0.2, 0.1], confirm=Confirm(1, 1, False), budgets=Budgets(epochs=120))
    assert driver.stop
    driver.budgets = Budgets(seconds=0.0 if at_once else None)
    assert (driver.propose() is None) == at_once
    assert driver.finished == at_once


def test_a_share_of_the_time_is_left_to_it(make_driver: MakeDriver) -> None:
    budgets = Budgets(seconds=1e6, to_confirm=1.0)
    driver = searched(make_driver, [0.4, 0.3, 0.2, 0.1], confirm=Confirm(1, 1, False), budgets=budgets)
    assert driver.stop
    assert driver.stop.by == "time budget"
    assert not driver.stop.at_once
    proposal = driver.propose()
    assert proposal is not None
    assert driver.history.trials[proposal["trial"]].apart == "confirmation"


def test_going_on_trains_only_what_is_missing(make_driver: MakeDriver) -> None:
    first = searched(make_driver, [0.4, 0.3, 0.2, 0.1] * 2, confirm=Confirm(1, 2, False))
    one, other = first.propose(), first.propose()
    assert one is not None
    assert other is not None
    finish(first, one, 0.2)
    first.interrupted = True
    assert first.stopping
    first.end()
    states = [trial.state for trial in first.history.trials.values() if trial.apart]
    assert states == ["completed", "cancelled"]
    second = Driver(first.task, first.log, first.history, first.proposer, num_samples=8, seed=0,
                    confirm=Confirm(1, 3, False))  # fmt: skip
    second.resume(command="", options={}, slots=1)
    assert second.propose() == other
    finish(second, other, 0.3)
    assert second.propose() is None, "the cap allows no third seed"
    assert second.finished
    assert [trial.state for trial in second.history.trials.values() if trial.apart] == ["completed"] * 2
