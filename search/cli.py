"""The command line: parsed into ``Options`` without importing anything heavy."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from datasets.command_line import Parser
from search.task import Scheduler
from trainables.epoch import METRICS, Metric

Register = Literal["auto", "always", "never"]
"""When the alias ``champion`` moves to the winner."""


@dataclass(frozen=True)
class Options:
    """One call of ``search.run``. None where the conf, the cluster or the time decides."""

    task: str
    num_samples: int
    gpus_per_trial: float | None
    cpus_per_trial: float
    max_concurrent: int | None
    epochs: int | None
    metric: Metric | None
    scheduler: Scheduler | None
    grace: int | None
    reduction_factor: int | None
    model: list[str]
    sampler: Literal["gp", "tpe", "random"]
    time_budget: float | None
    """Seconds."""
    epoch_budget: int | None
    target: float | None
    """Validation error, a share."""
    references: bool
    warm_start: list[str]
    seed: int
    name: str | None
    resume: str | None
    data_root: Path | None
    runs_dir: Path
    storage: str | None
    """A folder, or the URI of an object store; None for ``runs_dir``."""
    keep: int
    disk_budget: int | None
    """Bytes."""
    tracking_uri: str | None
    register: Register
    ray_address: str | None
    top_k: int
    confirm: int
    confirm_seeds: int
    set: list[str]
    dry_run: bool
    quiet: bool
    json: bool


def number(kind: type, low: float, what: str, high: float = sys.float_info.max) -> Callable[[str], float]:
    """A parser of numbers of a kind within bounds; ``what`` says them in words."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
        return float(value) if kind is float else value

    return parse


COUNT = number(int, 1, "a whole number from 1")


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"must be letters, digits, '.', '_' and '-', at most 100, not {text!r}")
    return text


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not seconds:
        raise argparse.ArgumentTypeError(f"must be a time such as 90s, 30m or 2h, not {text!r}")
    return seconds


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(MB|GB|TB)", text)
    size = round(float(match[1]) * {"MB": 1e6, "GB": 1e9, "TB": 1e12}[match[2]]) if match else 0
    if not size:
        raise argparse.ArgumentTypeError(f"must be a size such as 500MB, 20GB or 1.5TB, not {text!r}")
    return size


def add_resources(result: argparse.ArgumentParser) -> None:
    """What a trial gets of its node."""
    result.add_argument(
        "--gpus-per-trial",
        type=number(float, 0, "a number of GPUs from 0"),
        metavar="GPUS",
        help="GPUs a trial, also fractions (default: 1, or 0 where the cluster has none)",
    )
    result.add_argument(
        "--cpus-per-trial",
        type=number(float, 0.01, "a number of CPUs above 0"),
        default=1.0,
        metavar="CPUS",
        help="CPU cores a trial, and its threads (default: 1)",
    )


def add_data_root(result: argparse.ArgumentParser) -> None:
    """Where data is read."""
    result.add_argument(
        "--data-root",
        type=Path,
        metavar="FOLDER",
        help="where the data lies (default: the conf's dataset.root, else the environment's DATA_ROOT, else data/)",
    )


def add_runs_dir(result: argparse.ArgumentParser) -> None:
    """Where results are."""
    result.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), metavar="FOLDER", help="where results go (default: runs/)"
    )


def add_storage(result: argparse.ArgumentParser) -> None:
    """Where event log, checkpoints and results are kept."""
    result.add_argument(
        "--storage",
        metavar="PLACE",
        help="where event log, checkpoints and results are kept: a folder that all nodes share, or s3://BUCKET/FOLDER "
        "(default: the runs folder)",
    )


def add_ray_address(result: argparse.ArgumentParser) -> None:
    """Where Ray runs."""
    result.add_argument(
        "--ray-address", metavar="HOST:PORT", help="a running Ray cluster, or auto (default: start Ray here)"
    )


def add_set(result: argparse.ArgumentParser) -> None:
    """What is changed in the conf."""
    result.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the conf or of its space, the value in YAML: epochs=20, cnn.dropout=0.1, "
        "'lr={low: 1e-3, high: 1e-2}' (repeatable)",
    )


def parser() -> argparse.ArgumentParser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.run",
        description="Search the hyperparameters of a classification task: a model of learning curves proposes, Ray "
        "Tune trains, ASHA lets the best go on at each rung, MLflow records, and the best are tested once.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("task", metavar="TASK", help="a task's name in conf/, or the path of a YAML file")
    add("--num-samples", type=COUNT, default=40, metavar="N", help="configurations to try (default: 40)")
    add_resources(result)
    add(
        "--max-concurrent",
        type=COUNT,
        metavar="N",
        help="most trials side by side (default: as many as the cluster holds)",
    )
    add("--epochs", type=COUNT, metavar="N", help="most epochs a trial (default: the conf's)")
    add(
        "--metric",
        choices=METRICS,
        help="what trials are judged, ranked and kept by, at its best so far (default: the conf's)",
    )
    add(
        "--scheduler",
        choices=get_args(Scheduler),
        help="who decides which trials go on at the rungs (default: the conf's)",
    )
    add("--grace", type=COUNT, metavar="N", help="epochs before the first rung (default: the conf's)")
    add(
        "--reduction-factor",
        type=number(int, 2, "a whole number from 2"),
        metavar="N",
        help="of asha: one of so many trials goes on at each rung (default: the conf's)",
    )
    add("--model", action="append", default=[], metavar="FAMILY", help="search this family only (repeatable)")
    add(
        "--sampler",
        choices=("gp", "tpe", "random"),
        default="gp",
        help="who proposes: a Gaussian process of learning curves, Optuna's TPE, or chance (default: gp)",
    )
    add(
        "--time-budget",
        type=_duration,
        metavar="TIME",
        help="end running trials so long after the start of the command, then test: 90s, 30m, 2h (default: no limit)",
    )
    add(
        "--epoch-budget",
        type=COUNT,
        metavar="N",
        help="stop once all trials together have trained so many epochs (default: no limit)",
    )
    add(
        "--target",
        type=number(float, 0, "an error from 0 to 1", 1.0),
        metavar="ERROR",
        help="stop once the best trial has this validation error, a share: 0.01 is 1 %% (default: no target)",
    )
    add(
        "--references",
        action="store_true",
        help="also train the conf's hand-tuned references, each to its own end, and test them like the winner",
    )
    add(
        "--warm-start",
        action="append",
        default=[],
        metavar="NAME",
        help="first tell the sampler the trials of an earlier search of the task, by its name in the runs folder or "
        "its path, as far as today's space has them; they are not proposed again (repeatable)",
    )
    add(
        "--seed",
        type=number(int, 0, "a whole number from 0 to 2**32 - 1", 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of proposals and trainings (default: 0)",
    )
    add("--name", type=_name, help="the search's name (default: task and time, always new)")
    add(
        "--resume",
        metavar="NAME",
        help="go on with a search that was cut off, interrupted, or is to have more trials (--num-samples is the new "
        "total), from its event log, with its options as they were unless they are given again (default: a new search)",
    )
    add_data_root(result)
    add_runs_dir(result)
    add_storage(result)
    add(
        "--keep",
        type=COUNT,
        default=5,
        metavar="K",
        help="best trials that keep their checkpoints when they have ended, besides what is tested (default: 5)",
    )
    add(
        "--disk-budget",
        type=_size,
        metavar="SIZE",
        help="of all checkpoints together: the least valuable are removed beyond it, 500MB, 20GB (default: no limit)",
    )
    add(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        metavar="URI",
        help="MLflow's tracking store (default: the environment's MLFLOW_TRACKING_URI, else an SQLite file in the runs "
        "folder)",
    )
    add(
        "--register",
        choices=get_args(Register),
        default="auto",
        help="the winner is registered in MLflow under the task's name, and becomes its champion where it beats the "
        "present one by validation (auto), or in any case (always); or it is not registered (default: auto)",
    )
    add_ray_address(result)
    add(
        "--top-k",
        type=COUNT,
        default=3,
        metavar="N",
        help="best trials to be trained to their end and tested, besides each family's best (default: 3)",
    )
    add(
        "--confirm",
        type=number(int, 0, "a whole number from 0"),
        default=3,
        metavar="K",
        help="best configurations, besides each family's best, to be trained again with fresh seeds, and chosen among "
        "by their means; at most a quarter of the search's epochs; 0 for none (default: 3)",
    )
    add("--confirm-seeds", type=COUNT, default=5, metavar="M", help="seeds of each of them (default: 5)")
    add_set(result)
    add("--dry-run", action="store_true", help="say what would be done, and start nothing")
    add("--quiet", action="store_true", help="no progress, only the result")
    add("--json", action="store_true", help="print summary.json instead of the table")
    return result


_NOT_GIVEN = object()


def explicit(arguments: Sequence[str]) -> dict[str, Any]:
    """The options that a command line gives, without defaults."""
    options = parser()
    lists = {name for name, value in vars(options.parse_args(["-"])).items() if isinstance(value, list)}
    nothing = {name: None if name in lists else _NOT_GIVEN for name in vars(options.parse_args(["-"]))}
    given = vars(options.parse_args(arguments, argparse.Namespace(**nothing)))
    return {name: value for name, value in given.items() if value is not nothing[name]}


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line.

    Raises:
        UserError: an option that is unknown, incomplete or out of its bounds.
    """
    return Options(**vars(parser().parse_args(arguments)))
