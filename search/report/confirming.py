"""What the choice is worth: the best configurations trained again, beside what the search had seen of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.pictures import style
from search.pictures.curves import AXES
from search.report import drawn
from search.report.document import Block, Cell, Chart, Column, Row, Section, Table, Text, cell
from search.report.material import Material
from search.report.wording import NAMES, count, figure, interval, listed, percent
from trainables.epoch import cost

_SINGLE = (
    "So the choice rests on one training of each configuration. The best of many values is the luckiest of them as a "
    "rule: it promises too much, and the configuration that has it need not be the best one. How much, a single "
    "training cannot tell."
)


def section(material: Material) -> Section | None:
    """The confirmation, or why there is none."""
    confirmed = material.told.get("confirmed")
    if not material.winner and not confirmed:
        return None
    blocks: list[Block]
    if confirmed and confirmed.get("configurations"):
        blocks = _confirmed(material, confirmed)
    else:
        why = str(material.told.get("not_confirmed") or "the search knew no such step")
        blocks = [
            Text(f"The choice was not confirmed by training the best configurations again: {why}."),
            Text(_SINGLE),
        ]
    return Section("confirmation", "How sure the choice is", blocks)


def _confirmed(material: Material, confirmed: Mapping[str, Any]) -> list[Block]:
    rows, metric, seeds = confirmed["configurations"], str(confirmed["metric"]), int(confirmed["seeds"])
    split = ", each seed with a validation split of its own" if confirmed.get("resplit") else ""
    asked = confirmed.get("asked") or {}
    text = (
        f"The best {count(len(rows), 'configuration')} of the search were trained again from scratch with "
        f"{count(seeds, 'fresh seed')}{split}: {count(int(confirmed.get('epochs') or 0), 'epoch')}. The winner is the "
        f"configuration with the best mean {NAMES[metric]} of these, ties going to the smaller model: that of trial "
        f"{confirmed['winner']}."
    )
    if confirmed.get("note"):
        wish = f"{asked.get('configurations')} configurations and {asked.get('seeds')} seeds"
        text += f" Asked for were {wish}: {confirmed['note']}."
    blocks: list[Block] = [Text(text), _chart(rows, metric), _table(rows, metric)]
    best = next((row for row in rows if row["trial"] == confirmed["winner"]), rows[0])
    several = f"of the winner's trainings (trials {listed(best['trainings'])}) the one with the best {NAMES[metric]}"
    which = several if len(best["trainings"]) > 1 else "the winner's one fresh training"
    blocks.append(
        Text(f"best.pt is trial {confirmed['best']}, {which}; that is settled before the test split is opened.")
    )
    if ensemble := material.told.get("ensemble"):
        error = f"{percent(ensemble['error'])} ({interval(ensemble['interval'])})"
        together = f"Together, their probabilities averaged, trials {listed(ensemble['trials'])} have a test error of"
        blocks.append(Text(f"{together} {error} and a loss of {figure(ensemble['loss'], 'loss')}."))
    return blocks


def _table(rows: Sequence[Mapping[str, Any]], metric: str) -> Table:
    columns = [Column("configuration of", numeric=False), Column("in the search"),
               Column("confirmed, mean"), Column("95 % interval of the mean"), Column("single values"),
               Column("validation error, search"), Column("confirmed"), Column("parameters")]  # fmt: skip
    lines = []
    for row in rows:
        errors, values = row.get("val_error") or {}, row.get("values") or ()
        part = {"winner": ", winner", "family": ", best of its family"}.get(str(row.get("chosen")), "")
        cells = [
            Cell(f"trial {row['trial']} ({row['model']}){part}"), Cell(figure(row.get("searched"), metric)),
            Cell(figure(row.get("mean"), metric) or "some broke"), Cell(interval(row.get("interval"), metric)),
            Cell(", ".join(figure(value, metric) or "broke" for value in values)),
            Cell(percent(errors.get("searched"))), Cell(percent(errors.get("mean"))),
            cell(row.get("parameters"), f"{row['parameters']:,}" if row.get("parameters") else None),
        ]  # fmt: skip
        lines.append(Row(cells, "strong" if row.get("chosen") == "winner" else "plain"))
    return Table(f"{NAMES[metric].capitalize()} in the search and when trained again", columns, lines, stacked=True)


def _chart(rows: Sequence[Mapping[str, Any]], metric: str) -> Chart:
    label, unit = AXES[metric]

    def worth(value: float) -> float:
        return unit * cost({metric: value}, metric)

    def draw(paper: drawn.Paper) -> None:
        axes = paper.figure.subplots()
        drawn.rows(paper, axes, [f"trial {row['trial']} ({row['model']})" for row in rows])
        for place, row in enumerate(rows):
            colour = style.BLUE if row.get("chosen") == "winner" else style.GREY
            values = [worth(value) for value in row.get("values") or () if value is not None]
            axes.plot(values, [place] * len(values), "|", color=colour, markersize=11, markeredgewidth=1.4)
            if row.get("interval"):
                axes.plot([worth(end) for end in row["interval"]], [place] * 2, color=colour, linewidth=1.6)
            if row.get("mean") is not None:
                axes.plot([worth(row["mean"])], [place], "o", color=colour, markersize=7, zorder=4)
            if row.get("searched") is not None:
                axes.plot([worth(row["searched"])], [place], "D", color=style.VERMILION, markerfacecolor="white",
                          markersize=6.5, zorder=5, clip_on=False)  # fmt: skip
        axes.set_xlabel(label)
        drawn.key(paper, [
            drawn.mark("D", style.VERMILION, "in the search", markerfacecolor="white"),
            drawn.mark("|", style.BLUE, "each fresh training", markersize=10),
            drawn.mark("o", style.BLUE, "their mean, 95 % interval", linestyle="-"),
        ])  # fmt: skip

    said = "; ".join(
        f"trial {row['trial']} ({row['model']}): in the search {figure(row.get('searched'), metric)}, confirmed mean "
        f"{figure(row.get('mean'), metric) or 'none, some broke'}"
        + (f", 95 % interval {ends}" if (ends := interval(row.get("interval"), metric)) else "")
        for row in rows
    )
    wide, narrow = drawn.drawn(draw, 0.95 + 0.36 * len(rows), 1.4 + 0.5 * len(rows))
    caption = (
        "What the search saw (hollow) is rather where chance was kind; what fresh trainings give is what to expect. "
        "The winner's interval allows for its having been selected."
    )
    return Chart(wide, narrow, f"{NAMES[metric].capitalize()} of each configuration: {said}.", caption)
