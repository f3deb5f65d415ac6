"""How figures are written."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.pictures.style import count
from search.progress import duration
from search.screen import percent
from trainables.epoch import cost_name

__all__ = ["NAMES", "among", "cost_name", "count", "duration", "figure", "interval", "listed", "percent", "setting"]

NAMES = {"val_loss": "validation loss", "val_error": "validation error", "val_f1": "validation F1"}

_SMALL, _LARGE = 0.001, 100
"""Between them four decimals say enough."""


def figure(value: float | None, metric: str) -> str:
    """A metric's value: a share of errors in %, what else it is with four digits."""
    if value is None:
        return ""
    if metric.endswith("error"):
        return percent(value)
    return f"{value:.4f}" if _SMALL <= abs(value) < _LARGE or value == 0 else f"{value:.3g}"


def interval(ends: Sequence[float] | None, metric: str = "error") -> str:
    """``0.50 to 2.61 %``."""
    if not ends or any(end is None for end in ends):
        return ""
    low, high = ends
    if metric.endswith("error"):
        return f"{percent(low).removesuffix(' %')} to {percent(high)}"
    if max(abs(low), abs(high)) < _SMALL:
        return f"{low:.3g} to {high:.3g}"
    return f"{low:.4f} to {high:.4f}"


def listed(names: Sequence[object], most: int = 12) -> str:
    """``1, 2 and 3``; of too many the first, and how many more."""
    texts = [str(name) for name in names]
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def among(counts: Mapping[str, int]) -> str:
    """``9 pruned, 3 converged``."""
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items(), key=lambda item: -item[1]))


def setting(value: Any) -> str:
    """A setting's value in short."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(setting, value)) + "]"
    return str(value)
