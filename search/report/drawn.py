"""Charts as SVG, each drawn twice, for a page and for a phone: text stays text, and stays readable."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from search.pictures import style

_WIDE, _NARROW = 8.6, 3.75
"""Inches."""
_SHORT = 18
"""Characters of a label that has room beside another one on a phone."""
_FONTS = "Helvetica Neue,Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
"""Narrower than DejaVu Sans, which places were measured with."""
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rungs",
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "font.size": 9,
}


@dataclass(frozen=True)
class Paper:
    """What is drawn on."""

    figure: Figure
    narrow: bool
    """Whether for a phone."""


def drawn(draw: Callable[[Paper], None], height: float, narrow_height: float | None = None) -> tuple[bytes, bytes]:
    """The SVG for a page and the one for a phone; ``height``: inches, of ``narrow_height`` if they differ."""
    return _svg(draw, _WIDE, height, narrow=False), _svg(draw, _NARROW, narrow_height or height, narrow=True)


def _svg(draw: Callable[[Paper], None], width: float, height: float, *, narrow: bool) -> bytes:
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
        draw(Paper(figure, narrow))
        file = io.BytesIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata={"Date": None, "Creator": None})  # savefig would draw it twice
    text = re.sub(r"('DejaVu Sans'[^;\"]*)", _FONTS, file.getvalue().decode())
    text = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", text).strip().encode()


def rows(paper: Paper, axes: Axes, labels: Sequence[str]) -> None:
    """Names rows 0, 1, ... from the top: beside them, or on a phone, where there is no room, above each of them."""
    axes.tick_params(axis="y", length=0, pad=9)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="x", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    if paper.narrow:
        axes.set_ylim(len(labels) - 0.6, -0.85)
        axes.set_yticks([])
        for place, label in enumerate(labels):
            axes.text(0, place - 0.32, style.shortened(label, 44), transform=axes.get_yaxis_transform(), va="bottom",
                      fontsize=8.5)  # fmt: skip
    else:
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(range(len(labels)), [style.shortened(label, 44) for label in labels])


def key(paper: Paper, handles: Sequence[Line2D], columns: int = 4) -> None:
    """What the marks are, below the chart."""
    if handles:
        short = max(len(str(handle.get_label())) for handle in handles) <= _SHORT
        columns = (2 if short else 1) if paper.narrow else columns
        paper.figure.legend(handles=list(handles), loc="outside lower left", ncols=columns)


def mark(marker: str, colour: str, label: str, **more: Any) -> Line2D:
    """One of the key."""
    return Line2D(
        [], [], **{"marker": marker, "color": colour, "label": label, "linestyle": "none", "markersize": 6, **more}
    )
