"""Where event logs, checkpoints and results go: written, read and deleted once."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search.checks import on_node
from search.checks.finding import Finding

_CREDENTIALS = ("CREDENTIAL", "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE", "FORBIDDEN", "TOKEN",
                "UNAUTHENTICATED", "PERMISSION")  # fmt: skip


@dataclass(frozen=True)
class Marker:
    """A small object of ours in a folder or an object store."""

    place: str
    name: str
    content: bytes


def nearest(folder: Path) -> Path:
    """The folder, or the last above it that there is: a search would make the rest."""
    whole = folder.expanduser().absolute()
    return next(each for each in (whole, *whole.parents) if each.exists())


@contextmanager
def marked(place: str) -> Iterator[Marker]:
    """Puts a marker there while the context lasts.

    Raises:
        OSError: it cannot be written, read or deleted there.
    """
    found = place if "://" in place else str(nearest(Path(place)))
    marker = Marker(found, f".doctor-{secrets.token_hex(8)}", secrets.token_bytes(32))
    on_node.write(marker.place, marker.name, marker.content)
    try:
        if on_node.read(marker.place, marker.name) != marker.content:
            raise OSError("what was written reads otherwise")
        yield marker
    finally:
        on_node.delete(marker.place, marker.name)


def storage(place: str) -> Iterator[Finding]:
    """Seen from this machine."""
    try:
        with marked(place):
            pass
    except (OSError, ValueError, NotImplementedError) as error:
        problem = on_node.explained(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
        yield Finding("error", f"{place} cannot be used: {problem}", _mend(place, problem))
        return
    yield Finding("ok", f"{place} can be written, read and deleted")


def _mend(place: str, problem: str) -> str:
    if "://" not in place:
        folder = nearest(Path(place))
        owner = "" if os.access(folder, os.W_OK) else f", after: chmod u+w {folder}"
        return f"name a folder that you may write to: --storage FOLDER or --runs-dir FOLDER{owner}"
    upper = problem.upper()
    if "BUCKET" in upper and ("NO_SUCH" in upper or "NOT FOUND" in upper or "NOT_FOUND" in upper):
        return "make the bucket, or name another"
    if any(word in upper for word in _CREDENTIALS):
        if place.startswith("s3://"):
            return "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=..., of a user who may write there"
        return "export GOOGLE_APPLICATION_CREDENTIALS=FILE, of an account that may write there"
    if "NETWORK" in upper or "RESOLVE" in upper or "CONNECT" in upper:
        return "see whether the store is reached from here; of another S3 than AWS's: export AWS_ENDPOINT_URL=..."
    return "name a folder, or s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
