"""Which settings decide, and how sure that is: importances, also of parts of the trials."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.importance import FEWEST, Judged, importance, judged
from search.pictures import style
from search.report import drawn, slices
from search.report.document import Block, Chart, Section, Text
from search.report.material import Material
from search.report.wording import count, listed
from search.space import Space

_PARTS, _FEWEST_PARTS = 12, 5
_PART = 0.8
"""Of a family's trials in each part."""
_COST = 2500
"""Trials of all parts of a family together: a second or two."""
_LARGEST = 1000
"""Trials of a part."""
_FOUR_FIFTHS = 1.2816
"""So many standard deviations to each side hold 80 % of a normal distribution."""
_SURE, _LIKELY = 0.9, 0.5
"""Shares of the parts in which a setting is first."""
_SHOWN = 6


@dataclass(frozen=True)
class Deciding:
    """A family's settings."""

    trials: int
    parts: int
    shares: Mapping[str, float]
    """Each one's importance, the most important first; together 1."""
    intervals: Mapping[str, tuple[float, float]]
    """Of 80 %."""
    first: Mapping[str, int]
    """How many parts have it as the most important."""


def section(material: Material) -> Section | None:
    """Importances, slices of the most important settings, and the plane of the first two; of enough trials."""
    if not any(trial.best for trial in material.searched):
        return None
    title, task = "Which settings decide", material.task
    if task is None:
        why = "The search's conf is not valid here (a model of one's own is not found, say), so its space is not known."
        return Section("settings", title, [Text(why)])
    families = judged(material.log, material.metric)
    found = deciding(task.space, families)
    few = [f"{family} ({len(trials)})" for family, trials in families.items() if len(trials) < FEWEST and trials]
    alike = [family for family, trials in families.items() if len(trials) >= FEWEST and family not in found]
    blocks: list[Block] = []
    if found:
        blocks += [Text(_said(found)), _chart(found)]
    if few:
        blocks.append(
            Text(
                f"Too few trials to tell of {listed(few)}: below {FEWEST} of a family chance would rank the settings.",
                "note" if found else "plain",
            )
        )
    if alike:
        blocks.append(Text(f"No setting tells the best trials of {listed(alike)} from the rest."))
    blocks += slices.blocks(material, task.space, {family: list(one.shares) for family, one in found.items()})
    return Section("settings", title, blocks)


def deciding(space: Space, families: Mapping[str, Sequence[Judged]], seed: int = 0) -> dict[str, Deciding]:
    """By family, importances by PED-ANOVA (``search.importance``) and how sure they are.

    That is from how they differ among parts of four fifths of its trials, drawn without replacement: the delete-d
    jackknife (Shao & Wu, A general theory for jackknife variance estimation, Annals of Statistics 17, 1989). The
    bootstrap's doubles look to PED-ANOVA as if trials crowded there: in closed form its intervals often missed even the
    estimate itself. Families of too few trials are left out, and those where nothing decides.
    """
    source = random.Random(seed)
    found = {}
    for family, shares in importance(space, families).items():
        trials = families[family]
        size = min(round(_PART * len(trials)), _LARGEST)
        parts = max(_FEWEST_PARTS, min(_PARTS, _COST // size))
        drawn_ = [importance(space, {family: source.sample(trials, size)}, 1).get(family, {}) for _ in range(parts)]
        wider = math.sqrt(size / (len(trials) - size))
        spread = {name: wider * float(np.std([one.get(name, 0.0) for one in drawn_], ddof=1)) for name in shares}
        leaders = [next(iter(one), "") for one in drawn_]
        found[family] = Deciding(
            len(trials), parts, shares,
            {name: (max(0.0, share - _FOUR_FIFTHS * spread[name]), min(1.0, share + _FOUR_FIFTHS * spread[name]))
             for name, share in shares.items()},
            {name: leaders.count(name) for name in shares},
        )  # fmt: skip
    return found


def _said(found: Mapping[str, Deciding]) -> str:
    parts = []
    for family, one in found.items():
        name = next(iter(one.shares))
        often = one.first[name] / one.parts
        drawn_ = f"{one.first[name]} of {one.parts} draws of four fifths of its {count(one.trials, 'trial')}"
        if often >= _SURE:
            parts.append(f"Of {family} it is {name} that tells the best trials from the rest: first in {drawn_}.")
        elif often >= _LIKELY:
            parts.append(
                f"Of {family} it is {name}, as it seems, that tells the best trials from the rest: first in {drawn_}."
            )
        else:
            parts.append(f"Of {family} no setting stands out: {name} leads, but is first in just {drawn_}.")
    return " ".join(parts)


def _chart(found: Mapping[str, Deciding]) -> Chart:
    names = {family: list(one.shares)[:_SHOWN] for family, one in found.items()}
    most = max(map(len, names.values()))

    def draw(paper: drawn.Paper) -> None:
        across = 1 if paper.narrow else len(found)
        down = len(found) if paper.narrow else 1
        panels = paper.figure.subplots(down, across, squeeze=False, sharex=True).ravel()
        for axes, (family, one) in zip(panels, found.items(), strict=True):
            drawn.rows(paper, axes, names[family])
            for place, name in enumerate(names[family]):
                axes.plot([100 * end for end in one.intervals[name]], [place] * 2, color=style.BLUE, linewidth=1.8)
                axes.plot([100 * one.shares[name]], [place], "o", color=style.BLUE, markersize=6.5, clip_on=False)
            axes.set_title(f"{style.shortened(family, 24)} ({count(one.trials, 'trial')})")
            axes.set_xlim(0, 103 * max(max(high for _, high in each.intervals.values()) for each in found.values()))
        for axes in panels if not paper.narrow else panels[-1:]:
            axes.set_xlabel("importance (%)")

    said = "; ".join(
        f"{family}: "
        + ", ".join(
            f"{name} {100 * one.shares[name]:.0f} % ({100 * one.intervals[name][0]:.0f} to "
            f"{100 * one.intervals[name][1]:.0f} %)"
            for name in names[family]
        )
        for family, one in found.items()
    )
    wide, narrow = drawn.drawn(draw, 1.0 + 0.29 * most, (0.6 + 0.4 * most) * len(found) + 0.4)
    caption = (
        "Importance by PED-ANOVA: a setting's share in what tells a family's best trials from the rest. The line is "
        "its 80 % interval (delete-d jackknife over the trials); where lines overlap, the order is not sure."
    )
    return Chart(wide, narrow, f"Importances with their 80 % intervals. {said}.", caption, "importance.png")
