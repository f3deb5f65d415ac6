"""What a check found, and the running of checks side by side, none of which can hold up or end the others."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from datasets.errors import UserError, one_line

INSTALL = "python -m pip install -r requirements.txt"
Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One line of what was found. A warning or an error has its mend, a command where there is one."""

    level: Level
    what: str
    mend: str = ""

    def __post_init__(self) -> None:
        """Holds to it."""
        assert bool(self.mend) == (self.level != "ok"), self


@dataclass(frozen=True)
class Check:
    """A name, what looks, and for how long it may."""

    name: str
    look: Callable[[], Iterable[Finding]]
    seconds: float = 10.0
    late: Finding | None = None
    """What is said of one that takes longer; None where it must have got stuck."""


def of_error(error: UserError, mend: str) -> Finding:
    """An error in the words of the command that would have met it: the mend is what follows its first semicolon."""
    what, _, advice = str(error).partition("; ")
    return Finding("error", what, advice or mend)


def run(checks: Sequence[Check]) -> list[tuple[Check, list[Finding]]]:
    """What each check found, in their order. One that breaks or takes too long keeps what it has found before."""
    began = time.monotonic()
    running = []
    for check in checks:
        found: list[Finding] = []
        # A daemon: one that hangs in a dead network folder must not keep the command from ending.
        thread = threading.Thread(target=_look, args=(check, found), name=check.name, daemon=True)
        thread.start()
        running.append((check, found, thread))
    results = []
    for check, found, thread in running:
        thread.join(max(0.0, began + check.seconds - time.monotonic()))
        late = [check.late or _stuck(check)] if thread.is_alive() else []
        results.append((check, [*found, *late]))
    return results


def _look(check: Check, found: list[Finding]) -> None:
    try:
        for finding in check.look():
            found.append(finding)  # noqa: PERF402 - one at a time: what comes before a failure stays
    except UserError as error:
        found.append(of_error(error, "as it says"))
    except ImportError as error:
        what = one_line(f"{error.name or error} cannot be imported: {error}")
        found.append(Finding("error", what, INSTALL))
    except Exception as error:
        what = one_line(f"this check itself failed: {type(error).__name__}: {error}")
        found.append(Finding("error", what, "report it; the other lines hold all the same"))


def _stuck(check: Check) -> Finding:
    return Finding(
        "error",
        f"no end after {check.seconds:g} seconds",
        "what it asks (a network folder, a server, a driver) hangs, and would hold up a search alike: try it by hand",
    )


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def gigabytes(size: float) -> str:
    """``1.5 GB``."""
    return f"{size / 1e9:.1f} GB" if size < 1e11 else f"{size / 1e9:.0f} GB"
