"""Frames of the live view, drawn from histories built of events."""

import io
import itertools
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from growing_search import EPOCHS, Search
from rich.console import Console

from search import live
from search.history import State
from search.progress import budget_texts
from search.standing import Standing


def lines_of(standing: Standing, width: int = 110, height: int = 40, **more: Any) -> list[str]:
    """A frame as a terminal would show it."""
    console = Console(file=io.StringIO(), width=width, height=height + 1, force_terminal=True, color_system=None)
    console.print(live.frame(standing, width, height, **more))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.rstrip() for line in lines]


def line_with(lines: Sequence[str], text: str) -> str:
    (line,) = [line for line in lines if text in line]
    return line


@pytest.mark.parametrize("notice", ["", "stopping: running trials are cancelled"])
@pytest.mark.parametrize(
    ("done", "running", "num_samples", "slots"),
    [(0, 0, 40, 2), (0, 2, 40, 2), (0, 200, 300, 200), (38, 2, 40, 2), (40, 0, 40, 2), (100, 200, 300, 200),
     (12_000, 3, 100_000, 3), (0, 1, 1, 1)],
)  # fmt: skip
def test_a_frame_fits_any_terminal(done: int, running: int, num_samples: int, slots: int, notice: str) -> None:
    budgets = {"epochs": (812.0, 5000.0), "time": (72.0, 600.0)}
    standing = Search().many(done, running).standing(num_samples, slots, budgets=lambda: budgets)
    for width, height in itertools.product((20, 60, 79, 110, 200, 400), (1, 2, 3, 5, 9, 14, 23, 60, 250)):
        lines = live.frame(standing, width, height, notice).plain.split("\n")
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert len(lines_of(standing, width, height, notice=notice)) == len(lines), "rich wraps a line"


@pytest.mark.parametrize(
    ("width", "height", "running", "shown", "more"),
    [(60, 14, 2, 2, None), (60, 14, 40, 5, 35), (110, 34, 200, 50, 150), (200, 49, 200, 123, 77),
     (200, 49, 30, 30, None), (60, 8, 200, 2, 198), (60, 7, 3, 3, None), (200, 100, 200, 200, None)],
)  # fmt: skip
def test_as_many_running_trials_as_fit(width: int, height: int, running: int, shown: int, more: int | None) -> None:
    search = Search()
    for _ in range(running):
        search.report(search.start(), 3)
    lines = lines_of(search.standing(300, running), width, height)
    assert sum(line.count(f"3/{EPOCHS}") for line in lines) == shown
    assert [line for line in lines if "more" in line] == ([f"and {more} more"] if more else [])


def test_a_frame_says_where_the_search_stands() -> None:
    search = Search()
    for level in (0.5, 0.2, 0.9):
        search.report(search.start(), 8, level)
    search.end(2, "pruned")
    search.report(0, 24, 0.5)
    search.report(1, 20, 0.2)
    lines = lines_of(search.standing())
    assert lines[0].endswith("─  1 of 40  1 min 12 s")
    assert lines[0].count("━") == round(60 / 40)
    assert lines[1] == "2 running  1 pruned"
    assert line_with(lines, "best     ") == "best     cnn  trial 1  val_loss 0.2500  val_error 2.50 %  epoch 20"
    assert line_with(lines, "rungs") == "rungs    epoch 8: 2 of 3 went on  epoch 24: 1 of 1"
    assert line_with(lines, "24/72").split()[-2:] == ["0.5417", "0.5417"]
    assert line_with(lines, "20/72").split()[0] == "1"


def test_what_is_paused_is_counted_and_stands_in_the_bar_before_what_is_pruned() -> None:
    search = Search()
    for number, (epochs, state) in enumerate(
        [(72, "completed"), (8, "pruned"), (8, "paused"), (24, "paused"), (8, "")]
    ):
        search.report(search.start(), epochs)
        if state == "paused":
            search.pause(number)
        elif state:
            search.end(number, state)
    assert lines_of(search.standing(10))[1] == "1 running  1 completed  2 paused  1 pruned"
    bar = live.frame(search.standing(10), 110, 40).split("\n")[0]
    assert bar.plain.startswith("━" * 24 + "─")
    looks = {style: state for state, style in live.STYLES.items()}
    assert [(looks[str(span.style)], span.end - span.start) for span in bar.spans[:3]] == [
        ("completed", 6),
        ("paused", 12),
        ("pruned", 6),
    ]
    search.promote(2)
    assert lines_of(search.standing(10))[1] == "2 running  1 completed  1 paused  1 pruned"


def test_of_the_best_it_is_said_whether_it_is_paused() -> None:
    search = Search()
    search.report(search.start(), 8)
    search.pause(0)
    assert line_with(lines_of(search.standing()), "best ").endswith("epoch 8  paused")
    search.end(0, "pruned")
    assert line_with(lines_of(search.standing()), "best ").endswith("epoch 8")


def test_every_state_has_a_look_of_its_own() -> None:
    assert {*live.STYLES} == {*get_args(State)}
    assert len({*live.STYLES.values()}) == len(live.STYLES)


@pytest.mark.parametrize("width", [60, 110, 200])
def test_the_searched_settings_of_the_best_and_no_others(width: int) -> None:
    search = Search()
    search.report(search.start(), 3)
    lines = lines_of(search.standing(), width)
    first = next(place for place, line in enumerate(lines) if line.startswith("best"))
    shown = " ".join(itertools.takewhile(str.strip, lines[first + 1 :])).partition("rungs")[0].split()
    assert shown == [
        "channels=[24,64]", "optimizer=sgd", "lr=0.0123", "momentum=0.877", "weight_decay=1.23e-05",
        "schedule=constant", "normalise=none", "dropout=0.123", "label_smoothing=0.0123", "affine=0.4", "shift=0.1",
    ]  # fmt: skip


def test_the_best_is_chosen_as_the_winner_will_be_and_each_family_has_its_own() -> None:
    search = Search()
    for model, loss, error in (("mlp", 0.2, 0.05), ("cnn", 0.4, 0.03), ("cnn", 0.3, 0.03), ("cnn", 0.3, 0.03)):
        figures = {"index": 1, "val_loss": loss, "val_error": error, "val_f1": 0.95 - error, "seconds": 1.0}
        search.event("report", search.start(model), epochs=[figures], best=figures)
    by_error = [best.trial.id for best in search.standing(metric="val_error").bests]
    assert by_error == [2, 0]
    assert [best.trial.id for best in search.standing(metric="val_loss").bests] == [0, 2]
    lines = lines_of(search.standing(metric="val_error"))
    assert "cnn  trial 2  val_error 3.00 %  val_loss 0.3000  epoch 1" in lines[3]
    assert line_with(lines, "mlp  trial 0").strip() == "mlp  trial 0  val_error 5.00 %  val_loss 0.2000  epoch 1"
    by_f1 = search.standing(metric="val_f1")
    assert [best.trial.id for best in by_f1.bests] == [2, 0]
    lines = lines_of(by_f1)
    assert "cnn  trial 2  val_f1 0.9200  val_error 3.00 %  epoch 1" in lines[3]
    assert line_with(lines, "2  cnn").split()[-2:] == ["0.9200", "0.9200"]


def test_before_the_first_report_the_workers_are_starting() -> None:
    search = Search()
    assert lines_of(search.standing())[1:] == ["starting workers"]
    search.start()
    lines = lines_of(search.standing())
    assert lines[1] == "1 running  starting workers"
    assert line_with(lines, "0/72").endswith("starting")
    assert not any(word in line for line in lines for word in ("left", "rungs", "best  "))
    search.end(0, "cancelled")
    assert lines_of(search.standing())[1:] == ["1 cancelled"]


def test_the_last_failure_is_named() -> None:
    search = Search()
    for state, reason in (("failed", "KeyError: 'a'\n (x.py:1)"), ("oom", "out of memory"), ("diverged", "nan")):
        search.time += 1
        search.end(search.start(), state, reason)
    assert line_with(lines_of(search.standing()), "trial 1") == "oom      trial 1: out of memory"
    search.end(search.start(), "failed", "KeyError: 'a'\n (x.py:1)")
    search.history.trials[3].ended = 2000.0
    assert line_with(lines_of(search.standing()), "trial 3").endswith("trial 3: KeyError: 'a' (x.py:1)")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    standing = Search().many(5, 6).standing(budgets=lambda: {"epochs": (1, 2)})
    assert "\n".join(lines_of(standing, ascii_only=True)).isascii()


@pytest.mark.parametrize(
    ("budgets", "texts", "left"),
    [
        ({}, [], 40.0),
        ({"time": (72.0, 100.0)}, ["time 1 min 12 s of 1 min 40 s"], 28.0),
        ({"epochs": (720.0, 900.0)}, ["epochs 720 of 900"], 18.0),
        ({"epochs": (0.0, 1_000_000.0)}, ["epochs 0 of 1000000"], 40.0),
        ({"epochs": (901.0, 900.0), "time": (1.0, 3600.0)}, ["epochs 901 of 900", "time 1 s of 1 h 00 min"], 0.0),
    ],
)
def test_budgets_are_shown_and_end_the_search_earlier(budgets: Any, texts: list[str], left: float) -> None:
    search = Search()
    for _ in range(4):
        trial = search.start()
        search.report(trial, 10)
        search.end(trial)
    standing = search.standing(num_samples=8, slots=1, budgets=lambda: budgets)
    assert budget_texts(standing.budgets) == texts
    assert standing.left == pytest.approx(left)
    assert [line for line in lines_of(standing) if "budget" in line] == ["budget   " + "  ".join(texts)] * bool(texts)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("val_error", 0.0086, "0.86 %"), ("val_loss", 0.04321, "0.0432"), ("val_loss", 0.00012345, "1.23e-04"),
     ("val_loss", 123456.0, "1.23e+05"), ("val_loss", 0.0, "0.0000"), ("val_f1", 0.98765, "0.9877"),
     ("val_f1", 1.0, "1.0000")],
)  # fmt: skip
def test_figures(name: str, value: float, text: str) -> None:
    assert live.figure_text(name, value) == text
