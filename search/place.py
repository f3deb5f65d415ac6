"""Where a search is kept: a folder, or an object store that follows the folder of the command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import UserError
from trainables.object_store import ObjectStore
from trainables.storage import Storage, storage_at

if TYPE_CHECKING:
    from search.mirror import Mirror

_OPENING_SECONDS = 30.0
_RESULTS_SECONDS = 120.0


@dataclass
class Place:
    """A search's own place, while a command adds to it."""

    folder: Path
    """The run's folder on this machine, with event log and results."""
    storage: Storage
    """Has the checkpoints, in reach of every node."""
    mirror: "Mirror | None" = None
    """Of what is kept in an object store."""

    def flush(self) -> None:
        """Waits, but not for ever, until the log is kept: before the test split is opened."""
        if self.mirror:
            self.mirror.flush(_OPENING_SECONDS)

    def keep_results(self, *, wait: bool = True) -> None:
        """The same of the whole folder; or has it kept by and by."""
        if self.mirror:
            self.mirror.results(_RESULTS_SECONDS if wait else 0.0)

    @property
    def problem(self) -> str | None:
        """What kept something from being kept, if anything did."""
        return self.mirror.problem if self.mirror else None

    @property
    def taken(self) -> bool:
        """Whether another command has taken the search over, so that this one must end."""
        return self.mirror is not None and self.mirror.deposed


def is_store(storage: str | None) -> bool:
    """Whether ``--storage`` names an object store."""
    return storage is not None and "://" in storage


def root(storage: str | None, runs_dir: Path) -> Path:
    """The folder that has the run's folders on this machine."""
    return runs_dir if storage is None or is_store(storage) else Path(storage).expanduser()


def check(storage: str | None, runs_dir: Path) -> None:
    """Refuses a place that cannot be written to, or that would not outlive the job.

    Raises:
        UserError: that is so.
    """
    from search import shipping

    folder, option = root(storage, runs_dir), "--storage" if storage and not is_store(storage) else "--runs-dir"
    if shipping.in_job() and not folder.is_absolute():
        raise UserError(
            f"{option} {folder}: in a submitted job this lies in the working directory that Ray ships and deletes; "
            "name an absolute folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{option} {folder}: cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option} {folder}: is not writable")
    if storage is not None and is_store(storage):
        store = storage_at(storage, "")
        assert isinstance(store, ObjectStore)
        replace(store, patience=0.0).check()


def check_nodes(storage: str | None, runs_dir: Path, cpus: float, gpus: float) -> None:
    """Refuses a folder that some node of the cluster does not see. Ray must be connected.

    Raises:
        UserError: that is so, or nodes may join of which nobody can know it.
    """
    from search import nodes

    if is_store(storage):
        return
    if storage is None and nodes.autoscaler():
        raise UserError(
            "nodes may join this cluster: say where all of them see the results, --storage FOLDER or "
            "--storage s3://BUCKET/PREFIX"
        )
    nodes.check_folder(root(storage, runs_dir), cpus, gpus)


def fetch(name: str, storage: str | None, runs_dir: Path) -> None:
    """Brings a search from an object store into the runs folder, where it is kept in one.

    Raises:
        UserError: the store has none of the name, or what the folder has went on otherwise.
    """
    if storage is not None and is_store(storage):
        from search.mirror import Mirror

        store = storage_at(storage, name)
        assert isinstance(store, ObjectStore)
        Mirror.fetch(store, runs_dir / name)


@contextmanager
def opened(folder: Path, storage: str | None) -> Iterator[Place]:
    """The place of the search in ``folder``; of an object store nobody else writes to it meanwhile.

    Raises:
        UserError: another command does.
    """
    kept = storage_at(storage if storage is not None and is_store(storage) else folder.parent, folder.name)
    if not isinstance(kept, ObjectStore):
        yield Place(folder, kept)
        return
    from search.mirror import Mirror

    mirror = Mirror(folder, kept)
    mirror.open()
    try:
        yield Place(folder, kept, mirror)
    finally:
        mirror.close()
