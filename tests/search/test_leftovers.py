"""What killed commands have left goes, and nothing of anyone else's."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from search import leftovers

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str) -> list[str]:
    """Lines that a Python process says that ends abruptly."""
    ending = "sys.stdout.flush()\nos.kill(os.getpid(), 9)"
    with tempfile.TemporaryFile("w+") as said:  # not a pipe, which Ray's processes would hold open for half a minute
        command = [sys.executable, "-c", f"import os, sys\n{script}\n{ending}", *arguments]
        subprocess.run(command, cwd=ROOT, stdout=said, timeout=120, check=False)
        said.seek(0)
        return said.read().splitlines()


def session(parent: Path, name: str) -> Path:
    folder = parent / f"session_{name}"
    (folder / "logs").mkdir(parents=True)
    return folder


CLAIM = "from pathlib import Path; from search import leftovers; leftovers.claim(Path(sys.argv[1]))"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The session folder of a killed command."""
    folder = session(tmp_path, "killed")
    run(CLAIM, str(folder))
    return folder


def test_a_session_of_a_killed_command_goes_when_the_next_begins(killed: Path) -> None:
    assert killed.is_dir()
    latest = killed.parent / "session_latest"
    latest.symlink_to(killed)
    leftovers.claim(session(killed.parent, "next"))
    assert [path.name for path in killed.parent.iterdir()] == ["session_next"]


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "elsewhere"},
        {"pid": os.getpid(), "started": leftovers._started(os.getpid())},
        {"pid": "1"},
        {"pid": None},
        None,
        [],
    ],
)
def test_what_runs_is_elsewhere_or_has_no_mark_stays(killed: Path, change: Any) -> None:
    mark = killed / "rungs.json"
    made_by = json.loads(mark.read_text())
    mark.write_text(json.dumps(made_by | change if isinstance(change, dict) else change))
    leftovers.claim(session(killed.parent, "next"))
    assert killed.is_dir()
    mark.unlink()
    leftovers.claim(killed.parent / "session_next")
    assert killed.is_dir()


def test_a_process_id_that_is_another_processs_now_keeps_nothing(killed: Path) -> None:
    mark = killed / "rungs.json"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"pid": os.getpid(), "started": "1"}))
    leftovers.claim(session(killed.parent, "next"))
    assert not killed.exists()


def test_a_link_is_not_followed(killed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    killed.rename(elsewhere)
    killed.symlink_to(elsewhere)
    leftovers.claim(session(tmp_path, "next"))
    assert (elsewhere / "logs").is_dir()


def test_at_the_end_ones_own_session_goes_and_no_other(killed: Path, tmp_path: Path) -> None:
    own, other = session(tmp_path / "here", "own"), session(tmp_path / "here", "other")
    leftovers.claim(own)
    for folder in (own, other, killed):
        leftovers.release(folder)
    assert (own.exists(), other.exists(), killed.exists()) == (False, True, True)


def test_a_scratch_folder_goes_at_its_end_or_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "rungs-of-somebody").mkdir()
    (left,) = run("from search import leftovers; scratch = leftovers.scratch(); print(scratch.__enter__())")
    assert Path(left).parent == tmp_path
    assert Path(left).is_dir()
    with leftovers.scratch() as folder:
        assert not Path(left).exists()
        assert folder.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["rungs-of-somebody"]


CONNECT = """
from search import cluster
cluster.connect(None)
print(cluster._session_folder())
if sys.argv[1] == "end":
    cluster.disconnect()
"""


@pytest.mark.slow
def test_of_ray_itself_nothing_is_left() -> None:
    (killed,) = run(CONNECT, "kill")
    assert Path(killed).is_dir()
    (ended,) = run(CONNECT, "end")
    assert not Path(killed).exists()
    assert not Path(ended).exists()
