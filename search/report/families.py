"""The model families side by side."""

from statistics import median

from search.pictures import style
from search.pictures.families import Family
from search.pictures.families import rows as family_rows
from search.report import drawn
from search.report.document import Cell, Chart, Column, Row, Section, Table
from search.report.material import BROKEN, Material
from search.report.wording import NAMES, count, figure, interval, percent


def section(material: Material) -> Section | None:
    """None where there are not several."""
    found = family_rows(material.history)
    if len(found) < 2:
        return None
    return Section("families", "Families side by side", [_chart(found), _table(material, found)])


def _table(material: Material, found: list[Family]) -> Table:
    metric = material.metric
    columns = [Column("family", numeric=False), Column("trials"), Column("broke"), Column(f"best {NAMES[metric]}"),
               Column("chosen trial"), Column("validation error"), Column("test error"), Column("95 % interval"),
               Column("parameters"), Column("seconds an epoch"), Column("epochs")]  # fmt: skip
    rows = []
    for family in found:
        every = [trial for trial in material.searched if trial.model == family.name]
        bests = [(value, trial) for trial in every if (value := trial.cost(metric)) is not None]
        best = min(bests, key=lambda pair: pair[0])[1].figure(metric) if bests else None
        test = family.test or {}
        parameters = family.chosen.parameters
        cells = [
            Cell(family.name), Cell(f"{len(every):,}"), Cell(str(sum(trial.state in BROKEN for trial in every))),
            Cell(figure(best, metric)), Cell(str(family.chosen.id)), Cell(percent(family.validation_error)),
            Cell(percent(test.get("error"))), Cell(interval(test.get("interval"))),
            Cell(f"{parameters:,}" if parameters else ""), Cell(f"{median(family.seconds):.3g}"),
            Cell(f"{sum(trial.epochs for trial in every):,}"),
        ]  # fmt: skip
        rows.append(Row(cells))
    return Table("The least validation error of the chosen trial first", columns, rows, stacked=True)


def _chart(found: list[Family]) -> Chart:
    def draw(paper: drawn.Paper) -> None:
        axes = paper.figure.subplots()
        drawn.rows(paper, axes, [family.name for family in found])
        values = []
        for place, family in enumerate(found):
            every = [100 * trial.best["val_error"] for trial in family.trials if trial.best]
            axes.plot(every, [place] * len(every), "o", color=style.GREY, alpha=0.3, markersize=5, markeredgewidth=0,
                      rasterized=len(every) > 500, clip_on=False)  # fmt: skip
            axes.plot([100 * family.validation_error], [place], "o", color=style.BLUE, markersize=7, clip_on=False)
            values += [*every, 100 * family.validation_error]
            if family.test:
                ends = [100 * end for end in family.test["interval"]]
                axes.plot(ends, [place + 0.2] * 2, color=style.VERMILION, linewidth=1.8)
                axes.plot([100 * family.test["error"]], [place + 0.2], "s", color=style.VERMILION, markersize=6.5,
                          clip_on=False)  # fmt: skip
                values += [*ends, 100 * family.test["error"]]
        if min(values) > 0:
            style.log_scale(axes, "x")
        elif positive := [value for value in values if value > 0]:
            style.log_scale_from_zero(axes, "x", max(min(positive), 0.02 * max(positive)))
        axes.set_xlabel("error (%)")
        drawn.key(paper, [
            drawn.mark("o", style.GREY, "validation, each trial's best", alpha=0.4),
            drawn.mark("o", style.BLUE, "validation, the chosen trial"),
            drawn.mark("s", style.VERMILION, "test, the chosen trial, 95 % interval", linestyle="-"),
        ], 3)  # fmt: skip

    said = "; ".join(
        f"{family.name}: {count(len(family.trials), 'trial')}, chosen trial {family.chosen.id} with "
        f"{percent(family.validation_error)} in validation"
        + (f" and {percent(family.test['error'])} on the test split" if family.test else "")
        for family in found
    )
    wide, narrow = drawn.drawn(draw, 0.9 + 0.5 * len(found), 1.5 + 0.6 * len(found))
    return Chart(wide, narrow, f"Errors by model family. {said}.", "Errors of all trials by family.", "families.png")
