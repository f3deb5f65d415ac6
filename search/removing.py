"""Removes from a search's storage what is no longer needed, on a thread of its own: nobody waits for it."""

import queue
import threading
from collections.abc import Callable
from functools import partial

from datasets.errors import one_line
from search.history import History
from search.retention import left_over
from trainables.storage import TRIALS_FOLDER, Storage, checkpoint_number, trial_folder


class Remover:
    """The thread. What could not be removed stays where it is; a search that goes on tries again."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.problem: str | None = None
        """The last thing that went wrong."""
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon: an object store that is silent must not keep the command from ending.
        self._thread = threading.Thread(target=self._follow, name="remover", daemon=True)
        self._thread.start()

    def remove(self, name: str) -> None:
        """Has what is under the name removed, after what was asked for before."""
        self._asked.put(partial(self.storage.remove, name))

    def tidy(self, history: History) -> None:
        """Has removed what a search that goes on, before its first trial, has left beside what it still needs.

        What no trial of it knows is removed at once: the next one may make a folder of that name.
        """
        known = {trial_folder(number) for number in history.trials}
        for name in self.storage.names(TRIALS_FOLDER):
            if name not in known:
                self.storage.remove(name)
        self._asked.put(partial(self._tidy, history))

    def finish(self, history: History, seconds: float) -> bool:
        """Waits after the last trial, at most so long, until all is removed; what is left by then stays.

        Returns:
            Whether all is.
        """
        self._asked.put(partial(self._tidy, history))
        self._asked.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive() and self.problem is None

    def _tidy(self, history: History) -> None:
        names = self.storage.names(TRIALS_FOLDER)  # before the history is read: no trial is newer
        gone, rest = left_over(history, names)
        for name in gone:
            self.storage.remove(name)
        for name, number in rest.items():
            self._remove_below(name, number)

    def _remove_below(self, folder: str, number: int) -> None:
        for name in self.storage.names(folder):
            if checkpoint_number(name) < number:
                self.storage.remove(name)

    def _follow(self) -> None:
        while (remove := self._asked.get()) is not None:
            try:
                remove()
            except Exception as error:  # whatever an object store can answer
                self.problem = one_line(str(error))
