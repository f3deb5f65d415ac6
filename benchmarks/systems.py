"""The systems whose searches are timed: how each is run, and how to learn of its epochs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import epoch_log
from benchmarks.epoch_log import EpochSpan
from benchmarks.setting import WORKERS, Setting
from search import events
from search.history import History, TrialResult

ROOT = Path(__file__).parent.parent
RECORDER_FILE = "recorder-seconds.txt"
_ROUNDING = 1e-3
"""Seconds; less than any epoch takes, more than sums of them can be off."""


def rungs_command(setting: Setting) -> list[str]:
    """Our command as a user gives it, which also notes the time of its recorder's thread."""
    options = {"--num-samples": len(setting.given), "--epochs": setting.epochs, "--seed": setting.seed,
               "--sampler": "random", "--scheduler": setting.scheduler, "--confirm": 0,
               "--runs-dir": setting.folder}  # fmt: skip
    texts = [text for name, value in options.items() for text in (name, str(value))]
    changes = [text for assignment in setting.assignments for text in ("--set", assignment)]
    file = str(setting.folder / RECORDER_FILE)
    return ["benchmarks.rungs_search", file, "digits", *texts, *changes, "--json", "--quiet"]


def rungs_spans(setting: Setting, output: str) -> list[EpochSpan]:
    """When our epochs were trained, from the event log, once it is sure that the list was followed.

    The log has each epoch's seconds and the time at which the driver got the report of some epochs in a row. They are
    laid end to end before that time, so every epoch seems later than it was by what saving a checkpoint and the way to
    the driver took: 35 ms for the first and 6 ms for the last, when it was compared with the workers' own clocks.
    """
    name = json.loads(output)["name"]
    trials = History(events.read(setting.folder / name / events.FILE_NAME)).searched()
    for place, (trial, given) in enumerate(zip(trials, setting.given, strict=True)):
        if (trial.config, trial.seed) != (given.config, given.seed):
            raise SystemExit(f"error: our trial {place} was not trained as the list has it: {trial.config}")
    return [span for place, trial in enumerate(trials) for span in _spans_of(trial, str(place))]


def _spans_of(trial: TrialResult, name: str) -> Iterator[EpochSpan]:
    """Each epoch of a trial, by the spans of its reports."""
    seconds = iter(float(epoch["seconds"]) for epoch in trial.curve)
    for start, end in trial.spans:
        while end - start > _ROUNDING:
            span = EpochSpan(name, start, next(seconds))
            yield span
            start += span.seconds


def logged_spans(setting: Setting, output: str) -> list[EpochSpan]:  # noqa: ARG001 - all systems' are called alike
    """When a peer's epochs were trained."""
    return epoch_log.read(setting.folder)


@dataclass(frozen=True)
class System:
    """One system."""

    command: Callable[[Setting], Sequence[str]]
    """A module and its arguments."""
    spans: Callable[[Setting, str], list[EpochSpan]] = logged_spans
    """Its epochs, from its folder and what it wrote to stdout."""
    in_root: bool = False
    """Whether it runs in the repository's root, else in the measurement's folder."""
    python_path: bool = False
    """Whether it gets what the user's PYTHONPATH has; it would change the others' imports."""
    optional: str | None = None
    """A module that must be importable, of what is not among the requirements."""

    def missing(self) -> str | None:
        """Why it can't be measured here, in one line; None where it can."""
        if self.optional is None:
            return None
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"import {self.optional}"],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        if not done.returncode:
            return None
        return f"{done.stderr.strip().splitlines()[-1]} (how to install it: {self.optional.replace('.', '/')}.py)"

    def environment(self) -> dict[str, str]:
        """No GPU, a Ray of one's own with a CPU a worker, MLflow where the system puts it by itself."""
        kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        more = [kept["PYTHONPATH"]] if self.python_path and kept.get("PYTHONPATH") else []
        return kept | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *more]),
            "CUDA_VISIBLE_DEVICES": "",
            "RAY_ADDRESS": "local",
            "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": WORKERS, "GPU": 0}),
            "RAY_USAGE_STATS_ENABLED": "0",
        }


def _peer(module: str, *options: str, **fields: bool | str) -> System:
    """One that is told its setting by the folder."""
    command = [f"benchmarks.{module}", *options]
    return System(lambda setting: [*command, str(setting.folder)], **fields)  # type: ignore[arg-type]


_SYNE_TUNE = {"python_path": True, "optional": "benchmarks.syne_tune_local"}
BARE_RAY = _peer("bare_ray")
SYSTEMS = {
    "rungs": System(rungs_command, rungs_spans, in_root=True),
    "ray_mlflow": _peer("ray_docs", "--mlflow"),
    "ray": _peer("ray_docs"),
    "optuna": _peer("optuna_processes"),
    "syne_tune": _peer("syne_tune_local", **_SYNE_TUNE),
    "syne_tune_quick": _peer("syne_tune_local", "--sleep", "0.1", **_SYNE_TUNE),
}
