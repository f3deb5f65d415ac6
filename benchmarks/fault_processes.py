"""The processes of searches under faults: found by a mark in their environment, ended without a warning."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.systems import ROOT

_MARK = "RUNGS_FAULTS"
_SHARED_MEMORY = Path("/dev/shm")
_OF_RAY = ("plasma", "sem.")
_AT_REST = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
_START_SECONDS = 180.0
_BETWEEN_LOOKS = 0.5


def environment(mark: str) -> dict[str, str]:
    """Ours, with the mark that whatever is started with it hands on."""
    return os.environ | {_MARK: mark, "OMP_NUM_THREADS": "1"}


def marked(mark: str) -> dict[int, str]:
    """Command lines of the living processes with a mark, by process id."""
    wanted, found = f"{_MARK}={mark}".encode(), {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def wait_until_gone(mark: str, seconds: float) -> tuple[float, dict[int, str]]:
    """Waits, at most so long, until no process with the mark is left.

    Returns:
        How long that took, and what was left then.
    """
    began = time.monotonic()
    while (left := marked(mark)) and time.monotonic() - began < seconds:
        time.sleep(_BETWEEN_LOOKS)
    return time.monotonic() - began, left


def kill(process: int) -> bool:
    """Ends a process where it stands; whether it was there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def shared_memory() -> set[str]:
    """Names of what Ray may leave in shared memory."""
    return {path.name for path in _SHARED_MEMORY.glob("*") if path.name.startswith(_OF_RAY)}


class Cluster:
    """A head without CPUs and nodes of one CPU each, all on this machine."""

    def __init__(self, mark: str, nodes: int = 2) -> None:
        self.mark = mark
        self.names: list[str] = []
        """Of all nodes that ever were, their marks."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="ray-")
        port = self.address.rpartition(":")[2]
        self._start(mark, "--head", "--port", port, "--num-cpus", "0", "--include-dashboard", "false")
        self._wait(1)
        for number in range(nodes):
            self.add()
            self._wait(2 + number)  # two that start at once may take the same port

    def add(self) -> None:
        """One node more, some seconds later."""
        name = f"{self.mark}-{len(self.names)}"
        self.names.append(name)
        self.nodes[name] = self._start(name, "--address", self.address, "--num-cpus", "1")

    def replace_dead(self) -> None:
        """A new node for each that is dead."""
        for name, process in list(self.nodes.items()):
            if process.poll() is not None or self.raylet(name) is None:
                process.terminate()
                del self.nodes[name]
                self.add()

    def raylet(self, name: str) -> int | None:
        """The process that is a node to the others; None while it starts."""
        found = (process for process, command in marked(name).items() if "/raylet/raylet " in command)
        return next(found, None)

    def busy(self) -> dict[int, str]:
        """What runs in it for a search."""
        commands = {process: command for name in self.nodes for process, command in marked(name).items()}
        return {process: command for process, command in commands.items()
                if command.startswith("ray::") and not command.startswith(_AT_REST)}  # fmt: skip

    def end(self) -> None:
        """Ends all of it, and the logs: ``ray start`` would be half a minute about it."""
        for name in (self.mark, *self.names):
            while left := marked(name):
                for process in left:
                    kill(process)
                time.sleep(_BETWEEN_LOOKS)
        for process in self._started:
            process.wait()
        self._folder.cleanup()

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """``ray start`` with a mark of its own: Ray's command ends with its node.

        A temporary folder of its own, too, as a machine has: a node that unpacks the code that was shipped to it
        removes what is there, under the workers of all nodes that have the folder.
        """
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
        command = [
            *ray,
            "start",
            "--block",
            "--disable-usage-stats",
            "--node-ip-address",
            "127.0.0.1",
            "--object-store-memory",
            "100000000",
            "--temp-dir",
            str(Path(self._folder.name) / str(len(self._started))),
            *options,
        ]
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(name), stdin=nothing, stdout=nothing, stderr=nothing,
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def _wait(self, nodes: int) -> None:
        """Until so many nodes are there.

        Raises:
            SystemExit: they are not, in time.
        """
        from datasets.errors import UserError
        from search import cluster

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(UserError):
                if len(cluster.nodes_at(self.address)) >= nodes:
                    return
            time.sleep(_BETWEEN_LOOKS)
        raise SystemExit(f"error: a Ray cluster of {nodes} nodes did not start within {_START_SECONDS:.0f} s")
