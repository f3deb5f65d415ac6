"""The winner on the test split: confusions, classes, calibration, and what it got wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from search.pictures import style
from search.report import drawn
from search.report.document import Block, Cell, Chart, Column, Picture, Row, Section, Table, Text
from search.report.material import Material
from search.report.wording import count, interval, listed, percent
from search.statistics import BINS, calibration, wilson

_MATRIX = 16
"""Classes up to which the confusions are a table."""
_CONFUSIONS = 10
_CLASSES = 60


def section(material: Material) -> Section | None:
    """None where there is no winner."""
    winner = material.winner
    if winner is None:
        return None
    trial = material.history.trials[winner["trial"]]
    blocks: list[Block] = [Text(_said(material, winner))]
    classes = material.classes or [str(entry["class"]) for entry in winner.get("per_class") or ()]
    if matrix := winner.get("confusion"):
        blocks += _confusions(np.asarray(matrix), classes)
    if winner.get("per_class"):
        blocks.append(_classes(winner["per_class"]))
    if found := _calibration(material, trial.id):
        blocks.append(_reliability(found))
    blocks += _pictures(material, f"trial {trial.id} ({trial.model})")
    return Section("tested", "The winner on the test split", blocks)


def _said(material: Material, winner: Mapping[str, Any]) -> str:
    total = int(np.sum(winner["confusion"])) if winner.get("confusion") else 0
    wrong = round(winner["error"] * total)
    ends = f" ({interval(winner['interval'])})" if winner.get("interval") else ""
    text = f"Trial {winner['trial']} has {percent(winner['error'])} wrong{ends}"
    text += f": {wrong:,} of {count(total, 'test example')}." if total else "."
    folds = winner.get("fold_errors") or ()
    if len(folds) > 1:
        alone = ", ".join(f"{100 * error:.2f}" for error in folds)
        text += f" It averages {len(folds)} folds' models, which have {alone} % alone."
    majority = material.predictions
    if majority is not None and len(majority.targets):
        share = float((majority.targets != majority.majority).mean())
        text += f" Always answering the most frequent class would have {percent(share)} wrong."
    return text


def _confusions(matrix: np.ndarray, classes: Sequence[str]) -> list[Block]:
    names = [style.shortened(name, 24).replace(r"\$", "$") for name in classes]
    wrong = [(int(matrix[true, guess]), true, guess) for true, guess in np.argwhere(matrix) if true != guess]
    wrong.sort(key=lambda one: (-one[0], one[1:]))
    blocks: list[Block] = []
    if len(classes) <= _MATRIX:
        shares = matrix / matrix.sum(1, keepdims=True).clip(1)
        columns = [Column("true class", numeric=False), *(Column(name) for name in names), Column("in all")]
        rows = [
            Row([Cell(names[k]),
                 *(Cell(f"{number:,}" if number else "·", float(number), float(share) ** 0.5 if number else 0.0)
                   for number, share in zip(matrix[k].tolist(), shares[k], strict=True)),
                 Cell(f"{int(matrix[k].sum()):,}")])
            for k in range(len(names))
        ]  # fmt: skip
        blocks.append(Table("Test examples by true class, the rows, and predicted class, the columns; the darker, the "
                            "larger its share of the true class", columns, rows, square=True))  # fmt: skip
    else:
        blocks.append(Picture("confusion.png", _confused(wrong, classes), "Test examples by true and predicted class."))
    if wrong and len(classes) > 2:
        columns = [Column("true class", numeric=False), Column("taken for", numeric=False), Column("examples"),
                   Column("of the class")]  # fmt: skip
        totals = matrix.sum(1)
        rows = [Row([Cell(names[true]), Cell(names[guess]), Cell(f"{number:,}"), Cell(percent(number / totals[true]))])
                for number, true, guess in wrong[:_CONFUSIONS]]  # fmt: skip
        more = f", the first {_CONFUSIONS} of {len(wrong)}" if len(wrong) > _CONFUSIONS else ""
        blocks.append(Table(f"What is most often taken for what{more}", columns, rows))
    return blocks


def _confused(wrong: Sequence[tuple[int, int, int]], classes: Sequence[str]) -> str:
    most = listed([f"{classes[true]} for {classes[guess]} ({number})" for number, true, guess in wrong[:3]])
    return f"Confusions of {len(classes)} classes. {f'Most often taken: {most}.' if wrong else 'None is wrong.'}"


def _classes(entries: Sequence[Mapping[str, Any]]) -> Table:
    columns = [Column("class", numeric=False), Column("examples"), Column("precision"), Column("recall"),
               Column("95 % interval of the recall", brief=False), Column("F1")]  # fmt: skip
    rows = []
    for entry in sorted(entries, key=lambda entry: entry["f1"])[:_CLASSES]:
        examples = int(entry["examples"])
        ends = wilson(round(entry["recall"] * examples), examples) if examples else None
        cells = [Cell(str(entry["class"])), Cell(f"{examples:,}", examples)]
        cells += [Cell(percent(entry[name]), entry[name]) for name in ("precision", "recall")]
        cells += [Cell(interval(ends)), Cell(f"{entry['f1']:.4f}", entry["f1"])]
        rows.append(Row(cells))
    mean = [float(np.mean([entry[name] for entry in entries])) for name in ("precision", "recall", "f1")]
    total = sum(int(entry["examples"]) for entry in entries)
    rows.append(Row([Cell("all classes alike"), Cell(f"{total:,}"), Cell(percent(mean[0])), Cell(percent(mean[1])),
                     Cell(""), Cell(f"{mean[2]:.4f}")], "strong"))  # fmt: skip
    more = f", the {_CLASSES} hardest of {len(entries)}" if len(entries) > _CLASSES else ""
    return Table(f"By class, the hardest first{more}", columns, rows, most=_MATRIX)


def _calibration(material: Material, trial: int) -> Mapping[str, Any] | None:
    """As the verdict has it."""
    verdict: Mapping[str, Any] = material.told["verdict"]
    if verdict.get("trial") == trial and verdict.get("bins"):
        return verdict
    predictions = material.predictions
    if predictions is None or trial not in predictions.probabilities:
        return None
    return asdict(calibration(predictions.probabilities[trial], predictions.targets))


def _reliability(found: Mapping[str, Any]) -> Chart:
    bins, ece = found["bins"], 100 * found["ece"]

    def draw(paper: drawn.Paper) -> None:
        axes, counts = paper.figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        axes.plot([0, 1], [0, 1], color=style.GREY, linestyle=(0, (4, 3)), linewidth=1)
        for each in bins:
            ends = wilson(round(each["right"] * each["examples"]), each["examples"])
            axes.plot([each["confidence"]] * 2, ends, color=style.BLUE, linewidth=1.6, clip_on=False)
            axes.plot([each["confidence"]] * 2, [each["confidence"], each["right"]], color=style.VERMILION,
                      linewidth=1, zorder=1)  # fmt: skip
        axes.plot([each["confidence"] for each in bins], [each["right"] for each in bins], "o", color=style.BLUE,
                  markersize=5.5, zorder=4, clip_on=False)  # fmt: skip
        axes.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        counts.bar([each["low"] for each in bins], [each["examples"] for each in bins], 1 / BINS, align="edge",
                   color=style.SKY, edgecolor="white")  # fmt: skip
        counts.set_yscale("symlog", linthresh=1)
        counts.set(xlabel="confidence: probability given to the predicted class", ylabel="examples")
        for panel in (axes, counts):
            style.tidy(panel)
        top = max(each["examples"] for each in bins)
        counts.set_yticks(
            [10**power for power in range(len(str(top)))], [f"{10**power:,}" for power in range(len(str(top)))]
        )

    wide, narrow = drawn.drawn(draw, 4.2, 4.4)
    said = "; ".join(
        f"{100 * each['low']:.0f} to {100 * each['high']:.0f} %: {100 * each['right']:.0f} % right of "
        f"{each['examples']:,}"
        for each in bins
    )
    excess = 100 * (found.get("excess") or 0.0)
    side = f"On average it is {abs(excess):.1f} points {'more' if excess > 0 else 'less'} sure than right."
    caption = (
        f"Calibration: on the dashed line a model is right as often as it is sure. Expected calibration error "
        f"{ece:.1f} points over {BINS} bins. {side} Below, how many examples each bin holds."
    )
    return Chart(wide, narrow, f"Share that is right by confidence. {said}. ECE {ece:.1f} points.", caption)


def _pictures(material: Material, who: str) -> list[Block]:
    """Those of the folder that are there."""
    sizes = material.search.get("dataset_sizes") or {}
    winner = material.winner or {}
    total = sizes.get("test") or 0
    wrong = f"{round(winner['error'] * total):,} of {total:,}" if total else "some"
    known = (
        Picture("regions.png", f"Decision regions of {who} in the plane of the two inputs, with development and test "
                f"points; {wrong} test points are wrong.", f"Decision regions of {who}."),
        Picture("mistakes.png", f"The first test pictures that {who} takes for another class, each with its true and "
                f"its predicted class and the probability of that; {wrong} are wrong.",
                f"The first that {who} gets wrong."),
        Picture("examples.png", f"The first test pictures with their true class and what {who} takes them for.",
                "The first test pictures, wrong or right."),
        Picture("embedding.png", f"Validation examples by the last features of {who}, embedded in the plane and in "
                "space by t-SNE, coloured by class; those taken for another class are ringed.",
                "Last features of validation examples, by t-SNE: distances between far groups mean little."),
    )  # fmt: skip
    return [picture for picture in known if material.has(picture.name)]
