"""The event log: the one owner of a search's facts, a JSON object a line, flushed before anyone acts on it.

Everything else (the Optuna study, the rungs, MLflow, the summary, the report) is made from it and can be made again.
A line outlives the driver's death once written; only a death of the machine itself can lose the last ones.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets.errors import UserError

FILE_NAME = "events.jsonl"

Event = dict[str, Any]
"""Has ``event`` (its kind) and ``time`` (seconds since the epoch); the kinds' fields are those ``History`` reads."""


class EventLog:
    """Appends to a new log, or where ``resume`` says so to one that is there.

    Raises:
        FileExistsError: a log is there, and ``resume`` is not asked for.
        UserError: another process is appending to it.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        self._file = path.open("ab" if resume else "xb", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise UserError(f"{path.parent}: another command is writing to this search; wait until it ends") from None
        whole = path.read_bytes().rpartition(b"\n")[0]
        self._size = len(whole) + 1 if whole else 0
        self._file.truncate(self._size)  # a line that a crash cut off was never acted on

    def append(self, event: str, **fields: Any) -> Event:
        """Hands one event to the operating system, whole or not at all; returns it as it will be read.

        Raises:
            OSError: it cannot be written, as on a full disk.
        """
        record = {"event": event, "time": time.time(), **fields}
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            self._file.truncate(self._size)
            raise OSError(error.errno, os.strerror(error.errno or 0), str(self.path)) from None
        self._size += written
        return record

    def close(self) -> None:
        """Closes the file; nothing can be appended any more."""
        self._file.close()


class EventReader:
    """Reads a log from its start, also while it is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new(self, limit: int = 10_000) -> list[Event]:
        """The next whole lines since the last call, at most ``limit``; a line cut off by a crash is left out."""
        events: list[Event] = []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n") or len(events) == limit:
                    break
                self._offset += len(line)
                events.append(json.loads(line))
        return events


def read(path: Path) -> Iterator[Event]:
    """Every event of a log."""
    reader = EventReader(path)
    while events := reader.new():
        yield from events
