"""What is shown while a search runs: a live view on a terminal, plain lines elsewhere, on stderr."""

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from search.history import History
from search.standing import Budgets, Standing
from search.task import Task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0
_FRAMES_A_SECOND = 2.0
_SHARE = 0.05
"""Frames are fewer where they would take more of the time: of ten thousand trials one takes a tenth of a second."""
_SHOW_CURSOR = b"\x1b[?25h"


class ProgressView:
    """Shows a history that grows. The live view is drawn by a thread of its own: whoever adds events never waits."""

    def __init__(
        self,
        history: History,
        task: Task,
        num_samples: int,
        slots: int,
        *,
        top_k: int = 1,
        quiet: bool = False,
        console: "Console | None" = None,
    ) -> None:
        """``slots``: trials side by side, which may change; ``top_k``: see ``Standing.of``.

        ``console``: the terminal to draw on, by default stderr where it is one.
        """
        self.history, self.task, self.num_samples, self.slots = history, task, num_samples, slots
        self.top_k, self.quiet = top_k, quiet
        self.started = time.monotonic()
        self._console = console
        self._budgets: Budgets | None = None
        self._shown = 0.0
        self._live: Live | None = None
        self._notice = ""
        self._frame: tuple[object, Text] | None = None
        """The last one, and what else it was drawn from than the history."""
        self._due = 0.0

    def begin(self, budgets: Budgets | None = None) -> None:
        """Trials start now. ``budgets`` is asked about twice a second, from another thread."""
        self.started, self._budgets = time.monotonic() - self.history.seconds_spent, budgets
        if self.quiet or (self._console is None and not sys.stderr.isatty()):
            return
        from rich.console import Console
        from rich.live import Live

        import search.live  # noqa: F401 - here rather than in the first frame

        console = self._console or Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            self._console = console
            self._live = Live(
                get_renderable=self.frame, console=console, refresh_per_second=_FRAMES_A_SECOND, transient=True
            )
            self._live.start()

    def update(self) -> None:
        """Something has happened."""
        if self.quiet or self._live:
            return
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = now
            self.say(self.line())

    def end(self) -> None:
        """No more trials run."""
        if self._live:
            self._live.stop()
            self._live = None
        self.say(self.line(with_rest=False))

    def say(self, text: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            if self._console:
                self._console.print(text, highlight=False, markup=False, soft_wrap=True)
            else:
                print(text, file=sys.stderr, flush=True)

    def interrupted(self, text: str) -> None:
        """One line, also where quiet; from a signal's handler, where nothing may be printed that could be half-way."""
        if self._live:
            self._notice = text
            os.write(2, _SHOW_CURSOR)  # a second signal ends the process where it stands
        else:
            os.write(2, f"\n{text}\n".encode())

    def standing(self) -> Standing:
        """The search at this moment."""
        elapsed = time.monotonic() - self.started
        total = max(self.num_samples + self.history.to_confirm, len(self.history.trials))
        return Standing.of(self.history, self.task, total, self.slots, elapsed=elapsed, now=time.time(),
                           top_k=self.top_k, budgets=self._budgets)  # fmt: skip

    def frame(self) -> "Text":
        """What the live view shows now.

        A line is left to the cursor, and two columns to the ``^C`` that the terminal writes there: where that went on
        to a line of its own, the frame would not be erased whole.
        """
        from search import live

        assert self._console is not None
        width, height = self._console.size
        drawn_from = width, height, self._notice
        if self._frame is None or self._frame[0] != drawn_from or time.monotonic() >= self._due:
            began = time.thread_time()
            ascii_only = self._console.options.ascii_only
            frame = live.frame(self.standing(), max(1, width - 2), height - 1, self._notice, ascii_only=ascii_only)
            self._frame = drawn_from, frame
            self._due = time.monotonic() + (time.thread_time() - began) / _SHARE
        return self._frame[1]

    def line(self, *, with_rest: bool = True) -> str:
        """Counts by state, the best so far, budgets, time spent and, if wanted, an estimate of the rest."""
        standing = self.standing()
        parts = [f"{standing.done}/{standing.num_samples}"]
        parts += [f"{state} {count}" for state, count in sorted(standing.counts.items())]
        if standing.bests:
            metric, best = self.task.metric, standing.bests[0]
            parts.append(f"best {metric} {best.figures[metric]:.4f} (trial {best.trial.id}, {best.trial.model})")
        parts += budget_texts(standing.budgets)
        left = f", about {roughly(standing.left)} left" if with_rest and standing.left is not None else ""
        return "  ".join([*parts, duration(standing.elapsed) + left])


def budget_texts(budgets: Mapping[str, tuple[float, float]]) -> list[str]:
    """``epochs 812 of 5000``, ``time 1 min 12 s of 10 min 00 s``."""
    return [
        f"{name} {duration(spent)} of {duration(limit)}" if name == "time" else f"{name} {spent:.10g} of {limit:.10g}"
        for name, (spent, limit) in budgets.items()
    ]


def duration(seconds: float) -> str:
    """``48 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def roughly(seconds: float) -> str:
    """A duration in steps no finer than an estimate: ``25 s``, ``3 min 20 s``, ``12 min``, ``2 h 10 min``."""
    if seconds < 57.5:
        return f"{max(1, round(seconds / 5)) * 5} s"
    if seconds < 600:
        return duration(round(seconds / 10) * 10).removesuffix(" 00 s")
    minutes = round(seconds / 60) if seconds < 3600 else round(seconds / 600) * 10
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
