"""The result on the terminal: the tested checkpoints, the references, and where everything lies."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from search.progress import duration
from search.task import Reference


def result_table(summary: dict[str, Any], references: Iterable[Reference]) -> Table:
    """Tested checkpoints in the order of validation, the chosen ones marked; then what was reported of references."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("trial", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("val loss", "val error", "test error", "95 % interval", "test NLL", "macro F1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    trials = {trial["id"]: trial for trial in summary["trials"]}
    for test in summary["test"]:
        trial = trials[test["trial"]]
        low, high = test["interval"]
        table.add_row(
            str(test["trial"]),
            test["model"],
            f"{trial['val_loss']:.4f}",
            percent(trial["val_error"]),
            percent(test["error"]),
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{test['loss']:.4f}",
            f"{test['f1']:.4f}",
            {"winner": "winner", "family": "best of its family", None: "beside them"}[test["chosen"]],
            style="bold" if test["chosen"] == "winner" else "" if test["chosen"] else "dim",
        )
    table.add_section()
    for reference in references:
        error, loss = reference.reported.get("test_error"), reference.reported.get("test_loss")
        figures = (percent(error), "", f"{loss:.3f}" if loss is not None else "", "")
        table.add_row("", reference.config["model"], "", "", *figures, f"reported: {reference.name}", style="italic")
    return table


def show(
    console: Console, summary: dict[str, Any], references: Iterable[Reference], places: Iterable[tuple[str, str]]
) -> None:
    """Prints the whole result; ``places`` are what lies where."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    counts = ", ".join(f"{count} {state}" for state, count in sorted(summary["counts"].items()))
    say(
        f"\n{summary['name']}: {len(summary['trials'])} trials ({counts}), {summary['epochs_trained']} epochs, "
        f"{duration(summary['wall_seconds'])}"
    )
    if summary["test"]:
        console.print(result_table(summary, references))
    else:
        say("No trial left a checkpoint: nothing was tested.")
    unlucky = [trial for trial in summary["trials"] if trial["state"] in ("failed", "oom", "diverged")]
    for trial in unlucky[:5]:
        say(f"trial {trial['id']} {trial['state']}: {trial['reason']}")
    if len(unlucky) > 5:
        say(f"and {len(unlucky) - 5} more: trials.csv has them")
    for name, place in places:
        say(f"{name:9} {place}")


def percent(share: float | None) -> str:
    """``1.34 %``, or nothing."""
    return "" if share is None else f"{100 * share:.2f} %"
