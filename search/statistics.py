"""Intervals and tests of a search's result: well-known formulas, each with its source. All intervals are of 95 %.

What is resampled is resampled by the Bayesian bootstrap (Rubin, The Bayesian bootstrap, Annals of Statistics 9, 1981):
instead of drawing examples again, each is given a random weight, a standard exponential variable. Examples that count
alike then weigh together a gamma variable of their number, so that a resample costs as much as there are kinds of
examples. To each outcome that may be there though nobody saw it half an example is added, as Jeffreys' prior has it
(Brown, Cai & DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001): with few wrong
answers, or none, the plain bootstrap's intervals are too narrow, or empty (``benchmarks.confirmation`` measures it).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Interval = tuple[float, float]

LEVEL = 0.95
RESAMPLES = 10_000
BINS = 15
_PRIOR = 0.5
_CELLS_AT_ONCE = 4_000_000
"""Memory bounds how many weights are drawn together."""


def wilson(wrong: int, examples: int) -> Interval:
    """The interval of a share (Wilson, Probable inference, JASA 22, 1927), by SciPy."""
    from scipy.stats import binomtest

    found = binomtest(wrong, examples).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The interval of a mean (Student, The probable error of a mean, Biometrika 6, 1908); None below two values."""
    from scipy.stats import t

    count = len(values)
    if count < 2:
        return None
    half = float(t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    mean = float(np.mean(values))
    return mean - half, mean + half


def selected_mean_interval(selected: Sequence[float], others: Sequence[Sequence[float]]) -> Interval | None:
    """The interval of a mean that was selected for being the least of several; None where nothing was repeated.

    The least of K means is rather one that luck made too small, so a symmetric interval of its own lies too low too
    often. Only its upper end must allow for the K (after Benjamini, Hechtlinger & Stark, Confidence intervals for
    selected parameters, arXiv 1906.00505): it leaves out 5 % / K, the lower end 2.5 %. That makes at most 5 % where one
    is the best by far, 2.5 % + 5 % / K, and where all are alike: one of them must be too small for the upper end to
    fail, but all of them too large for the lower one. The variance is half-way between its own and the mean one of all,
    as few repeats say little (shrinkage as in Smyth, Linear models and empirical Bayes methods, Statistical
    Applications in Genetics and Molecular Biology 3, 2004). ``benchmarks.confirmation`` measures how often it holds.

    Args:
        selected: its values, of which less is better: costs.
        others: those of the others that it was selected among.
    """
    from scipy.special import stdtrit

    repeated = [values for values in (selected, *others) if len(values) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    variance = sum((len(values) - 1) * np.var(values, ddof=1) for values in repeated) / freedom
    if len(selected) > 1:
        variance = (variance + np.var(selected, ddof=1)) / 2
    deviation = float(np.sqrt(variance / len(selected)))
    tail, mean = (1 - LEVEL) / 2, float(np.mean(selected))
    upper = min(tail, (1 - LEVEL) / (1 + len(others)))
    return mean + float(stdtrit(freedom, tail)) * deviation, mean - float(stdtrit(freedom, upper)) * deviation


def mcnemar(first_wrong: np.ndarray, second_wrong: np.ndarray) -> float:
    """McNemar's exact test of two classifiers on the same examples, two-sided.

    Of the examples that just one has wrong each has half of them if they are equally good: a binomial test (McNemar,
    Note on the sampling error of the difference between correlated proportions, Psychometrika 12, 1947; for
    classifiers Dietterich, Approximate statistical tests, Neural Computation 10, 1998).

    Args:
        first_wrong: whether the first has each example wrong, bool (examples,).
        second_wrong: the second's, of the same shape.

    Returns:
        The p value; 1 where none tells them apart.
    """
    from scipy.stats import binomtest

    first, second = _apart(first_wrong, second_wrong)
    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


@dataclass(frozen=True)
class Difference:
    """Between two classifiers' errors on the same examples, as shares: the first's less the second's."""

    value: float
    interval: Interval
    p: float
    """Of McNemar's exact test."""


def difference(first_wrong: np.ndarray, second_wrong: np.ndarray, seed: int = 0) -> Difference:
    """Compares two errors example by example, by the paired bootstrap and McNemar's test; arguments as there.

    A pair of answers to an example counts -1, 0 or 1: the weights of three kinds are drawn, of any number of examples.
    """
    first, second = _apart(first_wrong, second_wrong)
    examples = len(first_wrong)
    counts = np.array([first, second, examples - first - second]) + _PRIOR
    weights = np.random.default_rng(seed).standard_gamma(counts, (RESAMPLES, 3))
    drawn = (weights[:, 0] - weights[:, 1]) / weights.sum(1)
    return Difference((first - second) / examples, _percentiles(drawn), mcnemar(first_wrong, second_wrong))


def _apart(first_wrong: np.ndarray, second_wrong: np.ndarray) -> tuple[int, int]:
    """How many examples only the first has wrong, and only the second."""
    if first_wrong.shape != second_wrong.shape:
        raise ValueError(f"two classifiers' answers to {first_wrong.shape} and {second_wrong.shape} examples")
    return int((first_wrong & ~second_wrong).sum()), int((second_wrong & ~first_wrong).sum())


def _percentiles(drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Score:
    """A share of 0 to 1 and its interval."""

    value: float
    interval: Interval


def macro_f1(predicted: np.ndarray, targets: np.ndarray, classes: int, seed: int = 0) -> Score:
    """The mean over classes of F1, a class that is neither there nor predicted as 0, with its bootstrap interval.

    What is resampled is the confusion matrix, its cells' examples weighing together. Half an example more is right and
    half a one wrong, spread evenly over the classes that are there or predicted.

    Args:
        predicted: class numbers, int (examples,).
        targets: true ones, of the same shape.
        classes: how many there are.
        seed: of the resampling.
    """
    confusion = np.bincount(targets * classes + predicted, minlength=classes**2).reshape(classes, classes)
    true, guessed = np.nonzero(confusion)
    counts = confusion[true, guessed]
    one_hot = np.eye(classes)
    right_cells = one_hot[true] * (true == guessed)[:, None]
    cells = one_hot[true] + one_hot[guessed]
    seen = cells.any(0)
    random = np.random.default_rng(seed)
    rows = max(1, _CELLS_AT_ONCE // len(counts))
    drawn = []
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        weights = random.standard_gamma(counts, (size, len(counts)))
        right, wrong = random.standard_gamma(_PRIOR, (2, size, 1)) * seen / seen.sum()
        drawn.append(_f1(weights @ right_cells + right, weights @ cells + 2 * (right + wrong)))
    return Score(float(_f1(counts @ right_cells, counts @ cells)), _percentiles(np.concatenate(drawn)))


def _f1(right: np.ndarray, both: np.ndarray) -> np.ndarray:
    """From each class's right answers and the sum of its examples and its predictions, shapes (..., classes)."""
    f1: np.ndarray = (2 * right / np.where(both > 0, both, 1)).mean(-1)
    return f1


def agreement(predicted: np.ndarray, targets: np.ndarray, classes: int, seed: int = 0) -> float:
    """Whether predictions go with the classes at all: the p value of a permutation test, one-sided.

    How often they are right is compared with the same predictions dealt out at random, which are contingency tables of
    the same margins (Patefield, Algorithm AS 159, Applied Statistics 30, 1981), by SciPy. Arguments as ``macro_f1``'s.
    """
    from scipy.stats import random_table

    tables = 2000
    dealt = random_table(np.bincount(targets, minlength=classes), np.bincount(predicted, minlength=classes)).rvs(
        tables, random_state=np.random.default_rng(seed)
    )
    as_good = (np.einsum("tkk->t", dealt) >= (predicted == targets).sum()).sum()
    return float((1 + as_good) / (1 + tables))


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence, which is the probability that the predicted class was given."""

    low: float
    high: float
    examples: int
    confidence: float
    """Mean."""
    right: float
    """The share of them that is right."""


@dataclass(frozen=True)
class Calibration:
    """How far confidence is from the share that is right."""

    ece: float
    """Expected calibration error: the mean distance over the examples, each with its bin's."""
    bins: list[Bin]
    """Those that hold examples, by confidence: a reliability picture's."""
    excess: float
    """Mean confidence less the share that is right: above 0 where the model is too sure of itself."""


def calibration(probabilities: np.ndarray, targets: np.ndarray) -> Calibration:
    """The expected calibration error over 15 bins of equal width.

    Naeini, Cooper & Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015; bins as in
    Guo, Pleiss, Sun & Weinberger, On calibration of modern neural networks, ICML 2017.

    Args:
        probabilities: float (examples, classes).
        targets: true classes, int (examples,).
    """
    confidence = probabilities.max(1).astype(float)
    right = probabilities.argmax(1) == targets
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = [
        Bin(k / BINS, (k + 1) / BINS, int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for k in range(BINS)
        if (inside := place == k).any()
    ]
    ece = sum(group.examples * abs(group.confidence - group.right) for group in bins) / len(targets)
    return Calibration(ece, bins, float(confidence.mean() - right.mean()))
