"""What may end a search before its last trial: time, epochs, or a validation error that is good enough."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from search.history import History
from search.selection import best_so_far

EndedBy = Literal["all trials", "time budget", "epoch budget", "target", "interruption", "failures", "disk full"]


@dataclass(frozen=True)
class Stop:
    """Why a search proposes no more."""

    by: EndedBy
    reason: str
    at_once: bool
    """Whether running trials are ended where they are, or each at its next report, with all it has learnt."""


@dataclass(frozen=True)
class Budgets:
    """The limits; None for no limit."""

    seconds: float | None = None
    """From ``began``, until running trials are ended."""
    epochs: int | None = None
    """Of all trials that count: hand-tuned references do not."""
    target: float | None = None
    """Validation error, a share, of the best trial by the task's metric."""
    began: float = field(default_factory=time.monotonic)
    to_confirm: float = 0.0
    """The share of the time that is left to what confirms the choice."""

    def time_is_up(self) -> Stop | None:
        """The stop, where the time has passed."""
        if self.seconds is None or self._elapsed() < self.seconds:
            return None
        return Stop("time budget", f"time budget of {self.seconds:g} s spent", at_once=True)

    def reached(self, history: History, metric: str) -> Stop | None:
        """The stop that the trials' reports so far ask for."""
        if self.epochs is not None and history.epochs_searched >= self.epochs:
            return Stop("epoch budget", f"epoch budget of {self.epochs} spent", at_once=False)
        if self.seconds is not None and self.to_confirm and self._elapsed() >= self.seconds * (1 - self.to_confirm):
            reason = f"{1 - self.to_confirm:.0%} of the time budget of {self.seconds:g} s spent, the rest confirms"
            return Stop("time budget", reason.replace("%", " %"), at_once=False)
        best = best_so_far(history.trials.values(), metric) if self.target is not None else None
        if best is not None and best.best is not None and best.best["val_error"] <= self.target:
            error = best.best["val_error"]
            return Stop(
                "target", f"trial {best.id} has validation error {error:.4g}, target {self.target:g}", at_once=False
            )
        return None

    def spent(self, history: History) -> Mapping[str, tuple[float, float]]:
        """What is spent of which limit, by name."""
        spent: dict[str, tuple[float, float]] = {}
        if self.seconds is not None:
            spent["time"] = (self._elapsed(), self.seconds)
        if self.epochs is not None:
            spent["epochs"] = (history.epochs_searched, self.epochs)
        return spent

    def _elapsed(self) -> float:
        return time.monotonic() - self.began
