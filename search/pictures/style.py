"""What the pictures share: Okabe and Ito's colours, a mark beside each colour, plain numbers on logarithmic axes."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.scale import SymmetricalLogScale
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, SymmetricalLogLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLACK, GREY, MID_GREY = "#000000", "#666666", "#A6A6A6"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
SERIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_NAMED = 20
_LINEAR, _MARKED, _MANY = 0.5, 1.3, 9
"""Decades of a logarithmic axis: below the first its ticks are evenly spaced, above the last some decades have none."""
_SUBS = {
    "x": ((1.3, (1.0, 2.0, 5.0)), (2.5, (1.0, 3.0)), (math.inf, (1.0,))),
    "y": ((3.5, (1.0, 2.0, 5.0)), (math.inf, (1.0,))),
}


def sheet(width: float, height: float, title: str, *, square: bool = False) -> Figure:
    """An empty figure of so many inches; panels whose sides have a fixed ratio, ``square`` ones, move together."""
    figure = Figure(figsize=(width, height), layout="compressed" if square else "constrained")
    size = 8 + 0.4 * width
    figure.suptitle(shortened(title, int(120 * width / size)), fontsize=size)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes the PNG, at 150 dots an inch, as large as what is drawn: long labels are never cut off."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a name in another script
        figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.12)


def tidy(axes: "Axes") -> None:
    """A light grid, and no box around it."""
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def count(number: int, noun: str, one: str = "", many: str = "s") -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{number:,} {noun}{one if number == 1 else many}"


def shortened(text: str, length: int) -> str:
    """A name on one line, of at most so many characters, an ellipsis for what is cut off.

    Matplotlib would set what stands between two dollars as mathematics, or break down over it.
    """
    text = " ".join(text.split())
    return (text if len(text) <= length else text[: length - 1].rstrip() + "…").replace("$", r"\$")


def log_scale(axes: "Axes", which: str) -> None:
    """Makes the ``x`` or ``y`` axis logarithmic, its ticks plain numbers; after the data are drawn."""
    axes.set(**{f"{which}scale": "log"})
    axis = _axis(axes, which)
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    axis.set_minor_locator(LogLocator(subs="auto", numticks=100) if decades > _MARKED else NullLocator())
    if decades < _LINEAR:
        axis.set_major_locator(MaxNLocator(4))
    else:
        axis.set_major_locator(LogLocator(subs=_subs(which, decades), numticks=100 if decades < _MANY else 8))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_formatter(NullFormatter())


def log_scale_from_zero(axes: "Axes", which: str, least: float) -> None:
    """The same, but linear below ``least``, the smallest value above zero."""
    axes.set(**{f"{which}scale": SymmetricalLogScale(None, linthresh=least, linscale=0.4)})
    axis = _axis(axes, which)
    _, high = axis.get_view_interval()
    axes.set(**{f"{which}lim": (0, high)})
    decades = math.log10(max(high / least, 1)) + 1
    axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=least, subs=_subs(which, decades)))
    axis.set_major_formatter(FuncFormatter(_plain))


def _axis(axes: "Axes", which: str) -> "Axis":
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    return axis


def _subs(which: str, decades: float) -> tuple[float, ...]:
    """Labels on the ``x`` axis need more room."""
    return next(subs for most, subs in _SUBS[which] if decades < most)


def _plain(value: float, _: object) -> str:
    """Also of millions, which ``g`` would write with an exponent."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def line(place: int) -> dict[str, Any]:
    """Colour, dashes and marker of a series, for ``plot``."""
    return {
        "color": SERIES[place % len(SERIES)],
        "linestyle": DASHES[place % len(DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
        "linewidth": 1.6,
    }


def of_class(target: int) -> tuple[str, str]:
    """Colour and marker of a class, the same in every picture; 70 of them differ."""
    return SERIES[target % len(SERIES)], MARKERS[target % len(MARKERS)]


def class_legend(axes: "Axes", classes: Sequence[str], more: Sequence[Line2D] = ()) -> None:
    """The first 20 classes at the right of a panel, and below them what else there is to say."""
    handles = []
    for target, name in enumerate(classes[:_NAMED]):
        colour, marker = of_class(target)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", label=shortened(name, 24)))
    if len(classes) > _NAMED:
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(classes) - _NAMED} more"))
    axes.legend(handles=[*handles, *more], loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False,
                title="true class")  # fmt: skip


def legend(figure: Figure, axes: "Axes", **more: Any) -> None:
    """What the series of one panel are, at the right of all panels; none where it has no series."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        names = [shortened(text, 36) for text in labels]
        figure.legend(handles, names, loc="outside right upper", frameon=False, **more)


def nothing(axes: "Axes", why: str) -> None:
    """Says in an empty panel why it is empty."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
