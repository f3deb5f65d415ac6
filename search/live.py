"""The live view: one frame of a search's standing, never wider or taller than the terminal."""

import textwrap
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from search.history import TrialResult
from search.progress import budget_texts, duration, roughly
from search.space import label, searched
from search.standing import Standing

STYLES = {
    "running": "bold",
    "completed": "green",
    "converged": "cyan",
    "paused": "steel_blue",
    "pruned": "bright_blue",
    "diverged": "yellow",
    "oom": "magenta",
    "failed": "red",
    "cancelled": "bright_black",
}
_LABEL = 9
_FIGURE = 8
_GAP = 4
_SHORT_BAR, _LONG_BAR = 8, 24
_BLANKS_FROM_HEIGHT = 22

Lines = list[Text]


def frame(standing: Standing, width: int, height: int, notice: str = "", *, ascii_only: bool = False) -> Text:
    """At most ``height`` lines of at most ``width`` cells.

    Where not everything fits, lines go in the order of their worth, and as many running trials are shown as there is
    room for.
    """
    head = [Text(line, style="bold yellow") for line in textwrap.wrap(notice, width)]
    head += [_head(standing, width, ascii_only), *_counts(standing, width)]
    best, settings, families = _best(standing, width)
    broken = _broken(standing.broken)
    budgets = _packed([Text(text) for text in budget_texts(standing.budgets)], width, "budget", _LABEL)
    rungs = _packed(_rungs(standing), width, "rungs", _LABEL)

    room = max(0, height) - min(height, len(head))
    kept = min(len(standing.running) + 1, 4, room) if standing.running and room >= 2 else 0
    room -= kept
    for section in (best, broken, budgets, rungs, settings, families):
        del section[room:]
        room -= len(section)
    middle = [*best, *settings, *families, *rungs, *budgets, *broken]
    blank = [Text()] if height >= _BLANKS_FROM_HEIGHT and room >= 2 and standing.running else []
    room += kept - 2 * len(blank)
    lines = [*head, *blank, *middle, *blank, *_running(standing, width, room, ascii_only)][: max(0, height)]
    for line in lines:
        line.truncate(width, overflow="crop" if ascii_only else "ellipsis")
    return Text("\n", no_wrap=True, overflow="ellipsis", end="").join(lines)


def _head(standing: Standing, width: int, ascii_only: bool) -> Text:
    """The bar of all trials, coloured by how they ended or stand, and the time."""
    size = max(8, min(60, width - 48))
    total = max(1, standing.num_samples)
    done = "#" if ascii_only else "━"
    bar, place, seen = Text(), 0, 0
    for state, style in STYLES.items():
        if state != "running":
            seen += standing.counts.get(state, 0)
            end = min(size, round(size * seen / total))
            bar.append(done * (end - place), style)
            place = end
    bar.append(("-" if ascii_only else "─") * (size - place), "bright_black")
    bar.append(f"  {standing.done} of {standing.num_samples}", "bold")
    bar.append(f"  {duration(standing.elapsed)}")
    if standing.left is not None:
        bar.append(f", about {roughly(standing.left)} left")
    return bar


def _counts(standing: Standing, width: int) -> Lines:
    counts = standing.counts
    items = [Text(f"{counts[state]} {state}", style) for state, style in STYLES.items() if state in counts]
    if not standing.bests and not standing.done:
        items.append(Text("starting workers", "bright_black"))
    return _packed(items, width)


def _best(standing: Standing, width: int) -> tuple[Lines, Lines, Lines]:
    """The best of all, its searched settings, and the best of each other family."""
    if not standing.bests:
        return [], [], []
    metric = standing.task.metric
    other = "val_loss" if metric == "val_error" else "val_error"
    family = max(len(best.trial.model) for best in standing.bests)
    lines: Lines = []
    for place, best in enumerate(standing.bests):
        items = [
            Text(f"{best.trial.model:{family}}  trial {best.trial.id}"),
            Text(f"{metric} {figure_text(metric, best.figures[metric])}", "" if place else "bold green"),
            Text(f"{other} {figure_text(other, best.figures[other])}"),
            Text(f"epoch {best.figures['index']}"),
            *([Text("paused", STYLES["paused"])] if best.trial.state == "paused" else []),
        ]
        lines += _packed(items, width, "" if place else "best", _LABEL)[:1]
    names = {*searched(standing.task.space)} - {"model"}
    settings = [
        Text.assemble((f"{name.rpartition('.')[2]}=", "bright_black"), value_text(value))
        for name, value in standing.bests[0].trial.config.items()
        if name in names
    ]
    return lines[:1], _packed(settings, width, "", _LABEL), lines[1:]


def _rungs(standing: Standing) -> Lines:
    """Up to the first one that no trial has come to."""
    items: Lines = []
    for rung in standing.rungs:
        if not rung.trials:
            break
        verb = " went on" if not items else ""
        items.append(Text(f"epoch {rung.milestone}: {rung.went_on} of {rung.trials}{verb}"))
    return items


def _broken(trial: TrialResult | None) -> Lines:
    if trial is None:
        return []
    reason = " ".join(trial.reason.split())
    return [Text.assemble((trial.state.ljust(_LABEL), "bright_black"), (f"trial {trial.id}: {reason}", "red"))]


def _packed(items: Iterable[Text], width: int, name: str = "", indent: int = 0) -> Lines:
    """Items side by side, two cells apart, on as many lines as they need; a name before the first line."""
    lines: Lines = []
    for item in items:
        if not lines or lines[-1].cell_len + 2 + item.cell_len > width:
            lines.append(Text.assemble((("" if lines else name).ljust(indent), "bright_black")))
        else:
            lines[-1].append("  ")
        lines[-1].append_text(item)
    return lines


def _running(standing: Standing, width: int, room: int, ascii_only: bool) -> Lines:
    """A heading and a row a trial, in columns side by side where one has no room for all."""
    trials = standing.running
    if not trials or room < 2:
        return []
    epochs = max(trial.own_epochs or standing.task.epochs for trial in trials)
    number = max(len("trial"), len(str(trials[-1].id)))
    family = min(16, max(len(text) for text in ("family", *(trial.model for trial in trials))))
    count = 2 * len(str(epochs)) + 1
    fixed = number + 2 + family + 2 + count + 2 * (2 + _FIGURE)

    columns, rows = 1, room - 1
    if len(trials) > rows:
        columns = min(-(-len(trials) // rows), max(1, (width + _GAP) // (fixed + _SHORT_BAR + 1 + _GAP)))
    if len(trials) > columns * rows > columns:
        rows -= 1  # for the line that counts the others
    shown = trials[: columns * rows]
    rows = -(-len(shown) // columns)
    bar = min(_LONG_BAR, (width + _GAP) // columns - _GAP - fixed - 1)
    bar = bar if bar >= _SHORT_BAR else 0

    title = f"{'trial':>{number}}  {'family':{family}}  {'epoch':{bar + bool(bar) + count}}"
    heading = Text(f"{title}  {'now':>{_FIGURE}}  {'best':>{_FIGURE}}", "bright_black")
    cells = [
        Text(f"{trial.id:>{number}}  {trial.model[:family]:{family}}  ")
        .append_text(_epochs(trial, standing, bar, ascii_only))
        .append_text(_figures(trial, standing))
        for trial in shown
    ]
    gap = Text(" " * _GAP)
    lines = [gap.join([heading] * columns), *(gap.join(cells[place::rows]) for place in range(rows))]
    if len(shown) < len(trials):
        lines.append(Text(f"and {len(trials) - len(shown)} more", "bright_black"))
    return lines[:room]


def _epochs(trial: TrialResult, standing: Standing, size: int, ascii_only: bool) -> Text:
    """How far a trial has come, with the rungs before it marked."""
    trained, epochs = trial.epochs, trial.own_epochs or standing.task.epochs
    done, rest, mark = ("#", "-", "+") if ascii_only else ("━", "─", "┼")
    reached = min(size, size * trained // epochs)
    marks = {rung.milestone * size // epochs for rung in standing.rungs if trial.apart is None}
    line = Text.assemble((done * reached, "cyan"))
    line.append("".join(mark if place in marks else rest for place in range(reached, size)), "bright_black")
    width = len(str(max(other.own_epochs or standing.task.epochs for other in standing.running)))
    return line.append(f"{' ' * bool(size)}{trained:>{width}}/{epochs:<{width}}")


def _figures(trial: TrialResult, standing: Standing) -> Text:
    """The last epoch's figure and the best so far, green where it is the best of all."""
    metric, best = standing.task.metric, trial.best
    if best is None or not trial.curve:
        return Text(f"  {'starting':>{_FIGURE}}  {'':{_FIGURE}}", "bright_black")
    leads = bool(standing.bests) and standing.bests[0].trial is trial
    line = Text(f"  {figure_text(metric, trial.curve[-1][metric]):>{_FIGURE}}  ")
    return line.append(f"{figure_text(metric, best[metric]):>{_FIGURE}}", "bold green" if leads else "")


def value_text(value: Any) -> str:
    """A setting's value as ``--set`` takes it, numbers to 3 significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(label(value))


def figure_text(name: str, value: float) -> str:
    """Errors in percent; losses and scores with 4 decimals, or 3 digits where those would not show them."""
    if name.endswith("error"):
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if value == 0 or 0.001 <= value < 1000 else f"{value:.2e}"
