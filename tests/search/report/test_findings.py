"""What the report finds out by itself: what broken trials have in common, and how sure importances are."""

import random

import pytest

from search.importance import Judged
from search.report.breakages import common
from search.report.deciding import deciding
from search.space import Choice, Range

SPACE = {
    "model": Choice(("m",), {"m": {}}),
    "lr": Range(0.0, 1.0),
    "idle": Range(0.0, 1.0),
    "c": Choice(("a", "b"), {}),
}


def drawn(count: int, seed: int = 0) -> list[dict]:
    source = random.Random(seed)
    return [{"lr": source.random(), "idle": source.random(), "c": source.choice("ab")} for _ in range(count)]


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda settings: settings["lr"] > 0.8, "lr above 0."),
        (lambda settings: settings["lr"] < 0.2, "lr up to 0."),
        (lambda settings: settings["c"] == "a" and settings["idle"] > 0.2, "c a"),
    ],
)
def test_the_setting_that_breaks_trials_is_found(breaks, said: str) -> None:
    trials = drawn(60)
    broken = [settings for settings in trials if breaks(settings)]
    found, looked = common(broken, [settings for settings in trials if not breaks(settings)])
    assert found is not None
    assert found.what.startswith(said)
    assert found.p < 0.001
    assert found.broken >= 0.8 * len(broken)
    assert looked > 20


def test_what_breaks_by_chance_hardly_ever_stands_out() -> None:
    said = 0
    for seed in range(40):
        trials = drawn(40, seed)
        found, _ = common(trials[:6], trials[6:])
        assert found is not None
        said += found.p < 0.05
    assert said <= 4


@pytest.mark.parametrize("others", [[], [{"lr": 1.0}]])
def test_where_no_setting_varies_nothing_is_found(others: list[dict]) -> None:
    assert common([{"lr": 1.0}], others) == (None, 0)


def test_values_of_any_kind_are_compared() -> None:
    broken = [{"widths": [8], "on": True, "own": 1.0}] * 5
    found, _ = common(broken, [{"widths": [8, 8], "on": True, "own": None}, {"on": True}] * 5)
    assert found is not None
    assert found.broken == 5
    assert found.others == 0


def test_the_deciding_setting_comes_first_and_intervals_hold_the_estimates() -> None:
    source = random.Random(1)
    trials = [Judged(settings, (settings["lr"] - 0.3) ** 2 + 0.01 * source.random()) for settings in drawn(30)]
    found = deciding(SPACE, {"m": trials, "few": trials[:5]})
    assert set(found) == {"m"}
    one = found["m"]
    assert next(iter(one.shares)) == "lr"
    assert one.first["lr"] >= 0.9 * one.parts
    assert one.trials == 30
    for name, share in one.shares.items():
        low, high = one.intervals[name]
        assert 0 <= low <= share <= high <= 1


def test_where_nothing_decides_the_first_place_changes() -> None:
    source = random.Random(2)
    one = deciding(SPACE, {"m": [Judged(settings, source.random()) for settings in drawn(16)]})["m"]
    assert max(one.first.values()) < 0.9 * one.parts
    assert max(high - low for low, high in one.intervals.values()) > 0.2
