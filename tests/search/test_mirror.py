"""The log in an object store: what a driver sends, what another gets, and that only one of them writes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from s3_server import Gate

from datasets.errors import UserError
from search import mirror
from search.events import FILE_NAME, EventLog, read
from search.mirror import Mirror
from trainables.object_store import ObjectStore

WAIT = 60.0
"""Seconds; what is waited for comes far sooner."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(mirror, "_SETTLING_SECONDS", 0.02)
    monkeypatch.setattr(mirror, "_LONGEST_PAUSE", 0.1)


@pytest.fixture
def opened(object_store: ObjectStore) -> Iterator[Callable[[Path], Mirror]]:
    """Opens mirrors, and closes them."""
    mirrors = []

    def opened(folder: Path) -> Mirror:
        mirrors.append(Mirror(folder, object_store))
        mirrors[-1].open()
        return mirrors[-1]

    yield opened
    for one in mirrors:
        one.close(WAIT)


def append(folder: Path, numbers: range, **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    with closing(EventLog(folder / FILE_NAME, resume=True)) as log:
        for number in numbers:
            log.append("report", number=number, **more)


def numbers(folder: Path) -> list[int]:
    return [event["number"] for event in read(folder / FILE_NAME)]


def lease(store: ObjectStore) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.read("log/lease.json"))
    return found


def segments(store: ObjectStore) -> list[str]:
    return [file.name for file in store.files("log") if file.name.endswith(".jsonl")]


def send(folder: Path, store: ObjectStore) -> None:
    """As one driver does from its start to its end."""
    one = Mirror(folder, store)
    one.open()
    assert one.flush(WAIT)
    one.close(WAIT)


def test_a_search_goes_on_on_another_machine(object_store: ObjectStore, opened: Any, tmp_path: Path) -> None:
    for turn, name in enumerate(("first", "second", "third")):
        folder = tmp_path / name
        if turn:
            Mirror.fetch(object_store, folder)
        one = opened(folder)
        append(folder, range(turn * 10, turn * 10 + 10))
        assert one.flush(WAIT)
        assert one.problem is None
        one.close(WAIT)
        assert lease(object_store) == {}
    Mirror.fetch(object_store, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(30))
    assert (tmp_path / "copy" / FILE_NAME).read_bytes() == (folder / FILE_NAME).read_bytes()


def test_the_results_are_there_with_the_whole_log_and_without_the_trials(
    object_store: ObjectStore, opened: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    append(folder, range(5))
    for name in ("best.pt", "pictures/curves.png", "trials/00001/state"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    one = opened(folder)
    object_store.write("trials/00001/checkpoint/weights", b"1")
    assert one.results(WAIT)
    assert object_store.read(FILE_NAME) == (folder / FILE_NAME).read_bytes()
    Mirror.fetch(object_store, tmp_path / "copy")
    copied = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert copied == {"best.pt", "pictures/curves.png", FILE_NAME}
    (folder / "best.pt").write_text("better")
    assert one.results(WAIT)
    assert object_store.read("best.pt") == b"better"


def test_segments_grow_until_they_are_long_and_are_few(
    object_store: ObjectStore, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_SEGMENT_BYTES", 1000)
    one = opened(tmp_path)
    for number in range(40):
        append(tmp_path, range(number, number + 1))
        assert one.flush(WAIT)
    size = (tmp_path / FILE_NAME).stat().st_size
    assert 1 < len(segments(object_store)) <= size / 1000 + 1
    Mirror.fetch(object_store, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(40))


def test_nothing_is_lost_where_the_store_goes_away_and_comes_back(
    object_store: ObjectStore, opened: Any, gate: Gate, tmp_path: Path
) -> None:
    one = opened(tmp_path)
    append(tmp_path, range(10))
    assert one.flush(WAIT)
    gate.shut()
    append(tmp_path, range(10, 20))
    assert not one.flush(0.05)
    assert one.problem is not None
    assert one.problem.startswith(f"{object_store.uri}: ")
    assert "\n" not in one.problem
    while "Could not connect" not in str(one.problem):
        time.sleep(0.01)
    append(tmp_path, range(20, 30))
    gate.open()
    assert one.flush(WAIT)
    assert one.problem is None
    Mirror.fetch(object_store, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(30))


def test_a_store_that_is_silent_holds_nothing_up(
    object_store: ObjectStore, opened: Any, gate: Gate, tmp_path: Path
) -> None:
    one = opened(tmp_path)
    append(tmp_path, range(10))
    assert one.flush(WAIT)
    gate.flowing.clear()
    append(tmp_path, range(10, 20))
    assert not one.flush(0.05)
    assert one.problem == f"{object_store.uri}: has not taken everything within 0.05 s"
    one.close(0.05)
    gate.flowing.set()
    one.close(WAIT)
    assert one.problem is None
    Mirror.fetch(object_store, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == list(range(20))


def test_a_store_that_is_away_from_the_start_is_refused(object_store: ObjectStore, gate: Gate, tmp_path: Path) -> None:
    gate.shut()
    with pytest.raises(UserError, match=r"Could not connect to server.*AWS_ENDPOINT_URL"):
        Mirror(tmp_path, object_store).open()
    with pytest.raises(UserError, match="Could not connect to server"):
        Mirror.fetch(object_store, tmp_path)


def test_a_second_driver_is_refused(object_store: ObjectStore, opened: Any, tmp_path: Path) -> None:
    opened(tmp_path / "first")
    with pytest.raises(UserError) as error:
        opened(tmp_path / "second")
    assert f"another command on {socket.gethostname()} (process {os.getpid()})" in str(error.value)
    assert "\n" not in str(error.value)


DRIVER = """
import sys, time
from pathlib import Path
from search.mirror import Mirror
from trainables.object_store import ObjectStore

one = Mirror(Path(sys.argv[1]), ObjectStore(sys.argv[2]))
one.open()
one.flush(60)
print("open", flush=True)
time.sleep(600)
"""


def test_a_driver_that_was_killed_is_followed_at_once(object_store: ObjectStore, opened: Any, tmp_path: Path) -> None:
    append(tmp_path, range(5))
    command = [sys.executable, "-c", DRIVER, str(tmp_path), object_store.uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "open\n"
        with pytest.raises(UserError, match=f"process {killed.pid}"):
            opened(tmp_path)
        killed.kill()
    one = opened(tmp_path)
    append(tmp_path, range(5, 10))
    assert one.flush(WAIT)
    assert lease(object_store)["turn"] == 2


def of_another(store: ObjectStore, **changes: Any) -> None:
    """Makes the lease one of a driver on another machine."""
    facts = {"id": "another", "turn": 7, "host": "elsewhere", "pid": 1, "pids": "", "time": 0.0, **changes}
    store.write("log/lease.json", json.dumps(facts).encode())


def test_a_driver_elsewhere_is_followed_once_its_lease_is_old(
    object_store: ObjectStore, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_another(object_store)
    with pytest.raises(UserError, match="elsewhere"):
        opened(tmp_path)
    monkeypatch.setattr(mirror, "_LEASE_SECONDS", 0.0)
    opened(tmp_path)
    assert lease(object_store)["turn"] == 8


def test_a_driver_that_was_taken_over_from_sends_nothing_more(
    object_store: ObjectStore, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_RENEWAL_SECONDS", 0.0)
    one = opened(tmp_path)
    append(tmp_path, range(5))
    assert one.flush(WAIT)
    append(tmp_path, range(5, 10))
    while not one.deposed:  # a lease that is written between a look at it and its renewal is overwritten
        of_another(object_store)
        one.flush(WAIT)
    sent = segments(object_store)
    append(tmp_path, range(10, 15))
    assert not one.flush(WAIT)
    assert one.problem == f"{object_store.uri}: elsewhere (process 1) has taken the search over"
    one.close(WAIT)
    assert segments(object_store) == sent
    assert lease(object_store)["id"] == "another"


def test_a_driver_that_overwrote_a_later_ones_lease_stops_too(
    object_store: ObjectStore, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its renewal was held up on the way; what the other has sent since would cut off what it sends."""
    monkeypatch.setattr(mirror, "_RENEWAL_SECONDS", 0.0)
    one = opened(tmp_path)
    append(tmp_path, range(5))
    assert one.flush(WAIT)
    object_store.write("log/00002-000000000000.jsonl", (tmp_path / FILE_NAME).read_bytes())
    while not one.deposed:
        one.flush(WAIT)
    assert one.problem == f"{object_store.uri}: another command has taken the search over"


def test_of_two_that_begin_at_once_one_goes_on(
    object_store: ObjectStore, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has looked for a lease before the other wrote one."""
    look = Mirror._lease
    monkeypatch.setattr(Mirror, "_lease", lambda _: None)
    monkeypatch.setattr(mirror, "_SETTLING_SECONDS", 0.5)
    both = [opened(tmp_path / name) for name in ("first", "second")]
    monkeypatch.setattr(Mirror, "_lease", look)
    for folder in ("first", "second"):
        append(tmp_path / folder, range(5))
    assert [one.flush(WAIT) for one in both] == [False, True]
    assert [one.deposed for one in both] == [True, False]


def test_what_a_driver_writes_after_another_took_over_is_in_nobodys_log(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    append(tmp_path / "first", range(5))
    send(tmp_path / "first", object_store)
    Mirror.fetch(object_store, tmp_path / "second")
    append(tmp_path / "second", range(100, 105))
    send(tmp_path / "second", object_store)
    append(tmp_path / "first", range(5, 25))
    late = (tmp_path / "first" / FILE_NAME).read_bytes()
    object_store.write("log/00001-000000000000.jsonl", late)
    Mirror.fetch(object_store, tmp_path / "third")
    assert numbers(tmp_path / "third") == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]


@pytest.mark.parametrize("cut", [1, 30, 10_000])
def test_a_segment_that_is_cut_off_costs_only_its_last_line(
    cut: int, object_store: ObjectStore, tmp_path: Path
) -> None:
    append(tmp_path / "first", range(5))
    send(tmp_path / "first", object_store)
    (name,) = segments(object_store)
    content = object_store.read(f"log/{name}")
    object_store.write(f"log/{name}", content[: max(10, len(content) - cut)])
    left = list(range(4)) if cut < 10_000 else []
    if left:
        Mirror.fetch(object_store, tmp_path / "second")
        assert numbers(tmp_path / "second") == left
    append(tmp_path / "second", range(10, 15))
    send(tmp_path / "second", object_store)
    Mirror.fetch(object_store, tmp_path / "third")
    assert numbers(tmp_path / "third") == [*left, *range(10, 15)]


def test_the_longer_log_is_kept(object_store: ObjectStore, tmp_path: Path) -> None:
    append(tmp_path / "first", range(5))
    send(tmp_path / "first", object_store)
    Mirror.fetch(object_store, tmp_path / "second")
    append(tmp_path / "first", range(5, 10))
    with (tmp_path / "first" / FILE_NAME).open("a") as file:
        file.write('{"event": "rep')
    Mirror.fetch(object_store, tmp_path / "first")
    assert numbers(tmp_path / "first") == list(range(10))
    send_again = Mirror(tmp_path / "first", object_store)
    append(tmp_path / "first", range(10, 12))
    send_again.open()
    assert send_again.flush(WAIT)
    send_again.close(WAIT)
    Mirror.fetch(object_store, tmp_path / "second")
    assert numbers(tmp_path / "second") == list(range(12))


def test_logs_that_differ_are_refused(object_store: ObjectStore, opened: Any, tmp_path: Path) -> None:
    append(tmp_path / "first", range(5))
    send(tmp_path / "first", object_store)
    append(tmp_path / "second", range(3))
    with pytest.raises(UserError, match="has gone on otherwise than"):
        Mirror.fetch(object_store, tmp_path / "second")
    for folder in ("second", "new"):
        with pytest.raises(UserError, match="has another search than"):
            opened(tmp_path / folder)


def test_a_log_with_a_hole_is_refused(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.write("log/00001-000000000000.jsonl", b'{"number": 1}\n')
    object_store.write("log/00001-000000000100.jsonl", b'{"number": 2}\n')
    with pytest.raises(UserError, match=r"before 00001-000000000100.jsonl something is missing"):
        Mirror.fetch(object_store, tmp_path)


def test_a_search_that_is_not_there_is_refused(object_store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no search"):
        Mirror.fetch(object_store, tmp_path)
