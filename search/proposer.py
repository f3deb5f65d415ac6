"""Configurations from Optuna, by ask and tell on a study in memory."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import optuna

from datasets.errors import UserError
from search.endings import Told
from search.space import Config, Space, propose
from search.task import Reference

Sampler = Literal["tpe", "random"]
_TRIES = 1000
"""So many proposals are looked at for one that is accepted."""


class Proposer:
    """A study over the space: references that lie inside it first, then the sampler's proposals.

    TPE (Bergstra et al., NeurIPS 2011) as Optuna has it, multivariate within each group of settings that exist
    together, with the running trials as constant liars. A configuration that ``accepts`` says no to is thrown away
    and another one asked for.

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
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.accepts = accepts
        if accepts:
            at_random = Proposer(space, "random", seed)
            if not any(accepts(at_random.ask(number)[0]) for number in range(_TRIES)):
                raise UserError(f"none of {_TRIES} random configurations is within the conf's max_parameters")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study = optuna.create_study(
                sampler=optuna.samplers.RandomSampler(seed=seed)
                if sampler == "random"
                else optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            )
        self._trials: dict[int, optuna.trial.Trial] = {}
        for reference in references:
            if reference.parameters is not None:
                self.study.enqueue_trial(reference.parameters, user_attrs={"reference": reference.name})

    def ask(self, number: int) -> tuple[Config, str]:
        """The configuration of trial ``number``, and who proposed it: a reference's name or ``sampler``."""
        for _ in range(_TRIES):
            trial = self.study.ask()
            config = propose(self.space, trial)
            if self.accepts is None or self.accepts(config):
                self._trials[number] = trial
                return config, trial.user_attrs.get("reference", "sampler")
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise RuntimeError(f"none of {_TRIES} proposals in a row was accepted")

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
