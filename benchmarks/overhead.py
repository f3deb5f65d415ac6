"""``python -m benchmarks.overhead``: what a trial costs the driver, by sampler and number of workers.

Our driver, Ray Tune and the recorder, with MLflow in SQLite, run closed-form trials: each is 10 epochs that compute
nothing and import no torch, reported one by one and each with a checkpoint, far faster than real ones. The space is
that of digits, all trials are equal, so that by the median rule all rungs are judged and none is pruned. Each search
runs in a process of its own, whose figures these are; samplers and workers take turns.

Workers have a logical CPU each: ``--workers 64`` runs anywhere, but on two cores so many processes take a search of the
default size to nearly three minutes, so that the default is 2. ``--trials 1000`` and ``10000`` say how a trial's cost
grows with the search.

- ``driver ms/trial``: processor time of the thread that Tune and the driver run in, over the whole search; then of
  the first and of the last trials apart, a hundred each where there are as many. The first are those that end after as
  many as there are workers, whose starts are mostly not in it; in a short search first and last overlap.
- ``sampler ms/trial``: the share of it in Proposer.ask and see, of the first and of the last.
- ``ahead ms/trial``: processor time of the thread that makes proposals, of the first and of the last.
- ``recorder ms/trial``: processor time of the recorder's thread once its database is made; ``after s``: how long it
  still had to write when the last trial had ended.
- ``process ms/trial``: processor time of the process while trials ran, with the recorder's and Ray's own threads.
- ``results/s``: reports a second of wall time, from the first ending to the last; workers and driver share the machine.
- ``MB``: resident memory before the first trial, and what came to it until the last one's end.
"""

import argparse
import json
import multiprocessing
import os
import shlex
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from benchmarks.figures import Figure, natural
from search import cluster, conf
from search.driver import Driver
from search.events import FILE_NAME, EventLog
from search.history import History, TrialResult
from search.proposer import Proposer, Sampler
from search.provenance import git_state, installed_versions
from search.recorder import Recorder, import_mlflow
from search.removing import Remover
from search.retention import Retention
from search.space import Config
from search.summary import write_aside
from search.tracking import default_uri
from trainables.storage import SharedFolder
from trainables.trial import Plan

EPOCHS = 10
SAMPLERS: tuple[Sampler, ...] = ("random", "tpe", "gp")
_PART = 100
_KEEP = 5
_RECORDING_SECONDS = 3600.0


class Mark(NamedTuple):
    """Where the search stood when a trial had ended. Seconds; of processor time unless said otherwise."""

    wall: float
    driver: float
    """Of the thread that trials end in."""
    sampler: float
    """In the proposer, of the driver's."""
    ahead: float
    """Of the thread that makes proposals."""
    megabytes: float
    """Resident."""


@dataclass(frozen=True)
class Measurement:
    """One search. Processor time in ms a trial, memory in MB."""

    sampler: str
    workers: int
    trials: int
    driver: float
    driver_first: float
    driver_last: float
    sampler_first: float
    sampler_last: float
    ahead_first: float
    ahead_last: float
    recorder: float
    process: float
    results_a_second: float
    recorder_seconds_after: float
    wall_seconds: float
    megabytes_before: float
    megabytes_more: float


class TimedProposer(Proposer):
    """Adds up its processor time, and marks each ending."""

    seconds = ahead = 0.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.marks: list[Mark] = []

    def ask(self, number: int) -> tuple[Config, str]:
        """As it is."""
        began = time.thread_time()
        asked = super().ask(number)
        self.seconds += time.thread_time() - began
        return asked

    def see(self, trial: TrialResult) -> None:
        """As it is."""
        began = time.thread_time()
        super().see(trial)
        self.seconds += time.thread_time() - began
        if trial.ended is not None:
            self.mark()

    def _propose(self, trials: Sequence[FrozenTrial]) -> Any:
        began = time.thread_time()
        proposal = super()._propose(trials)
        self.ahead += time.thread_time() - began
        return proposal

    def mark(self) -> None:
        """Notes where the search stands."""
        self.marks.append(Mark(time.perf_counter(), time.thread_time(), self.seconds, self.ahead, _megabytes()))


class TimedRecorder(Recorder):
    """Knows how long its thread has computed from its connection to its end, and when that was."""

    connected = ended = done = 0.0

    def start(self) -> None:
        """Returns when the database is made."""
        super().start()
        while self.parent is None and self._thread.is_alive() and not self.problem:
            time.sleep(0.01)
        assert self._thread.ident is not None
        self.connected = time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def _follow(self) -> None:
        super()._follow()
        self.ended, self.done = time.thread_time(), time.perf_counter()


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def search(sampler: Sampler, workers: int, trials: int) -> Measurement:
    """One search, in a process that has run none before."""
    os.environ |= {"RAY_ADDRESS": "local", "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": workers, "GPU": 0})}
    cluster.connect(None)
    import_mlflow()
    from benchmarks.closed_form import make_closed_form, no_data
    from search.tuning import run_trials

    task = conf.load("digits", {"epochs": EPOCHS, "scheduler": "median"}, [])
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        log, history = EventLog(folder / FILE_NAME), History()
        uri = default_uri(folder)
        history.apply(log.append("search", **_facts(task.name, task.resolved, uri)))
        proposer = TimedProposer(task.space, sampler, 0)
        storage = SharedFolder(folder)
        remover = Remover(storage)
        retention = Retention(history, task.metric, top_k=1, keep=_KEEP, remove=remover.remove)
        driver = Driver(task, log, history, proposer, num_samples=trials, seed=0, retention=retention)
        plan = Plan(epochs=EPOCHS, patience=EPOCHS, metric=task.metric, milestones=task.milestones,
                    seconds_between_reports=0.0)  # fmt: skip
        recorder = TimedRecorder(folder, uri)
        recorder.start()
        process = time.process_time()
        proposer.mark()
        with closing(proposer):
            run_trials(driver, no_data(), plan, storage, workers, make_closed_form)
        proposer.mark()
        process = time.process_time() - process
        remover.finish(history, _RECORDING_SECONDS)
        log.append("end", wall_seconds=0.0, interrupted=False)
        log.close()
        if not recorder.finish(_RECORDING_SECONDS):
            raise SystemExit(f"error: not everything was recorded: {recorder.problem}")
    cluster.disconnect()
    counts = {(trial.state, trial.epochs) for trial in history.trials.values()}
    assert counts == {("completed", EPOCHS)}, counts
    assert len(history.trials) == trials

    begin, *endings, end = proposer.marks
    assert len(endings) == trials
    settled = min(workers, trials // 2)
    part = min(_PART, trials - settled)
    first = _between(endings[settled - 1], endings[settled - 1 + part], part)
    last = _between(endings[-1 - part], endings[-1], part) if part < trials else first
    return Measurement(
        sampler=sampler,
        workers=workers,
        trials=trials,
        driver=1000 * (end.driver - begin.driver) / trials,
        driver_first=first[0],
        driver_last=last[0],
        sampler_first=first[1],
        sampler_last=last[1],
        ahead_first=first[2],
        ahead_last=last[2],
        recorder=1000 * (recorder.ended - recorder.connected) / trials,
        process=1000 * process / trials,
        results_a_second=EPOCHS * (trials - 1) / (endings[-1].wall - endings[0].wall),
        recorder_seconds_after=max(0.0, recorder.done - end.wall),
        wall_seconds=end.wall - begin.wall,
        megabytes_before=begin.megabytes,
        megabytes_more=end.megabytes - begin.megabytes,
    )


def _between(one: Mark, other: Mark, trials: int) -> tuple[float, float, float]:
    """Processor ms a trial of the driver, of the sampler's share in it, and of the thread that makes proposals."""
    driver, sampler, ahead = other.driver - one.driver, other.sampler - one.sampler, other.ahead - one.ahead
    return 1000 * driver / trials, 1000 * sampler / trials, 1000 * ahead / trials


def _facts(task: str, resolved: dict[str, Any], uri: str) -> dict[str, Any]:
    """What the log says of the search itself."""
    return {"schema_version": 1, "id": uuid.uuid4().hex, "name": "overhead", "task": task, "seed": 0,
            "command": "python -m benchmarks.overhead", "options": {}, "conf": resolved, "tracking_uri": uri,
            "experiment": task, "dataset_digest": "none", "git_commit": None, "git_dirty": None,
            "versions": {}}  # fmt: skip


_COLUMNS = (
    ("driver", "driver ms/trial", 1),
    ("driver_first", "first", 1),
    ("driver_last", "last", 1),
    ("sampler_first", "sampler ms/trial, first", 2),
    ("sampler_last", "last", 2),
    ("ahead_first", "ahead ms/trial, first", 1),
    ("ahead_last", "last", 1),
    ("recorder", "recorder ms/trial", 1),
    ("recorder_seconds_after", "after s", 1),
    ("process", "process ms/trial", 1),
    ("results_a_second", "results/s", 0),
    ("megabytes_before", "MB", 0),
    ("megabytes_more", "more", 0),
)
"""Figure, heading, digits."""


def markdown(runs: Sequence[Measurement]) -> str:
    """The table, a row for each number of workers and sampler."""
    lines = [f"| workers | sampler | {' | '.join(heading for _, heading, _ in _COLUMNS)} |"]
    lines.append(f"|---:|---|{'---:|' * len(_COLUMNS)}")
    for workers, sampler in dict.fromkeys((run.workers, run.sampler) for run in runs):
        rows = [run for run in runs if (run.workers, run.sampler) == (workers, sampler)]
        cells = [Figure.of(getattr(row, name) for row in rows).text(digits) for name, _, digits in _COLUMNS]
        lines.append(f"| {workers} | {sampler} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file after each search."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description="Time what a trial costs.")
    add = parser.add_argument
    add("--trials", type=natural, default=200, metavar="N", help="trials a search, 2 at least (default: 200)")
    add("--workers", type=natural, nargs="+", default=[2], metavar="N", help="trials side by side (default: 2)")
    add("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS), help="which ones (default: all)")
    add("--repeats", type=natural, default=1, metavar="N", help="searches of each (default: 1)")
    add("--json", type=Path, default=Path(__file__).parent / "out" / "overhead.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/overhead.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    record: dict[str, Any] = {
        "schema_version": 1,
        "command": shlex.join(["python", "-m", "benchmarks.overhead", *given]),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
        "cpus": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
        "epochs": EPOCHS,
    }
    runs: list[Measurement] = []
    for _ in range(options.repeats):
        for workers in options.workers:
            for sampler in options.samplers:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                    run = alone.submit(search, sampler, workers, options.trials).result()
                runs.append(run)
                print(f"{workers} workers, {sampler}: {run.wall_seconds:.1f} s", file=sys.stderr, flush=True)
                text = json.dumps({**record, "runs": [asdict(each) for each in runs]}, indent=2)
                write_aside(options.json, (text + "\n").encode())
    print(f"{options.trials} trials of {EPOCHS} epochs a search\n\n{markdown(runs)}")


if __name__ == "__main__":
    main()
