"""One search under faults: its commands one after the other until it is whole, each fault at its moment."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.fault_checks import Event, first_reports, problems, trained_again
from benchmarks.fault_log import Log
from benchmarks.fault_processes import Cluster, environment, kill, marked, wait_until_gone
from benchmarks.systems import ROOT
from search import events

Kind = Literal["worker", "node", "driver"]
Stage = Literal["start", "search", "saving", "testing", "ended"]
STAGES: dict[Kind, tuple[Stage, ...]] = {
    "worker": ("search", "saving", "testing"),
    "node": ("search", "testing"),
    "driver": ("start", "search", "testing", "ended"),
}
"""Start: before the first trial; saving: while a checkpoint is being written; ended: once the log has its end."""
_LOOK = 0.005
_GONE_SECONDS = 100.0
_BETWEEN_LOOKS_AFTER = 0.5
_COMMAND_SECONDS = 240.0


@dataclass(frozen=True)
class Fault:
    """What is to be killed, and when."""

    kind: Kind
    stage: Stage
    after: float
    """Seconds after what the stage waits for."""
    reports: int
    """Of ``search``: how many reports are waited for, of this command."""


@dataclass
class Outcome:
    """What came of a fault."""

    search: str
    kind: Kind
    stage: Stage
    """The one it was meant for."""
    moment: str
    """What the log had by then."""
    seconds: float
    """Since the command began."""
    outcome: str = ""
    epochs_again: int = 0
    """Epochs that were trained once more."""
    seconds_lost: float | None = None
    """Until the next report, test or end of whom it hit; None where there was nothing to come."""


@dataclass
class Result:
    """What came of a search."""

    name: str
    cluster: bool
    faults: list[Outcome]
    problems: list[str]
    seconds: float
    trials: int = 0
    epochs: int = 0
    epochs_again: int = 0
    seconds_to_be_gone: float = 0.0
    """From the last command's end, or the driver's death, until none of its processes was left: the longest time."""
    commands: int = 0


class Search:
    """Runs it."""

    def __init__(self, name: str, runs: Path, options: Sequence[str], faults: Sequence[Fault], chance: random.Random,
                 cluster: Cluster | None = None) -> None:  # fmt: skip
        self.name, self.runs, self.options, self.faults = name, runs, list(options), list(faults)
        self.chance, self.cluster = chance, cluster
        self.folder = runs / name
        self.log = Log(self.folder / events.FILE_NAME)
        self.cuts: list[bytes] = []
        self.hit: list[tuple[Outcome, float, int, set[int]]] = []
        """Each fault with its time, the events by then and the trials it hit."""
        self.result = Result(name, cluster is not None, [], [], 0.0)
        self._new_nodes: list[float] = []

    def run(self, num_samples: int) -> Result:
        """All of it; what is wrong is in the result."""
        began, result = time.monotonic(), self.result
        code = None
        while code is None:
            code = self._command()
        self._gone()
        self.log.read()
        result.seconds = round(time.monotonic() - began, 1)
        if code:
            result.problems.append(f"exit code {code}: {self._said()}")
        if not self.log.events:
            result.problems.append("there is no log")
            return result
        result.faults = [self._outcome(place) for place in range(len(self.hit))]
        result.trials = sum(event["event"] == "proposal" for event in self.log.events)
        result.epochs = sum(len(curve) for curve in first_reports(self.log.events).values())
        result.epochs_again = trained_again(self.log.events)
        try:
            result.problems += problems(self.folder, num_samples, self.cuts)
        except (KeyError, OSError, ValueError) as error:
            result.problems.append(f"cannot be checked: {type(error).__name__}: {error}")
        return result

    def _command(self) -> int | None:
        """One command; its exit code, or None where the driver was killed."""
        self.result.commands += 1
        command = [sys.executable, "-m", "search.run", "digits", "--runs-dir", str(self.runs)]
        if self.log.events:
            command += ["--resume", self.name]
        else:
            shutil.rmtree(self.folder, ignore_errors=True)  # as one is told to, where nothing had begun
            command += ["--name", self.name, *self.options]
        if self.cluster:
            command += ["--ray-address", self.cluster.address]
        with (self.runs / f"{self.name}.txt").open("ab") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=environment(self.name), stdin=subprocess.DEVNULL,
                                       stdout=said, stderr=said, start_new_session=True)  # fmt: skip
        try:
            return self._watch(process)
        finally:
            kill(process.pid)
            process.wait()

    def _watch(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Looks after a command, see ``_command``."""
        began, known = time.monotonic(), len(self.log.events)
        while process.poll() is None and time.monotonic() - began < _COMMAND_SECONDS:
            self._look_after_nodes()
            self.log.read()
            if self.faults and self._due(self.faults[0], self.log.events[known:], began):
                fault = self.faults[0]
                if self._strike(fault, process.pid, began):
                    self.faults.pop(0)
                    known = len(self.log.events)
                    if fault.kind == "driver":
                        process.wait()
                        return None
            time.sleep(_LOOK)
        if process.poll() is None:
            kill(process.pid)
            process.wait()
            self.result.problems.append(f"a command did not end within {_COMMAND_SECONDS:.0f} s")
        return process.returncode

    def _due(self, fault: Fault, new: Sequence[Event], began: float) -> bool:
        """Whether the moment of a fault has come."""
        now, kinds = time.time(), [event["event"] for event in new]
        match fault.stage:
            case "start":
                return "proposal" in kinds or time.monotonic() - began >= fault.after
            case "search":
                times = [event["time"] for event in new if event["event"] == "report"]
                return len(times) >= fault.reports and now >= times[fault.reports - 1] + fault.after
            case "saving":
                return kinds.count("report") >= fault.reports
            case "testing" | "ended":
                wanted = "opening" if fault.stage == "testing" else "end"
                times = [event["time"] for event in new if event["event"] == wanted]
                return bool(times) and now >= times[-1] + fault.after

    def _strike(self, fault: Fault, driver: int, began: float) -> bool:
        """Kills; whether there was anything to kill."""
        victims: dict[int, set[int]] = {}
        if fault.kind == "driver":
            victims = {driver: set(self.log.on_workers())}
        elif fault.kind == "node":
            victims = self._node()
        elif fault.stage == "testing":
            victims = {process: set() for process, command in self._processes().items() if "ray::evaluate" in command}
        else:
            running = self.log.on_workers()
            wanted = self._saving(running) if fault.stage == "saving" else set(running)
            victims = {running[trial]: {trial} for trial in wanted}
        if not victims:
            return False
        process = self.chance.choice(sorted(victims))
        if not kill(process):
            return False
        when = time.time()
        if fault.kind == "driver":
            time.sleep(0.05)  # what it had handed to the system by then
        self.log.read()
        self.cuts.append(self.log.path.read_bytes()[: self.log.offset] if self.log.path.is_file() else b"")
        outcome = Outcome(self.name, fault.kind, fault.stage, self.log.moment(), round(time.monotonic() - began, 2))
        self.hit.append((outcome, when, len(self.log.events), victims[process]))
        if fault.kind == "node":
            self._new_nodes.append(time.monotonic() + self.chance.uniform(1.0, 4.0))
        return True

    def _processes(self) -> dict[int, str]:
        marks = [self.name, *(self.cluster.names if self.cluster else ())]
        return {process: command for mark in marks for process, command in marked(mark).items()}

    def _saving(self, running: dict[int, int]) -> set[int]:
        """Trials whose checkpoint is half-way."""
        return {trial for trial in running if any((self.folder / f"trials/{trial:05d}").glob("*.partial"))}

    def _node(self) -> dict[int, set[int]]:
        """The raylets of nodes that do something, with the trials on them."""
        assert self.cluster is not None
        found = {}
        running = self.log.on_workers()
        for name in self.cluster.nodes:
            raylet = self.cluster.raylet(name)
            there = {trial for trial, process in running.items() if process in marked(name)}
            busy = there or any("ray::evaluate" in command for command in marked(name).values())
            if raylet is not None and busy:
                found[raylet] = there
        return found

    def _look_after_nodes(self) -> None:
        if self.cluster and self._new_nodes and time.monotonic() >= self._new_nodes[0]:
            self._new_nodes.pop(0)
            self.cluster.replace_dead()

    def _gone(self) -> None:
        """Waits until nothing of the search is left."""
        while self._new_nodes and self.cluster:
            self._look_after_nodes()
            time.sleep(_LOOK)
        seconds, left = wait_until_gone(self.name, _GONE_SECONDS)
        while self.cluster and self.cluster.busy() and seconds < _GONE_SECONDS:
            time.sleep(_BETWEEN_LOOKS_AFTER)
            seconds += _BETWEEN_LOOKS_AFTER
        left |= self.cluster.busy() if self.cluster else {}
        self.result.seconds_to_be_gone = round(seconds, 1)
        if left:
            self.result.problems.append(f"left running: {sorted(left.values())}")

    def _said(self) -> str:
        lines = (self.runs / f"{self.name}.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-3:])

    def _outcome(self, place: int) -> Outcome:
        """What the log says of the time after a fault, until the next one."""
        outcome, when, known, hit = self.hit[place]
        before = first_reports(self.log.events[:known])
        after = self.log.events[known:]
        everyone = outcome.kind == "driver" or not hit
        came = [event for event in after if event["event"] in ("test", "end")
                or (event["event"] == "report" and (everyone or event["trial"] in hit))]  # fmt: skip
        outcome.seconds_lost = round(came[0]["time"] - when, 2) if came else None
        firsts: dict[int, int] = {}
        for event in after:
            if event["event"] == "report":
                firsts.setdefault(event["trial"], event["epochs"][0]["index"])
        again = {trial: max(before[trial]) - firsts[trial] + 1 for trial in hit if trial in before and trial in firsts}
        outcome.epochs_again = sum(max(0, epochs) for epochs in again.values())
        words = [f"trial {trial} from epoch {firsts[trial]}" for trial in sorted(hit) if trial in firsts]
        outcome.outcome = "; ".join(words) or (came[0]["event"] if came else "nothing to come")
        return outcome
