"""What diverged, ran out of memory or failed, and what those trials had in common."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.history import TrialResult
from search.report.document import Block, Cell, Column, Row, Section, Table, Text
from search.report.material import BROKEN, HEALTHY, Material
from search.report.slices import plain
from search.report.wording import count, listed, setting
from search.space import label

_FEWEST = 3
"""Broken trials below which nothing is looked for."""
_CHANCE = 0.05
_CUTS = 10
"""A number is split at most at so many quantiles."""
_REASONS = 10
_WORDS = {"diverged": "diverged", "oom": "ran out of memory", "failed": "failed"}


@dataclass(frozen=True)
class Common:
    """What tells broken trials best from the others."""

    what: str
    """A setting and its value, or the side of a number that it lies on."""
    broken: int
    others: int
    """How many of each have it."""
    p: float
    """Of Fisher's exact test, one-sided, times the number of splits that were looked at."""


def section(material: Material) -> Section | None:
    """None where nothing was tried."""
    trials = list(material.history.trials.values())
    if not trials:
        return None
    broken = [trial for trial in trials if trial.state in BROKEN]
    healthy = [trial for trial in material.searched if trial.state in HEALTHY]
    title = "What went wrong"
    deaths = sum(len(trial.deaths) for trial in trials)
    died = f" Workers died {count(deaths, 'time')}; their trials went on from their checkpoints." if deaths else ""
    damaged = len(material.history.damages())
    died += f" {count(damaged, 'checkpoint')} could not be read." if damaged else ""
    if not broken:
        return Section("wrong", title, [Text(f"No trial diverged, ran out of memory or failed.{died}")])
    blocks: list[Block] = []
    for state in BROKEN:
        own = [trial for trial in broken if trial.state == state]
        if own:
            numbers = listed([trial.id for trial in own])
            blocks.append(Text(f"{count(len(own), 'trial')} {_WORDS[state]} ({numbers}). {_said(own, healthy)}"))
    if died:
        blocks.append(Text(died.strip()))
    blocks.append(_reasons(broken))
    return Section("wrong", title, blocks)


def _said(broken: Sequence[TrialResult], healthy: Sequence[TrialResult]) -> str:
    counted = [trial for trial in broken if trial.apart is None]
    if len(counted) < _FEWEST or not healthy:
        why = "to look for what they have in common" if len(broken) > 1 else "to look for a cause among its settings"
        return f"That is too few {why}." if healthy else "No other trial is there to compare them with."
    found, looked = common([_settings(one) for one in counted], [_settings(one) for one in healthy])
    if found is None or found.p >= _CHANCE:
        return f"Nothing stands out among their settings ({count(looked, 'split')} looked at)."
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return (
        f"What tells them best from the others: {found.what}, as {found.broken} of these {len(counted)} have it and "
        f"{found.others} of the other {len(healthy)} ({p}, Fisher's exact test, allowing for {count(looked, 'split')} "
        "looked at)."
    )


def _settings(trial: TrialResult) -> dict[str, Any]:
    return plain(trial.config) | ({"parameters": trial.parameters} if trial.parameters else {})


def common(broken: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> tuple[Common | None, int]:
    """The single value, or side of a number, that broken trials have oftener than chance would have it.

    By Fisher's exact test (Statistical Methods for Research Workers, 1934), its p value multiplied by the number of
    splits that were looked at (Bonferroni): with many settings some split always looks telling.

    Returns:
        It, None where no setting varies, and how many splits were looked at.
    """
    from scipy.stats import hypergeom

    splits = list(_splits([*broken, *others]))
    best: Common | None = None
    for what, has in splits:
        ill = int(has[: len(broken)].sum())
        well = int(has[len(broken) :].sum())
        p = float(hypergeom.sf(ill - 1, len(has), ill + well, len(broken)))
        found = Common(what, ill, well, min(1.0, p * len(splits)))
        if best is None or (found.p, -found.broken) < (best.p, -best.broken):
            best = found
    return best, len(splits)


def _splits(trials: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    """Every value of a choice, both sides of a number's cuts; whether each trial is on it, bool (trials,)."""
    for name in sorted({name for trial in trials for name in trial}):
        values = [trial.get(name) for trial in trials]
        there = [value for value in values if value is not None]
        number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
        if number and len(set(there)) > 3:
            column = np.array([np.nan if value is None else float(value) for value in values])
            for cut in np.unique(np.quantile(there, np.linspace(0, 1, _CUTS + 1)[1:-1], method="inverted_cdf")):
                for text, has in ((f"{name} up to {setting(float(cut))}", column <= cut),
                                  (f"{name} above {setting(float(cut))}", column > cut)):  # fmt: skip
                    if 0 < has.sum() < len(trials):
                        yield text, has
        else:
            for kind in {label(value): value for value in there}.values():
                has = np.array([value is not None and label(value) == label(kind) for value in values])
                if 0 < has.sum() < len(trials):
                    yield f"{name} {setting(kind)}", has


def _reasons(broken: Sequence[TrialResult]) -> Table:
    """What they ended with, the most frequent first."""
    kinds: dict[tuple[str, str], list[TrialResult]] = {}
    for trial in broken:
        kinds.setdefault((trial.state, " ".join(trial.reason.split())[:300]), []).append(trial)
    order = sorted(kinds.items(), key=lambda item: -len(item[1]))
    columns = [
        Column("how", numeric=False),
        Column("reason", numeric=False),
        Column("trials"),
        Column("which", numeric=False),
    ]
    rows = [Row([Cell(_WORDS[state]), Cell(reason or "none was given"), Cell(str(len(trials))),
                 Cell(listed([trial.id for trial in trials], 6))])
            for (state, reason), trials in order[:_REASONS]]  # fmt: skip
    more = f", the first {_REASONS} of {len(order)}" if len(order) > _REASONS else ""
    return Table(f"Reasons{more}", columns, rows, stacked=True)
