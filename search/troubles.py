"""When trials have failed alike often enough, or one has been silent for too long, to do something about it."""

from statistics import median

from search.history import History, TrialResult

LEAST_SILENCE = 300.0
EPOCHS_OF_SILENCE = 10
"""A trial hangs that has not reported for so many seconds, and for so many median epochs."""
FIRST_FAILURES = 3
"""So many trials that end or pause first, all with the same exception from the same line, end the search."""
_EPOCHS_KNOWN = 3


def too_long(seconds: float, history: History) -> bool:
    """Whether a trial that has been silent for so long hangs.

    Before any epoch is known no silence is too long: the first ones may take as long as they like.
    """
    if seconds < LEAST_SILENCE:
        return False
    known = [epoch["seconds"] for trial in history.trials.values() for epoch in trial.curve[:_EPOCHS_KNOWN]]
    return bool(known) and seconds >= EPOCHS_OF_SILENCE * median(known)


class FirstFailures:
    """Compares the first trials that end or pause.

    ``failed`` reasons hold exception, message and line; trials that differ in the message alone are alike.
    """

    def __init__(self) -> None:
        self.over = False
        """Whether nothing more is to be looked at."""
        self._traces: list[str] = []

    def see(self, trial: TrialResult) -> bool:
        """Takes in one; whether it is the last of the first, and all of them have failed alike."""
        if self.over:
            return False
        exception, _, rest = trial.reason.partition(":")
        self._traces.append(f"{exception}{rest[rest.rfind('(') :]}" if trial.state == "failed" else "")
        self.over = len(self._traces) == FIRST_FAILURES
        return self.over and len(set(self._traces)) == 1 and bool(self._traces[0])
