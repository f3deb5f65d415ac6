"""What the process says of configurations, from values that trials have shown."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from search import surrogate
from search.surrogate import CurveModel, Observations, density

Array = np.ndarray


def complete(settings: Array, values: Array) -> Observations:
    """A trial each, seen at its last epoch only."""
    return Observations(settings, np.ones(len(values)), np.arange(len(values)), values)


def conditioned(seen: Observations) -> CurveModel:
    model = CurveModel()
    model.condition(seen, np.random.default_rng(0))
    return model


def posterior(seen: Observations, settings: Array, draws: int = 60) -> tuple[Array, Array]:
    """Mean and standard deviation of functions drawn at some settings."""
    random, model = np.random.default_rng(1), conditioned(seen)
    values = np.array([model.draw_last(settings, random) for _ in range(draws)])
    return values.mean(0), values.std(0)


@pytest.mark.parametrize("settings", [0, 1, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_gradient_is_that_of_finite_differences(settings: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    trials = np.repeat(np.arange(6), 3)
    seen = Observations(random.random((6, settings))[trials], np.tile([0, 0.5, 1], 6), trials, random.normal(size=18))
    at = random.normal(-1, 0.5, settings + 6)
    _, gradient = density(at, seen)
    differences = scipy.optimize.approx_fprime(at, lambda at: density(at, seen)[0], 1e-6)
    assert gradient == pytest.approx(differences, rel=1e-3, abs=1e-3)


def test_a_draw_passes_what_was_seen_and_is_less_certain_far_from_it() -> None:
    places = np.linspace(0, 0.5, 11)[:, None]
    seen = complete(places, np.sin(8 * places[:, 0]))
    mean, deviation = posterior(seen, np.concatenate([places, [[0.52], [0.6], [1.0]]]))
    assert mean[:11] == pytest.approx(seen.values, abs=0.05)
    assert deviation[:11].max() < 0.1
    assert deviation[:11].max() < deviation[11] < deviation[12] < deviation[13]


def test_a_draw_is_one_function() -> None:
    random = np.random.default_rng(0)
    model = conditioned(complete(random.random((4, 1)) / 10, random.normal(size=4)))
    draws = np.array([model.draw_last(np.array([[0.9], [0.91], [0.2]]), random) for _ in range(200)])
    near, far = np.corrcoef(draws.T)[0, 1:]
    assert near > 0.95 > far


def test_a_setting_that_changes_nothing_says_nothing() -> None:
    random = np.random.default_rng(0)
    settings = random.random((40, 2))
    seen = complete(settings, np.sin(8 * settings[:, 0]))
    mean, _ = posterior(seen, np.array([[0.2, 0.0], [0.2, 1.0], [0.6, 0.5]]))
    assert mean == pytest.approx(np.sin([1.6, 1.6, 4.8]), abs=0.1)


def test_what_is_luck_is_no_function_of_the_settings() -> None:
    """The same configuration, trained from other seeds."""
    random = np.random.default_rng(0)
    seen = complete(np.full((60, 1), 0.5), random.normal(size=60))
    mean, deviation = posterior(seen, np.array([[0.5]]))
    assert mean == pytest.approx(seen.values.mean(), abs=0.1)
    assert deviation < 0.3


@pytest.mark.parametrize(("setting", "least", "most"), [(0, 0.9, 1.1), (1, -0.4, 0.4)], ids=["the same", "another"])
def test_early_values_say_as_much_of_late_ones_as_trials_that_went_on_have_shown(
    setting: int, least: float, most: float
) -> None:
    """Early values are of the first setting, late ones of it or of the other; only trials below 0.5 went on.

    Beyond, the early values are as they were below, or the other way round; how much of that is in the late ones?
    """
    random = np.random.default_rng(0)
    settings = random.random((60, 2))
    on = np.flatnonzero(settings[:, 0] < 0.5)
    place = np.linspace(0.6, 1, 9)
    means = []
    for sign in (1, -1):
        early = np.sin(9 * settings[:, 0]) * np.where(settings[:, 0] < 0.5, 1, sign)
        seen = Observations(
            settings[[*range(60), *on]],
            np.repeat([0.0, 1.0], [60, len(on)]),
            np.array([*range(60), *on]),
            np.concatenate([early, np.sin(9 * settings[on, setting]) - 2]),
        )
        means.append(posterior(seen, np.column_stack([place, np.full(9, 0.5)]))[0])
    said = np.polyfit(np.sin(9 * place), (means[0] - means[1]) / 2, 1)[0]
    assert least < said < most


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (np.full((1, 2), 0.5), [0.3]),
        (np.full((30, 2), 0.5), np.zeros(30)),
        (np.random.default_rng(0).random((30, 2)), np.zeros(30)),
        (np.zeros((12, 0)), np.linspace(-1, 1, 12)),
        (np.random.default_rng(0).random((40, 30)), np.linspace(-40, 40, 40)),
    ],
    ids=["one value", "one point", "equal values", "no settings", "more settings than it can tell"],
)
def test_little_to_go_by_is_enough_for_a_draw(settings: Array, values: Array) -> None:
    model = conditioned(complete(settings, np.array(values)))
    draw = model.draw_last(np.full((50, settings.shape[1]), 0.25), np.random.default_rng(0))
    assert draw.shape == (50,)
    assert np.isfinite(draw).all()


def test_a_covariance_without_a_factor_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = scipy.linalg.cholesky

    def failing(covariance: Array, lower: bool) -> Array:
        """As if numbers had a few digits only."""
        if np.diag(covariance).min() < 1.01 * np.abs(covariance - np.diag(np.diag(covariance))).max():
            raise np.linalg.LinAlgError
        return factor(covariance, lower=lower)

    monkeypatch.setattr(scipy.linalg, "cholesky", failing)
    random = np.random.default_rng(0)
    model = conditioned(complete(random.random((20, 2)), random.normal(size=20)))
    assert np.isfinite(model.draw_last(random.random((30, 2)), random)).all()


def test_of_very_many_values_those_that_came_to_the_end_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "_MOST", 40)
    monkeypatch.setattr(surrogate, "_MOST_FITTED", 30)
    random = np.random.default_rng(0)
    settings = random.random((120, 1))
    late = np.sin(6 * settings[:10, 0]) - 2
    seen = Observations(
        np.concatenate([settings, settings[:10]]),
        np.concatenate([np.zeros(120), np.ones(10)]),
        np.concatenate([np.arange(120), np.arange(10)]),
        np.concatenate([np.sin(6 * settings[:, 0]), late]),
    )
    mean, deviation = posterior(seen, np.concatenate([settings[:10], random.random((20, 1))]))
    assert mean[:10] == pytest.approx(late, abs=0.1)
    assert deviation.max() < 0.6, "others were kept beside them"


def test_hyperparameters_are_fitted_anew_as_values_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    monkeypatch.setattr(surrogate, "density", lambda at, seen: fits.append(len(seen.values)) or (0.0, 0 * at))
    random, model = np.random.default_rng(0), CurveModel()
    settings = random.random((40, 1))
    for count in range(10, 41):
        model.condition(complete(settings[:count], settings[:count, 0]), random)
    assert sorted(set(fits)) == [10, 13, 17, 23, 30, 39]
