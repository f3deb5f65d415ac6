"""Clocks of several machines: event logs and MLflow put side by side what each of them has timed."""

from collections.abc import Iterator

from search.checks.finding import Finding

_WARNING, _ERROR = 2.0, 30.0
_MEND = "set it by the network's time: timedatectl set-ntp true, or chronyc makestep"


def judged(offset: float, trip: float, whose: str) -> Iterator[Finding]:
    """``offset``: seconds that it is ahead of ours at the middle of a round trip of ``trip`` seconds."""
    certain = abs(offset) - trip / 2
    if certain > _WARNING:
        way = "ahead of" if offset > 0 else "behind"
        what = f"{whose} is {abs(offset):.0f} seconds {way} this machine's"
        yield Finding("error" if certain > _ERROR else "warning", what, _MEND)
