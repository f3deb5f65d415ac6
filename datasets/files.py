"""Where the files of a dataset lie below the data root, and how they get there."""

import fcntl
import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from datasets.errors import UserError

_TIMEOUT = 10.0
"""Seconds without an answer or another byte after which a connection is given up."""
_CHUNK = 1 << 16

Report = Callable[[int, int | None], None]
"""Takes the bytes that there are and those that there will be, where known."""


@dataclass(frozen=True)
class Source:
    """A published file: its name, its checksum, and where it can be had, the first address first.

    ``checksum``: hexadecimal, or of it the first digits that are published.
    """

    file: str
    checksum: str
    addresses: tuple[str, ...]
    algorithm: str = "md5"

    def sum_of(self, path: Path) -> str:
        """The checksum of another file, as long as this one's."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.new(self.algorithm, usedforsecurity=False))
        return digest.hexdigest()[: len(self.checksum)]


def find(owner: str, root: Path, source: Source, folders: Sequence[str | Path] = ()) -> Path:
    """The first of root/NAME/file, root/file and root/FOLDER/file that there is; else downloaded to the first.

    ``owner`` is who needs it, for messages, and ends with its name: ``dataset mnist``. A file published as ``.gz`` is
    found uncompressed too, without that ending.

    Raises:
        UserError: no such file, and no address gives it; a place that may not be read or written.
    """
    for folder in (_name(owner), "", *folders):
        for name in (source.file, source.file.removesuffix(".gz")):
            path = root / folder / name
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise UserError(f"{owner}: {path} cannot be read: {error.strerror}") from None
    return _downloaded(owner, root, source)


def origin(paths: Sequence[Path]) -> str:
    """Files by their names after the folder that they share."""
    folders = {path.parent for path in paths}
    if len(folders) > 1:
        return ", ".join(map(str, paths))
    return f"{folders.pop()}/{{{', '.join(path.name for path in paths)}}}"


def _name(owner: str) -> str:
    return owner.rpartition(" ")[2]


def _downloaded(owner: str, root: Path, source: Source) -> Path:
    target = root / _name(owner) / source.file
    part = target.with_name(f"{target.name}.part")
    absent = f"{owner}: {source.file} is not below {root}"
    advice = f"put it at {target}, from {' or '.join(source.addresses)}"
    made = [folder for folder in (target.parent, root) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            if target.is_file():  # another process was quicker
                part.unlink()
                return target
            reason = _fill(file, part, source)
            if reason is None:
                part.replace(target)
                return target
            if part.stat().st_size == 0:
                part.unlink()
                for folder in made:  # of a mistyped data root nothing is left
                    with suppress(OSError):
                        folder.rmdir()
    except OSError as error:
        raise UserError(f"{absent}, and {target.parent} cannot be written: {error.strerror}; {advice}") from None
    raise UserError(f"{absent} and could not be downloaded ({reason}); {advice}")


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """``part``, open for appending, by this process only until closed."""
    while True:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{part} is being downloaded by another process: waiting for it", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(part, file):
                yield file
                return


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """False where who held the lock before has renamed or removed what was opened."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _fill(file: IO[bytes], part: Path, source: Source) -> str | None:
    """Downloads what ``part``, open as ``file``, lacks, from the first address that gives it; why, if none does.

    What came before a connection broke is kept; what has another checksum is not.
    """
    if file.seek(0, os.SEEK_END) and source.sum_of(part) == source.checksum:
        return None
    reasons = []
    with _progress(source.file) as report:
        for address in source.addresses:
            try:
                _fetch(file, address, report)
            except _BrokenError as error:
                reasons.append(f"{address}: {error}")
                continue
            if (found := source.sum_of(part)) == source.checksum:
                return None
            file.truncate(0)
            sums = f"its {source.algorithm} is {found}, not {source.checksum}"
            reasons.append(f"{address}: what came was removed, since {sums}")
    return "; ".join(reasons)


def _fetch(file: IO[bytes], address: str, report: Report) -> None:
    """Downloads the rest; asks again after a break, as long as the file gets further than it was."""
    furthest = file.seek(0, os.SEEK_END)
    while True:
        try:
            return _append(file, address, report)
        except _BrokenError:
            if (reached := file.seek(0, os.SEEK_END)) <= furthest:
                raise
            furthest = reached


def _append(file: IO[bytes], address: str, report: Report) -> None:
    """One request for the rest, or for all where the server cannot give a part."""
    there = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(address, headers={"Range": f"bytes={there}-"} if there else {})  # noqa: S310
    with _network():
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310 - the address is a constant
        except urllib.error.HTTPError as error:
            if there == 0 or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            error.close()
            # There are more bytes than the server has: they are of another file.
            there = file.truncate(0)
            response = urllib.request.urlopen(address, timeout=_TIMEOUT)  # noqa: S310
    with response:
        if there and not str(response.headers["Content-Range"]).startswith(f"bytes {there}-"):
            there = file.truncate(0)
        announced = response.headers["Content-Length"]
        total = there + int(announced) if announced and announced.isdecimal() else None
        report(there, total)
        while piece := _piece(response):
            file.write(piece)
            there += len(piece)
            report(there, total)
    file.flush()
    if total is not None and there < total:
        raise _BrokenError(f"the connection broke off at byte {there} of {total}")


def _piece(response: http.client.HTTPResponse) -> bytes:
    with _network():
        return response.read(_CHUNK)


class _BrokenError(Exception):
    """What went wrong between here and the server; not what went wrong with the disk."""


@contextmanager
def _network() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise _BrokenError(f"HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _BrokenError(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__) from None


@contextmanager
def _progress(file: str) -> Iterator[Report]:
    """Shows a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
