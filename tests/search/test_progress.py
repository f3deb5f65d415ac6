"""What is shown while a search runs, drawn from histories built of events."""

import heapq
import io
import itertools
import random
import threading
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import pytest
from rich.console import Console

from search import conf, live
from search.history import History
from search.progress import ProgressView, budget_texts, duration, roughly
from search.rungs import Rungs
from search.standing import Standing, seconds_left

EPOCHS = 72
CONFIG = {
    "model": "cnn",
    "cnn.channels": [24, 64],
    "cnn.widths": [],
    "cnn.batch_size": 64,
    "optimizer": "sgd",
    "sgd.lr": 0.0123456,
    "sgd.momentum": 0.87654321,
    "sgd.nesterov": True,
    "sgd.weight_decay": 1.2345e-05,
    "schedule": "constant",
    "batch_norm": True,
    "normalise": "none",
    "dropout": 0.123456,
    "label_smoothing": 0.0123,
    "affine": 0.4,
    "shift": 0.1,
}


class Search:
    """A search's history, built an event at a time. Losses fall to ``level``, errors are a tenth of them."""

    def __init__(self) -> None:
        self.history = History()
        self.time = 1000.0

    def event(self, kind: str, trial: int, **fields: Any) -> None:
        self.history.apply({"event": kind, "time": self.time, "trial": trial, **fields})

    def start(self, model: str = "cnn", **settings: Any) -> int:
        number = len(self.history.trials)
        self.event("proposal", number, config={**CONFIG, "model": model, **settings}, seed=0)
        self.event("start", number, worker={})
        return number

    def report(self, trial: int, epochs: int, level: float = 0.5, seconds: float = 1.0) -> None:
        trained = self.history.trials[trial].epochs
        curve = [
            {"index": index, "val_loss": level + 1 / index, "val_error": (level + 1 / index) / 10, "seconds": seconds}
            for index in range(trained + 1, epochs + 1)
        ]
        self.event("report", trial, epochs=curve, best=curve[-1])

    def end(self, trial: int, state: str = "completed", reason: str = "") -> None:
        self.event("ending", trial, state=state, reason=reason)

    def many(self, ended: int, running: int) -> "Search":
        """``ended`` trials in all states, then ``running`` ones, every third without an epoch."""
        fates = [(8, "pruned"), (24, "pruned"), (72, "completed"), (40, "converged"), (3, "failed"), (5, "oom"),
                 (2, "diverged"), (9, "cancelled")]  # fmt: skip
        for number, (epochs, state) in zip(range(ended), itertools.cycle(fates), strict=False):
            self.start(("mlp", "cnn")[number % 2])
            self.time += 1
            self.report(number, epochs, 0.1 + number / 100)
            self.end(number, state, "ValueError: a reason that is longer than most terminals are wide " * 3)
        for number in range(ended, ended + running):
            self.start(("mlp", "cnn")[number % 2])
            if number % 3:
                self.report(number, number % 70 + 1, 0.3)
        return self

    def standing(self, num_samples: int = 40, slots: int = 2, metric: str = "val_loss", **more: Any) -> Standing:
        task = conf.load("digits", {"epochs": EPOCHS}, [f"metric={metric}"])
        return Standing.of(self.history, task, num_samples, slots, elapsed=72.0, now=self.time, **more)


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
    ("ended", "running", "num_samples", "slots"),
    [(0, 0, 40, 2), (0, 2, 40, 2), (0, 200, 300, 200), (38, 2, 40, 2), (40, 0, 40, 2), (100, 200, 300, 200),
     (12_000, 3, 100_000, 3), (0, 1, 1, 1)],
)  # fmt: skip
def test_a_frame_fits_any_terminal(ended: int, running: int, num_samples: int, slots: int, notice: str) -> None:
    budgets = {"epochs": (812.0, 5000.0), "time": (72.0, 600.0)}
    standing = Search().many(ended, running).standing(num_samples, slots, budgets=lambda: budgets)
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
        search.time += 10
        search.end(trial)
    standing = search.standing(num_samples=8, slots=1, budgets=lambda: budgets)
    assert budget_texts(standing.budgets) == texts
    assert standing.left == pytest.approx(left)
    assert [line for line in lines_of(standing) if "budget" in line] == ["budget   " + "  ".join(texts)] * bool(texts)


# (seconds each ended trial took), (age of each running one, epochs it has trained), waiting, slots: seconds left
ESTIMATES = [
    ([], [], 40, 2, None),
    ([], [(10, 5), (10, 5)], 40, 2, None),
    ([10, 10], [(10, 5)], 40, 2, None),
    ([10, 10], [], 0, 2, 0),
    ([10, 10, 10], [], 10, 2, 50),
    ([10, 10, 10], [], 9, 2, 50),
    ([10, 10, 10], [], 1, 200, 10),
    ([10] * 20, [], 50_000, 5, 100_000),
    ([1, 1, 1], [(36, 36)], 0, 2, 36),
    ([1, 1, 1], [(72, 72)], 0, 2, 0),
    ([1, 1, 1], [(100, 72)], 0, 2, 0),
    ([1, 1, 1], [(10, 0)], 0, 2, 0),
]


@pytest.mark.parametrize(("ended", "running", "waiting", "slots", "expected"), ESTIMATES)
def test_the_estimate(
    ended: list[float], running: list[tuple[float, int]], waiting: int, slots: int, expected: float | None
) -> None:
    search = Search()
    for seconds in ended:
        trial = search.start()
        search.time += seconds
        search.end(trial)
    now = search.time
    for age, epochs in running:
        search.time = now - age
        search.report(search.start(), epochs) if epochs else search.start()
    trials = list(search.history.trials.values())
    left = seconds_left(trials, len(trials) + waiting, slots, EPOCHS, now)
    assert left == (None if expected is None else pytest.approx(expected, rel=0.02))


def test_the_wait_for_the_workers_is_not_expected_of_later_trials() -> None:
    search = Search()
    for _ in range(3):
        search.event("proposal", len(search.history.trials), config=CONFIG, seed=0)
    search.time += 60
    for trial in range(3):
        search.event("start", trial, worker={})
    search.time += 5
    for trial in range(3):
        search.end(trial)
    trials = list(search.history.trials.values())
    assert seconds_left(trials, 9, 3, EPOCHS, search.time) == pytest.approx(10)


def test_a_clock_set_back_is_no_harm() -> None:
    search = Search().many(10, 3)
    assert seconds_left(list(search.history.trials.values()), 40, 2, EPOCHS, search.time - 5000) >= 0


def estimates_halfway(num_samples: int, slots: int, seed: int) -> list[float]:
    """Estimated over true rest, at the endings in the middle half of a search that ASHA prunes; no computing done."""
    search, chance, rungs = Search(), random.Random(seed), Rungs((8, 24), 3)
    began, queue, seen, pace = search.time, [], [], {}

    def start() -> None:
        number = search.start()
        pace[number] = chance.uniform(0.5, 2)
        heapq.heappush(queue, (search.time + 8 * pace[number], number, chance.random(), 8))

    for _ in range(slots):
        start()
    while queue:
        search.time, number, value, epochs = heapq.heappop(queue)
        for trial in search.history.trials.values():
            trained = int((search.time - trial.proposed) / pace[trial.id])
            if trial.state == "running" and trained > trial.epochs:
                search.report(trial.id, min(trained, EPOCHS), seconds=pace[trial.id])
        if epochs < EPOCHS and rungs.judge("cnn", number, epochs, value) is None:
            heapq.heappush(queue, (search.time + 2 * epochs * pace[number], number, value, 3 * epochs))
            continue
        search.end(number, "completed" if epochs == EPOCHS else "pruned")
        if len(search.history.trials) < num_samples:
            start()
        left = seconds_left(list(search.history.trials.values()), num_samples, slots, EPOCHS, search.time)
        seen.append((search.time, left))
    whole = search.time - began
    return [
        left / (search.time - moment)
        for moment, left in seen
        if left is not None and 0.25 < (moment - began) / whole < 0.75
    ]


@pytest.mark.parametrize(("num_samples", "slots"), [(40, 2), (40, 8), (60, 40)])
def test_the_estimate_is_of_use_where_most_trials_are_pruned(num_samples: int, slots: int) -> None:
    ratios = [ratio for seed in range(5) for ratio in estimates_halfway(num_samples, slots, seed)]
    assert 0.75 < median(ratios) < 1.5
    assert sum(1 / 3 < ratio < 3 for ratio in ratios) > 0.9 * len(ratios)


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [(0, "0 s", "5 s"), (48.4, "48 s", "50 s"), (58, "58 s", "1 min"), (200, "3 min 20 s", "3 min 20 s"),
     (596, "9 min 56 s", "10 min"), (700, "11 min 40 s", "12 min"), (3590, "59 min 50 s", "1 h 00 min"),
     (7800, "2 h 10 min", "2 h 10 min"), (8000, "2 h 13 min", "2 h 10 min")],
)  # fmt: skip
def test_durations(seconds: float, exact: str, rough: str) -> None:
    assert (duration(seconds), roughly(seconds)) == (exact, rough)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("val_error", 0.0086, "0.86 %"), ("val_loss", 0.04321, "0.0432"), ("val_loss", 0.00012345, "1.23e-04"),
     ("val_loss", 123456.0, "1.23e+05"), ("val_loss", 0.0, "0.0000"), ("val_f1", 0.98765, "0.9877"),
     ("val_f1", 1.0, "1.0000")],
)  # fmt: skip
def test_figures(name: str, value: float, text: str) -> None:
    assert live.figure_text(name, value) == text


def view_of(search: Search, console: Console | None = None, *, quiet: bool = False) -> ProgressView:
    task = conf.load("digits", {"epochs": EPOCHS}, [])
    return ProgressView(search.history, task, 40, 2, quiet=quiet, console=console)


def terminal(width: int = 110, height: int = 35) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, _environ={"TERM": "xterm"})


def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [5000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    view = view_of(Search().many(3, 1))
    view.begin(lambda: {"epochs": (5, 70)})
    for seconds in (0.0, 1.0, 8.9, 0.2, 5.0):
        clock[0] += seconds
        view.update()
    view.end()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.split("  ")[0] for line in lines] == ["3/40"] * 3
    assert "pruned 2  running 1  best val_loss" in lines[0]
    assert "epochs 5 of 70" in lines[0]
    assert lines[1].rpartition("  ")[2].startswith("10 s, about ")
    assert lines[2].endswith("  15 s")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    console = terminal()
    view = view_of(Search().many(3, 1), console, quiet=True)
    view.begin()
    view.update()
    view.say("something")
    view.end()
    assert capsys.readouterr() == ("", "")
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_terminal_without_cursor_gets_lines(environment: dict[str, str]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ=environment)
    view = view_of(Search().many(3, 1), console)
    view.begin()
    view.update()
    view.end()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split("  ")[0] for line in lines] == ["3/40", "3/40"]


def test_on_a_terminal_the_view_goes_and_a_line_stays() -> None:
    console = terminal()
    view = view_of(Search().many(3, 2), console)
    view.begin()
    view.say("a line above")
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    view.end()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a line above" in drawn
    assert "2 running" in drawn
    erased = text.rpartition("\x1b[?25h")[2]
    last = erased.rpartition("\x1b[2K")[2]
    assert last.startswith("3/40  failed 0" if "failed" in last else "3/40  completed 1  pruned 2  running 2")
    frame_height = len(view.frame().plain.split("\n"))
    assert erased.count("\x1b[1A\x1b[2K") == frame_height, "the view is not erased whole"


def test_whoever_adds_events_does_not_draw() -> None:
    console = terminal()
    search = Search().many(3, 2)
    view = view_of(search, console)
    drawers = set()

    def frame() -> Any:
        drawers.add(threading.current_thread())
        return ProgressView.frame(view)

    view.frame = frame  # type: ignore[method-assign]
    view.begin()
    drawers.clear()
    for _ in range(1000):
        view.update()
    drawn = set(drawers)
    view.end()
    assert threading.current_thread() not in drawn


def test_an_interruption_is_shown_in_the_view_and_the_cursor_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    console = terminal()
    view = view_of(Search().many(3, 2), console)
    view.interrupted("before")
    view.begin()
    view.interrupted("stopping: all is lost")
    assert view.frame().plain.startswith("stopping: all is lost\n")
    view.end()
    assert capfd.readouterr().err == "\nbefore\n\x1b[?25h"


@pytest.mark.parametrize(("width", "height"), [(60, 15), (110, 35), (1, 2)])
def test_a_line_is_left_to_the_cursor_and_room_for_an_echoed_ctrl_c(width: int, height: int) -> None:
    view = view_of(Search().many(30, 200), terminal(width, height))
    view.begin()
    lines = view.frame().plain.split("\n")
    view.end()
    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= max(1, width - 2)


def test_frames_are_drawn_while_events_come_in() -> None:
    search, done = Search(), threading.Event()
    problems: list[BaseException] = []
    frames = 0

    def draw() -> None:
        nonlocal frames
        view = view_of(search, terminal(200, 50))
        try:
            while not done.is_set() or not frames:
                view.frame()
                view.line()
                frames += 1
        except BaseException as error:
            problems.append(error)

    drawing = threading.Thread(target=draw)
    drawing.start()
    try:
        for round_ in range(60):
            trials = [search.start() for _ in range(20)]
            for epochs, trial in itertools.product((3, 8, 24), trials):
                search.report(trial, epochs, 0.1)
            for trial in trials:
                search.end(trial, ("completed", "pruned", "failed")[round_ % 3], "reason")
    finally:
        done.set()
        drawing.join()
    assert not problems
    assert frames
