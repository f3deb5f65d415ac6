"""Configurations from Optuna, by ask and tell on a study in memory."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna

from search.endings import Told
from search.space import Config, Space, propose
from search.task import Reference

Sampler = Literal["tpe", "random"]


class Proposer:
    """A study over the space: references that lie inside it first, then the sampler's proposals.

    TPE (Bergstra et al., NeurIPS 2011) as Optuna has it, multivariate within each group of settings that exist
    together, with the running trials as constant liars.
    """

    def __init__(self, space: Space, sampler: Sampler, seed: int, references: Sequence[Reference] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
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
        trial = self.study.ask()
        self._trials[number] = trial
        return propose(self.space, trial), trial.user_attrs.get("reference", "sampler")

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
