"""Room on this machine's disks and in its memory, and what ended searches have left there."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from search.checks.finding import Finding, count, gigabytes
from search.checks.storage import nearest

_LITTLE, _TOO_LITTLE = 5e9, 1e9
_FULL = 0.95
"""Ray makes no more objects on a disk, and ends workers, above this share."""
_MUCH = 1e9
_ENDING_SECONDS = 4.0


def import_ray() -> None:
    """What checks ask of Ray; once, before they run side by side: Ray's modules import each other in circles."""
    from search.cluster import prepare_environment

    prepare_environment()
    import ray
    import ray._common.utils
    import ray._private.accelerators
    import ray._private.utils
    import ray.util.scheduling_strategies  # noqa: F401


def ray_folder() -> Path:
    """Where Ray keeps sessions."""
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir())


def disks(results: Path, data_root: Path) -> Iterator[Finding]:
    """Each disk once, of what a search writes: results, Ray's sessions and spilled objects, decoded pictures."""
    folders = {"results": results, "Ray": ray_folder(), "data": data_root}
    by_disk: dict[int, list[tuple[str, Path]]] = {}
    for what, folder in folders.items():
        there = nearest(folder)
        by_disk.setdefault(there.stat().st_dev, []).append((what, there))
    for items in by_disk.values():
        usage = shutil.disk_usage(items[0][1])
        names = ", ".join(name for name, _ in items)
        text = f"{gigabytes(usage.free)} free for {names} ({items[0][1]})"
        mend = "delete what is no longer needed, or name folders elsewhere: --runs-dir, --data-root, RAY_TMPDIR"
        if usage.free < _TOO_LITTLE:
            yield Finding("error", text, mend)
        elif usage.free < _LITTLE:
            yield Finding("warning", text, mend)
        elif "Ray" in dict(items) and usage.used / usage.total > _FULL:
            what = f"{text}, but {usage.used / usage.total:.0%} full: above 95 % Ray puts no objects there"
            yield Finding("warning", what, "export RAY_TMPDIR=FOLDER, on another disk, or make room")
        else:
            yield Finding("ok", text)


def object_store() -> int:
    """Bytes of the object store that Ray would start here with."""
    import_ray()
    from ray._private.utils import estimate_available_memory, resolve_object_store_memory

    return int(resolve_object_store_memory(estimate_available_memory()))


def memory() -> Iterator[Finding]:
    """As Ray sees it, a container's limit included."""
    import_ray()
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_shared_memory_bytes, get_used_memory

    total, used = get_system_memory(), get_used_memory()
    text = f"{gigabytes(total - used)} free of {gigabytes(total)}"
    mend = "end what uses it, or train fewer trials side by side: --max-concurrent N"
    if used > _FULL * total:
        yield Finding("error", f"{text}: above 95 % Ray ends workers", mend)
    elif total - used < 2e9:
        yield Finding("warning", text, mend)
    else:
        yield Finding("ok", text)
    if sys.platform != "linux":
        return
    shared, store = get_shared_memory_bytes(), object_store()
    if shared < store:
        what = f"/dev/shm has {gigabytes(shared)} free, Ray's object store takes {gigabytes(store)}: it goes to disk"  # noqa: S108
        size = int(store * 1.1 / 2**30) + 1
        yield Finding("warning", what, f"docker run --shm-size={size}g, or mount -o remount,size={size}g /dev/shm")
    else:
        yield Finding("ok", f"{gigabytes(shared)} free in /dev/shm, for an object store of {gigabytes(store)}")


def processes() -> dict[int, tuple[int, str]]:
    """By number the parent and the command line of what runs here."""
    import_ray()
    import psutil

    found = {}
    for process in psutil.process_iter(["ppid", "cmdline"]):
        facts: dict[str, Any] = process.info
        found[process.pid] = (facts["ppid"] or 0, " ".join(facts["cmdline"] or []))
    return found


def leftovers() -> Iterator[Finding]:
    """Workers of Ray's whose node has ended, and what sessions without processes keep in Ray's folder."""
    folder, running = ray_folder(), processes()
    orphans = _orphans(running)
    if orphans:  # a node that has just ended takes its workers along within seconds
        time.sleep(_ENDING_SECONDS)
        running = processes()
        orphans = sorted(set(orphans) & set(_orphans(running)))
    if orphans:
        what = f"{count(len(orphans), 'worker')} of Ray's still there though its node has ended"
        yield Finding("warning", what, f"kill {' '.join(map(str, orphans))}")
    lines = [line for _, line in running.values()]
    living: list[Path] = []
    ended: list[Path] = []
    for session in sorted(folder.glob("session_2*")):
        if session.is_symlink() or session.lstat().st_uid != os.getuid():
            continue
        (living if any(session.name in line for line in lines) else ended).append(session)
    size = sum(map(_size, ended))
    text = f"{count(len(ended), 'ended session')} of Ray's in {folder} with {gigabytes(size)}"
    if size > _MUCH:
        yield Finding("warning", text, _removal(folder, [session.name for session in living]))
    elif not orphans:
        yield Finding("ok", text if ended else f"no ended session of Ray's in {folder}")


def _orphans(running: Mapping[int, tuple[int, str]]) -> list[int]:
    workers = [number for number, (_, line) in running.items() if line.startswith("ray::")]
    return [number for number in workers if not _has_node(number, running)]


def _has_node(number: int, running: Mapping[int, tuple[int, str]]) -> bool:
    """Whether Ray's raylet, the parent of a node's workers, is among the ancestors."""
    while number in running and number > 1:
        parent, line = running[number]
        if "/raylet/raylet" in line:
            return True
        number = parent
    return False


def _size(folder: Path) -> int:
    """Bytes on disk, as far as it may be read."""
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 - thousands of them
            except OSError:
                continue
    return size


def _removal(folder: Path, living: list[str]) -> str:
    """Of sessions that have ended by now; one that begins before the command is called is newer."""
    kept = "".join(f" ! -name {name}" for name in living)
    own = f"-user {os.getuid()} ! -newermt '{datetime.now():%Y-%m-%d %H:%M:%S}'"
    return f"find {folder} -maxdepth 1 -name 'session_2*' {own}{kept} -exec rm -r {{}} +"
