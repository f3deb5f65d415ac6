"""How good a search's find is for the epochs it spends: recorded curves replayed under a simulated clock.

``python -m benchmarks.quality``. Real searchers and schedulers, ours through ``search.driver.Driver`` and Ray's as they
are, propose configurations of grids that ``benchmarks.curves`` has recorded, and stop them by their recorded losses.
Four workers; an epoch takes the time that the configuration's epochs took. What is found is the configuration that ran
all its epochs with the least loss seen; it counts with its true loss, the mean over the recorded seeds.
"""

import argparse
import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.curves import FOLDER, GRIDS
from benchmarks.replay import Outcome, System, Table, simulate, table


class Ours:
    """The product's driver, with its sampler and its rungs."""

    def __init__(self, grid: Table, seed: int, sampler: str = "gp", **changes: Any) -> None:
        from search.driver import Driver
        from search.history import History
        from search.proposer import Proposer

        self.task = grid.task(**changes)
        proposer = Proposer(self.task.space, sampler, seed, milestones=self.task.milestones)  # type: ignore[arg-type]
        log: Any = SimpleNamespace(append=lambda event, **fields: {"event": event, "time": 0.0, **fields})
        self.driver = Driver(self.task, log, History(), proposer, num_samples=sys.maxsize, seed=seed)
        self.driver.history.search = {"milestones": self.task.milestones}

    def next(self) -> tuple[int, dict[str, Any]]:
        proposal = self.driver.propose()
        assert proposal is not None
        return proposal["trial"], proposal["config"]

    def report(self, number: int, epoch: int, losses: Sequence[float]) -> bool:
        leaves = self._reported(number, epoch, losses)
        if leaves:
            self.driver.left(number)
        return leaves

    def _reported(self, number: int, epoch: int, losses: Sequence[float]) -> bool:
        message: dict[str, Any] = {"trial": number, "worker": None, "epochs": [], "ending": None}
        if not math.isfinite(losses[-1]):
            return self.driver.report(message | {"ending": "diverged"})
        best = {"index": epoch, "val_loss": float(min(losses)), "val_error": 0.0, "val_f1": 0.0, "seconds": 0.0}
        message |= {"epochs": [best], "best": best, "value": best["val_loss"]}
        message["ending"] = "completed" if epoch == self.task.epochs else None
        return self.driver.report(message) or self.driver.judge(message)


class Rays:
    """Ray's OptunaSearch, with TPE or random sampling, with its ASHA or without stopping."""

    def __init__(self, grid: Table, seed: int, *, sampler: str, grace: int | None, factor: int = 3) -> None:
        import optuna
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        from search.space import propose

        np.random.seed(seed)  # noqa: NPY002 - Ray's ASHA draws its bracket from it
        task = grid.task()
        self.epochs, self.proposed = task.epochs, 0

        def space(trial: optuna.Trial) -> None:
            self.config = propose(task.space, trial)

        samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        self.searcher = OptunaSearch(space=space, metric="loss", mode="min", sampler=samplers[sampler](seed=seed))
        self.asha = grace and ASHAScheduler(
            metric="loss", mode="min", max_t=self.epochs, grace_period=grace, reduction_factor=factor
        )

    def next(self) -> tuple[int, dict[str, Any]]:
        number = self.proposed
        self.proposed += 1
        self.searcher.suggest(str(number))
        if self.asha:
            self.asha.on_trial_add(None, SimpleNamespace(trial_id=str(number)))
        return number, self.config

    def report(self, number: int, epoch: int, losses: Sequence[float]) -> bool:
        result = {"loss": float(losses[-1]), "training_iteration": epoch}
        trial = SimpleNamespace(trial_id=str(number))
        stop = epoch == self.epochs
        if self.asha:
            stop |= self.asha.on_trial_result(None, trial, result) == "STOP"
        if stop:
            self.searcher.on_trial_complete(str(number), result)
        else:
            self.searcher.on_trial_result(str(number), result)
        return stop


SYSTEMS: dict[str, Callable[[Table, int], System]] = {
    "ours": Ours,
    **{f"ours, {sampler}": partial(Ours, sampler=sampler) for sampler in ("tpe", "random")},
    "ours, median rule": partial(Ours, scheduler="median"),
    **{f"ours, grace {grace}": partial(Ours, grace=grace) for grace in (3, 9)},
    "Ray random + ASHA, default": partial(Rays, sampler="random", grace=1, factor=4),
    **{f"Ray random + ASHA, grace {grace}": partial(Rays, sampler="random", grace=grace) for grace in (1, 3, 9)},
    "Ray Optuna + ASHA, default": partial(Rays, sampler="tpe", grace=1, factor=4),
    **{f"Ray Optuna + ASHA, grace {grace}": partial(Rays, sampler="tpe", grace=grace) for grace in (1, 3, 9)},
    "random": partial(Rays, sampler="random", grace=None),
    "Optuna TPE": partial(Rays, sampler="tpe", grace=None),
}


def search(job: tuple[str, str, int, int]) -> Outcome:
    """One search: table, system, seed, and how many whole trainings its epochs would be enough for."""
    import optuna

    name, system, seed, trainings = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    grid = table(name)
    return simulate(grid, SYSTEMS[system](grid, seed), seed, trainings * grid.grid.epochs)


def ratio(mine: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """The ratio of geometric means over paired searches, with its 95 % bootstrap interval."""
    differences = np.log(mine) - np.log(other)
    draws = np.random.default_rng(0).choice(differences, (2000, len(differences))).mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(np.exp(differences.mean())), float(np.exp(low)), float(np.exp(high))


def compare(name: str, outcomes: dict[str, list[Outcome]], budget: int) -> list[dict[str, Any]]:
    """A row a system: geometric means of the found true loss at a quarter, half, two thirds and all of the epochs."""
    rows: list[dict[str, Any]] = []
    base = None
    for system, found in outcomes.items():
        final = np.array([outcome.at(math.inf) for outcome in found])
        base = final if base is None else base
        means = {}
        for share in (0.25, 0.5, 0.67, 1):
            figures = np.array([outcome.at(share * budget) for outcome in found])
            means[f"at {share:g}"] = math.nan if np.isnan(figures).any() else float(np.exp(np.log(figures).mean()))
        counts = {
            what: float(np.mean([getattr(outcome, what) for outcome in found])) for what in ("trials", "completed")
        }
        proposed = float(np.exp(np.mean([math.log(outcome.at(math.inf, "proposed")) for outcome in found])))
        rows.append(
            {"table": name, "system": system, **counts, **means, "ratio": ratio(final, base), "proposed": proposed}
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each recorded grid."""
    recorded = [name for name in GRIDS if (FOLDER / f"{name}.npz").is_file()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="Replay recorded learning curves")
    parser.add_argument("--table", action="append", choices=recorded)
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="the first is what others are compared with")
    parser.add_argument("--searches", type=int, default=100, metavar="N")
    parser.add_argument("--trainings", type=int, default=20, metavar="N", help="epochs for so many whole trainings")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    systems, rows = options.system or list(SYSTEMS), []
    for name in options.table or recorded:
        began = time.monotonic()
        jobs = [(name, system, seed, options.trainings) for system in systems for seed in range(options.searches)]
        with ProcessPoolExecutor(options.processes) as pool:
            outcomes = list(pool.map(search, jobs, chunksize=2))
        by_system = {
            system: outcomes[place * options.searches : (place + 1) * options.searches]
            for place, system in enumerate(systems)
        }
        best = np.sort(table(name).true)
        print(f"\n{name}: {options.searches} searches of {options.trainings} × {table(name).grid.epochs} epochs; the "
              f"grid's best {best[0]:.4f}, its tenth {best[9]:.4f}; {time.monotonic() - began:.0f} s")  # fmt: skip
        for row in compare(name, by_system, options.trainings * table(name).grid.epochs):
            middle, low, high = row["ratio"]
            shares = "  ".join(f"{row[f'at {share:g}']:.4f}" for share in (0.25, 0.5, 0.67, 1))
            print(f"{row['system']:30} {row['trials']:4.0f} trials {row['completed']:4.1f} whole  {shares}  × first "
                  f"{middle:.3f} ({low:.3f} to {high:.3f})  proposed {row['proposed']:.4f}")  # fmt: skip
            rows.append(row)
    if options.json:
        options.json.write_text(
            json.dumps([asdict(GRIDS[name]) for name in recorded] + rows, indent=2), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
