"""When each epoch was trained: a line an epoch, appended to a file of its process."""

import os
import time
from pathlib import Path
from typing import NamedTuple


class EpochSpan(NamedTuple):
    """One epoch of one trial."""

    trial: str
    start: float
    """Seconds since 1970."""
    seconds: float


class EpochLog:
    """One trial's appending."""

    def __init__(self, folder: Path, trial: str) -> None:
        self.path, self.trial = folder / f"epochs-{os.getpid()}.txt", trial

    def append(self, seconds: float) -> None:
        """Notes an epoch that took so long and has just ended."""
        # Opened and closed for each line: a worker that is killed afterwards has lost nothing.
        with self.path.open("a", encoding="ascii") as file:
            file.write(f"{self.trial} {time.time() - seconds!r} {seconds!r}\n")


def read(folder: Path) -> list[EpochSpan]:
    """Every process's epochs."""
    lines = [line for path in folder.glob("epochs-*.txt") for line in path.read_text(encoding="ascii").splitlines()]
    fields = [line.split() for line in lines]
    return [EpochSpan(trial, float(start), float(seconds)) for trial, start, seconds in fields]
