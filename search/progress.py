"""What is shown while a search runs: a bar on a terminal, plain lines elsewhere, on stderr."""

import sys
import time
from typing import TYPE_CHECKING

from search.history import History

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_FRAMES = 0.25


class ProgressView:
    """Redraws when told of an event, and not more often than worthwhile."""

    def __init__(self, history: History, num_samples: int, metric: str, *, quiet: bool = False) -> None:
        self.history, self.num_samples, self.metric, self.quiet = history, num_samples, metric, quiet
        self.started = time.monotonic()
        self._shown = 0.0
        self._bar: Progress | None = None

    def begin(self) -> None:
        """Trials start now: what the estimate of the rest is made from."""
        self.started = time.monotonic()
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
            self._bar.add_task("starting workers", total=self.num_samples)
            self._bar.start()

    def update(self) -> None:
        """Something has happened."""
        now = time.monotonic()
        if self.quiet or now - self._shown < (_SECONDS_BETWEEN_FRAMES if self._bar else _SECONDS_BETWEEN_LINES):
            return
        self._shown = now
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._ended(), description=self.line())
            self._bar.refresh()
        else:
            self.say(f"{self._ended()}/{self.num_samples}  {self.line()}")

    def end(self) -> None:
        """No more trials run."""
        if self._bar:
            self._bar.stop()
            self._bar = None
        self.say(f"{self._ended()}/{self.num_samples}  {self.line(with_rest=False)}")

    def say(self, text: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            if self._bar:
                self._bar.console.print(text, highlight=False)
            else:
                print(text, file=sys.stderr, flush=True)

    def _ended(self) -> int:
        return sum(trial.state != "running" for trial in self.history.trials.values())

    def line(self, *, with_rest: bool = True) -> str:
        """Counts by state, the best so far, time spent and, if wanted, an estimate of the rest."""
        counts = "  ".join(f"{state} {count}" for state, count in sorted(self.history.counts().items()))
        valued = [
            (value, trial) for trial in self.history.trials.values() if (value := trial.figure(self.metric)) is not None
        ]
        best = ""
        if valued:
            value, trial = min(valued, key=lambda item: item[0])
            best = f"  best {self.metric} {value:.4f} (trial {trial.id}, {trial.model})"
        elapsed = time.monotonic() - self.started
        ended = self._ended()
        left = self.num_samples - ended
        rest = f", about {duration(elapsed / ended * left)} left" if with_rest and ended and left else ""
        return f"{counts}{best}  {duration(elapsed)}{rest}"


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
