import fcntl
import hashlib
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torchvision.datasets import MNIST, SVHN

from datasets import mnist, svhn
from datasets.errors import UserError
from datasets.files import Source, find

CONTENT = os.urandom(300_000)
CHECKSUM = hashlib.md5(CONTENT).hexdigest()
OTHER = b"not the file"
REPOSITORY = Path(__file__).parents[2]


@dataclass
class Mirror:
    """A server of CONTENT under any path that behaves as the path says, and what it was asked."""

    address: str = ""
    ranges: list[tuple[str, str | None]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""


@pytest.fixture
def mirror(monkeypatch) -> Iterator[Mirror]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append((self.path, asked))
            content = OTHER if self.path == "/other" else CONTENT
            start = (
                int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.path != "/ranges-ignored" else 0
            )
            if self.path == "/absent":
                return self.send_error(404)
            if start >= len(content):
                return self.send_error(416)
            body = content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if self.path != "/length-unknown":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)
            return None

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def source(mirror: Mirror, *paths: str) -> Source:
    addresses = [path if path.startswith("http") else mirror.address + path for path in paths]
    return Source("file.bin", CHECKSUM, tuple(addresses))


DEAD = "http://127.0.0.1:9/file.bin"  # the port of a service that nobody runs


def refusal(mirror: Mirror, root: Path, *paths: str) -> str:
    with pytest.raises(UserError) as error:
        find("dataset name", root, source(mirror, *paths))
    return str(error.value).replace(mirror.address, "MIRROR").replace(str(root), "ROOT")


@pytest.mark.parametrize(
    ("path", "cuts", "asked"),
    [
        ("/good", [], [None]),
        ("/good", [100_000], [None, "bytes=100000-"]),
        ("/good", [100_000, 1, 50_000], [None, "bytes=100000-", "bytes=100001-", "bytes=150001-"]),
        ("/ranges-ignored", [100_000], [None, "bytes=100000-"]),
        ("/length-unknown", [], [None]),
    ],
)
def test_a_file_that_is_absent_is_downloaded_and_a_broken_connection_resumed(tmp_path, mirror, path, cuts, asked):
    mirror.cuts = cuts
    root = tmp_path / "data"
    assert find("dataset name", root, source(mirror, path)) == root / "name/file.bin"
    assert (root / "name/file.bin").read_bytes() == CONTENT
    assert mirror.ranges == [(path, what) for what in asked]
    assert [path.name for path in (root / "name").iterdir()] == ["file.bin"]
    find("dataset name", root, source(mirror, path))
    assert len(mirror.ranges) == len(asked)


@pytest.mark.parametrize(
    ("part", "path", "asked"),
    [
        (CONTENT[:1234], "/good", ["bytes=1234-"]),
        (CONTENT[:1234], "/ranges-ignored", ["bytes=1234-"]),
        (CONTENT, "/good", []),
        (CONTENT + b"more", "/good", ["bytes=300004-", None]),
        (b"", "/good", [None]),
    ],
)
def test_what_an_earlier_run_left_is_resumed(tmp_path, mirror, part, path, asked):
    (tmp_path / "name").mkdir()
    (tmp_path / "name/file.bin.part").write_bytes(part)
    assert find("dataset name", tmp_path, source(mirror, path)).read_bytes() == CONTENT
    assert mirror.ranges == [(path, what) for what in asked]
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["file.bin"]


@pytest.mark.parametrize("first", [DEAD, "/absent", "/other"])
def test_the_next_mirror_is_asked_where_the_first_has_nothing(tmp_path, mirror, first):
    assert find("dataset name", tmp_path, source(mirror, first, "/good")).read_bytes() == CONTENT
    assert mirror.ranges[-1] == ("/good", None)


def test_what_one_mirror_gave_is_resumed_at_the_next(tmp_path, mirror):
    mirror.cuts = [1000, 0]
    assert find("dataset name", tmp_path, source(mirror, "/good", "/good/too")).read_bytes() == CONTENT
    assert mirror.ranges == [("/good", None), ("/good", "bytes=1000-"), ("/good/too", "bytes=1000-")]


ADVICE = "put it at ROOT/name/file.bin, from"
ABSENT = "dataset name: file.bin is not below ROOT and could not be downloaded"


def test_all_mirrors_dead_is_one_line_that_says_what_to_do(tmp_path, mirror):
    assert refusal(mirror, tmp_path, DEAD, "/absent") == (
        f"{ABSENT} ({DEAD}: Connection refused; MIRROR/absent: HTTP 404 Not Found); {ADVICE} {DEAD} or MIRROR/absent"
    )
    assert list(tmp_path.iterdir()) == [], "no folder is left of a data root that was mistyped"


def test_a_wrong_checksum_removes_what_came_and_says_so(tmp_path, mirror):
    found = hashlib.md5(OTHER).hexdigest()
    assert refusal(mirror, tmp_path, "/other") == (
        f"{ABSENT} (MIRROR/other: what came was removed, since its md5 is {found}, not {CHECKSUM}); "
        f"{ADVICE} MIRROR/other"
    )
    assert list(tmp_path.iterdir()) == [], "no folder is left of a data root that was mistyped"


@pytest.mark.parametrize(("path", "left"), [("/good", 1000), ("/ranges-ignored", 700)])
def test_a_connection_that_gets_no_further_is_given_up_and_its_bytes_kept(tmp_path, mirror, path, left):
    mirror.cuts = [1000, 0 if path == "/good" else 700]
    total = 300_000
    assert refusal(mirror, tmp_path, path) == (
        f"{ABSENT} (MIRROR{path}: the connection broke off at byte {left} of {total}); {ADVICE} MIRROR{path}"
    )
    assert (tmp_path / "name/file.bin.part").read_bytes() == CONTENT[:left]


def test_a_root_that_cannot_be_written_is_named(tmp_path, mirror):
    root = tmp_path / "file"
    root.write_text("no folder")
    assert refusal(mirror, root, "/good") == (
        "dataset name: file.bin is not below ROOT, and ROOT/name cannot be written: Not a directory; "
        f"{ADVICE} MIRROR/good"
    )
    assert mirror.ranges == []


def test_a_place_that_cannot_be_looked_into_is_named(tmp_path):
    with pytest.raises(UserError, match=f"^dataset name: {tmp_path}/y+ cannot be read: File name too long$"):
        find("dataset name", tmp_path, Source("y" * 300, CHECKSUM, ()))


SCRIPT = """
import sys
from pathlib import Path
from datasets.files import Source, find
print(find("dataset name", Path(sys.argv[1]), Source("file.bin", sys.argv[2], (sys.argv[3],))))
"""


@pytest.mark.parametrize(
    ("ending", "asked"),
    [
        (lambda part: part.write_bytes(CONTENT) and part.rename(part.with_suffix("")), []),
        (lambda part: part.unlink(), [None]),
        (lambda part: part.write_bytes(CONTENT[:1000]), ["bytes=1000-"]),
        (lambda part: part.unlink() or part.write_bytes(CONTENT[:1000]), ["bytes=1000-"]),
    ],
    ids=["finished", "removed its part", "broken off", "removed its part, and a third began"],
)
def test_a_process_waits_for_another_that_downloads_the_same(tmp_path, mirror, ending, asked):
    (tmp_path / "name").mkdir()
    part = tmp_path / "name/file.bin.part"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), CHECKSUM, f"{mirror.address}/good"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with part.open("ab") as ours:
        fcntl.flock(ours, fcntl.LOCK_EX)
        process = subprocess.Popen(command, cwd=REPOSITORY, **pipes)
        assert process.stderr.readline() == f"{part} is being downloaded by another process: waiting for it\n"
        assert mirror.ranges == []
        ending(part)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (0, str(tmp_path / "name/file.bin")), err
    assert (tmp_path / "name/file.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "name").iterdir()] == ["file.bin"]
    assert mirror.ranges == [("/good", what) for what in asked]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(tmp_path, mirror, terminal):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), CHECKSUM, f"{mirror.address}/good"]
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=theirs if terminal else subprocess.PIPE,
        check=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = os.read(ours, 10_000) if terminal else done.stderr
    os.close(ours)
    assert (b"file.bin" in shown, b"300.0/300.0 kB" in shown) == (terminal, terminal)
    assert done.stdout.decode().strip() == str(tmp_path / "name/file.bin")


def test_addresses_and_checksums_are_torchvisions():
    assert list(mnist.MIRRORS) == MNIST.mirrors
    assert [(source.file, source.checksum) for source in mnist.SOURCES] == MNIST.resources
    for source in mnist.SOURCES:
        assert source.addresses == tuple(mirror + source.file for mirror in MNIST.mirrors)
    assert {part: [*s.addresses, s.file, s.checksum] for part, s in svhn.SOURCES.items()} == SVHN.split_list
