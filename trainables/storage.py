"""Where what a search's trials leave is kept, in reach of every node: a folder that all share, or an object store."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from datasets.errors import UserError, no_space
from trainables.object_store import ObjectStore, check_uri

TRIALS_FOLDER = "trials"
"""In the search's own place; has a folder for each trial with its checkpoints."""


def trial_folder(trial: int) -> str:
    """The name of a trial's folder."""
    return f"{TRIALS_FOLDER}/{trial:05d}"


def checkpoint_number(name: str) -> int:
    """The number of a trial's checkpoint, from its name; one that is only half written has it too."""
    return int(name.rpartition("_")[2].partition(".")[0])


class Storage(Protocol):
    """Folders of files by name, a path relative to the search's own place. Pickled, it goes to the workers."""

    def check(self) -> None:
        """Refuses a place that is not there, as seen from this node.

        Raises:
            UserError: it is not.
        """

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """A new folder on this node to write files into, which are there under the name, all or none, afterwards.

        What was there under the name is replaced.
        """

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """A folder on this node with the files that are there under the name.

        Raises:
            OSError: there are none, or they cannot be had.
        """

    def remove(self, name: str) -> None:
        """Removes what is there under the name, if anything is."""

    def names(self, parent: str) -> list[str]:
        """The names of the folders below another one, in their order."""


@dataclass(frozen=True)
class SharedFolder:
    """A folder that every node sees; each name is a folder below it."""

    root: Path
    """The run's folder, absolute."""

    def check(self) -> None:
        """See ``Storage``."""
        if not self.root.is_dir():
            raise UserError(
                f"{self.root}: this node does not see the search's folder; give --storage a folder that all nodes "
                "share, or s3://..."
            )

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See ``Storage``."""
        whole = self.root / name
        partial = whole.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException as error:  # on a full disk what is half there would take room too
            shutil.rmtree(partial, ignore_errors=True)
            if full := no_space(error):
                full.filename = full.filename or str(whole)
            raise
        self.remove(name)
        partial.rename(whole)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See ``Storage``; the folder itself."""
        yield self.root / name

    def remove(self, name: str) -> None:
        """See ``Storage``."""
        shutil.rmtree(self.root / name, ignore_errors=True)

    def names(self, parent: str) -> list[str]:
        """See ``Storage``."""
        folder = self.root / parent
        return sorted(f"{parent}/{child.name}" for child in folder.iterdir()) if folder.is_dir() else []


def storage_at(place: str | Path, name: str) -> Storage:
    """A search's own place, ``name`` below a folder or the URI of an object store.

    Raises:
        UserError: the URI is of an unknown kind, or has a key in it.
    """
    if isinstance(place, str) and "://" in place:
        check_uri(place)
        return ObjectStore(f"{place.rstrip('/')}/{name}")
    return SharedFolder(Path(place).expanduser().resolve() / name)
