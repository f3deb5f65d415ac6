"""Configurations to try: references first, then a sampler's, each made ahead of need."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from datasets.errors import UserError
from search.history import TrialResult
from search.space import Config, Space, all_parameters, identity, propose
from search.study import frozen_trial, trial_at
from search.task import Reference
from search.thompson import Thompson, drawn
from trainables.epoch import Metric

Sampler = Literal["gp", "tpe", "random"]
_DRAWN = 1000
"""One of so many random configurations must be accepted."""
_TRIES = 10_000
"""So many proposals in a row are looked at for one that is accepted: a search that began does not end by chance."""
_REJECTED = 10
"""After so many rejected in a row they are shown to TPE as what it must turn away from: it is drawn to a choice it has
no trial of, such as a family that is all too large."""
_REPEATS = 30
"""So many proposals of what was proposed before are thrown away before one is drawn from what is left."""
_MOST_LISTED = 10_000
"""In a space of more configurations, what is left is not known."""


@dataclass(frozen=True)
class _Proposal:
    config: Config
    parameters: Config
    origin: str = "sampler"


class Proposer:
    """Proposes configurations of a space: references that lie inside it first, then the sampler's.

    ``gp`` is Thompson sampling on a Gaussian process of learning curves (``search.thompson``), ``tpe`` is TPE (Bergstra
    et al., NeurIPS 2011) as Optuna has it, multivariate within each group of settings that exist together, with the
    running trials as constant liars. What the sampler knows of a trial is what ``study.frozen_trial`` says of it. A
    configuration that ``accepts`` says no to is thrown away and another one asked for; so is one that was proposed
    before, until all that there are have been. From then on they are proposed again, to be trained from other seeds.

    Each proposal is made, on a thread of its own, when the one before it is handed out, of what was seen until then:
    no worker waits for it, and the same calls in the same order have the same proposals. ``close`` ends the thread.

    ``past``: trials of earlier searches over the same space, which count as proposed before; ``known``: by number,
    those of the search itself, where it goes on.

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
        past: Sequence[FrozenTrial] = (),
        known: Mapping[int, FrozenTrial] | None = None,
        *,
        milestones: Sequence[int] = (),
        metric: Metric = "val_loss",
    ) -> None:
        self.space, self.metric = space, metric
        self.accepts = accepts or (lambda _: True)
        self._past, self._trials = list(past), dict(known or {})
        before = [*self._past, *self._trials.values()]
        if before:  # or the same seed would draw again what it drew then
            seed = int(np.random.SeedSequence([seed, len(before)]).generate_state(1)[0])
        self._random = np.random.default_rng(seed)
        if not any(self.accepts(self._config(drawn(space, self._random))) for _ in range(_DRAWN)):
            raise UserError(f"none of {_DRAWN} random configurations is within the conf's max_parameters")
        self._sampler: Thompson | _Tpe | _AtRandom
        match sampler:
            case "gp":
                self._sampler = Thompson(space, milestones, self._random)
            case "tpe":
                self._sampler = _Tpe(space, seed)
            case "random":
                self._sampler = _AtRandom(space, self._random)
        self._proposed = {identity(trial.params) for trial in before}
        self._references: list[_Proposal] = []
        for reference in references:
            if reference.parameters is not None and self.accepts(config := self._config(reference.parameters)):
                self._references.append(_Proposal(config, reference.parameters, reference.name))
        self._thread = ThreadPoolExecutor(1, "proposer")
        self._ahead: Future[_Proposal] | None = None

    def ask(self, number: int) -> tuple[Config, str]:
        """The configuration of trial ``number``, and who proposed it: a reference's name or ``sampler``.

        Raises:
            RuntimeError: no configuration was accepted, of a great many. What else was raised on the thread, too.
        """
        proposal = (self._ahead or self._asked_for()).result()
        self._trials[number] = trial_at(self.space, proposal.parameters, TrialState.RUNNING)
        self._ahead = self._asked_for()
        return proposal.config, proposal.origin

    def see(self, trial: TrialResult) -> None:
        """Takes in how a trial stands."""
        self._trials[trial.id] = frozen_trial(trial, self.space, self.parameters(trial.id), self.metric)

    def parameters(self, number: int) -> Config:
        """Optuna's parameters of a trial: what was searched."""
        parameters: Config = self._trials[number].params
        return parameters

    @property
    def trials(self) -> list[FrozenTrial]:
        """What the sampler knows of the trials, in the order they were proposed."""
        return list(self._trials.values())

    def close(self) -> None:
        """Ends the thread, at the latest when the proposal it is at is made; nothing can be asked any more."""
        self._thread.shutdown(cancel_futures=True)

    def _asked_for(self) -> Future[_Proposal]:
        return self._thread.submit(self._propose, [*self._past, *self._trials.values()])

    def _config(self, parameters: Config) -> Config:
        return propose(self.space, FixedTrial(parameters))

    def _propose(self, trials: Sequence[FrozenTrial]) -> _Proposal:
        """Runs on the thread; the state that it changes is nobody else's."""
        proposal = self._reference() or self._sampled(trials)
        self._proposed.add(identity(proposal.parameters))
        return proposal

    def _is_new(self, parameters: Config) -> bool:
        return identity(parameters) not in self._proposed

    def _reference(self) -> _Proposal | None:
        while self._references:
            reference = self._references.pop(0)
            if self._is_new(reference.parameters):
                return reference
        return None

    def _sampled(self, trials: Sequence[FrozenTrial]) -> _Proposal:
        for repeats, proposal in enumerate(self._accepted(trials), 1):
            if self._is_new(proposal.parameters):
                return proposal
            if repeats == _REPEATS or self._left == []:
                return self._next_left() or proposal
        raise RuntimeError(f"none of {_TRIES} proposals in a row was accepted")

    def _accepted(self, trials: Sequence[FrozenTrial]) -> Iterator[_Proposal]:
        """What the sampler gives and ``accepts`` says yes to."""
        rejected = 0
        for parameters in self._sampler.candidates(trials):
            config = self._config(parameters)
            if self.accepts(config):
                rejected = 0
                yield _Proposal(config, parameters)
                continue
            rejected += 1
            if rejected == _TRIES:
                return
            if rejected > _REJECTED and isinstance(self._sampler, _Tpe):
                self._sampler.reject(parameters)

    @cached_property
    def _left(self) -> list[Config] | None:
        """Among these, in a random order, is all that was not proposed yet; None in a space of too many."""
        points = all_parameters(self.space, _MOST_LISTED)
        if points is not None:
            self._random.shuffle(points)
        return points

    def _next_left(self) -> _Proposal | None:
        while self._left:
            parameters = self._left.pop()
            config = self._config(parameters)
            if self._is_new(parameters) and self.accepts(config):
                return _Proposal(config, parameters)
        return None


class _AtRandom:
    """Points drawn at random."""

    def __init__(self, space: Space, random: np.random.Generator) -> None:
        self.space, self._random = space, random

    def candidates(self, trials: Sequence[FrozenTrial]) -> Iterator[Config]:
        """Optuna's parameters of points of the space, without end."""
        while True:
            yield drawn(self.space, self._random)


class _Tpe:
    """Optuna's sampler, each time on a study made anew: a trial that it knows of can change in any way."""

    def __init__(self, space: Space, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self._rejected: list[FrozenTrial] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._sampler = optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)

    def candidates(self, trials: Sequence[FrozenTrial]) -> Iterator[Config]:
        """Optuna's parameters of points of the space, without end."""
        study = optuna.create_study(sampler=self._sampler)
        study.add_trials([*trials, *self._rejected])
        while True:
            told = len(self._rejected)
            trial = study.ask()
            propose(self.space, trial)
            study.tell(trial, state=TrialState.FAIL)  # of those that are taken the next study has what becomes of them
            yield trial.params
            study.add_trials(self._rejected[told:])

    def reject(self, parameters: Config) -> None:
        """Turns away from there."""
        self._rejected.append(trial_at(self.space, parameters, TrialState.PRUNED))
