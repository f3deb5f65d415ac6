"""Learning curves of complete grids, recorded once for ``benchmarks.quality``: ``python -m benchmarks.curves TABLE``.

A table is one NumPy file in benchmarks/curves/: the validation loss of every configuration of a grid after each epoch,
for several seeds. It goes on where it was interrupted, from ``<table>.part``, a line for each training.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "curves"
DIVERGED = float("inf")


@dataclass(frozen=True)
class Grid:
    """What is recorded. ``families``: by name the values of each searched setting; ``fixed`` hold for all."""

    dataset: str
    settings: dict[str, Any]
    epochs: int
    seeds: int
    families: dict[str, dict[str, list[Any]]]
    fixed: dict[str, Any]
    training_examples: int | None = None
    """So many of the training examples, the first; all where None."""

    def configurations(self) -> Iterator[dict[str, Any]]:
        """Every configuration, families in their order, the last setting varying fastest."""
        for family, values in self.families.items():
            for chosen in itertools.product(*values.values()):
                yield {"model": family, **self.fixed, **dict(zip(values, chosen, strict=True))}


GRIDS = {
    "digits": Grid(
        "digits",
        {},
        epochs=27,
        seeds=5,
        families={
            "mlp": {
                "widths": [[64], [512]],
                "lr": [1e-4, 5e-4, 2.5e-3, 1.25e-2],
                "weight_decay": [1e-5, 1e-3],
                "batch_size": [32, 128],
                "dropout": [0.0, 0.3],
                "affine": [0.0, 0.5],
            },
            "cnn": {
                "channels": [[8, 16], [24, 48]],
                "lr": [1e-4, 5e-4, 2.5e-3, 1.25e-2],
                "weight_decay": [1e-5, 1e-3],
                "batch_size": [32, 128],
                "dropout": [0.0, 0.3],
                "affine": [0.0, 0.5],
            },
        },
        fixed={"batch_norm": True, "schedule": "cosine", "shift": 0.08},
    ),
    "spiral": Grid(
        "spiral",
        {"folds": 1, "train": 1000},
        epochs=81,
        seeds=5,
        families={
            "mlp": {
                "widths": [[16], [64], [64, 64], [128, 64, 32]],
                "activation": ["relu", "tanh"],
                "lr": [3e-4, 1e-3, 4e-3, 1.6e-2],
                "weight_decay": [1e-6, 1e-3],
                "batch_size": [32, 128],
                "schedule": ["constant", "cosine"],
            }
        },
        fixed={"normalise": "standard"},
    ),
    "mnist": Grid(
        "mnist",
        {"val": 2000},
        epochs=9,
        seeds=3,
        families={
            "mlp": {
                "widths": [[64], [256]],
                "lr": [2e-4, 1e-3, 5e-3, 2.5e-2],
                "batch_size": [32, 128],
                "dropout": [0.0, 0.3],
            },
            "cnn": {
                "channels": [[8, 16], [16, 32]],
                "lr": [2e-4, 1e-3, 5e-3, 2.5e-2],
                "batch_size": [32, 128],
                "affine": [0.0, 0.3],
            },
        },
        fixed={"normalise": "standard", "schedule": "cosine"},
        training_examples=5000,
    ),
}


@cache
def _dataset(table: str, data_root: str) -> Any:
    import datasets

    grid = GRIDS[table]
    dataset = datasets.load(grid.dataset, Path(data_root), grid.settings).blind()
    if grid.training_examples is None:
        return dataset
    (fold,) = dataset.folds
    return replace(dataset, folds=(replace(fold, train=fold.train[: grid.training_examples]),))


def train(job: tuple[str, str, int, int]) -> tuple[int, int, list[float], float]:
    """One training: (configuration, seed, validation loss after each epoch, seconds of training)."""
    import torch

    from trainables.epoch import DivergedError
    from trainables.training import Training

    table, data_root, number, seed = job
    torch.set_num_threads(1)
    grid = GRIDS[table]
    config = list(grid.configurations())[number]
    training = Training(_dataset(table, data_root), config, epochs=grid.epochs, patience=grid.epochs, seed=seed)
    losses, seconds = [], 0.0
    try:
        for epoch in training:
            losses.append(epoch.val_loss)
            seconds += epoch.seconds
    except DivergedError:
        losses += [DIVERGED] * (grid.epochs - len(losses))
    return number, seed, losses, seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Records a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description="Record learning curves of a grid")
    parser.add_argument("table", choices=GRIDS)
    parser.add_argument("--data-root", default="data", help="where datasets lie (default: data)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    grid = GRIDS[options.table]
    count = len(list(grid.configurations()))
    FOLDER.mkdir(exist_ok=True)
    part = FOLDER / f"{options.table}.part"
    curves = np.full((count, grid.seeds, grid.epochs), np.nan, np.float32)
    seconds = np.full((count, grid.seeds), np.nan, np.float32)
    if part.exists():
        for line in part.read_text(encoding="utf-8").splitlines():
            number, seed, losses, took = json.loads(line)
            curves[number, seed], seconds[number, seed] = losses, took
    jobs = [
        (options.table, options.data_root, number, seed)
        for seed in range(grid.seeds)
        for number in range(count)
        if np.isnan(seconds[number, seed])
    ]
    with ProcessPoolExecutor(options.processes) as pool, part.open("a", encoding="utf-8") as file:
        for done, (number, seed, losses, took) in enumerate(pool.map(train, jobs, chunksize=4), 1):
            curves[number, seed], seconds[number, seed] = losses, took
            file.write(json.dumps([number, seed, losses, took]) + "\n")
            file.flush()
            if done % 50 == 0 or done == len(jobs):
                print(f"{options.table}: {done} of {len(jobs)} trainings", file=sys.stderr)
    np.savez_compressed(FOLDER / f"{options.table}.npz", curves=curves.astype(np.float16), seconds=seconds.mean(1))
    part.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
