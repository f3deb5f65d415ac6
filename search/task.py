"""What a search is asked to do, validated: the frozen result of reading a conf file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search.space import Config, Space
from trainables.epoch import Metric

Scheduler = Literal["asha", "median", "none"]


@dataclass(frozen=True)
class Reference:
    """A hand-tuned configuration to beat, and what was reported of it."""

    name: str
    config: Config
    """Setting names as in the space; what is left out has its default."""
    parameters: Config | None
    """Its Optuna parameters where it lies inside the search space."""
    epochs: int
    patience: int
    """Its own end, when it is trained as a reference."""
    reported: dict[str, float]
    """Figures by name: ``test_error`` (share), ``test_loss`` (nats an example), ``test_f1`` (macro-averaged)."""

    @property
    def facts(self) -> dict[str, Any]:
        """What makes a training of it the same as another one."""
        return {"config": self.config, "epochs": self.epochs, "patience": self.patience}


@dataclass(frozen=True)
class Task:
    """A conf file with the command line's changes, every key checked."""

    name: str
    dataset: str
    dataset_settings: dict[str, Any]
    data_root: Path | None
    """Where its files lie, if the conf says it."""
    metric: Metric
    epochs: int
    scheduler: Scheduler
    """Who decides which trials go on at the rungs."""
    grace: int
    """Epochs before the first rung."""
    reduction_factor: int
    """Of asha."""
    patience: int
    """Epochs without a new best before a trial ends as converged."""
    max_parameters: int | None
    """The most trainable parameters a proposed model may have."""
    models: dict[str, str]
    """The model of each family: a module of ``trainables.models``, or ``package.module:Name``."""
    space: Space
    references: tuple[Reference, ...]
    resolved: dict[str, Any]
    """The conf as it stands after every change, to be written down."""

    @property
    def families(self) -> tuple[str, ...]:
        """What the winner is chosen among: models, each with a space of its own."""
        return tuple(self.models)

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs at which trials are judged, below the last one.

        Grace times powers of the reduction factor (asha), every multiple of grace (median), or none.
        """
        if self.scheduler == "none":
            return ()
        if self.scheduler == "median":
            return tuple(range(self.grace, self.epochs, self.grace))
        epochs = []
        milestone = self.grace
        while milestone < self.epochs:
            epochs.append(milestone)
            milestone *= self.reduction_factor
        return tuple(epochs)


def conf_folder() -> Path:
    """Where the tasks' conf files stand."""
    return Path(__file__).parent.parent / "conf"
