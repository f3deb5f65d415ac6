"""The live view's coming and going, and the lines shown where there is no terminal."""

import io
import itertools
import threading
import time
from typing import Any

import pytest
from growing_search import EPOCHS, Search
from rich.console import Console

from search import conf
from search.progress import ProgressView, duration, roughly


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [(0, "0 s", "5 s"), (48.4, "48 s", "50 s"), (58, "58 s", "1 min"), (200, "3 min 20 s", "3 min 20 s"),
     (596, "9 min 56 s", "10 min"), (700, "11 min 40 s", "12 min"), (3590, "59 min 50 s", "1 h 00 min"),
     (7800, "2 h 10 min", "2 h 10 min"), (8000, "2 h 13 min", "2 h 10 min")],
)  # fmt: skip
def test_durations(seconds: float, exact: str, rough: str) -> None:
    assert (duration(seconds), roughly(seconds)) == (exact, rough)


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


def test_frames_that_take_long_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.progress._SHARE", 1e-9)
    console, search = terminal(), Search().many(3, 1)
    view = view_of(search, console)
    view.begin()
    first = view.frame()
    search.start()
    assert view.frame() is first
    console.size = (60, 20)  # type: ignore[assignment]
    narrow = view.frame()
    view.end()
    assert narrow is not first


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
