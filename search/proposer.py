"""Configurations from Optuna, by ask and tell on a study in memory."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna

from datasets.errors import UserError
from search.endings import Told
from search.space import Config, Space, all_parameters, propose
from search.task import Reference

Sampler = Literal["tpe", "random"]
_TRIES = 1000
"""So many proposals are looked at for one that is accepted."""
_REJECTED = 10
"""So many rejected in a row are told as FAIL, which teaches nothing. TPE is drawn to a choice it has no trial of, such
as a family that is all too large: those after are told as what it must turn away from."""
_REPEATS = 10
"""So many proposals of what was proposed before are thrown away before one is drawn from what is left."""
_MOST_LISTED = 10_000
"""In a space of more configurations, what is left is not known."""


class Proposer:
    """A study over the space: references that lie inside it first, then the sampler's proposals.

    TPE (Bergstra et al., NeurIPS 2011) as Optuna has it, multivariate within each group of settings that exist
    together, with the running trials as constant liars. A configuration that ``accepts`` says no to is thrown away
    and another one asked for; so is one that was proposed before, until all that there are have been. From then on they
    are proposed again, to be trained from other seeds.

    ``past``: trials of earlier searches over the same space, which count as proposed before.

    Raises:
        UserError: none of many random configurations is accepted.
    """

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        seed: int,
        references: Sequence[Reference] = (),
        accepts: Callable[[Config], bool] | None = None,
        past: Sequence[optuna.trial.FrozenTrial] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.accepts = accepts
        if accepts:
            at_random = Proposer(space, "random", seed)
            if not any(accepts(at_random.ask(number)[0]) for number in range(_TRIES)):
                raise UserError(f"none of {_TRIES} random configurations is within the conf's max_parameters")
        if past:  # or the same seed would draw again what it drew then
            seed = int(np.random.SeedSequence([seed, len(past)]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study = optuna.create_study(
                sampler=optuna.samplers.RandomSampler(seed=seed)
                if sampler == "random"
                else optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            )
        self.study.add_trials(past)
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._proposed = {_point(trial.params) for trial in past}
        self._finite: bool | None = None
        """Whether ``_left`` has been listed, in a random order; None before the first repeat."""
        self._left: list[Config] = []
        self._seed = seed
        for reference in references:
            if reference.parameters is not None:
                self.study.enqueue_trial(reference.parameters, user_attrs={"reference": reference.name})

    def ask(self, number: int) -> tuple[Config, str]:
        """The configuration of trial ``number``, and who proposed it: a reference's name or ``sampler``."""
        repeats = rejected = 0
        for _ in range(_TRIES):
            trial = self.study.ask()
            config = propose(self.space, trial)
            if self.accepts is None or self.accepts(config):
                point = _point(trial.params)
                if point not in self._proposed or not self._others(repeats):
                    self._proposed.add(point)
                    self._trials[number] = trial
                    return config, trial.user_attrs.get("reference", "sampler")
                repeats += 1
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                rejected += 1
                self.study.tell(trial, state=optuna.trial.TrialState["FAIL" if rejected <= _REJECTED else "PRUNED"])
        raise RuntimeError(f"none of {_TRIES} proposals in a row was accepted")

    def _others(self, repeats: int) -> bool:
        """Whether to ask on after a configuration that was proposed before; after many, one that is left is next."""
        if self._finite is None:
            points = all_parameters(self.space, _MOST_LISTED)
            self._finite, self._left = points is not None, points or []
            np.random.default_rng(self._seed).shuffle(self._left)
        if not self._finite:
            return repeats < _REPEATS
        while self._left and not self._is_left(self._left[-1]):
            self._left.pop()
        if self._left and repeats >= _REPEATS:
            self.study.enqueue_trial(self._left[-1])
        return bool(self._left)

    def _is_left(self, parameters: Config) -> bool:
        if _point(parameters) in self._proposed:
            return False
        return self.accepts is None or self.accepts(propose(self.space, optuna.trial.FixedTrial(parameters)))

    def tell(self, number: int, told: Told, value: float | None, rungs: Mapping[int, float]) -> None:
        """Tells an ending. ``value`` is the best, ``rungs`` the best value at each rung that was judged."""
        trial = self._trials.pop(number)
        if told.curve:
            for epoch, at_rung in rungs.items():
                trial.report(at_rung, epoch)
        state = optuna.trial.TrialState[told.optuna]
        self.study.tell(trial, value if told.optuna == "COMPLETE" else None, state)

    def parameters(self, number: int) -> dict[str, Any]:
        """What was searched, of a running trial."""
        parameters: dict[str, Any] = self._trials[number].params
        return parameters


def _point(parameters: Config) -> str:
    """What two proposals of the same configuration have in common: numbers in steps may differ in their last digits."""
    return repr([(name, f"{value:.9g}" if isinstance(value, float) else value) for name, value in parameters.items()])
