"""Which checkpoints go, as tables; and that the books say the same at any moment."""

import random

import pytest

from search import cli, resuming
from search.history import History, TrialResult
from search.retention import Removal, Retention, least_valuable, left_over, superfluous


def trial(number: int, worth: float | None, state: str = "completed", model: str = "mlp", **more) -> TrialResult:
    """A trial by hand, with two checkpoints; without ``worth`` one that left none."""
    best = {"val_loss": worth, "val_error": 0.5, "val_f1": 0.5}
    there = [(f"trials/{number:05d}/checkpoint_{index:06d}", best) for index in (3, 4)] if worth is not None else []
    return TrialResult(number, {"model": model}, 0, 0.0, state=state, checkpoints=there, **more)


ROWS = [
    trial(0, 0.5),
    trial(1, 0.2, model="cnn"),
    trial(2, 0.3, "pruned"),
    trial(3, 0.9, "failed"),
    trial(4, 0.7, model="resnet"),
    trial(5, None),
    trial(6, 0.4, "converged"),
]


@pytest.mark.parametrize(
    ("top_k", "keep", "gone"),
    [
        (1, 1, [3, 0, 6]),
        (1, 2, [3, 0, 6]),
        (2, 1, [3, 0, 6]),
        (1, 3, [3, 0]),
        (3, 1, [3, 0]),
        (3, 4, [3]),
        (1, 6, []),
        (1, 99, []),
        (1, 0, [3, 0, 6]),
    ],
)
def test_all_go_but_the_best_and_each_familys_best(top_k, keep, gone):
    assert [each.id for each in superfluous(ROWS, "val_loss", top_k, keep)] == gone
    assert [each.id for each in superfluous(ROWS[::-1], "val_loss", top_k, keep)] == gone


@pytest.mark.parametrize("state", ["running", "paused", "cancelled"])
def test_what_may_go_on_stays_and_is_none_of_those_that_keep(state):
    rows = [trial(0, 0.1, state), trial(1, 0.2), trial(2, 0.3), trial(3, 0.9, state)]
    assert [each.id for each in superfluous(rows, "val_loss", 1, 1)] == [2]


@pytest.mark.parametrize("apart", ["reference", "again"])
def test_what_is_beside_the_search_stays_and_is_none_of_those_that_keep(apart):
    rows = [trial(0, 0.9, apart=apart), trial(1, 0.2), trial(2, 0.1, apart=apart), trial(3, 0.3)]
    assert [each.id for each in superfluous(rows, "val_loss", 1, 1)] == [3]
    assert [each.trials for each in least_valuable(rows, "val_loss", 1)] == [[3]]


def test_by_a_score_more_is_better():
    rows = [trial(0, 0.2), trial(1, 0.2)]
    rows[0].checkpoints[-1][1]["val_f1"] = 0.25
    assert [each.id for each in superfluous(rows, "val_f1", 1, 1)] == [0]


def of_all_states() -> list[TrialResult]:
    return [
        trial(0, 0.1, "paused", curve=[{"index": 3}]),
        trial(1, 0.6, "paused", curve=[{"index": 9}]),
        trial(2, 0.5, "paused", curve=[{"index": 3}]),
        trial(3, 0.8, "paused", "cnn", curve=[{"index": 3}]),
        trial(4, 0.9, "running"),
        trial(5, 0.2),
        trial(6, 0.3),
        trial(7, 0.4, "pruned"),
        trial(8, 0.7, "cancelled"),
    ]


@pytest.mark.parametrize(("top_k", "ended"), [(1, [7, 6, 5]), (2, [7, 6]), (3, [7])])
def test_for_room_ended_ones_go_then_second_checkpoints_then_the_last_of_the_lowest_rung(top_k, ended):
    second, last = "checkpoint_000003", "checkpoint_000004"
    one_by_one = [(number, second) for number in (3, 2, 0, 1)] + [(2, last), (1, last)]
    expected = [Removal([number]) for number in ended]
    expected += [Removal([number], [f"trials/{number:05d}/{name}"]) for number, name in one_by_one]
    assert list(least_valuable(of_all_states(), "val_loss", top_k)) == expected


def proposal(number: int) -> dict:
    return {"event": "proposal", "time": 0.0, "trial": number, "config": {"model": "mlp"}, "seed": 0}


def checkpoint(number: int, index: int, loss: float = 0.5, size: int = 100) -> dict:
    best = {"val_loss": loss, "val_error": 0.1, "val_f1": 0.9}
    path = f"trials/{number:05d}/checkpoint_{index:06d}"
    return {"event": "checkpoint", "time": 0.0, "trial": number, "path": path, "best": best, "bytes": size}


def ending(number: int, state: str = "completed") -> dict:
    return {"event": "ending", "time": 0.0, "trial": number, "state": state, "reason": ""}


def pause(number: int) -> dict:
    return {"event": "pause", "time": 0.0, "trial": number, "reason": ""}


@pytest.mark.parametrize(
    ("events", "paths", "size"),
    [
        ([checkpoint(0, 0)], [0], 100),
        ([checkpoint(0, 0), checkpoint(0, 1, size=7), checkpoint(0, 2, size=9)], [1, 2], 16),
        ([checkpoint(0, 0), checkpoint(0, 0, size=7)], [0, 0], 7),
        ([checkpoint(0, 0), {"event": "removal", "time": 0.0, "trials": [0]}], [], 0),
        (
            [
                checkpoint(0, 0),
                checkpoint(0, 1, size=7),
                {"event": "removal", "time": 0.0, "trials": [0], "checkpoints": [checkpoint(0, 0)["path"]]},
            ],
            [1],
            7,
        ),
        (
            [
                checkpoint(0, 0),
                checkpoint(0, 1, size=7),
                {"event": "damaged", "time": 0.0, "trial": 0, "path": checkpoint(0, 1)["path"], "problem": "cut off"},
            ],
            [0],
            100,
        ),
        ([{name: value for name, value in checkpoint(0, 0).items() if name != "bytes"}], [0], 0),
    ],
)
def test_the_history_knows_what_is_there_and_how_large_it_is(events, paths, size):
    history = History([proposal(0), *events])
    assert [path for path, _ in history.trials[0].checkpoints] == [checkpoint(0, index)["path"] for index in paths]
    assert history.checkpoint_bytes == size
    assert history.trials[0].checkpoints_made == sum(event["event"] == "checkpoint" for event in events)


def test_a_removal_changes_nothing_but_the_checkpoints():
    events = [proposal(0), checkpoint(0, 0), ending(0)]
    before, after = History(events), History([*events, {"event": "removal", "time": 1.0, "trials": [0]}])
    before.trials[0].checkpoints = []
    assert before.trials == after.trials


def test_what_a_search_that_was_cut_off_left_goes_and_what_its_trials_need_stays():
    events = [proposal(number) for number in range(5)]
    events += [checkpoint(0, index) for index in range(4)] + [checkpoint(1, 0), checkpoint(2, 0), checkpoint(2, 1)]
    events += [ending(0), ending(1), pause(2), ending(4, "failed")]
    events += [{"event": "removal", "time": 0.0, "trials": [1, 2]}]
    names = ["trials/00000", "trials/00001", "trials/00002", "trials/00003", "trials/00004", "trials/99999", "trials/x"]
    gone, rest = left_over(History(events), names)
    assert gone == ["trials/00001", "trials/00004", "trials/99999", "trials/x"]
    assert rest == {"trials/00000": 2, "trials/00002": 2, "trials/00003": 0}


def test_the_books_say_what_a_look_at_all_trials_says():
    random.seed(0)
    history = History()
    books = Retention(history, "val_loss", top_k=2, keep=3, budget=2000)
    removed = []
    for number in range(60):
        history.apply(proposal(number))
        trial = history.trials[number]
        trial.config["model"] = random.choice(["mlp", "cnn"])
        for index in range(random.randrange(4)):
            history.apply(checkpoint(number, index, random.random()))
            books.see(trial)
        history.apply(random.choice([ending(number), ending(number, "failed"), pause(number), ending(number)]))
        books.see(trial)
        for removal in books.due():
            one = {"checkpoints": removal.checkpoints} if removal.checkpoints is not None else {}
            history.apply({"event": "removal", "time": 0.0, "trials": removal.trials, **one})
            removed.append(removal)
        assert not superfluous(history.trials.values(), "val_loss", 2, 3)
        assert history.checkpoint_bytes <= 2000
        assert history.checkpoint_bytes == 100 * sum(len(each.checkpoints) for each in history.trials.values())
    assert {removal.checkpoints is None for removal in removed} == {True, False}
    again = Retention(history, "val_loss", top_k=2, keep=3, budget=2000)
    assert not list(again.due())


@pytest.mark.parametrize(
    ("logged", "arguments", "expected"),
    [({}, [], 5), ({"keep": 2}, [], 2), ({"keep": 2}, ["--keep", "3"], 3), ({}, ["--keep", "3"], 3)],
)
def test_a_search_that_goes_on_keeps_as_many_unless_told_otherwise(tmp_path, logged, arguments, expected):
    search = {"name": "a", "task": "digits", "options": {"seed": 0, **logged}, "tracking_uri": "sqlite:///x.db"}
    earlier = resuming.Earlier(tmp_path, History([{"event": "search", "time": 0.0, **search}]))
    arguments = ["digits", "--resume", "a", *arguments]
    assert resuming.options(arguments, cli.parse(arguments), earlier).keep == expected
