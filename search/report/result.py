"""What came out: the sentences, the few figures, and what was found beside what was tuned by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.history import TrialResult
from search.pictures import style
from search.report import again, drawn
from search.report.document import Block, Cell, Chart, Column, Row, Section, Table, Text, cell
from search.report.material import BROKEN, Material
from search.report.wording import NAMES, count, duration, figure, interval, listed, percent

_ROLES = {"winner": "winner", "seed": "the same, another seed", "family": "best of its family", None: "beside them"}
_SHOWN = 14


def sentences(material: Material) -> list[str]:
    """What the verdict says, and whether that is the end."""
    return [*map(str, material.told["verdict"]["sentences"]), *_state(material)]


def _state(material: Material) -> list[str]:
    if material.standing == "running":
        return ["The search is still running: this is how it stands."]
    if material.standing == "cut off":
        return ["The search was cut off before its end, and can be gone on with: see below."]
    if material.history.ends and material.history.ends[-1].get("interrupted"):
        return ["The search was interrupted: this is as far as it came."]
    return []


def figures(material: Material) -> list[tuple[str, str, str]]:
    """The few that matter most."""
    found = []
    if winner := material.winner:
        ends = winner.get("interval")
        found.append(("Test error", percent(winner["error"]), f"95 %: {interval(ends)}" if ends else ""))
        if winner.get("f1") is not None:
            found.append(("Macro F1", f"{winner['f1']:.4f}", "every class counts alike"))
    elif best := material.winning:
        metric = material.metric
        found.append((f"Best {NAMES[metric]}", figure(best.figure(metric), metric), f"trial {best.id}, {best.model}"))
    trials = material.searched
    broken = sum(trial.state in BROKEN for trial in trials)
    more = (
        f"{broken} broke" if broken else f"{count(len({trial.model for trial in trials}), 'model famil', 'y', 'ies')}"
    )
    found.append(("Trials", f"{len(trials):,}", more))
    wall = material.summary.get("wall_seconds") or material.history.seconds_spent
    if wall:
        found.append(("Time", duration(wall), count(material.history.epochs_trained, "epoch")))
    return found


@dataclass(frozen=True)
class Found:
    """One line of the comparison."""

    what: str
    model: str
    kind: str
    """``winner``, ``found``, ``reference`` or ``reported``."""
    error: float | None
    interval: Sequence[float] | None = None
    loss: float | None = None
    f1: float | None = None
    validated: float | None = None
    parameters: int | None = None


def section(material: Material) -> Section | None:
    """The winner beside the references, those trained here and what was reported of them."""
    rows = compared(material)
    if not rows:
        return None
    tested = bool(material.tests)
    blocks: list[Block] = [_chart(rows), _table(rows, material.metric)] if tested else [_table(rows, material.metric)]
    if settings := again.winning(material):
        whose = "The winner's settings:" if material.winner else "The settings of the best so far:"
        blocks += [Text(whose), settings]
    if not tested:
        return Section("found", "What is to be beaten", blocks)
    blocks.append(
        Text(
            "The winner and the best of each family were chosen by validation before the test split was opened; "
            "nothing is chosen from what stands beside them. Intervals are Wilson's 95 % for an error on so many test "
            "examples. "
            "As reported is what was published of a configuration, trained here what it gave on these data.",
            "note",
        )
    )
    return Section("found", "Found, and tuned by hand", blocks)


def compared(material: Material) -> list[Found]:
    """Winner, its other trainings, their ensemble, families' best, references, and what stands beside them."""
    tests = [test for test in material.tests if test["chosen"] != "reference"]
    order = ("winner", "seed", "family", "again", None)
    tests.sort(key=lambda test: order.index(test["chosen"]) if test["chosen"] in order else len(order))
    rows = [_tested(material, test) for test in tests]
    ensemble = material.told.get("ensemble")
    if ensemble:
        what = f"ensemble of trials {listed(ensemble['trials'])}"
        place = sum(test["chosen"] in ("winner", "seed") for test in tests)
        rows.insert(place, Found(what, rows[0].model, "found", **_figures(ensemble)))
    beside = [row for row in rows if row.kind == "beside"]
    return [row for row in rows if row.kind != "beside"] + list(_references(material)) + beside


def _figures(of: Mapping[str, Any]) -> dict[str, Any]:
    return {name: of.get(name) for name in ("error", "interval", "loss", "f1")}


def _tested(material: Material, test: Mapping[str, Any]) -> Found:
    trial: TrialResult = material.history.trials[test["trial"]]
    role = _ROLES.get(test["chosen"], "")
    if test["chosen"] == "again":
        role = f"{test.get('origin', '')} again, opening {test.get('opening', '')}"
    kind = "winner" if test["chosen"] == "winner" else "beside" if test["chosen"] is None else "found"
    best = trial.checkpoint_best or trial.best or {}
    return Found(f"{role}, trial {trial.id}", trial.model, kind, **_figures(test),
                 validated=best.get(material.metric), parameters=trial.parameters)  # fmt: skip


def _references(material: Material) -> list[Found]:
    tests = {test.get("origin"): test for test in reversed(material.tests) if test["chosen"] == "reference"}
    rows = []
    for one in material.told.get("references") or ():
        name, model, trained = str(one["name"]), str(one["model"]), one.get("trained")
        if test := tests.get(name):
            trial = material.history.trials[test["trial"]]
            value = (trial.checkpoint_best or {}).get(material.metric)
            rows.append(Found(f"{name}, trained here, trial {trial.id}", model, "reference",
                              **_figures(test), validated=value, parameters=trial.parameters))  # fmt: skip
        elif trained:
            where = f"{name}, trained in {trained.get('search', 'an earlier search')}"
            rows.append(Found(where, model, "reference", **_figures(trained), validated=trained.get(material.metric),
                              parameters=trained.get("parameters")))  # fmt: skip
        if reported := one.get("reported"):
            told = {key: reported.get(f"test_{key}") for key in ("error", "loss", "f1")}
            rows.append(Found(f"{name}, as reported", model, "reported", **told))
    return rows


def _table(rows: Sequence[Found], metric: str) -> Table:
    columns = [Column("what", numeric=False), Column("model", numeric=False), Column(NAMES[metric]),
               Column("test error"), Column("95 % interval"), Column("test NLL"), Column("macro F1"),
               Column("parameters")]  # fmt: skip
    lines = []
    for row in rows:
        cells = [
            Cell(row.what), Cell(row.model), Cell(figure(row.validated, metric)), Cell(percent(row.error)),
            Cell(interval(row.interval)), Cell(figure(row.loss, "loss")), Cell(figure(row.f1, "f1")),
            cell(row.parameters, None if row.parameters is None else f"{row.parameters:,}"),
        ]  # fmt: skip
        lines.append(Row(cells, {"winner": "strong", "beside": "quiet"}.get(row.kind, "plain")))  # type: ignore[arg-type]
    return Table("Checkpoints on the test split, and the references", columns, lines, stacked=True)


def _chart(rows: Sequence[Found]) -> Chart:
    shown = [row for row in rows if row.error is not None][:_SHOWN]
    looks = {"winner": ("o", style.BLUE), "reference": ("s", style.VERMILION), "reported": ("D", style.VERMILION)}

    def draw(paper: drawn.Paper) -> None:
        axes = paper.figure.subplots()
        drawn.rows(paper, axes, [f"{row.what} ({row.model})" for row in shown])
        for place, row in enumerate(shown):
            marker, colour = looks.get(row.kind, ("o", style.GREY))
            if row.interval:
                axes.plot(
                    [100 * end for end in row.interval], [place] * 2, color=colour, linewidth=1.8, solid_capstyle="butt"
                )
            fill = "white" if row.kind == "reported" else colour
            axes.plot([100 * (row.error or 0)], [place], marker, color=colour, markerfacecolor=fill, markersize=7,
                      clip_on=False, zorder=4)  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_xlabel("test error (%)")
        drawn.key(paper, [
            drawn.mark("o", style.BLUE, "winner, 95 % interval", linestyle="-"),
            drawn.mark("o", style.GREY, "also tested", linestyle="-"),
            drawn.mark("s", style.VERMILION, "by hand, trained here", linestyle="-"),
            drawn.mark("D", style.VERMILION, "by hand, as reported", markerfacecolor="white"),
        ])  # fmt: skip

    said = "; ".join(
        f"{row.what} ({row.model}) {percent(row.error)}" + (f", {interval(row.interval)}" if row.interval else "")
        for row in shown
    )
    left_out = f" The table has {len(rows) - len(shown)} more." if len(rows) > len(shown) else ""
    wide, narrow = drawn.drawn(draw, 0.85 + 0.29 * len(shown), 1.5 + 0.46 * len(shown))
    return Chart(wide, narrow, f"Test errors with their 95 % intervals: {said}.", f"Test errors.{left_out}")
