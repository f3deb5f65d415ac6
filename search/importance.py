"""Which settings decide within a family, by PED-ANOVA on a study that is made again from the event log.

Watanabe, Bansal and Hutter, IJCAI 2023 (arXiv:2304.10255), as Optuna has it.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from search.events import Event
from search.history import History
from search.space import Space, propose

FEWEST = 12
"""Trials of a family below which nothing is said of it: one deciding setting among ten would rarely come first."""
_TOP, _TOP_TRIALS, _TOP_MOST = 0.1, 20, 0.5
"""The best tenth is Optuna's; of fewer than 20 trials chance says more than the settings (tried on closed forms)."""


def prepare() -> None:
    """Imports what Optuna imports at the first use only: scikit-learn's forests, a second or two."""
    import optuna.importance  # noqa: F401


@dataclass(frozen=True)
class Judged:
    """A trial's Optuna parameters and its best cost (see ``trainables.epoch.cost``)."""

    parameters: Mapping[str, Any]
    value: float


def judged(events: Iterable[Event], metric: str) -> dict[str, list[Judged]]:
    """The trials with a value, by family; trials beside the search are left out, families without a value are not."""
    events = list(events)
    history = History(events)
    parameters = {event["trial"]: event["parameters"] for event in events if event["event"] == "proposal"}
    found: dict[str, list[Judged]] = {}
    for trial in history.searched():
        own = found.setdefault(trial.model, [])
        value = trial.cost(metric)
        if value is not None:
            own.append(Judged(parameters[trial.id], value))
    return found


def importance(
    space: Space, families: Mapping[str, Sequence[Judged]], fewest: int = FEWEST
) -> dict[str, dict[str, float]]:
    """By family the share of each setting, together 1, in what tells the best trials from the rest.

    The best are a tenth of the family's trials, but at least 20, and at most half.
    A setting is counted where all of the family's trials have it, whether shared or the chosen alternative's own, and
    not all the same.
    Families of fewer than ``fewest`` trials are left out, and those where no setting tells the best from the rest.
    """
    shares = {}
    for family, trials in families.items():
        raw = _divergences(space, trials) if len(trials) >= fewest else {}
        total = sum(raw.values())
        if total > 0:
            shares[family] = {name: value / total for name, value in sorted(raw.items(), key=lambda item: -item[1])}
    return shares


def _divergences(space: Space, trials: Sequence[Judged]) -> dict[str, float]:
    searched = [_by_plain_names(space, trial.parameters) for trial in trials]
    columns: dict[str, tuple[Any, list[Any]]] = {}
    for name in sorted(set.intersection(*(set(settings) for settings in searched))):
        column = _column([settings[name] for settings in searched])
        if column is not None:
            columns[name] = column
    if not columns:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    distributions = {name: distribution for name, (distribution, _) in columns.items()}
    for place, trial in enumerate(trials):
        values = {name: column[place] for name, (_, column) in columns.items()}
        study.add_trial(optuna.trial.create_trial(value=trial.value, params=values, distributions=distributions))
    top = min(_TOP_MOST, max(_TOP, _TOP_TRIALS / len(trials)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are all the same: those say nothing then
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=top)
        found: dict[str, float] = evaluator.evaluate(study, params=list(columns))
    return found


def _column(pairs: Sequence[tuple[Any, Any]]) -> tuple[Any, list[Any]] | None:
    """One distribution, and a setting's value in each trial; None where they can't be compared, or are all the same.

    Where alternatives have ranges of their own, a value counts by its place within its range: taken as ranges that
    differ, Optuna's small groups of trials made idle settings look as if they decided (measured in closed form).
    """
    values = [value for value, _ in pairs]
    distributions = [distribution for _, distribution in pairs]
    if len({repr(value) for value in values}) < 2:
        return None
    if all(distribution == distributions[0] for distribution in distributions):
        return distributions[0], values
    if any(isinstance(distribution, optuna.distributions.CategoricalDistribution) for distribution in distributions):
        return None
    return optuna.distributions.FloatDistribution(0.0, 1.0), [_place(*pair) for pair in pairs]


def _place(value: float, distribution: Any) -> float:
    """0 at the low end and 1 at the high end, on the range's own scale."""
    scaled = math.log if distribution.log else float
    low, high = scaled(distribution.low), scaled(distribution.high)
    return min(1.0, max(0.0, (scaled(value) - low) / (high - low)))


def _by_plain_names(space: Space, parameters: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Value and distribution of each setting; an alternative's own one has the name of the shared one it replaces."""
    trial = optuna.trial.FixedTrial(dict(parameters))
    propose(space, trial)
    return {name.rpartition(".")[2]: (trial.params[name], trial.distributions[name]) for name in trial.params}
