"""What the model is shown of trials, and what is tried next."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState

from search import thompson
from search.space import Choice, Config, Node, Range, Space, identity
from search.study import trial_at
from search.surrogate import Observations
from search.thompson import Thompson, drawn

PLANE: Space = {"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)}
LINE: Space = {"x": Range(0.0, 1.0)}


def trial(
    state: str, value: float | None = None, rungs: Mapping[int, float] = {}, space: Space = LINE, **parameters: Any
) -> FrozenTrial:
    return trial_at(space, parameters, TrialState[state], value=value, intermediate_values=dict(rungs))


def first(space: Space, trials: list[FrozenTrial], count: int = 1, seed: int = 0) -> list[Config]:
    """The candidates that are the most promising."""
    candidates = Thompson(space, (1, 3), np.random.default_rng(seed)).candidates(trials)
    return list(itertools.islice(candidates, count))


class Shown:
    """Stands where the model does; holds every point for as good as its first number."""

    seen: Observations

    def condition(self, seen: Observations, random: np.random.Generator) -> None:
        type(self).seen = seen

    def draw_last(self, settings: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return settings[:, 0]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[float, float]]]:
    """What the model is shown of a trial beside ten that end at 4 and 1: stages and costs."""
    monkeypatch.setattr(thompson, "CurveModel", Shown)

    def shown(one: FrozenTrial, milestones: tuple[int, ...]) -> list[tuple[float, float]]:
        others = [trial("COMPLETE", value, x=0.5) for value in (4.0, 1.0) * 5]
        next(Thompson(LINE, milestones, np.random.default_rng(0)).candidates([*others, one]))
        of_one = Shown.seen.of(Shown.seen.trials == 10)
        assert (of_one.settings == 0.25).all()
        return [(stage, math.exp(value)) for stage, value in zip(of_one.stages, of_one.values, strict=True)]

    return shown


@pytest.mark.parametrize(
    ("state", "value", "rungs", "milestones", "stages"),
    [
        ("COMPLETE", 2.0, {1: 3.0, 3: 2.5}, (1, 3), {0.0: 3.0, 0.5: 2.5, 1.0: 2.0}),
        ("COMPLETE", 2.0, {}, (1, 3), {1.0: 2.0}),
        ("COMPLETE", 2.0, {}, (), {1.0: 2.0}),
        ("COMPLETE", 0.0, {}, (), {1.0: 0.025}),
        ("PRUNED", 2.5, {1: 3.0, 3: 2.5}, (1, 3, 9, 27), {0.0: 3.0, 0.25: 2.5}),
        ("RUNNING", None, {1: 3.0}, (1, 3), {0.0: 3.0}),
        ("RUNNING", None, {}, (1, 3), {}),
        ("PRUNED", None, {}, (1, 3), {1.0: 4.0}),
        ("PRUNED", 3.0, {1: 3.0}, (), {}),
        ("PRUNED", 2.5, {2: 3.0, 3: 2.5}, (1, 3), {0.5: 2.5}),
        ("FAIL", None, {}, (1, 3), {}),
        ("RUNNING", None, dict.fromkeys(range(5, 90, 5), 3.0), tuple(range(5, 100, 5)),
         dict.fromkeys((0.0, 0.2, 0.4, 0.6, 0.8), 3.0)),
    ],
    ids=["whole", "without rungs", "no milestones", "no cost", "stopped at a rung", "running", "just begun",
         "diverged", "stopped in a search with rungs", "other rungs", "failed", "many rungs"],
)  # fmt: skip
def test_what_the_model_is_shown_of_a_trial(shown, state, value, rungs, milestones, stages) -> None:
    seen = shown(trial(state, value, rungs, x=0.25), milestones)
    assert [(pytest.approx(stage), pytest.approx(cost)) for stage, cost in seen] == list(stages.items())


@pytest.mark.parametrize(
    ("values", "costs"),
    [
        ([None] * 12, [1] * 12),
        ([0.0] * 12, [0.01] * 12),
        ([0.0] * 6 + [None] * 6, [0.01] * 6 + [1] * 6),
        ([0.0] * 9 + [0.5, 1.0, math.inf], [0.0075] * 9 + [0.5, 1, 1]),
        ([3.0] * 12, [3] * 12),
    ],
    ids=["all diverged", "all perfect", "perfect or diverged", "mostly perfect", "all equal"],
)
def test_costs_of_every_kind_have_logs(monkeypatch, values, costs) -> None:
    monkeypatch.setattr(thompson, "CurveModel", Shown)
    states = ["PRUNED" if value is None else "COMPLETE" for value in values]
    assert first(LINE, [trial(state, value, x=0.5) for state, value in zip(states, values, strict=True)])
    assert np.exp(Shown.seen.values) == pytest.approx(costs)


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (Range(1, 4, integer=True), {1, 2, 3, 4}),
        (Range(2, 8, step=3, integer=True), {2, 5, 8}),
        (Range(1, 4, log=True, integer=True), {1, 2, 3, 4}),
        (Range(3, 3, integer=True), {3}),
        (Range(0.25, 1.0, step=0.25), {0.25, 0.5, 0.75, 1.0}),
        (Range(0.5, 0.5), {0.5}),
        (Range(0.5, 0.5, log=True), {0.5}),
        (Choice((None, True, [8, 4], "a", 0.5), {}), {None, True, "[8,4]", "a", 0.5}),
        (Choice(("a",), {}), set()),
    ],
)
def test_every_value_of_a_setting_is_drawn_and_no_other(node: Node, values: set[Any]) -> None:
    random = np.random.default_rng(0)
    assert {value for _ in range(200) for value in drawn({"x": node}, random).values()} == values


@pytest.mark.parametrize(("log", "median"), [(False, 50), (True, 1)])
def test_ranges_are_drawn_evenly_on_their_scale(log: bool, median: float) -> None:
    random = np.random.default_rng(0)
    values = [drawn({"x": Range(0.01, 100, log)}, random)["x"] for _ in range(1000)]
    assert np.median(values) == pytest.approx(median, rel=0.5)
    assert min(values) >= 0.01
    assert max(values) <= 100


def test_before_ten_values_are_seen_points_are_drawn_at_random() -> None:
    few = [trial("RUNNING", None, {1: 1.0, 3: 0.5}, x=0.1)] * 4
    random = np.random.default_rng(0)
    assert first(LINE, few, 5) == [drawn(LINE, random) for _ in range(5)]
    assert first(LINE, [*few, *few], 5) != first(LINE, few, 5)


def cost(x: float, y: float) -> float:
    return 0.01 + (x - 0.3) ** 2 + (y - 0.8) ** 2


def grid() -> list[FrozenTrial]:
    places = list(itertools.product((0.1, 0.3, 0.5, 0.7, 0.9), (0.1, 0.3, 0.5, 0.7, 0.9)))
    return [trial("COMPLETE", cost(x, y), space=PLANE, x=x, y=y) for x, y in places]


def test_the_most_promising_come_first_and_then_points_at_random() -> None:
    points = first(PLANE, grid(), 1000)
    costs = [cost(**point) for point in points]
    assert max(costs[:5]) < 0.05
    assert np.mean(costs[:20]) < np.mean(costs[100:200]) < np.mean(costs[300:390])
    assert np.mean(costs[500:]) == pytest.approx(0.37, abs=0.1)


def test_what_only_began_well_is_no_better_than_it_would_be_at_the_end() -> None:
    """Below 0.5 trials begin badly and end well."""
    places = np.linspace(0.02, 0.98, 25)
    trials = [
        trial("COMPLETE", 0.1, {1: 2.0, 3: 1.0}, x=x) if x < 0.5 else trial("COMPLETE", 0.9, {1: 1.0, 3: 0.95}, x=x)
        for x in places
    ]
    assert all(point["x"] < 0.52 for seed in range(5) for point in first(LINE, trials, 5, seed))


def test_it_turns_away_from_where_trials_diverge() -> None:
    places = np.linspace(0, 1, 21)
    trials = [trial("PRUNED", x=x) if x > 0.5 else trial("COMPLETE", 2 - x, x=x) for x in places]
    found = [first(LINE, trials, seed=seed)[0]["x"] for seed in range(10)]
    assert sum(x > 0.55 for x in found) <= 1, "of ten, where four or five would be chance"


def test_different_points_come_first_those_of_trials_last() -> None:
    space: Space = {"a": Range(0, 3, integer=True), "b": Choice(("u", "v", "w"), {}), "c": Choice((True, False), {})}
    random = np.random.default_rng(1)
    points = {identity(point := drawn(space, random)): point for _ in range(14)}
    trials = [trial("COMPLETE", place + 1.0, space=space, **point) for place, point in enumerate(points.values())]
    candidates = [identity(point) for point in first(space, trials, 24)]
    assert len(set(candidates)) == 24
    assert set(candidates[-len(points) :]) == set(points)


CONDITIONAL: Space = {
    "model": Choice(("mlp", "cnn"), {"mlp": {"widths": Choice(([8], [16], [32]), {})}, "cnn": {"dropout": PLANE["x"]}}),
    "lr": Range(1e-4, 1.0, log=True),
}


def test_alternatives_have_settings_of_their_own() -> None:
    """The cnn is the better one with little dropout."""
    random = np.random.default_rng(0)
    points = [drawn(CONDITIONAL, random) for _ in range(40)]
    trials = [
        trial("COMPLETE", point.get("cnn.dropout", 0.7) + 0.1 * abs(math.log10(point["lr"]) + 2), space=CONDITIONAL,
              **point)
        for point in points
    ]  # fmt: skip
    best = first(CONDITIONAL, trials, 10)
    assert all(point["model"] == "cnn" and point["cnn.dropout"] < 0.3 for point in best)
    assert all(point.keys() == {"model", "cnn.dropout", "lr"} for point in best)


MANY: Space = {f"x{place}": Range(0.0, 1.0) for place in range(4)} | {"kind": Choice(("a", "b", "c"), {})}


def test_some_candidates_have_settings_of_the_best() -> None:
    """Of five that are complete, or that came the furthest, not of those that only began well."""
    random = np.random.default_rng(1)
    points = [drawn(MANY, random) for _ in range(15)]
    trials = [
        *(trial("PRUNED", 0.1, {1: 0.1}, space=MANY, **point) for point in points[:10]),
        *(trial("COMPLETE", 0.5, {1: 0.5}, space=MANY, **point) for point in points[10:13]),
        *(trial("RUNNING", None, {1: 0.5, 3: 0.5}, space=MANY, **point) for point in points[13:]),
    ]
    shared = [
        sum(sum(candidate[key] == point[key] for key in ("x0", "x1", "x2", "x3")) > 1 for point in points[part])
        for part in (slice(10), slice(10, 15))
        for candidate in first(MANY, trials, 400)
    ]
    assert sum(shared[:400]) == 0
    assert 50 < sum(shared[400:]) <= 100


def found(seed: int, at_random: int) -> float:
    """The least cost of 40 trials, so many of which are at random; half of the trials stop at the first rung."""
    random = np.random.default_rng(seed)
    sampler, trials, least = Thompson(MANY, (1,), random), list[FrozenTrial](), math.inf
    for number in range(40):
        point = next(sampler.candidates(trials if number >= at_random else []))
        value = 0.01 + sum((point[f"x{place}"] - 0.2 - 0.2 * place) ** 2 for place in range(4))
        value *= {"a": 1.0, "b": 2.0, "c": 4.0}[point["kind"]]
        least = min(least, value)
        if number % 2:
            trials.append(trial("PRUNED", 2 * value, {1: 2 * value}, space=MANY, **point))
        else:
            trials.append(trial("COMPLETE", value, {1: 2 * value}, space=MANY, **point))
    return least


def test_it_comes_much_closer_to_the_best_than_chance() -> None:
    chance = np.median([found(seed, 40) for seed in range(10)])
    assert found(0, 10) < chance / 5


def test_the_same_generator_gives_the_same_candidates() -> None:
    one, again, other = (first(PLANE, grid(), 20, seed) for seed in (1, 1, 2))
    assert one == again != other
