"""Many picture files as one array: decoded in parallel, and kept, so that the second start need not decode again.

What is kept lies below the data root in ``.decoded``: for each dataset and its settings an array and an index. The
index has each file's size and times, so that files which have changed, and only they, are decoded again.
"""

import fcntl
import hashlib
import json
import os
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from datasets.decoding import BrokenPictureError, Fit, decode
from datasets.errors import UserError

FOLDER = ".decoded"
_VERSION = 1
"""Another one wherever the same file would be decoded to other pixels."""
_BLOCK = 16
"""Pictures a thread, after which an interruption is heard."""
_SILENT_SECONDS = 2.0


@dataclass(frozen=True)
class File:
    """What is known of a file besides its pixels."""

    name: str
    stamp: list[int]
    """Its size and times; empty where there is no such file."""
    digest: str
    """Of its bytes."""
    broken: str | None
    """What is wrong with it."""


@dataclass(frozen=True)
class Pictures:
    """What files hold: ``pixels``, uint8, shape (files, 3, side, side), meaningless for broken ones."""

    pixels: np.ndarray
    files: list[File]


def pictures(where: str, root: Path, source: Path, names: Sequence[str], side: int, fit: Fit) -> Pictures:
    """The pictures in the files ``names`` below ``root``, decoded as by ``decoding.decode`` and kept by ``source``.

    Raises:
        UserError: beginning with ``where``; more of them than this machine has memory for.
    """
    shape = (len(names), 3, side, side)
    _check_memory(where, shape)
    key = hashlib.sha256(json.dumps([_VERSION, os.path.relpath(source, root), side, fit]).encode()).hexdigest()[:16]
    index = root / FOLDER / f"{key}.json"
    with _locked(index):
        kept = _kept(index, shape[1:])
        there = {file.name: place for place, file in enumerate(kept.files)}
        stamps = [_stamp(root / name) for name in names]
        places = [
            place if (place := there.get(name)) is not None and kept.files[place].stamp == stamp else None
            for name, stamp in zip(names, stamps, strict=True)
        ]
        known = [place for place in places if place is not None]
        if len(known) == len(names):
            if known == list(range(len(kept.files))):
                return kept
            return Pictures(kept.pixels[known], [kept.files[place] for place in known])
        pixels = np.empty(shape, np.uint8)
        files = [kept.files[place] if place is not None else File(name, stamp, "", None)
                 for name, stamp, place in zip(names, stamps, places, strict=True)]  # fmt: skip
        missing = [number for number, place in enumerate(places) if place is None]
        pixels[[number for number, place in enumerate(places) if place is not None]] = kept.pixels[known]
        for number, file in _decoded(root, [(number, files[number]) for number in missing], pixels, fit):
            files[number] = file
        if files == kept.files:  # those that could not be opened still cannot
            return kept
        fresh = Pictures(pixels, files)
        if _keep(index, fresh):
            mapped = _kept(index, shape[1:])  # not held in memory
            return mapped if mapped.files == files else fresh
        return fresh


def _check_memory(where: str, shape: tuple[int, ...]) -> None:
    needed, there = int(np.prod(shape, dtype=np.float64)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise UserError(
            f"{where}: {shape[0]} pictures of {shape[2]}×{shape[3]} pixels take {needed / 1e9:.1f} GB, this machine "
            f"has {there / 1e9:.1f} GB of memory; choose a smaller side"
        )


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _decoded(
    root: Path, missing: Sequence[tuple[int, File]], pixels: np.ndarray, fit: Fit
) -> Iterator[tuple[int, File]]:
    """Decodes files into ``pixels``, each at its number, and says what they were."""

    def work(item: tuple[int, File]) -> tuple[int, File]:
        number, file = item
        return number, _read(root, file, pixels[number], fit)

    threads = os.cpu_count() or 1
    block = threads * _BLOCK
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool, _progress(len(missing)) as report:
        warnings.simplefilter("ignore")  # Pillow's, on what describes a picture
        for start in range(0, len(missing), block):
            yield from pool.map(work, missing[start : start + block])
            report(min(start + block, len(missing)))


def _read(root: Path, file: File, into: np.ndarray, fit: Fit) -> File:
    path = root / file.name
    try:
        if path.is_fifo():  # it would be waited for
            return File(file.name, [], "", "a pipe")
        content = path.read_bytes()
    except OSError as error:  # which may pass: without a stamp it is tried again
        return File(file.name, [], "", error.strerror or str(error))
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    try:
        into[:] = decode(content, into.shape[-1], fit)
    except BrokenPictureError as error:
        return File(file.name, file.stamp, digest, str(error))
    return File(file.name, file.stamp, digest, None)


@contextmanager
def _locked(index: Path) -> Iterator[None]:
    """Keeps other processes from decoding the same, where there are locks and something to lock can be written."""
    with ExitStack() as stack:
        with suppress(OSError):
            index.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(index.with_suffix(".lock").open("ab")), fcntl.LOCK_EX)
        yield


def _kept(index: Path, shape: tuple[int, ...]) -> Pictures:
    """What an earlier start has kept; nothing where it cannot be read, for whatever damage."""
    with suppress(Exception):
        content = json.loads(index.read_bytes())
        files = [File(*entry) for entry in content["files"]]
        pixels = np.load(index.with_name(content["array"]), mmap_mode="r")
        if pixels.shape == (len(files), *shape) and pixels.dtype == np.uint8:
            return Pictures(pixels, files)
    return Pictures(np.empty((0, *shape), np.uint8), [])


def _keep(index: Path, pictures: Pictures) -> bool:
    """Whether they could be."""
    array, part = index.with_suffix(f".{uuid.uuid4().hex}.npy"), index.with_suffix(".part")
    try:
        with array.open("wb") as file:
            np.save(file, pictures.pixels)
            file.flush()
            os.fsync(file.fileno())
        part.write_text(json.dumps({"array": array.name, "files": [astuple(file) for file in pictures.files]}))
        part.replace(index)
    except OSError as error:
        reason = error.strerror or error
        print(f"warning: {index.parent}: decoded pictures cannot be kept there: {reason}", file=sys.stderr)
        for path in (array, part):
            with suppress(OSError):
                path.unlink()
        return False
    for other in index.parent.glob(f"{index.stem}.*.npy"):  # also what a process left that was killed
        if other != array:
            other.unlink(missing_ok=True)
    return True


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Shows on stderr how many are decoded: a bar on a terminal, else a line if it takes long."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("decoding pictures", total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    due = time.monotonic() + _SILENT_SECONDS

    def report(done: int) -> None:
        nonlocal due
        if done < total and time.monotonic() > due:
            print(f"decoded {done} of {total} pictures", file=sys.stderr)
            due = time.monotonic() + 10 * _SILENT_SECONDS

    yield report
