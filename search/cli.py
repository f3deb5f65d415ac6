"""The command line: parsed into ``Options`` without importing anything heavy."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from datasets.errors import UserError


@dataclass(frozen=True)
class Options:
    """One call of ``search.run``. None where the conf, the cluster or the time decides."""

    task: str
    num_samples: int
    gpus_per_trial: float | None
    cpus_per_trial: float
    epochs: int | None
    grace: int | None
    reduction_factor: int | None
    model: list[str]
    sampler: Literal["tpe", "random"]
    seed: int
    name: str | None
    data_root: Path
    runs_dir: Path
    tracking_uri: str | None
    ray_address: str | None
    top_k: int
    set: list[str]
    dry_run: bool
    quiet: bool
    json: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the options")


def _number(kind: type, low: float, what: str, high: float = sys.float_info.max) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
        return float(value) if kind is float else value

    return parse


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"must be letters, digits, '.', '_' and '-', at most 100, not {text!r}")
    return text


def parser() -> argparse.ArgumentParser:
    """The parser; its errors are ``UserError``."""
    count = _number(int, 1, "a whole number from 1")
    result = _Parser(
        prog="python -m search.run",
        description="Search the hyperparameters of a classification task: Optuna proposes, Ray Tune trains, ASHA stops "
        "the weak early, MLflow records, and the best are tested once.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("task", metavar="TASK", help="a task's name in conf/, or the path of a YAML file")
    add("--num-samples", type=count, default=40, metavar="N", help="configurations to try (default: 40)")
    add(
        "--gpus-per-trial",
        type=_number(float, 0, "a number of GPUs from 0"),
        metavar="GPUS",
        help="GPUs a trial, also fractions (default: 1, or 0 where the cluster has none)",
    )
    add(
        "--cpus-per-trial",
        type=_number(float, 0.01, "a number of CPUs above 0"),
        default=1.0,
        metavar="CPUS",
        help="CPU cores a trial, and its threads (default: 1)",
    )
    add("--epochs", type=count, metavar="N", help="most epochs a trial (default: the conf's)")
    add("--grace", type=count, metavar="N", help="epochs before a trial can be stopped (default: the conf's)")
    add(
        "--reduction-factor",
        type=_number(int, 2, "a whole number from 2"),
        metavar="N",
        help="one of so many trials goes on at each rung (default: the conf's)",
    )
    add("--model", action="append", default=[], metavar="FAMILY", help="search this family only (repeatable)")
    add("--sampler", choices=("tpe", "random"), default="tpe", help="who proposes (default: tpe)")
    add(
        "--seed",
        type=_number(int, 0, "a whole number from 0 to 2**32 - 1", 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of proposals and trainings (default: 0)",
    )
    add("--name", type=_name, help="the search's name (default: task and time, always new)")
    add(
        "--data-root",
        type=Path,
        default=Path(os.environ.get("DATA_ROOT", "data")),
        metavar="FOLDER",
        help="where the data lies (default: the environment's DATA_ROOT, else data/)",
    )
    add("--runs-dir", type=Path, default=Path("runs"), metavar="FOLDER", help="where results go (default: runs/)")
    add(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        metavar="URI",
        help="MLflow's tracking store (default: the environment's MLFLOW_TRACKING_URI, else an SQLite file in the runs "
        "folder)",
    )
    add("--ray-address", metavar="HOST:PORT", help="a running Ray cluster, or auto (default: start Ray here)")
    add(
        "--top-k",
        type=count,
        default=3,
        metavar="N",
        help="checkpoints to test besides each family's best (default: 3)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the conf or of its space, the value in YAML: epochs=20, cnn.dropout=0.1, "
        "'lr={low: 1e-3, high: 1e-2}' (repeatable)",
    )
    add("--dry-run", action="store_true", help="say what would be done, and start nothing")
    add("--quiet", action="store_true", help="no progress, only the result")
    add("--json", action="store_true", help="print summary.json instead of the table")
    return result


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line.

    Raises:
        UserError: an option that is unknown, incomplete or out of its bounds.
    """
    return Options(**vars(parser().parse_args(arguments)))
