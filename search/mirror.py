"""Follows the event log into an object store, from a thread of its own, so that a search can go on on any machine.

The store has under the search's own place

- ``log/TURN-OFFSET.jsonl``: segments of the log, whole lines, each by the byte that it begins at. The last one is
  written again as it grows, until it is long enough and the next begins: no segment ever has to be removed.
- ``log/lease.json``: the driver that appends to the log, renewed every few seconds. Each driver has a turn, one more
  than the one before, and what it has written goes before all that an earlier turn has from there on: a write of a
  driver that was thought to be gone, however late it arrives, is in nobody's log.
- ``trials/``, which the workers write, and in the end the run's folder.
"""

import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets.errors import UserError
from search.events import FILE_NAME
from trainables.object_store import File, ObjectStore, in_short
from trainables.storage import TRIALS_FOLDER

LOG_FOLDER = "log"
LEASE_FILE = "lease.json"
_CLOCK_FILE = "now"
_SEGMENT = re.compile(r"(\d{5})-(\d{12})\.jsonl")
_SEGMENT_BYTES = 2**16
"""From here on a segment grows no more; a second's worth is sent with, on average, half as much that is there."""
_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_PAUSE = 10.0
_RENEWAL_SECONDS = 5.0
_LEASE_SECONDS = 30.0
_SETTLING_SECONDS = 1.0


@dataclass(frozen=True)
class Lease:
    """Who appends to the log in a store."""

    id: str
    turn: int
    host: str
    pid: int
    pids: str
    """The machine's boot and the namespace that ``pid`` is of: hosts of one name need not be one."""
    time: float
    """Of the last renewal, for people: by whose clock is not known."""

    def ended(self) -> bool:
        """Whether it was a process of this machine that is gone."""
        if (self.host, self.pids) != (socket.gethostname(), _pids()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


class Mirror:
    """The thread. A search never waits for it but where it says so, and then so long and no longer."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        """``folder``: the run's, where the log is or will be. ``store``: the search's own place."""
        self.path, self.store = folder / FILE_NAME, store
        self.problem: str | None = None
        """The last thing that went wrong with the store; None while all is well."""
        self.deposed = False
        """Whether another driver has taken the search over; then nothing is sent any more."""
        self._id, self._turn = uuid.uuid4().hex, 1
        self._segment = self._sent = 0
        self._results_asked = self._results_sent = 0
        self._renewed, self._over = 0.0, False
        self._change = threading.Condition()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def open(self) -> None:
        """Takes the search over, and begins to follow its log, which need not be there yet.

        Raises:
            UserError: another driver has it; the store has another log, or more of this one; it can't be reached.
        """
        try:
            before = self._lease()
            if before and not before.ended() and self._alive():
                raise UserError(
                    f"{self.store.uri}: another command on {before.host} (process {before.pid}) is writing to this "
                    "search; wait until it ends, or where it is gone, half a minute"
                )
            segments = _segments(self.store.files(LOG_FOLDER))
            if segments:
                last = segments[-1]
                there = _whole(self.store.read(f"{LOG_FOLDER}/{last.name}"))
                if self._log(last.offset)[: len(there)] != there:
                    raise UserError(
                        f"{self.store.uri}: has another search than {self.path.parent}, or more of it; resume it, or "
                        "choose another name"
                    )
                self._segment = self._sent = last.offset + len(there)
            self._turn += max([segment.turn for segment in segments] + ([before.turn] if before else []), default=0)
            self._write_lease()
        except OSError as error:
            raise self.store.refusal(error) from None
        self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Waits, at most so long, until all that has been appended so far is there.

        Returns:
            Whether it is; where not, ``problem`` says why.
        """
        size = self.path.stat().st_size
        return self._wait(lambda: self._sent >= size, seconds)

    def results(self, seconds: float) -> bool:
        """The same, and of all else in the run's folder, with the log as one file; of what trials left, nothing."""
        self._results_asked += 1
        asked, size = self._results_asked, self.path.stat().st_size
        return self._wait(lambda: self._sent >= size and self._results_sent >= asked, seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Gives the search up for others after a last try to send what is left; waits for that, at most so long."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @staticmethod
    def fetch(store: ObjectStore, folder: Path) -> None:
        """Brings a search into its run's folder: the log, and results if there are any. The folder may be there.

        Where it has a log, the longer one is kept if it begins with the other.

        Raises:
            UserError: there is no such search, or the logs differ, or the store can't be used.
        """
        try:
            log = _joined(store)
            path = folder / FILE_NAME
            local = _whole(path.read_bytes()) if path.exists() else b""
            if not log and not local:
                raise UserError(f"{store.uri}: has no search")
            if local.startswith(log):
                return
            if not log.startswith(local):
                raise UserError(
                    f"{store.uri}: has gone on otherwise than {folder}; move that folder away to go on from the store"
                )
            folder.mkdir(parents=True, exist_ok=True)
            store.download("", folder, without=(LOG_FOLDER, TRIALS_FOLDER, FILE_NAME))
            partial = path.with_suffix(".partial")
            partial.write_bytes(log)
            partial.replace(path)
        except OSError as error:
            raise store.refusal(error) from None

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        self._wake.set()
        with self._change:
            self._change.wait_for(lambda: done() or self._over, seconds)
            if not done() and self.problem is None:
                self.problem = f"{self.store.uri}: has not taken everything within {seconds:g} s"
            return done()

    def _follow(self) -> None:
        pause, settled = _SECONDS_BETWEEN_LOOKS, False
        self._stop.wait(_SETTLING_SECONDS)
        while not self.deposed:
            last = self._stop.is_set()
            self._wake.clear()
            try:
                # Whoever took the lease at the same time has written it by now, and one of both reads the other's
                # (Fischer's algorithm, in Lamport, A fast mutual exclusion algorithm, 1987).
                if not settled or time.monotonic() - self._renewed > _RENEWAL_SECONDS:
                    settled = self._renew()
                if settled:
                    self._send()
                    self.problem = None
                    if last:
                        self.store.write(f"{LOG_FOLDER}/{LEASE_FILE}", b"{}")
                pause = _SECONDS_BETWEEN_LOOKS
            except Exception as error:  # whatever a store can answer; told at the end, never the search's end
                self.problem = f"{self.store.uri}: {in_short(error)}"
                pause = min(2 * pause, _LONGEST_PAUSE)
            with self._change:
                self._over = last or self.deposed
                self._change.notify_all()
            if last:
                break
            self._wake.wait(pause)

    def _renew(self) -> bool:
        """Whether the search is still this driver's."""
        now = time.monotonic()
        there = self._lease()
        other = there is not None and there.id != self._id
        if other or any(one.turn > self._turn for one in _segments(self.store.files(LOG_FOLDER))):
            who = f"{there.host} (process {there.pid})" if other and there else "another command"
            self.problem = f"{self.store.uri}: {who} has taken the search over"
            self.deposed = True
            return False
        self._write_lease()
        self._renewed = now
        return True

    def _send(self) -> None:
        lines = _whole(self._log(self._segment))
        if self._segment + len(lines) > self._sent:
            self.store.write(f"{LOG_FOLDER}/{self._turn:05d}-{self._segment:012d}.jsonl", lines)
            self._sent = self._segment + len(lines)
            if len(lines) >= _SEGMENT_BYTES:
                self._segment = self._sent
        if (asked := self._results_asked) > self._results_sent:
            self.store.upload(self.path.parent, without=(TRIALS_FOLDER, LOG_FOLDER))
            self._results_sent = asked

    def _log(self, offset: int) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read()

    def _lease(self) -> Lease | None:
        try:
            content = json.loads(self.store.read(f"{LOG_FOLDER}/{LEASE_FILE}"))
        except FileNotFoundError:
            return None
        return Lease(**content) if content else None

    def _write_lease(self) -> None:
        lease = Lease(self._id, self._turn, socket.gethostname(), os.getpid(), _pids(), time.time())
        self.store.write(f"{LOG_FOLDER}/{LEASE_FILE}", json.dumps(asdict(lease)).encode())

    def _alive(self) -> bool:
        """Whether the lease there was renewed lately, by the store's own clock: nodes' clocks may differ."""
        self.store.write(f"{LOG_FOLDER}/{_CLOCK_FILE}", b"{}")
        files = {file.name: file.modified for file in self.store.files(LOG_FOLDER)}
        return files[_CLOCK_FILE] - files[LEASE_FILE] < _LEASE_SECONDS


@dataclass(frozen=True, order=True)
class _Segment:
    turn: int
    offset: int
    name: str


def _segments(files: list[File]) -> list[_Segment]:
    """In the order in which they make the log."""
    found = ((_SEGMENT.fullmatch(file.name), file.name) for file in files)
    return sorted(_Segment(int(match[1]), int(match[2]), name) for match, name in found if match)


def _joined(store: ObjectStore) -> bytes:
    """The log in a store, whole lines; empty where there is none."""
    segments = _segments(store.files(LOG_FOLDER))
    contents = store.read_all(f"{LOG_FOLDER}/{segment.name}" for segment in segments)
    log = bytearray()
    for segment, content in zip(segments, contents, strict=True):
        if segment.offset > len(log):
            raise UserError(
                f"{store.uri}/{LOG_FOLDER}: the log is not whole: before {segment.name} something is missing"
            )
        log[segment.offset :] = _whole(content)
    return bytes(log)


def _whole(content: bytes) -> bytes:
    """Without a last line that is cut off."""
    return content[: content.rfind(b"\n") + 1]


def _pids() -> str:
    """What process numbers here are numbers of; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
