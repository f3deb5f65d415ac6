"""Which settings decide, as bars."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from search.pictures import style

_SHOWN = 10
_COLUMNS = 3
_ROW = 0.3


def importances(shares: Mapping[str, Mapping[str, float]], trials: Mapping[str, int], title: str, path: Path) -> None:
    """A panel a family with its ten most important settings, the others' sum below.

    ``shares``: what ``search.importance`` found; ``trials``: how many trials each family has; a family of ``trials``
    that is not in ``shares`` is named as one with too few.
    """
    families = [family for family in trials if family in shares]
    columns = min(_COLUMNS, max(1, len(families)))
    rows = -(-len(families) // columns) or 1
    bars = max((min(len(shares[family]), _SHOWN + 1) for family in families), default=3)
    figure = style.sheet(max(6.0, 4.2 * columns), rows * (_ROW * bars + 1.0) + 0.9, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(families) :]:
        axes.set_axis_off()
    for axes, family in zip(panels, families, strict=False):
        _panel(axes, shares[family], bars)
        axes.set_title(f"{style.shortened(family, 24)} ({style.count(trials[family], 'trial')})", fontsize=11)
    left_out = [f"{style.shortened(family, 24)} ({count})" for family, count in trials.items() if family not in shares]
    if left_out:
        names = style.shortened(", ".join(left_out), int(14 * figure.get_figwidth()) - 32)
        figure.supxlabel(f"too few trials to tell: {names}", fontsize=9, color="black")
    elif not families:
        style.nothing(panels[0], "no trial has a value")
    style.save(figure, path)


def _panel(axes: Axes, shares: Mapping[str, float], places: int) -> None:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    most = _SHOWN if len(ordered) > _SHOWN + 1 else _SHOWN + 1  # one other is shown itself
    shown, rest = ordered[:most], ordered[most:]
    bars = [(style.shortened(name, 22), 100 * share, style.BLUE, "") for name, share in shown]
    if rest:
        bars.append((f"{len(rest)} others", 100 * sum(share for _, share in rest), "white", "////"))
    for place, (_, percent, colour, hatch) in enumerate(bars):
        axes.barh(place, percent, height=0.7, color=colour, hatch=hatch, edgecolor=style.BLUE, linewidth=0.8)
        axes.text(percent + 1, place, f"{percent:.0f}" if percent >= 1 else "< 1", va="center", fontsize=8)
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.set(xlim=(0, 1.12 * max(percent for _, percent, *_ in bars) + 3), xlabel="importance (%)")
    axes.set_ylim(places - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    style.tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
