"""A search's event log, read from outside while it is written."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_checks import Event, whole_lines


@dataclass
class Log:
    """The event log of a search that runs, as far as it was read."""

    path: Path
    events: list[Event] = field(default_factory=list)
    offset: int = 0

    def read(self) -> None:
        """The whole lines since the last call."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            more = whole_lines(file.read())
        self.offset += len(more)
        self.events += [json.loads(line) for line in more.splitlines()]

    def moment(self) -> str:
        """How far the search has come, of its last command."""
        kinds = [event["event"] for event in self.events]
        if not kinds:
            return "no log"
        last = max((place for place, kind in enumerate(kinds) if kind in ("search", "resumption")), default=0)
        for kind, moment in (("end", "ended"), ("test", "tested"), ("opening", "testing")):
            if kind in kinds[last:]:
                return moment
        return "mid-search" if "report" in kinds else "before the first report"

    def on_workers(self) -> dict[int, int]:
        """The processes of the trials that run, by trial."""
        running: dict[int, int] = {}
        for event in self.events:
            match event["event"]:
                case "start":
                    running[event["trial"]] = event["worker"]["pid"]
                case "pause" | "ending" | "death":
                    running.pop(event["trial"], None)
                case "resumption":
                    running.clear()
        return running
