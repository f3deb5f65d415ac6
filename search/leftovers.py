"""Folders on this machine that outlive a killed command: each has its maker's mark, and the next command removes it."""

import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = "rungs.json"
_SCRATCH = "rungs-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what nobody reads; those of killed commands go."""
    _clear(Path(tempfile.gettempdir()), f"{_SCRATCH}*")
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as folder:
        _mark(Path(folder))
        yield Path(folder)


def claim(session: Path) -> None:
    """Marks the session folder of a Ray that this process has started; those of killed commands beside it go.

    Processes that Ray started for those may live a minute longer; they miss nothing.
    """
    _clear(session.parent, "session_*")
    _mark(session)


def release(session: Path) -> None:
    """Removes the session folder of a Ray that has ended, if this process had claimed it."""
    if _made_by(session) == _this_process():
        _remove(session)


def _this_process() -> dict[str, object]:
    return {"pid": os.getpid(), "started": _started(os.getpid()), "machine": _machine()}


def _machine() -> str:
    """Where process ids mean the same: containers may share a folder."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.is_symlink() else ''}".strip()


def _started(pid: int) -> str | None:
    """When a process started, in the system's own words; None where there is none, as its id may be another's now."""
    if Path("/proc/self/stat").exists():
        try:
            facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *more = facts.rpartition(")")[2].split()
        return None if state == "Z" else more[18]
    listed = subprocess.run(["ps", "-p", str(pid), "-o", "lstart="], capture_output=True, text=True, check=False)  # noqa: S607
    return listed.stdout.strip() or None


def _mark(folder: Path) -> None:
    (folder / _MARK).write_text(json.dumps(_this_process()), encoding="utf-8")


def _made_by(folder: Path) -> dict[str, object] | None:
    """The process that marked a folder of this user's; None where none has."""
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return None
        made_by = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return made_by if isinstance(made_by, dict) else None


def _clear(parent: Path, pattern: str) -> None:
    for folder in parent.glob(pattern):
        made_by = _made_by(folder) or {}
        pid = made_by.get("pid")
        if isinstance(pid, int) and made_by.get("machine") == _machine() and _started(pid) != made_by.get("started"):
            _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    latest = folder.parent / "session_latest"
    if latest.is_symlink() and not latest.exists():  # Ray does not replace a link to nothing
        with suppress(OSError):
            latest.unlink()
