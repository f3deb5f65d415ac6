"""Which settings decide, and how sure that is: importances of resampled trials."""

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

_RESAMPLES, _LEAST_RESAMPLES = 30, 5
_COST = 8000
"""Trials of all resamples of a family together: some seconds."""
_LARGEST = 1000
"""Trials of a resample."""
_ENDS = (0.1, 0.9)
_SHOWN = 6


@dataclass(frozen=True)
class Deciding:
    """A family's settings."""

    trials: int
    resamples: int
    shares: Mapping[str, float]
    """Each one's importance, the most important first; together 1."""
    intervals: Mapping[str, tuple[float, float]]
    """In which four of five resamples have it."""
    first: Mapping[str, int]
    """How many resamples have it as the most important."""


def section(material: Material) -> Section | None:
    """Importances, slices of the most important settings, and the plane of the first two; of enough trials."""
    if not any(trial.best for trial in material.searched):
        return None
    title, task = "Which settings decide", material.task
    if task is None:
        why = "The search's conf is not valid here, so that its space is not known: a model of one's own is not found, say."
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
    """By family, importances by PED-ANOVA (``search.importance``) and how they vary among resamples of its trials.

    Each resample draws as many trials as there are, with replacement (Efron, Bootstrap methods: another look at the
    jackknife, Annals of Statistics 7, 1979). Families of too few trials are left out, and those where nothing decides.
    """
    source = random.Random(seed)
    found = {}
    for family, shares in importance(space, families).items():
        trials = families[family]
        size = min(len(trials), _LARGEST)
        resamples = max(_LEAST_RESAMPLES, min(_RESAMPLES, _COST // size))
        drawn_ = [importance(space, {family: source.choices(trials, k=size)}).get(family, {}) for _ in range(resamples)]
        ends = {name: np.quantile([each.get(name, 0.0) for each in drawn_], _ENDS) for name in shares}
        leaders = [next(iter(each), "") for each in drawn_]
        found[family] = Deciding(
            len(trials), resamples, shares, {name: (float(low), float(high)) for name, (low, high) in ends.items()},
            {name: leaders.count(name) for name in shares},
        )  # fmt: skip
    return found


def _said(found: Mapping[str, Deciding]) -> str:
    parts = []
    for family, one in found.items():
        name = next(iter(one.shares))
        sure = f"first in {one.first[name]} of {one.resamples} resamples of its {count(one.trials, 'trial')}"
        parts.append(f"of {family} it is {name}, {sure}")
    return f"What tells the best trials from the rest the most: {'; '.join(parts)}."


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
            axes.set_xlim(left=0)
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
    resamples = listed(sorted({one.resamples for one in found.values()}))
    caption = (
        f"Importance by PED-ANOVA: a setting's share in what tells a family's best trials from the rest. The line spans "
        f"the middle four fifths of {resamples} resamples of the trials; where lines overlap, the order is not sure."
    )
    return Chart(wide, narrow, f"Importances with their 80 % intervals. {said}.", caption, "importance.png")
