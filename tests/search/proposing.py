"""Proposers that are asked and shown how their trials end."""

from collections.abc import Callable
from typing import get_args

import pytest

from search.history import State, TrialResult
from search.proposer import Proposer, Sampler
from search.space import Choice, Range, Space

SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
Make = Callable[..., Proposer]
with_all_samplers = pytest.mark.parametrize("sampler", SAMPLERS)

SMALL: Space = {
    "model": Choice(("mlp",), {"mlp": {"widths": Choice(([8], [16]), {})}}),
    "dropout": Range(0.0, 0.2, step=0.1),
    "batch_size": Range(16, 32, step=16, integer=True),
}
CONDITIONAL: Space = {
    "model": Choice(
        ("mlp", "cnn"), {"mlp": {"widths": Choice(([8], [16]), {})}, "cnn": {"dropout": Range(0.0, 0.2, step=0.1)}}
    ),
    "optimizer": Choice(("adam", "sgd"), {"adam": {}, "sgd": {"momentum": Choice((0.8, 0.9), {})}}),
}


def show(
    proposer: Proposer, number: int, value: float | None = None, state: State = "completed", rung: int | None = None
) -> None:
    """Shows a trial of some loss, which it has at a rung, too."""
    trial = TrialResult(number, {}, 1, 1e9, state=state, ended=None if state in ("running", "paused") else 1e9 + 1)
    if value is not None:
        trial.best = {"val_loss": value}
        trial.at_rungs = {rung: trial.best} if rung else {}
    proposer.see(trial)


def ask_and_show(proposer: Proposer, numbers: range) -> list[str]:
    """The configurations of these trials, each of which completes, the earlier ones with less loss."""
    configs = []
    for number in numbers:
        configs.append(str(proposer.ask(number)[0]))
        show(proposer, number, number + 1.0)
    return configs
