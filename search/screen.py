"""The result on the terminal: the tested checkpoints, the references, and where everything lies."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from search.progress import duration

_SENTENCES = 2
"""Of the verdict; the report has the others."""
_ROLES = {
    "winner": "winner",
    "seed": "the same, another seed",
    "family": "best of its family",
    "again": "",
    None: "beside them",
}


def result_table(summary: dict[str, Any]) -> Table:
    """Tested checkpoints in the order of validation, the chosen ones marked; then the references.

    Validation's F1 has a column only where it is the metric: the table is wide already.

    Of each reference: trained here, in this search or an earlier one, and what was reported of it elsewhere.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("trial", "model"):
        table.add_column(name, no_wrap=True)
    by_f1 = summary["metric"] == "val_f1"
    validation = ["val loss", "val error", *(["val F1"] if by_f1 else [])]
    for name in (*validation, "test error", "95 % interval", "test NLL", "macro F1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    trials = {trial["id"]: trial for trial in summary["trials"]}
    opening = next((test["opening"] for test in summary["test"] if test["chosen"] == "winner"), 0)
    for test in summary["test"]:
        if test["chosen"] == "reference":
            continue
        role = _ROLES[test["chosen"]]
        if test["chosen"] == "again":
            role = f"{test['origin']} again, opening {test['opening']}"
        elif test["opening"] < opening:
            role = f"tested before, opening {test['opening']}"
        style = "bold" if test["chosen"] == "winner" else "" if test["chosen"] else "dim"
        table.add_row(
            str(test["trial"]), test["model"], *_figures(trials[test["trial"]], test, by_f1), role, style=style
        )
    table.add_section()
    for reference in summary["references"]:
        trained, reported = reference["trained"], reference["reported"]
        if trained:
            here = trained["search"] == summary["name"]
            where = f"trained here: {reference['name']}" + ("" if here else f" (in {trained['search']})")
            number = str(trained["trial"]) if here else ""
            table.add_row(number, reference["model"], *_figures(trained, trained, by_f1), where)
        if reported:
            loss, f1 = (reported.get(name) for name in ("test_loss", "test_f1"))
            texts = (f"{figure:.3f}" if figure is not None else "" for figure in (loss, f1))
            figures = (percent(reported.get("test_error")), "", *texts)
            blank = [""] * len(validation)
            table.add_row("", reference["model"], *blank, *figures, f"reported: {reference['name']}", style="italic")
    return table


def _figures(trial: Mapping[str, Any], test: Mapping[str, Any], by_f1: bool) -> tuple[str, ...]:
    low, high = test["interval"]
    f1 = trial.get("val_f1")  # a reference trained before there was the metric has none
    return (
        f"{trial['val_loss']:.4f}",
        percent(trial["val_error"]),
        *(["" if f1 is None else f"{f1:.4f}"] if by_f1 else []),
        percent(test["error"]),
        f"{100 * low:.2f} to {100 * high:.2f}",
        f"{test['loss']:.4f}",
        f"{test['f1']:.4f}",
    )


def _folds(summary: dict[str, Any]) -> str | None:
    """Of a cross-validated winner, each fold's model alone beside the averaged one that was tested."""
    winner = next((test for test in summary["test"] if test["chosen"] == "winner"), None)
    if winner is None or len(winner["fold_errors"]) < 2:
        return None
    errors = winner["fold_errors"]
    alone = ", ".join(f"{100 * error:.2f}" for error in errors)
    return (
        f"winner's {len(errors)} folds, test error of each model alone: {alone} %; averaged: {percent(winner['error'])}"
    )


def _looks(summary: dict[str, Any]) -> str | None:
    """How often the test split has been opened, if more than once."""
    ledger = summary["ledger"]
    if ledger is None or len(ledger["openings"]) < 2:
        return None
    count, searches = len(ledger["openings"]), len({entry["id"] for entry in ledger["openings"]})
    more = "" if ledger["complete"] else "; MLflow may know of more"
    by = "1 search" if searches == 1 else f"{searches} searches"
    return f"this test split has been looked at {count} times, by {by}{more}"


def show(console: Console, summary: dict[str, Any], places: Iterable[tuple[str, str]]) -> None:
    """Prints the whole result; ``places`` are what lies where."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    counts = ", ".join(f"{count} {state}" for state, count in sorted(summary["counts"].items()))
    say(
        f"\n{summary['name']}: {len(summary['trials'])} trials ({counts}), {summary['epochs_trained']} epochs, "
        f"{duration(summary['wall_seconds'])}"
    )
    if summary["ended_by"] != "all trials":
        say(f"ended early: {summary['ended_reason']}")
    console.print(Text(" ".join(summary["verdict"]["sentences"][:_SENTENCES]), style="bold"), highlight=False)
    if summary["test"]:
        table = result_table(summary)
        # A terminal that is too narrow breaks lines; figures that are cut off would be lost.
        console.width = max(
            console.width, console.measure(table, options=console.options.update(max_width=1000)).maximum
        )
        console.print(table)
    if folds := _folds(summary):
        say(folds)
    if looks := _looks(summary):
        say(looks)
    for warning in summary["dataset_warnings"]:
        say(f"warning: {warning}")
    unlucky = [trial for trial in summary["trials"] if trial["state"] in ("failed", "oom", "diverged")]
    for trial in unlucky[:5]:
        say(f"trial {trial['id']} {trial['state']}: {trial['reason']}")
    if len(unlucky) > 5:
        say(f"and {len(unlucky) - 5} more: trials.csv has them")
    for name, place in places:
        say(f"{name:9} {place}")


def disk(facts: Mapping[str, int]) -> str:
    """``12.3 MB, 10.1 MB of them checkpoints of 5 trials``."""
    whole, checkpoints = (f"{facts[name] / 1e6:.1f} MB" for name in ("bytes", "checkpoint_bytes"))
    return f"{whole}, {checkpoints} of them checkpoints of {facts['checkpoints']} trials"


def percent(share: float | None) -> str:
    """``1.34 %``, or nothing."""
    return "" if share is None else f"{100 * share:.2f} %"
