"""``python -m benchmarks.scaling``: how well many nodes are used.

Clusters of several raylets on this machine, with as many logical CPUs each, run the same search: as many trials a slot,
each of epochs that it sleeps through, without torch. ``--uneven`` says by how much the trials' epochs differ (the
standard deviation of the logarithm of their seconds); ASHA pauses and promotes them. The head has no CPUs for trials.
Each search runs in a process of its own, with the driver's whole part but the recorder.

What a real cluster spreads over its machines, the processes of all nodes and workers, shares this one's cores with the
driver: figures are lower bounds. What crosses a network here crosses memory.

- ``busy``: the share of all slots' time that was slept through, from the first epoch's start to the last proposal's
  (as in a search's summary); ``settled``: the same from when each slot has had its first epoch. What is asleep goes
  on at the same speed everywhere, so that this is also the throughput of a slot.
- ``workers s``: from the beginning until the last slot's first epoch.
- ``results/s``: reports a second while settled; ``driver``: the share of one core that the thread takes which Tune and
  the driver run in.
- ``stays/s``: how often a worker took up a trial, a second, while settled.
- ``MB``: resident memory of all the cluster's processes together, shared pages once (PSS), at the end.
"""

import argparse
import json
import multiprocessing
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.closed_form import MakeAsleep, no_data
from benchmarks.figures import Figure, markdown, natural
from search import cluster, conf
from search.budgets import Budgets
from search.driver import Driver
from search.events import FILE_NAME, EventLog
from search.history import History
from search.proposer import Proposer
from search.provenance import git_state, installed_versions
from search.summary import busy_share, write_aside
from trainables.storage import SharedFolder
from trainables.trial import Plan


@dataclass(frozen=True)
class Setting:
    """What is searched, on how many nodes."""

    nodes: int
    cpus: int
    """Of each node."""
    trials: int
    """A slot."""
    epochs: int
    grace: int
    seconds: float
    uneven: float
    scheduler: str


@dataclass(frozen=True)
class Measurement:
    """One search; see the module's text."""

    setting: Setting
    slots: int
    workers: int
    """Processes that trials ran in."""
    busy: float
    settled: float
    settled_seconds: float
    worker_seconds: float
    results_a_second: float
    stays_a_second: float
    driver: float
    wall_seconds: float
    megabytes: float
    states: dict[str, int]


class MarkedLog(EventLog):
    """Notes the processor time of the thread it is written in at each event that asks for it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.marks: list[tuple[float, float, str]] = []
        """Seconds since the epoch, of processor time, and the event."""

    def append(self, event: str, **fields: Any) -> dict[str, Any]:
        """As it is."""
        if event in ("report", "start", "promotion"):
            self.marks.append((time.time(), time.thread_time(), event))
        return super().append(event, **fields)


def search(setting: Setting) -> Measurement:
    """One search, in a process that has run none before."""
    cluster.prepare_environment()
    os.environ |= {"RAY_TMPDIR": tempfile.mkdtemp(prefix="r-", dir="/tmp"), "RAY_AUTH_MODE": "disabled"}
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(setting.nodes):
            nodes.add_node(num_cpus=setting.cpus)
        cluster.connect(nodes.address)
        return _search(setting)
    finally:
        cluster.disconnect()
        nodes.shutdown()
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


def _search(setting: Setting) -> Measurement:
    from search.tuning import run_trials

    changes = {"epochs": setting.epochs, "grace": setting.grace, "scheduler": setting.scheduler}
    task = conf.load("digits", changes, [])
    slots = cluster.slots(cluster.joined_nodes(), 1, 0)
    trials = setting.trials * slots
    with tempfile.TemporaryDirectory(prefix="scaling-") as name:
        folder = Path(name)
        log, history = MarkedLog(folder / FILE_NAME), History()
        history.apply(log.append("search", slots=slots, milestones=list(task.milestones)))
        proposer = Proposer(task.space, "random", 0)
        driver = Driver(task, log, history, proposer, num_samples=trials, seed=0, budgets=Budgets())
        plan = Plan(epochs=task.epochs, patience=task.epochs, metric=task.metric, milestones=task.milestones,
                    pauses=driver.rungs.pauses)  # fmt: skip
        began = time.time()
        with closing(proposer):
            make = MakeAsleep(setting.seconds, setting.uneven)
            run_trials(driver, no_data(), plan, SharedFolder(folder), slots, make)
        wall = time.time() - began
        driver.end()
        log.close()
    return _measured(setting, slots, history, log.marks, began, wall)


def _measured(
    setting: Setting, slots: int, history: History, marks: Sequence[tuple[float, float, str]], began: float, wall: float
) -> Measurement:
    trials = list(history.trials.values())
    firsts: dict[int, float] = {}
    for trial in sorted(trials, key=lambda trial: trial.spans[0]):
        firsts.setdefault(trial.workers[0]["pid"], trial.spans[0][0])
    settled = sorted(firsts.values())[:slots][-1]
    until = max(trial.started or 0.0 for trial in trials)
    seconds = until - settled
    asleep = sum(max(0.0, min(end, until) - max(start, settled)) for trial in trials for start, end in trial.spans)
    within = [mark for mark in marks if settled <= mark[0] <= until]
    return Measurement(
        setting=setting,
        slots=slots,
        workers=len({worker["pid"] for trial in trials for worker in trial.workers}),
        busy=busy_share(history) or 0.0,
        settled=asleep / (slots * seconds),
        settled_seconds=seconds,
        worker_seconds=settled - began,
        results_a_second=sum(event == "report" for *_, event in within) / seconds,
        stays_a_second=sum(event == "start" for *_, event in within) / seconds,
        driver=(within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0]),
        wall_seconds=wall,
        megabytes=_megabytes(),
        states=history.counts(),
    )


def _megabytes() -> float:
    """Of this process and all its descendants."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    kilobytes = 0
    for pid in ours:
        with suppress(OSError):
            (line,) = re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            kilobytes += int(line)
    return kilobytes / 1e3


_COLUMNS = (
    ("workers", "workers", 0),
    ("worker_seconds", "workers s", 1),
    ("busy", "busy", 3),
    ("settled", "settled", 3),
    ("settled_seconds", "for s", 0),
    ("results_a_second", "results/s", 1),
    ("stays_a_second", "stays/s", 1),
    ("driver", "driver", 2),
    ("wall_seconds", "wall s", 1),
    ("megabytes", "MB", 0),
)
"""Figure, heading, digits."""


def table(runs: Sequence[Measurement]) -> str:
    """A row for each number of nodes and kind of epoch."""
    rows = []
    for setting in dict.fromkeys(run.setting for run in runs):
        same = [run for run in runs if run.setting == setting]
        figures = [Figure.of(getattr(run, name) for run in same).text(digits) for name, _, digits in _COLUMNS]
        rows.append([str(setting.nodes), str(same[0].slots), f"{setting.uneven:g}", *figures])
    return markdown(["nodes", "slots", "uneven", *(heading for _, heading, _ in _COLUMNS)], rows, names=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file after each search."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="Measure many nodes in use.")
    add = parser.add_argument
    add("--nodes", type=natural, nargs="+", default=[1, 2, 4], metavar="N", help="nodes (default: 1 2 4)")
    add("--cpus", type=natural, default=8, metavar="N", help="logical CPUs of each (default: 8)")
    add("--trials", type=natural, default=12, metavar="N", help="trials a slot (default: 12)")
    add("--epochs", type=natural, default=40, metavar="N", help="most epochs of a trial (default: 40)")
    add("--grace", type=natural, default=10, metavar="N", help="epochs before the first rung (default: 10)")
    add("--seconds", type=float, default=0.2, metavar="S", help="an epoch's, in the median (default: 0.2)")
    add("--uneven", type=float, nargs="+", default=[0.0, 0.5], metavar="X", help="see above (default: 0 0.5)")
    add("--scheduler", choices=("asha", "median", "none"), default="asha", help="(default: asha)")
    add("--repeats", type=natural, default=1, metavar="N", help="searches of each (default: 1)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "scaling.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/scaling.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    record: dict[str, Any] = {
        "schema_version": 1,
        "command": shlex.join(["python", "-m", "benchmarks.scaling", *given]),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
        "cpus": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
    }
    runs: list[Measurement] = []
    settings = [
        Setting(nodes, options.cpus, options.trials, options.epochs, options.grace, options.seconds, uneven,
                options.scheduler)
        for uneven in options.uneven
        for nodes in options.nodes
    ]  # fmt: skip
    for _ in range(options.repeats):
        for setting in settings:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                run = alone.submit(search, setting).result()
            runs.append(run)
            print(f"{setting.nodes} nodes, uneven {setting.uneven:g}: {run.states}", file=sys.stderr, flush=True)
            text = json.dumps({**record, "runs": [asdict(each) for each in runs]}, indent=2)
            write_aside(options.json, (text + "\n").encode())
    print(f"{options.trials} trials of at most {options.epochs} epochs a slot\n\n{table(runs)}")


if __name__ == "__main__":
    main()
