"""Which checkpoints are no longer needed: pure functions over trials, and a search's books for them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from search.history import History, TrialResult
from search.selection import ranked, select
from trainables.storage import checkpoint_number, trial_folder

_UNFINISHED = ("running", "paused", "cancelled")
"""States of trials that go on, a cancelled one when its search does."""
_AT_ONCE = 100
"""Where there are so many checkpoints, one in so many goes at once: not each is to look for another's place."""


@dataclass(frozen=True)
class Removal:
    """Checkpoints that go."""

    trials: list[int]
    checkpoints: list[str] | None = None
    """Paths; None for all that these trials have, which then have ended."""

    @property
    def names(self) -> list[str]:
        """What is removed from the storage.

        A trial that may go on makes new checkpoints in its folder meanwhile, of other names.
        """
        return [trial_folder(number) for number in self.trials] if self.checkpoints is None else self.checkpoints


def superfluous(trials: Iterable[TrialResult], metric: str, top_k: int, keep: int) -> list[TrialResult]:
    """Of the trials that have ended, those whose checkpoints nothing needs any more; the worst first.

    Needed are those of the best ``keep`` or ``top_k``, of each family's best, and of what is trained beside the search,
    by what a checkpoint is worth. Whatever ``select`` takes among all trials is in these, or has not ended.
    """
    ended = [trial for trial in trials if trial.apart is None and trial.state not in _UNFINISHED]
    needed = {selected.trial.id for selected in select(ended, metric, max(top_k, keep))}
    return [trial for trial in reversed(ranked(ended, metric)) if trial.id not in needed]


def least_valuable(trials: Iterable[TrialResult], metric: str, top_k: int) -> Iterator[Removal]:
    """What goes where there is too little room, one after the other.

    First the ended trials that only ``keep`` keeps, from the worst; then of each paused trial the checkpoint before its
    newest, which serves where that is damaged; then the paused ones' last, at the lowest rung the worst first: they
    would begin again from scratch. What runs, and what would be tested, stays.
    """
    trials = list(trials)
    needed = {selected.trial.id for selected in select(trials, metric, top_k)}
    worst_first = [trial for trial in reversed(ranked(trials, metric)) if trial.apart is None]
    for trial in worst_first:
        if trial.state not in _UNFINISHED and trial.id not in needed:
            yield Removal([trial.id])
    paused = sorted((trial for trial in worst_first if trial.state == "paused"), key=lambda trial: trial.epochs)
    for trial in paused:
        if len(trial.checkpoints) > 1:
            yield Removal([trial.id], [path for path, _ in trial.checkpoints[:-1]])
    for trial in paused:
        if trial.id not in needed:
            yield Removal([trial.id], [path for path, _ in trial.checkpoints[-1:]])


def left_over(history: History, names: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """What a search that was cut off may have left beside what its trials still need, also while they run.

    ``names``: what was in the folder of trials.

    Returns:
        The names of what goes; and of each other one the number below which its checkpoints do.
    """
    stay = {}
    for trial in list(history.trials.values()):
        if checkpoints := trial.checkpoints:
            stay[trial_folder(trial.id)] = checkpoint_number(checkpoints[0][0])
        elif trial.state in _UNFINISHED:
            stay[trial_folder(trial.id)] = trial.checkpoints_made
    names = list(names)
    return [name for name in names if name not in stay], {name: stay[name] for name in names if name in stay}


class Retention:
    """A search's books: which trials have checkpoints, and what of them is due to go.

    A call costs as much as there are checkpoints, at most.
    """

    def __init__(
        self,
        history: History,
        metric: str,
        *,
        top_k: int,
        keep: int,
        budget: int | None = None,
        remove: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``keep``: so many of the best that have ended keep their checkpoints; ``budget``: bytes of all together;
        ``remove`` is called with the names in the storage that are no longer needed, and does not wait.
        """
        self.history, self.metric, self.top_k, self.keep, self.budget = history, metric, top_k, keep, budget
        self._remove, self._warned = remove, False
        self._ended: dict[int, TrialResult] = {}
        self._more_ended = False
        self._holding: dict[int, TrialResult] = {}
        for trial in history.trials.values():
            self.see(trial)

    def see(self, trial: TrialResult) -> None:
        """Takes in that a trial has a new checkpoint, has ended, or has lost its checkpoints."""
        if not trial.checkpoints:
            self._holding.pop(trial.id, None)
            self._ended.pop(trial.id, None)
            return
        self._holding[trial.id] = trial
        if trial.apart is None and trial.state not in _UNFINISHED:
            self._ended[trial.id] = trial
            self._more_ended = True
        else:
            self._ended.pop(trial.id, None)

    def due(self, changed: Iterable[TrialResult] = ()) -> Iterator[Removal]:
        """What goes, now that these trials are not as they were; each is to be recorded before the next is asked for,
        and is then removed.
        """
        for trial in changed:
            self.see(trial)
        if self._more_ended:
            gone = superfluous(self._ended.values(), self.metric, self.top_k, self.keep)
            if gone:
                yield from self._seen(Removal([trial.id for trial in gone]))
            self._more_ended = False
        if self.over():
            least = len(self._holding) // _AT_ONCE
            for place, removal in enumerate(least_valuable(list(self._holding.values()), self.metric, self.top_k)):
                if not self.over() and place >= least:
                    break
                yield from self._seen(removal)

    def _seen(self, removal: Removal) -> Iterator[Removal]:
        yield removal
        for name in removal.names:
            self._remove(name)
        for number in removal.trials:
            self.see(self.history.trials[number])

    def warning(self) -> str | None:
        """Once, a line for people, where the budget is too small."""
        if self._warned or not self.over():
            return None
        self._warned = True
        size = self.history.checkpoint_bytes / 1e6
        return f"what running trials and the best need takes {size:.1f} MB, more than --disk-budget"

    def over(self) -> bool:
        """Whether there is more than the budget allows."""
        return self.budget is not None and self.history.checkpoint_bytes > self.budget
