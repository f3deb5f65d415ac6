"""What every system that is measured is given: one list of configurations, and how they are to be trained."""

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from datasets import Dataset
from search import conf
from search.space import Config
from search.task import Task

WORKERS = 2
"""Trials side by side, each on one thread."""
_FILE_NAME = "setting.json"


class Given(NamedTuple):
    """One trial: its place in the list is its number."""

    config: Config
    parameters: dict[str, Any]
    """The same for Optuna."""
    seed: int


@dataclass(frozen=True)
class Setting:
    """One measurement of one system, everything written below ``folder``."""

    epochs: int
    """The most a trial trains."""
    seed: int
    """Of the list and of the trials."""
    asha: bool
    """Whether trials may stop early, by ASHA or for want of a new best; else each trains all its epochs."""
    given: tuple[Given, ...]
    folder: Path

    def write(self) -> None:
        """Puts it where ``read`` finds it."""
        text = json.dumps(asdict(self) | {"folder": str(self.folder)})
        (self.folder / _FILE_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Setting":
        """The setting of a measurement's folder."""
        values = json.loads((folder / _FILE_NAME).read_text(encoding="utf-8"))
        given = tuple(Given(*trial) for trial in values["given"])
        return cls(values["epochs"], values["seed"], values["asha"], given, folder)

    @property
    def scheduler(self) -> str:
        """Our name of it."""
        return "asha" if self.asha else "none"

    @property
    def assignments(self) -> list[str]:
        """What else our conf has to be told."""
        return [] if self.asha else [f"patience={self.epochs}"]

    def task(self) -> Task:
        """The digits task as our command would search it: space, grace, reduction factor, patience."""
        return conf.load("digits", {"epochs": self.epochs, "scheduler": self.scheduler}, self.assignments)

    def place(self, config: Config) -> int:
        """Where a configuration stands in the list."""
        return [trial.config for trial in self.given].index(config)


def draw(trials: int, seed: int) -> tuple[Given, ...]:
    """So many configurations at random: those that our command, with random sampling and this seed, proposes."""
    from search.driver import trial_seed
    from search.proposer import Proposer

    task = conf.load("digits", {}, [])
    assert not task.max_parameters, "the command would look at the dataset to leave large models out"
    with closing(Proposer(task.space, "random", seed, task.references)) as proposer:
        return tuple(
            Given(proposer.ask(number)[0], proposer.parameters(number), trial_seed(seed, number))
            for number in range(trials)
        )


def blind_dataset(task: Task) -> Dataset:
    """The task's examples without the test split."""
    return datasets.load(task.dataset, Path("data"), task.dataset_settings).blind()
