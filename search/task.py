"""What a search is asked to do, validated: the frozen result of reading a conf file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.space import Config, Space
from trainables.epoch import Metric


@dataclass(frozen=True)
class Reference:
    """A hand-tuned configuration to beat, and what was reported of it."""

    name: str
    config: Config
    """Setting names as in the space; what is left out has its default."""
    parameters: Config | None
    """Its Optuna parameters where it lies inside the search space."""
    epochs: int | None
    patience: int | None
    reported: dict[str, float]
    """Figures by name: ``test_error`` (share), ``test_loss`` (nats an example)."""


@dataclass(frozen=True)
class Task:
    """A conf file with the command line's changes, every key checked."""

    name: str
    dataset: str
    dataset_settings: dict[str, Any]
    metric: Metric
    epochs: int
    grace: int
    """Epochs before the first rung."""
    reduction_factor: int
    patience: int
    """Epochs without a new best before a trial ends as converged."""
    families: tuple[str, ...]
    space: Space
    references: tuple[Reference, ...]
    resolved: dict[str, Any]
    """The conf as it stands after every change, to be written down."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs of the rungs: grace times powers of the reduction factor, below the last epoch."""
        epochs = []
        milestone = self.grace
        while milestone < self.epochs:
            epochs.append(milestone)
            milestone *= self.reduction_factor
        return tuple(epochs)


def conf_folder() -> Path:
    """Where the tasks' conf files stand."""
    return Path(__file__).parent.parent / "conf"
