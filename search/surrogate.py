"""A Gaussian process of learning curves: what a configuration would reach, from all that any trial has shown so far."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.linalg
import scipy.optimize

Array = np.ndarray

_MOST_FITTED = 150
"""Hyperparameters are fitted to so many observations."""
_MOST = 1500
"""So many are conditioned on, which takes a third of a second and 300 MB."""
_GROWTH = 1.3
"""Hyperparameters are fitted anew when there are so many times the observations of the last time."""
_ITERATIONS = 25
_JITTER = 1e-4
_LEVEL_VARIANCE = 4.0
"""Of the mean at each stage, which the first observations settle: in log loss, curves begin within e² of their end."""
_LENGTH = 1.35
"""The prior median of a setting's length scale, in units of its range."""
_PRIOR = np.log([0.5, 1.0, 0.5, 0.05, 1.0, 0.01])
"""Prior medians: variance of a configuration's effect that passes with time, and how fast; of its lasting effect; of
what is a trial's own (its seed), and how fast that passes; of noise."""


@dataclass(frozen=True)
class Observations:
    """What trials have shown: n values, several of one trial where it has come to several stages."""

    settings: Array
    """Shape (n, settings), each from 0 to 1."""
    stages: Array
    """Shape (n,): how far the trial was, from 0, the first rung, to 1, its last epoch."""
    trials: Array
    """Shape (n,), int64: whose they are."""
    values: Array
    """Shape (n,): log of the least cost so far."""

    def of(self, chosen: Array) -> Self:
        """Those at some places, or where a mask is true."""
        return type(self)(self.settings[chosen], self.stages[chosen], self.trials[chosen], self.values[chosen])


class CurveModel:
    """A Gaussian process over settings and stage.

    Settings act through a Matérn 5/2 kernel with a length scale each; their effect at two stages is correlated, the
    less the further apart these are, as in freeze-thaw models of curves (Swersky et al., arXiv 1406.3896) and
    multi-fidelity ones (Kandasamy et al., ICML 2017). How much early values say of late ones is so learnt from the
    trials that went on. What is a trial's own is a part that its values share. Hyperparameters have the greatest
    posterior density, by L-BFGS from where they were.
    """

    def __init__(self) -> None:
        self._hyperparameters: Array | None = None
        self._fitted_to = 0

    def condition(self, seen: Observations, random: np.random.Generator) -> None:
        """Takes in what was seen, at least one value, in the place of what was before."""
        if self._hyperparameters is None or len(seen.values) >= _GROWTH * self._fitted_to:
            self._hyperparameters = _fitted(seen.of(_some(seen, _MOST_FITTED, random)), self._hyperparameters)
            self._fitted_to = len(seen.values)
        self._seen = seen = seen.of(_some(seen, _MOST, random))
        self._mean = float(seen.values.mean())
        noise = float(np.exp(self._hyperparameters[-1]))
        self._factor = _cholesky(_Kernel(self._hyperparameters, seen, seen).value, noise + _JITTER)
        self._weights = scipy.linalg.cho_solve((self._factor, True), seen.values - self._mean)

    def draw_last(self, settings: Array, random: np.random.Generator) -> Array:
        """One function drawn from the posterior: the last log cost at these settings, luck apart, shape (n,)."""
        assert self._hyperparameters is not None, "it is conditioned first"
        count = len(settings)
        nobody = np.full(count, np.nan)  # has nothing of its own, not even with itself
        new = Observations(settings, np.ones(count), nobody, np.zeros(count))
        across = _Kernel(self._hyperparameters, new, self._seen).value
        half = scipy.linalg.solve_triangular(self._factor, across.T, lower=True)
        covariance = _Kernel(self._hyperparameters, new, new).value - half.T @ half
        draw: Array = self._mean + across @ self._weights
        return draw + _cholesky(covariance, _JITTER) @ random.standard_normal(count)


def density(hyperparameters: Array, seen: Observations) -> tuple[float, Array]:
    """The negative log of the posterior density of hyperparameters, up to a constant, and its gradient."""
    kernel = _Kernel(hyperparameters, seen, seen)
    values, noise = seen.values - seen.values.mean(), np.exp(hyperparameters[-1])
    try:
        factor = scipy.linalg.cholesky(kernel.value + (noise + _JITTER) * np.eye(len(values)), lower=True)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(hyperparameters)
    weights = scipy.linalg.cho_solve((factor, True), values)
    inner = scipy.linalg.cho_solve((factor, True), np.eye(len(values))) - np.outer(weights, weights)
    prior, variances = _prior(seen.settings.shape[1])
    away = hyperparameters - prior
    value = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * (away**2 / variances).sum()
    slopes = np.append(kernel.gradient(inner), noise * np.trace(inner))
    return float(value), 0.5 * slopes + away / variances


def _prior(settings: int) -> tuple[Array, Array]:
    """Means and variances of the logs of the hyperparameters."""
    means = np.concatenate([np.full(settings, np.log(_LENGTH)), _PRIOR])
    return means, np.concatenate([np.full(settings, 1.0), np.full(len(_PRIOR), 2.0)])


def _fitted(seen: Observations, start: Array | None) -> Array:
    """The hyperparameters of the greatest posterior density."""
    prior, _ = _prior(seen.settings.shape[1])
    begin = prior if start is None else start
    bounds = [(mean - 6, mean + 6) for mean in prior]
    options = {"maxiter": _ITERATIONS}
    found: Array = scipy.optimize.minimize(
        density, begin, (seen,), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x
    return found


class _Kernel:
    """Covariance of two sets of observations, without noise; hyperparameters in the order of the prior's, as logs."""

    def __init__(self, hyperparameters: Array, one: Observations, other: Observations) -> None:
        settings = one.settings.shape[1]
        self.lengths = np.exp(hyperparameters[:settings])
        passing, decay, lasting, own, own_decay, _ = np.exp(hyperparameters[settings:])
        self.one, self.other = one.settings, other.settings
        left, right = one.settings / self.lengths, other.settings / self.lengths
        square = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * left @ right.T
        self.distance = np.sqrt(5 * np.maximum(square, 0.0))
        self.decayed = np.exp(-self.distance)
        matern = (1 + self.distance + self.distance**2 / 3) * self.decayed
        self.apart = np.abs(one.stages[:, None] - other.stages[None])
        self.passing = passing * np.exp(-decay * self.apart) * matern
        self.decay, self.own_decay = decay, own_decay
        self.lasting = lasting * matern
        same = one.trials[:, None] == other.trials[None]
        self.own = np.where(same, own * np.exp(-own_decay * self.apart), 0.0)
        self.scale = passing * np.exp(-decay * self.apart) + lasting
        self.value = self.passing + self.lasting + self.own + _LEVEL_VARIANCE * np.exp(-self.apart)

    def gradient(self, inner: Array) -> Array:
        """The sums of ``inner`` times the derivative by each hyperparameter but the last, noise."""
        slope = inner * self.scale * (5 / 3) * (1 + self.distance) * self.decayed
        # Σ slope (x - x')², by the square's three terms
        rows, columns = slope.sum(1), slope.sum(0)
        squares = rows @ self.one**2 + columns @ self.other**2 - 2 * ((slope @ self.other) * self.one).sum(0)
        by_length = squares / self.lengths**2
        passing, own = inner * self.passing, inner * self.own
        return np.concatenate(
            [
                by_length,
                [
                    passing.sum(),
                    -self.decay * (passing * self.apart).sum(),
                    (inner * self.lasting).sum(),
                    own.sum(),
                    -self.own_decay * (own * self.apart).sum(),
                ],
            ]
        )


def _cholesky(covariance: Array, jitter: float) -> Array:
    """The lower factor, with the jitter on the diagonal, or where it has none so, ten, a hundred times as much."""
    while True:
        try:
            factor: Array = scipy.linalg.cholesky(covariance + jitter * np.eye(len(covariance)), lower=True)
            return factor
        except np.linalg.LinAlgError:
            jitter *= 10


def _some(seen: Observations, most: int, random: np.random.Generator) -> Array:
    """A mask of at most so many observations, of whole trials: those that came to the end first, others at random."""
    if len(seen.values) <= most:
        return np.ones(len(seen.values), bool)
    trials, counts = np.unique(seen.trials, return_counts=True)
    order = random.permutation(len(trials))
    unfinished = ~np.isin(trials, seen.trials[seen.stages == 1])
    order = order[np.argsort(unfinished[order], kind="stable")]
    return np.isin(seen.trials, trials[order[np.cumsum(counts[order]) <= most]])
