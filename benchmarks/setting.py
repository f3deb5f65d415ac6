"""What every system that is measured is given."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset
from search import conf
from search.task import Task

WORKERS = 2
"""Trials side by side, each on one thread."""


@dataclass(frozen=True)
class Setting:
    """One measurement: so many trials of at most so many epochs, everything written below ``folder``."""

    num_samples: int
    epochs: int
    seed: int
    folder: Path

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> "Setting":
        """From a peer's command line."""
        parser = argparse.ArgumentParser()
        for name in ("--num-samples", "--epochs", "--seed"):
            parser.add_argument(name, type=int, required=True)
        parser.add_argument("--folder", type=Path, required=True)
        return cls(**vars(parser.parse_args(arguments)))

    def arguments(self) -> list[str]:
        """The command line that ``parse`` reads."""
        numbers = {"--num-samples": self.num_samples, "--epochs": self.epochs, "--seed": self.seed}
        return [*(text for name, value in numbers.items() for text in (name, str(value))), "--folder", str(self.folder)]

    def task(self) -> Task:
        """The digits task as our command would search it: space, grace, reduction factor, patience."""
        return conf.load("digits", {"epochs": self.epochs}, [])


def blind_dataset(task: Task) -> Dataset:
    """The task's examples without the test split."""
    return datasets.load(task.dataset, Path("data"), task.dataset_settings).blind()
