"""``python -m benchmarks.faults``: small searches whose workers, nodes and drivers are killed at random moments.

Each search is the real command on digits, half of them on a Ray of their own, half on a cluster of three nodes of this
machine. A worker, a node (its raylet) or the driver is ended by SIGKILL, each at a stage and after a delay drawn from
the seed: before the first trial, between reports, while a checkpoint is being written, while the test split is
evaluated, after the last line of the log. A dead node is replaced seconds later, a search without a driver goes on by
``--resume`` until it is whole. Then it is checked from outside, see ``fault_checks``: every trial and epoch once, in
the log, in the results and in MLflow; the best no worse; the winner tested once; nothing left running.

- ``moment``: what the log had by the fault; ``at s``: seconds since its command began.
- ``epochs again``: epochs that those whom it hit had reported, and trained once more.
- ``s lost``: from the fault to the next report of whom it hit, of a test or of the end.

The exit code is 1 where anything was wrong.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.fault_processes import Cluster, shared_memory
from benchmarks.fault_search import STAGES, Fault, Kind, Outcome, Result, Search
from benchmarks.figures import markdown, natural
from search.provenance import git_state, installed_versions
from search.summary import write_aside

TRIALS = 8
EPOCHS = 40
OPTIONS = ["--model", "mlp", "--num-samples", str(TRIALS), "--epochs", str(EPOCHS), "--grace", "5", "--confirm", "0"]
_ORDER = ("start", "search", "saving", "testing", "ended")
_WEIGHTS: dict[Kind, int] = {"worker": 4, "node": 3, "driver": 4}
_DELAYS = {"start": 15.0, "search": 0.8, "saving": 0.0, "testing": 1.5, "ended": 0.3}


def draw(chance: random.Random, cluster: bool) -> list[Fault]:
    """Three to six faults of one search, in the order of their stages."""
    kinds = [kind for kind in _WEIGHTS if cluster or kind != "node"]
    drawn = chance.choices(kinds, [_WEIGHTS[kind] for kind in kinds], k=chance.randint(3, 6))
    faults = []
    for kind in drawn:
        stage = chance.choice(STAGES[kind])
        faults.append(Fault(kind, stage, chance.uniform(0, _DELAYS[stage]), chance.randint(1, 9)))
    return sorted(faults, key=lambda fault: _ORDER.index(fault.stage))


def search(name: str, runs: Path, seed: int, faults: Sequence[Fault], cluster: Cluster | None = None) -> Result:
    """One search under faults, in a runs folder."""
    chance = random.Random(f"{seed} {name}")
    register = "auto" if chance.random() < 0.3 else "never"
    options = [*OPTIONS, "--seed", str(seed), "--register", register]
    return Search(name, runs, options, faults, chance, cluster).run(TRIALS)


def table(faults: Sequence[Outcome]) -> str:
    """A row a fault."""
    heading = ["search", "killed", "stage", "moment", "outcome", "at s", "epochs again", "s lost"]
    rows = [
        [fault.search, fault.kind, fault.stage, fault.moment, fault.outcome, f"{fault.seconds:.1f}",
         str(fault.epochs_again), "–" if fault.seconds_lost is None else f"{fault.seconds_lost:.1f}"]
        for fault in faults
    ]  # fmt: skip
    return markdown(heading, rows, names=5)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Kill what a search stands on.")
    add = parser.add_argument
    add("--count", type=natural, default=50, metavar="N", help="faults (default: 50)")
    add("--seed", type=int, default=0, metavar="N", help="seed of searches and faults (default: 0)")
    add("--runs-dir", type=Path, metavar="FOLDER", help="where the searches are kept (default: nowhere)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "faults.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/faults.json)")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kills, checks, prints the table, writes the JSON file after each search."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # as in ``benchmarks.throughput``
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        return _run(options, options.runs_dir or Path(folder))


def _run(options: argparse.Namespace, runs: Path) -> int:
    runs.mkdir(parents=True, exist_ok=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    began, before, chance = time.monotonic(), shared_memory(), random.Random(options.seed)
    results: list[Result] = []
    wrong: list[str] = []
    cluster = Cluster(f"cluster-{os.getpid()}")
    try:
        for place in range(2):  # without faults: what the others are held against
            results.append(search(f"calm{place}", runs, options.seed, [], cluster if place else None))
            _say(results[-1])
        while sum(len(result.faults) for result in results) < options.count:
            number = len(results) - 2
            here = cluster if number % 2 else None
            faults = draw(chance, here is not None)[: options.count - sum(len(result.faults) for result in results)]
            results.append(search(f"s{number:02d}", runs, options.seed + number, faults, here))
            _say(results[-1])
            _write(options, results, wrong, time.monotonic() - began)
    finally:
        cluster.end()
    if more := shared_memory() - before:
        wrong.append(f"left in shared memory: {sorted(more)}")
    _write(options, results, wrong, time.monotonic() - began)
    print(f"{table([fault for result in results for fault in result.faults])}\n\n{_in_short(results)}")
    wrong = [f"{result.name}: {problem}" for result in results for problem in result.problems] + wrong
    print("\n".join(f"wrong: {line}" for line in wrong) or "nothing was wrong")
    return 1 if wrong else 0


def _say(result: Result) -> None:
    kinds = ", ".join(f"{fault.kind} {fault.stage}" for fault in result.faults) or "no fault"
    where = "on the cluster" if result.cluster else "by itself"
    counts = f"{result.commands} commands, {result.trials} trials, {result.epochs} epochs, {result.epochs_again} again"
    gone = f"all gone after {result.seconds_to_be_gone:.1f} s"
    lines = [f"{result.name} {where}: {kinds}; {result.seconds:.1f} s, {counts}, {gone}"]
    lines += [f"  wrong: {problem}" for problem in result.problems]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _in_short(results: Sequence[Result]) -> str:
    faults = [fault for result in results for fault in result.faults]
    lines = []
    for kind in _WEIGHTS:
        lost = [fault.seconds_lost for fault in faults if fault.kind == kind and fault.seconds_lost is not None]
        if lost:
            lines.append(f"{kind}: {sum(fault.kind == kind for fault in faults)} faults, {median(lost):.1f} s lost "
                         f"({min(lost):.1f} to {max(lost):.1f})")  # fmt: skip
    gone = [result.seconds_to_be_gone for result in results]
    return "\n".join([*lines, f"{len(results)} searches; nothing of them was left after {max(gone):.1f} s at most"])


def _write(options: argparse.Namespace, results: Sequence[Result], wrong: Sequence[str], seconds: float) -> None:
    commit, dirty = git_state()
    record = {"seed": options.seed, "git_commit": commit, "git_dirty": dirty, "versions": installed_versions(),
              "seconds": round(seconds, 1), "wrong": list(wrong),
              "searches": [asdict(result) for result in results]}  # fmt: skip
    write_aside(options.json, (json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
