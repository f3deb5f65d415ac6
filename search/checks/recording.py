"""Where MLflow records: a server that takes what is sent from here, or an SQLite file that can be written."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from datasets.errors import UserError
from search import tracking
from search.checks import clocks
from search.checks.finding import Finding, of_error
from search.checks.storage import nearest

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p", "glusterfs", "sshfs", "ocfs2",
            "gfs2", "panfs", "s3fs", "gcsfuse", "rclone")  # fmt: skip
_MENDS = {
    "SQLite": "record on a server: python -m mlflow_server on one machine, --tracking-uri http://HOST:5000 here",
    "mlruns": "mv mlruns mlruns.old, or wherever MLflow is used: export MLFLOW_TRACKING_URI=sqlite:///runs/mlflow.db",
}


def recording(uri: str) -> Iterator[Finding]:
    """The tracking store of a search."""
    path = tracking.sqlite_path(uri)
    if path:
        yield from _file(path)
        return
    try:
        tracking.check(uri)
    except UserError as error:
        yield of_error(error, "see what the server's log says of it, and with what options it was started")
        return
    if urlsplit(uri).scheme in ("http", "https"):
        yield from _server(uri)
    else:
        yield Finding("ok", f"{tracking.masked(uri)} (whether that database answers was not asked)")


def leftover(folder: Path) -> Iterator[Finding]:
    """``mlruns`` in the working directory: MLflow 3.13 and later find it, and refuse it."""
    if (folder / "mlruns").is_dir():
        what = "mlruns in this folder: where no URI is named, MLflow takes it for its store, and then refuses it"
        yield Finding("warning", what, _MENDS["mlruns"])
    else:
        yield Finding("ok", "no mlruns folder of an older MLflow here")


def _file(path: Path) -> Iterator[Finding]:
    if path.is_dir():
        yield Finding("error", f"{path} is a folder", "name a file: --tracking-uri sqlite:///FILE")
        return
    folder = nearest(path.parent)
    if not path.exists():
        if not os.access(folder, os.W_OK | os.X_OK) or not folder.is_dir():
            yield Finding("error", f"{path} cannot be made in {folder}", "name another: --tracking-uri sqlite:///FILE")
            return
        yield Finding("ok", f"{path} will be made")
    else:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.rollback()
        except sqlite3.Error as error:
            locked = "locked" in str(error)
            mend = (
                f"see who holds it: fuser {path}" if locked else f"chmod u+rw {path}, or --tracking-uri sqlite:///FILE"
            )
            yield Finding("warning" if locked else "error", f"{path}: {error}", mend)
            return
        yield Finding("ok", f"{path} can be written")
    if kind := network_kind(folder):
        what = f"{folder} lies on a network file system ({kind}), where SQLite's locks do not hold"
        yield Finding("warning", what, _MENDS["SQLite"])


def network_kind(folder: Path) -> str:
    """The kind of the network file system that a folder is on; empty for a disk, or where that is not known."""
    if not _MOUNTS.exists():
        return ""
    kinds = {}
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode("latin-1", "replace").decode("unicode_escape")
        kinds[Path(point)] = after.split()[0]
    whole = folder.resolve()
    kind = next((kinds[each] for each in (whole, *whole.parents) if each in kinds), "")
    return kind if any(name in kind.lower() for name in _NETWORK) else ""


def _server(uri: str) -> Iterator[Finding]:
    sent = time.time()
    with tracking.get(f"{uri.rstrip('/')}/version") as answer:
        there, date = answer.read(100).decode(errors="replace").strip(), answer.headers["Date"]
    received, here = time.time(), version("mlflow")
    if there.split(".")[:2] != here.split(".")[:2]:
        what = f"{uri} has MLflow {there}, here is {here}"
        yield Finding("warning", what, f"have one on both: python -m pip install mlflow=={here}, there")
    else:
        yield Finding("ok", f"{uri} answers, and takes what is sent (MLflow {there})")
    if date:  # in whole seconds
        trip = received - sent
        offset = parsedate_to_datetime(date).timestamp() + 0.5 - (sent + received) / 2
        yield from clocks.judged(offset, trip + 1, "the tracking server's clock")
