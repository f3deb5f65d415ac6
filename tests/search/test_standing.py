"""Where a search stands and how long its rest is expected to take."""

import heapq
import random
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import pytest
from growing_search import CONFIG, EPOCHS, Search

from search import conf
from search.driver import Driver
from search.history import History, TrialResult
from search.standing import Standing, seconds_left

# epochs of each trial that left, of a second each; (epochs, seconds since) of each running one; waiting, slots: left
ESTIMATES = [
    ([], [], 40, 2, None),
    ([], [(5, 0), (5, 0)], 40, 2, None),
    ([10, 10], [(5, 0)], 40, 2, None),
    ([0, 0, 0], [], 40, 2, None),
    ([10, 10], [], 0, 2, 0),
    ([10, 10, 10], [], 10, 2, 50),
    ([10, 10, 10], [], 9, 2, 50),
    ([10, 10, 10], [], 1, 200, 10),
    ([10] * 20, [], 50_000, 5, 100_000),
    ([0, 20] * 20, [], 100, 1, 1000),
    ([1, 1, 1], [(36, 0)], 0, 2, 36),
    ([1, 1, 1], [(36, 6)], 0, 2, 30),
    ([1, 1, 1], [(36, 60)], 0, 2, 0),
    ([1, 1, 1], [(72, 0)], 0, 2, 0),
    ([10, 10, 10], [(0, 0)], 0, 2, 10),
    ([10, 10, 10], [(0, 4)], 0, 2, 6),
    ([10, 10, 10], [(0, 0), (5, 2)], 0, 1, 10),
]


@pytest.mark.parametrize("leave", ["paused", "pruned"])
@pytest.mark.parametrize(("left", "running", "waiting", "slots", "expected"), ESTIMATES)
def test_the_estimate(
    left: list[int], running: list[tuple[int, int]], waiting: int, slots: int, expected: float | None, leave: str
) -> None:
    search = Search()
    for epochs in left:
        trial = search.start()
        if epochs:
            search.report(trial, epochs)
        search.pause(trial) if leave == "paused" else search.end(trial, leave)
    now = search.time
    for epochs, since in running:
        search.time = now - since
        search.report(search.start(), epochs) if epochs else search.start()
    trials = list(search.history.trials.values())
    seconds = seconds_left(trials, len(trials) + waiting, slots, EPOCHS, now)
    assert seconds == (None if expected is None else pytest.approx(expected, rel=0.02))


def test_a_pause_takes_no_time() -> None:
    search = Search()
    for _ in range(3):
        trial = search.start()
        search.report(trial, 8)
        search.pause(trial)

    def left(waiting: int) -> float | None:
        return seconds_left(list(search.history.trials.values()), 3 + waiting, 1, EPOCHS, search.time)

    search.time += 1000
    assert left(100) == pytest.approx(800)
    search.promote(0)
    assert left(0) == EPOCHS - 8
    search.time += 4
    assert left(0) == EPOCHS - 12
    search.report(0, 24)
    search.pause(0)
    assert left(300) == pytest.approx(300 * (8 + 8 + 24) / 3, rel=0.01)


@pytest.mark.parametrize(
    ("top_k", "slots", "expected"), [(1, 1, 64 + 2 * 48), (1, 2, 96), (2, 1, 64 + 2 * 48), (3, 1, 2 * 64 + 2 * 48),
                                     (3, 2, 128), (3, 3, 96), (9, 1, 2 * 64 + 2 * 48)],
)  # fmt: skip
def test_what_will_be_tested_goes_on_to_its_end(top_k: int, slots: int, expected: float) -> None:
    search = Search()
    trials = [("cnn", 8, 0.2, 1.0), ("cnn", 8, 0.1, 1.0), ("mlp", 24, 0.15, 2.0), ("mlp", EPOCHS, 1.0, 1.0)]
    for number, (model, epochs, level, seconds) in enumerate(trials):
        search.report(search.start(model), epochs, level, seconds)
        search.end(number) if epochs == EPOCHS else search.pause(number)
    assert search.standing(4, slots, top_k=top_k).left == pytest.approx(expected)


def test_what_is_trained_again_trains_all_its_epochs() -> None:
    search = Search().many(40, 0)
    search.event("proposal", 40, config=CONFIG, seed=0, apart="again", epochs=200)
    search.report(40, 50)
    assert seconds_left(list(search.history.trials.values()), 41, 1, 200, search.time) == pytest.approx(150)


@pytest.mark.parametrize(
    ("epochs", "state", "reached", "went_on"),
    [(7, "running", 0, 0), (8, "running", 1, 1), (9, "running", 1, 1), (8, "paused", 1, 0), (24, "paused", 1, 1),
     (8, "pruned", 1, 0), (24, "pruned", 1, 1), (30, "cancelled", 1, 1), (72, "completed", 1, 1)],
)  # fmt: skip
def test_who_went_on_at_a_rung(epochs: int, state: str, reached: int, went_on: int) -> None:
    search = Search()
    search.report(search.start(), epochs)
    if state == "paused":
        search.pause(0)
    elif state != "running":
        search.end(0, state)
    rung = search.standing().rungs[0]
    assert (rung.milestone, rung.trials, rung.went_on) == (8, reached, went_on)


def test_a_clock_set_back_is_no_harm() -> None:
    search = Search().many(10, 3)
    assert seconds_left(list(search.history.trials.values()), 40, 2, EPOCHS, search.time - 5000) >= 0


class ByChance:
    """Stands where the proposer does."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def ask(self, number: int) -> tuple[dict[str, Any], str]:
        return {"model": self.chance.choice(["mlp", "cnn"])}, "chance"

    def parameters(self, number: int) -> dict[str, Any]:
        return {}

    def see(self, trial: TrialResult) -> None:
        pass


def estimates_halfway(scheduler: str, num_samples: int, slots: int, seed: int) -> list[float]:
    """Estimated over true rest, whenever a worker is free in the middle half of a search without any computing."""
    chance, now = random.Random(seed), 0.0
    task = conf.load("digits", {"scheduler": scheduler}, [])
    log: Any = SimpleNamespace(append=lambda event, **fields: {"event": event, "time": now, **fields})
    driver = Driver(task, log, History(), cast("Any", ByChance(chance)), num_samples=num_samples, seed=0, top_k=3)
    history = driver.history
    history.search = {"milestones": task.milestones}
    traits = [(chance.uniform(0.5, 2), chance.random()) for _ in range(num_samples)]  # seconds an epoch, value
    queue: list[tuple[float, int]] = []
    seen: list[tuple[float, float]] = []
    while True:
        while len(queue) < slots and (proposal := driver.propose()):
            heapq.heappush(queue, (now + 8 * traits[proposal["trial"]][0], proposal["trial"]))
        if not queue:
            break
        now, number = heapq.heappop(queue)
        seconds, value = traits[number]
        trained = history.trials[number].epochs
        curve = [{"index": trained + place, "val_loss": value, "val_error": value / 10, "seconds": seconds}
                 for place in range(1, 9)]  # fmt: skip
        message = {"trial": number, "worker": None, "epochs": curve, "best": curve[-1], "value": value,
                   "ending": "completed" if trained + 8 == EPOCHS else None}  # fmt: skip
        leaves = driver.report(message) or driver.judge(message)
        driver.checkpoint(number, "there", curve[-1])
        if not leaves:
            heapq.heappush(queue, (now + 8 * seconds, number))
            continue
        driver.left(number)
        standing = Standing.of(history, task, num_samples, slots, elapsed=1.0, now=now, top_k=3)
        if standing.left is not None:
            seen.append((now, standing.left))
    return [left / (now - moment) for moment, left in seen if 0.25 < moment / now < 0.75]


@pytest.mark.parametrize(
    ("scheduler", "num_samples", "slots", "within"),
    [("asha", 40, 2, 2), ("asha", 40, 8, 2), ("asha", 60, 40, 2), ("asha", 12, 2, 2), ("none", 40, 4, 2),
     ("median", 40, 2, 3), ("median", 40, 8, 3)],
)  # fmt: skip
def test_the_estimate_is_of_use(scheduler: str, num_samples: int, slots: int, within: float) -> None:
    """By the median rule the first trials, which few oppose, run longest, so the others are thought to."""
    ratios = [ratio for seed in range(5) for ratio in estimates_halfway(scheduler, num_samples, slots, seed)]
    assert 0.8 < median(ratios) < (1.25 if within == 2 else 1.75)
    assert sum(1 / within < ratio < within for ratio in ratios) > 0.95 * len(ratios)
