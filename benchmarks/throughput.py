"""``python -m benchmarks.throughput``: how long the same search takes, ours beside what a user would pick instead.

Each system runs as a whole command in a process of its own, one after the other, on two workers of one thread each,
over the digits task's space with our training loop; repeats go round all systems and each has a seed of its own. The
systems don't try the same configurations, and none is judged by what it finds here: compare the time an epoch as well
as the wall.

- ``rungs``: ``python -m search.run digits``, with MLflow, checkpoints and the test evaluation.
- ``ray_docs``: Ray Tune as its documentation writes it (``benchmarks/ray_docs.py``).
- ``optuna``: Optuna in two processes, without checkpoints or MLflow (``benchmarks/optuna_processes.py``).

The figures are wall time: on a machine that others use too, look at the load average in the JSON file first. Where
others take the cores, an epoch takes longer than it costs (``train ms/epoch``), for one system more than for another.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import epoch_log
from benchmarks.epoch_log import EpochSpan
from benchmarks.setting import WORKERS, Setting
from search import events
from search.provenance import git_state, installed_versions
from search.summary import write_aside

ROOT = Path(__file__).parent.parent
_LINES_OF_A_FAILURE = 40
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Measurement:
    """One run of one system."""

    wall_seconds: float
    """Of the whole command, from its start to its exit."""
    trials: int
    """Trials that trained at least one epoch."""
    epochs: int
    wall_ms_an_epoch: float
    train_ms_an_epoch: float
    """Mean time in the training loop: what the epochs of the configurations that were tried cost by themselves."""
    busy: float
    """Share of the workers' time spent in epochs, from the first epoch's start to the last one's end."""
    first_epoch_seconds: float
    """From the command's start to the first epoch's."""


def measurement(began: float, wall: float, spans: Sequence[EpochSpan]) -> Measurement:
    """The figures of a run that began at ``began`` (seconds since 1970) and took ``wall`` seconds."""
    first = min(span.start for span in spans)
    last = max(span.start + span.seconds for span in spans)
    training = sum(span.seconds for span in spans)
    return Measurement(
        wall_seconds=wall,
        trials=len({span.trial for span in spans}),
        epochs=len(spans),
        wall_ms_an_epoch=1000 * wall / len(spans),
        train_ms_an_epoch=1000 * training / len(spans),
        busy=training / (WORKERS * (last - first)),
        first_epoch_seconds=first - began,
    )


def rungs_command(setting: Setting) -> list[str]:
    """Our command as a user gives it."""
    numbers = {"--num-samples": setting.num_samples, "--epochs": setting.epochs, "--seed": setting.seed}
    options = [text for name, value in numbers.items() for text in (name, str(value))]
    return ["search.run", "digits", *options, "--runs-dir", str(setting.folder), "--json", "--quiet"]


def rungs_spans(setting: Setting, output: str) -> list[EpochSpan]:
    """When our epochs were trained, from the event log.

    It has each epoch's seconds and the time at which the driver got the report of some epochs in a row. They are laid
    end to end before that time, so every epoch seems later than it was by what saving a checkpoint and the way to the
    driver took: 35 ms for the first and 6 ms for the last, when it was compared with the workers' own clocks.
    """
    name = json.loads(output)["name"]
    spans = []
    for event in events.read(setting.folder / name / events.FILE_NAME):
        if event["event"] == "report":
            end = event["time"]
            for epoch in reversed(event["epochs"]):
                end -= epoch["seconds"]
                spans.append(EpochSpan(str(event["trial"]), end, epoch["seconds"]))
    return spans


def logged_spans(setting: Setting, output: str) -> list[EpochSpan]:  # noqa: ARG001 - all systems' are called alike
    """When a peer's epochs were trained."""
    return epoch_log.read(setting.folder)


class System(NamedTuple):
    """How to run one, as a module and its arguments, where, and how to learn of its epochs from folder and stdout."""

    command: Callable[[Setting], list[str]]
    spans: Callable[[Setting, str], list[EpochSpan]]
    in_root: bool = False
    """Whether it runs in the repository's root, else in the measurement's folder."""


SYSTEMS = {
    "rungs": System(rungs_command, rungs_spans, in_root=True),
    "ray_docs": System(lambda setting: ["benchmarks.ray_docs", *setting.arguments()], logged_spans),
    "optuna": System(lambda setting: ["benchmarks.optuna_processes", *setting.arguments()], logged_spans),
}


def environment() -> dict[str, str]:
    """The same for all: no GPU, a Ray of one's own with a CPU a worker, MLflow where the system puts it by itself."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
        "RAY_ADDRESS": "local",
        "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": WORKERS, "GPU": 0}),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def measure(name: str, num_samples: int, epochs: int, seed: int) -> Measurement:
    """Runs one system once, in a new folder that is removed afterwards."""
    system = SYSTEMS[name]
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        setting = Setting(num_samples, epochs, seed, Path(folder))
        command = [sys.executable, "-m", *system.command(setting)]
        out, err = setting.folder / "stdout.txt", setting.folder / "stderr.txt"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            began, clock = time.time(), time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=ROOT if system.in_root else folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                code = process.wait()
            except BaseException:
                stop(process)
                raise
            wall = time.perf_counter() - clock
        output = out.read_text(encoding="utf-8", errors="replace")
        spans = [] if code else system.spans(setting, output)
        if not spans:
            lines = (output + err.read_text(encoding="utf-8", errors="replace")).splitlines()
            said = "\n".join(lines[-_LINES_OF_A_FAILURE:])
            raise SystemExit(f"{said}\nerror: {name} ended with exit code {code} and {len(spans)} epochs")
        return measurement(began, wall, spans)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and the processes of its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


class Figure(NamedTuple):
    """Over the repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        """Of one value a repeat."""
        values = list(values)
        return cls(median(values), min(values), max(values))

    def text(self, digits: int, scale: float = 1) -> str:
        """The median, with the range where the values differ."""
        middle, low, high = (f"{scale * value:.{digits}f}" for value in self)
        return middle if low == high else f"{middle} ({low} to {high})"


def figures(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Figure]]:
    """Medians and ranges of each system, and of its ratios to ours of the same repeat."""
    ours = {run["repeat"]: run for run in runs if run["system"] == "rungs"}
    table = {}
    for system in dict.fromkeys(run["system"] for run in runs):
        rows = [run for run in runs if run["system"] == system]
        table[system] = {name: Figure.of(row[name] for row in rows) for name in Measurement.__dataclass_fields__}
        paired = [(row, ours[row["repeat"]]) for row in rows if row["repeat"] in ours]
        for name in ("wall_seconds", "wall_ms_an_epoch") if paired else ():
            table[system][f"{name}_to_rungs"] = Figure.of(row[name] / our[name] for row, our in paired)
    return table


_COLUMNS = (
    ("wall_seconds", "wall s", 1, 1),
    ("wall_seconds_to_rungs", "× rungs", 2, 1),
    ("trials", "trials", 0, 1),
    ("epochs", "epochs", 0, 1),
    ("wall_ms_an_epoch", "wall ms/epoch", 1, 1),
    ("wall_ms_an_epoch_to_rungs", "× rungs", 2, 1),
    ("train_ms_an_epoch", "train ms/epoch", 1, 1),
    ("busy", "busy %", 0, 100),
    ("first_epoch_seconds", "first epoch s", 1, 1),
)
"""Figure, heading, digits, scale."""


def markdown(table: dict[str, dict[str, Figure]]) -> str:
    """The table, a row a system."""
    rows = [["system", *(heading for _, heading, _, _ in _COLUMNS)]]
    for system, row in table.items():
        cells = [row[name].text(digits, scale) if name in row else "–" for name, _, digits, scale in _COLUMNS]
        rows.append([system, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2 if not column else width + 1) + ":" * bool(column)
                          for column, width in enumerate(widths)) + "|"  # fmt: skip
    return "\n".join([lines[0], rule, *lines[1:]])


def natural(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file after each run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Time the same search by Rungs and by what stands beside it.",
    )
    add = parser.add_argument
    add("--num-samples", type=natural, default=40, metavar="N", help="trials a search (default: 40)")
    add("--epochs", type=natural, default=30, metavar="N", help="most epochs a trial (default: 30)")
    add("--repeats", type=natural, default=1, metavar="N", help="runs of each system (default: 1)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the first repeat (default: 0)")
    add("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="which ones (default: all)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "throughput.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/throughput.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    systems = list(dict.fromkeys(options.systems))
    # Else a SIGTERM, as from timeout(1), would leave the running command behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    record: dict[str, Any] = {
        "schema_version": 1,
        "command": shlex.join(["python", "-m", "benchmarks.throughput", *given]),
        "began": time.time(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
        "cpus": os.cpu_count(),
        "workers": WORKERS,
        "num_samples": options.num_samples,
        "epochs": options.epochs,
    }
    runs: list[dict[str, Any]] = []
    for repeat in range(options.repeats):
        for system in systems:
            load, seed = os.getloadavg()[0], options.seed + repeat
            run = measure(system, options.num_samples, options.epochs, seed)
            runs.append({"system": system, "repeat": repeat, "seed": seed, "load_average_before": load, **asdict(run)})
            place = f"{system}, {repeat + 1} of {options.repeats}"
            print(f"{place}: {run.wall_seconds:.1f} s, {run.epochs} epochs (load average before: {load:.1f})",
                  file=sys.stderr, flush=True)  # fmt: skip
            table = figures(runs)
            named = {name: {key: figure._asdict() for key, figure in row.items()} for name, row in table.items()}
            write_aside(
                options.json, (json.dumps({**record, "runs": runs, "systems": named}, indent=2) + "\n").encode()
            )
    print(markdown(table))


if __name__ == "__main__":
    main()
