"""``python -m benchmarks.live_view``: what the live view costs the search, with it off and on in turn.

A driver without Ray is given closed-form reports, one epoch each, as fast as it takes them: far faster than trials
report, so that what is seen here is a bound. The view draws on a pseudo-terminal that is read and thrown away.

- ``reports/s``: reports the driver takes a second of wall time, everything written to an event log.
- ``CPU s``: of the whole process, the view's thread and the pseudo-terminal's reader included.
- ``longest step``: the longest that one report took, the view's thread being in its way.
- ``CPU ms/frame``: one frame in the middle of the search, made and rendered, nothing beside it.

On a machine that others use too, the ratio of the CPU seconds says more than that of the wall time.
"""

import argparse
import json
import os
import pty
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from rich.console import Console

from benchmarks.figures import Figure, natural
from search import conf
from search.driver import Driver
from search.events import EventLog
from search.history import History, TrialResult
from search.progress import ProgressView
from search.proposer import Proposer
from search.provenance import git_state, installed_versions
from search.summary import write_aside
from search.task import Task

COLUMNS, LINES = 110, 35
_FRAMES = 50


@dataclass(frozen=True)
class Measurement:
    """One search."""

    reports: int
    seconds: float
    cpu_seconds: float
    reports_a_second: float
    longest_step_ms: float
    cpu_ms_a_frame: float | None
    """Median; None without the view."""


class Scripted:
    """Stands where the proposer does: what is timed is the driver, not the sampler."""

    def __init__(self, configs: Sequence[dict[str, Any]]) -> None:
        self.configs = configs

    def ask(self, number: int) -> tuple[dict[str, Any], str]:
        """The next one of the list."""
        return self.configs[number], "script"

    def parameters(self, number: int) -> dict[str, Any]:
        """None."""
        return {}

    def see(self, trial: TrialResult) -> None:
        """Nothing is learnt."""


@contextmanager
def terminal() -> Iterator[Console]:
    """A console on a pseudo-terminal that a thread reads empty."""
    # rich takes the size from the environment or from the process's own terminal, so it is given, not asked for.
    outer, inner = pty.openpty()

    def drain() -> None:
        try:
            while os.read(outer, 1 << 16):
                pass
        except OSError:  # its other end is closed
            os.close(outer)

    reader = Thread(target=drain)
    reader.start()
    with os.fdopen(inner, "w", encoding="utf-8") as file:
        yield Console(file=file, width=COLUMNS, height=LINES, force_terminal=True, color_system="truecolor")
    reader.join()


def message(trial: int, epoch: int, epochs: int) -> dict[str, Any]:
    """One epoch's report; each trial is better than those before it, so that nearly all go on at every rung."""
    loss = 1 / (epoch + trial)
    figures = {"index": epoch, "train_loss": loss, "train_error": loss / 10, "val_loss": loss, "val_error": loss / 10,
               "val_f1": 1 - loss / 10, "seconds": 0.05, "lr": 0.1}  # fmt: skip
    worker = {"node": "here", "pid": 1, "gpus": 0} if epoch == 1 else None
    ending = "completed" if epoch == epochs else None
    return {
        "trial": trial,
        "epochs": [figures],
        "best": figures,
        "value": loss,
        "worker": worker,
        "parameters": None,
        "ending": ending,
    }


def search(task: Task, configs: Sequence[dict[str, Any]], slots: int, console: Console | None) -> Measurement:
    """One search, all trials of all epochs, with the view on ``console`` or off."""
    history, num_samples = History(), len(configs)
    view = ProgressView(history, task, num_samples, slots, quiet=console is None, console=console)
    steps: list[float] = []
    frames: list[float] = []
    with tempfile.TemporaryDirectory(prefix="live-view-") as folder:
        log = EventLog(Path(folder) / "events.jsonl")
        proposer: Any = Scripted(configs)
        driver = Driver(task, log, history, proposer, num_samples=num_samples, seed=0, on_event=view.update)
        running: dict[int, int] = {}
        clock, halfway = time.perf_counter, num_samples * task.epochs // 2
        spent = cpu = 0.0
        view.begin()
        while True:
            began, cpu_began = clock(), time.process_time()
            while len(running) < slots and (proposal := driver.propose()):
                running[proposal["trial"]] = history.trials[proposal["trial"]].epochs
            if not running:
                break
            for trial, epoch in list(running.items()):
                start = clock()
                report = message(trial, epoch + 1, task.epochs)
                running[trial] += 1
                if driver.report(report) or driver.judge(report):
                    del running[trial]
                    driver.left(trial)
                steps.append(clock() - start)
            spent += clock() - began
            cpu += time.process_time() - cpu_began
            if console and not frames and len(steps) >= halfway:
                frames = [_frame_seconds(view, console) for _ in range(_FRAMES)]
        view.end()
        log.close()
    return Measurement(
        reports=len(steps),
        seconds=spent,
        cpu_seconds=cpu,
        reports_a_second=len(steps) / spent,
        longest_step_ms=1000 * max(steps),
        cpu_ms_a_frame=1000 * median(frames) if frames else None,
    )


def _frame_seconds(view: ProgressView, console: Console) -> float:
    start = time.thread_time()
    console.render_lines(view.frame(), pad=False)
    return time.thread_time() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_view", description="Time a search's live view.")
    add = parser.add_argument
    add("--num-samples", type=natural, default=300, metavar="N", help="trials a search (default: 300)")
    add("--epochs", type=natural, default=150, metavar="N", help="epochs a trial (default: 150)")
    add("--slots", type=natural, default=16, metavar="N", help="trials side by side (default: 16)")
    add("--repeats", type=natural, default=7, metavar="N", help="searches each with and without (default: 7)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "live_view.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/live_view.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    task = conf.load("digits", {"epochs": options.epochs}, [])
    with closing(Proposer(task.space, "random", 0)) as proposer:
        configs = [proposer.ask(number)[0] for number in range(options.num_samples)]

    load = os.getloadavg()[0]
    off, on = [], []
    for _ in range(options.repeats):
        off.append(search(task, configs, options.slots, None))
        with terminal() as console:
            on.append(search(task, configs, options.slots, console))
    ratios = {
        name: Figure.of(getattr(a, name) / getattr(b, name) for a, b in zip(on, off, strict=True))
        for name in ("reports_a_second", "cpu_seconds")
    }
    print(f"{options.repeats} repeats, {off[0].reports} reports each: median (least to most)\n")
    print("| view | reports/s | × off | CPU s | × off | longest step ms | CPU ms/frame |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, runs in (("off", off), ("on", on)):
        speed, cpu, longest = (
            Figure.of(getattr(run, field) for run in runs)
            for field in ("reports_a_second", "cpu_seconds", "longest_step_ms")
        )
        frames = [run.cpu_ms_a_frame for run in runs if run.cpu_ms_a_frame is not None]
        cells = [
            name,
            speed.text(0),
            ratios["reports_a_second"].text(3) if frames else "1",
            cpu.text(2),
            ratios["cpu_seconds"].text(3) if frames else "1",
            longest.text(1),
            Figure.of(frames).text(1) if frames else "–",
        ]
        print(f"| {' | '.join(cells)} |")

    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    record = {
        "schema_version": 1,
        "command": shlex.join(["python", "-m", "benchmarks.live_view", *given]),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
        "cpus": os.cpu_count(),
        "load_average_before": load,
        "num_samples": options.num_samples,
        "epochs": options.epochs,
        "slots": options.slots,
        "terminal": [COLUMNS, LINES],
        "off": [asdict(run) for run in off],
        "on": [asdict(run) for run in on],
        "on_to_off": {name: figure._asdict() for name, figure in ratios.items()},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    write_aside(options.json, (json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
