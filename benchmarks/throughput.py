"""``python -m benchmarks.throughput``: how long the same search takes, ours beside what a user would pick instead.

Each system runs as a whole command in a process of its own, one after the other, on two workers of one thread each,
with our training loop. All of a repeat train the same list of configurations of the digits task, drawn at random, from
the same seeds; each repeat draws its own. No sampler decides anything here, and none is judged by what it finds.

Two sections: in ``fixed`` each trial trains all its epochs; in ``asha`` each system stops trials by its own ASHA, with
the task's rungs, and trains as many epochs as that leaves: compare the time an epoch there.

- ``rungs``: ``python -m search.run digits --sampler random``, with MLflow, checkpoints and the test evaluation.
- ``ray_mlflow``: Ray Tune as its documentation writes it, with its MLflow callback; ``ray``: the same without that.
- ``optuna``: Optuna in two processes, without checkpoints or MLflow.
- ``syne_tune``: Syne Tune's local backend, without checkpoints or MLflow, which looks at its trials every 5 seconds;
  ``syne_tune_quick``: every 0.1 s. Left out where it is not installed: ``benchmarks/syne_tune_local.py`` says how.
- ``bare_ray``, in a section of its own: a Ray script of one task that trains one epoch. So long Ray takes at least.

The figures are wall time: on a machine that others use too, look at the load average in the JSON file first. Where
others take the cores, an epoch takes longer than it costs (``train ms/epoch``), for one system more than for another.

- ``wall ms/epoch``: of the whole command; ``span ms/epoch``: from the first epoch's start to the last one's end.
- ``× rungs``, ``× optuna``: the figure before, as a multiple of that system's in the same repeat.
- ``busy %``: the workers' time spent in epochs, from the first epoch until the last trial begins its own, which is as
  long as there was always another trial to begin; ``to end %``: until the last epoch's end.
- ``first epoch s``: from the command's start to the first epoch's.
- ``recorder %``: processor time of our recorder's thread, which also makes its database, of the command's wall time.
"""

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, markdown, natural
from benchmarks.measurement import Measurement, measure
from benchmarks.setting import WORKERS, draw
from benchmarks.systems import BARE_RAY, SYSTEMS
from search.provenance import git_state, installed_versions
from search.summary import write_aside

SECTIONS = {"start": {"bare_ray": BARE_RAY}, "fixed": SYSTEMS, "asha": SYSTEMS}
CHOICES = [*SYSTEMS, "bare_ray"]
BASES = ("rungs", "optuna")
"""What the others' figures are set against."""
RATIOS = ("wall_seconds", "wall_ms_an_epoch", "span_ms_an_epoch")
_OF_THE_START = ("wall_seconds", "first_epoch_seconds")
"""The figures that a command of one epoch has."""

Run = dict[str, Any]
"""A measurement with its section, system and repeat."""


def figures(runs: Sequence[Run], section: str, system: str) -> dict[str, Figure]:
    """Medians and ranges of a system in a section, and of its ratios to others of the same repeat."""
    here = {(run["system"], run["repeat"]): run for run in runs if run["section"] == section}
    rows = [run for run in here.values() if run["system"] == system]
    names = _OF_THE_START if section == "start" else Measurement.__dataclass_fields__
    found = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    for base in BASES:
        pairs = [(row, here[base, row["repeat"]]) for row in rows if (base, row["repeat"]) in here]
        found |= {f"{name}_to_{base}": [row[name] / other[name] for row, other in pairs] for name in RATIOS}
    return {name: Figure.of(values) for name, values in found.items() if values}


def summary(runs: Sequence[Run]) -> dict[str, dict[str, dict[str, Figure]]]:
    """The figures by section and system."""
    places = {section: [run["system"] for run in runs if run["section"] == section] for section in SECTIONS}
    return {
        section: {system: figures(runs, section, system) for system in sorted(set(systems), key=CHOICES.index)}
        for section, systems in places.items()
        if systems
    }


_COLUMNS = (
    ("wall_seconds", "wall s", 1, 1),
    ("epochs", "epochs", 0, 1),
    ("wall_ms_an_epoch", "wall ms/epoch", 1, 1),
    ("wall_ms_an_epoch_to_rungs", "× rungs", 2, 1),
    ("wall_ms_an_epoch_to_optuna", "× optuna", 2, 1),
    ("span_ms_an_epoch", "span ms/epoch", 1, 1),
    ("span_ms_an_epoch_to_rungs", "× rungs", 2, 1),
    ("span_ms_an_epoch_to_optuna", "× optuna", 2, 1),
    ("train_ms_an_epoch", "train ms/epoch", 1, 1),
    ("busy", "busy %", 0, 100),
    ("busy_to_end", "to end %", 0, 100),
    ("first_epoch_seconds", "first epoch s", 1, 1),
    ("recorder", "recorder %", 1, 100),
)
"""Figure, heading, digits, scale."""


def table(found: dict[str, dict[str, dict[str, Figure]]]) -> str:
    """A row a section and system."""
    heading = ["section", "system", *(heading for _, heading, _, _ in _COLUMNS)]
    rows = []
    for section, systems in found.items():
        for system, row in systems.items():
            cells = [row[name].text(digits, scale) if name in row else "–" for name, _, digits, scale in _COLUMNS]
            rows.append([section, system, *cells])
    return markdown(heading, rows, names=2)


def available(wanted: Sequence[str]) -> list[str]:
    """Those that can be measured here; of the others it is said why not."""
    found = []
    for name in dict.fromkeys(wanted):
        if name in SYSTEMS and (reason := SYSTEMS[name].missing()):
            print(f"{name} is left out: {reason}", file=sys.stderr, flush=True)
        else:
            found.append(name)
    return found


def turns(repeats: int, sections: Sequence[str], systems: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Repeat, section and system of each run: in turn, another system first each time."""
    for repeat in range(repeats):
        for section in sections:
            here = [name for name in systems if name in SECTIONS[section]]
            for turn in range(len(here)):
                yield repeat, section, here[(repeat + turn) % len(here)]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Time the same search by Rungs and by what stands beside it.",
    )
    add = parser.add_argument
    add("--trials", type=natural, default=40, metavar="N", help="configurations in the list (default: 40)")
    add("--epochs", type=natural, default=30, metavar="N", help="most epochs a trial (default: 30)")
    add("--repeats", type=natural, default=1, metavar="N", help="runs of each system and section (default: 1)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the first repeat (default: 0)")
    add("--systems", nargs="+", choices=CHOICES, default=CHOICES, help="which ones (default: all)")
    add("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="which ones (default: all)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "throughput.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/throughput.json)")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file after each run."""
    options = parse(arguments)
    # Else a SIGTERM, as from timeout(1), would leave the running command behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    systems = available(options.systems)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    more = {"syne-tune": version("syne-tune")} if any(name.startswith("syne_tune") for name in systems) else {}
    record: dict[str, Any] = {
        "schema_version": 2,
        "command": shlex.join(["python", "-m", "benchmarks.throughput", *given]),
        "began": time.time(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions() | more,
        "cpus": os.cpu_count(),
        "workers": WORKERS,
        "trials": options.trials,
        "epochs": options.epochs,
    }
    runs: list[Run] = []
    for repeat, section, system in turns(options.repeats, options.sections, systems):
        load, seed = os.getloadavg()[0], options.seed + repeat
        trials = draw(1 if section == "start" else options.trials, seed)
        run = measure(system, SECTIONS[section][system], trials, options.epochs, seed, section == "asha")
        place = {"section": section, "system": system, "repeat": repeat, "seed": seed, "load_average_before": load}
        runs.append({**place, **asdict(run)})
        print(f"{section} {system}, {repeat + 1} of {options.repeats}: {run.wall_seconds:.1f} s, {run.epochs} epochs "
              f"(load average before: {load:.1f})", file=sys.stderr, flush=True)  # fmt: skip
        found = summary(runs)
        named = {
            place: {name: {key: figure._asdict() for key, figure in row.items()} for name, row in rows.items()}
            for place, rows in found.items()
        }
        write_aside(options.json, (json.dumps({**record, "runs": runs, "sections": named}, indent=2) + "\n").encode())
    if not runs:
        raise SystemExit("error: nothing to measure")
    print(
        f"{options.trials} trials of at most {options.epochs} epochs; {options.repeats} times: median (least to most)"
    )
    print(f"\n{table(summary(runs))}")


if __name__ == "__main__":
    main()
