"""The driver's decisions, apart from Ray: what is proposed, when a trial stops, how it ended.

Each fact is written to the event log before anything acts on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.budgets import Budgets, Stop
from search.endings import told
from search.events import EventLog
from search.history import Apart, History, State, TrialResult
from search.proposer import Proposer
from search.rungs import Rungs
from search.space import Config
from search.task import Task
from trainables.epoch import metric_at

FIRST_FAILURES = 3
"""So many trials that end first, all with the same exception from the same line, end the search."""


@dataclass(frozen=True)
class Beside:
    """A trial to be trained to its own end beside the search: not judged, told or ranked, and in no epoch budget."""

    kind: Apart
    origin: str
    config: Config
    epochs: int
    patience: int
    seed: int


class Driver:
    """Runs one search's books. Trials are known by their number, counted from 0 in the order they are proposed."""

    def __init__(
        self,
        task: Task,
        log: EventLog,
        history: History,
        proposer: Proposer | None,
        *,
        num_samples: int,
        seed: int,
        beside: Sequence[Beside] = (),
        budgets: Budgets | None = None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self.task, self.log, self.history, self.proposer = task, log, history, proposer
        self.num_samples, self.seed = num_samples, seed
        self.budgets = budgets or Budgets()
        self.rungs = Rungs(task.milestones, task.one_of)
        self.interrupted = False
        """Set from outside: a signal handler must not write to the log."""
        self.stop: Stop | None = None
        self.failure: TrialResult | None = None
        """The trial whose exception every one of the first trials had."""
        self._beside = list(beside)
        self._on_event = on_event
        self._traces: list[str] = []
        self._judged: dict[int, dict[int, float]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray writes pickles of what it is given, which we never read."""
        return {}

    def _record(self, event: str, **fields: Any) -> None:
        self.history.apply(self.log.append(event, **fields))
        self._on_event()

    @property
    def stopping(self) -> bool:
        """Whether every running trial must end where it is; asked for time and again while trials run."""
        if self.stop is None or not self.stop.at_once:
            if self.interrupted:
                self._stop(Stop("interruption", "interrupted", at_once=True))
            elif stop := self.budgets.time_is_up():
                self._stop(stop)
        return self.stop is not None and self.stop.at_once

    def _stop(self, stop: Stop) -> None:
        self.stop = stop
        self._record("stop", by=stop.by, reason=stop.reason)

    def propose(self) -> dict[str, Any] | None:
        """The next trial's number, seed and configuration; None when all have been proposed.

        What is trained beside the search comes first, with ``epochs`` and ``patience`` of its own.
        """
        number = len(self.history.trials)
        if self._beside and not self.stopping:
            beside = self._beside.pop(0)
            own = {"epochs": beside.epochs, "patience": beside.patience}
            self._record("proposal", trial=number, seed=beside.seed, origin=beside.origin, apart=beside.kind,
                         config=beside.config, parameters={}, **own)  # fmt: skip
            return {"trial": number, "seed": beside.seed, "config": beside.config, **own}
        proposed = len(self.history.searched())
        if proposed >= self.num_samples or self.stopping or self.stop:
            return None
        assert self.proposer is not None
        config, origin = self.proposer.ask(number)
        seed = trial_seed(self.seed, proposed)
        parameters = self.proposer.parameters(number)
        self._record("proposal", trial=number, seed=seed, origin=origin, config=config, parameters=parameters)
        return {"trial": number, "seed": seed, "config": config}

    def report(self, message: dict[str, Any]) -> bool:
        """Takes a trial's message; returns whether it has to stop without being judged."""
        number = message["trial"]
        trial = self.history.trials[number]
        if message["worker"]:
            self._record("start", trial=number, worker=message["worker"], parameters=message["parameters"])
        if trial.state != "running":
            # A worker that died between its last report and the saving of that report's checkpoint makes it again.
            return bool(message["ending"]) or message["epochs"][-1]["index"] >= trial.epochs
        if message["epochs"] and "best" in message:
            self._record("report", trial=number, epochs=message["epochs"], best=message["best"])
        if message["ending"]:
            detail = {"traceback": message["traceback"]} if "traceback" in message else {}
            self._end(trial, message["ending"], message.get("reason", ""), **detail)
        if self.stop is None and (stop := self.budgets.reached(self.history, self.task.metric)):
            self._stop(stop)
        if self.stop and trial.state == "running" and trial.apart is None:
            self._end(trial, "cancelled", self.stop.reason)
        return trial.state != "running"

    def judge(self, message: dict[str, Any]) -> bool:
        """Whether a trial that has just reported must stop at a rung; then its ending is recorded."""
        number, epoch = message["trial"], message["epochs"][-1]["index"]
        trial = self.history.trials[number]
        if trial.state != "running" or trial.apart or epoch not in self.rungs.milestones:
            return False
        self._judged.setdefault(number, {})[epoch] = message["value"]
        cutoff = self.rungs.judge(trial.model, number, epoch, message["value"])
        if cutoff is None:
            return False
        metric = self.task.metric
        value, needed = (metric_at(cost, metric) for cost in (message["value"], cutoff))
        self._end(trial, "pruned", f"rung {epoch}: {metric} {value:.4g} missed the cut-off {needed:.4g}")
        return True

    def checkpoint(self, number: int, path: str, best: dict[str, Any]) -> None:
        """A checkpoint has been stored whole."""
        self._record("checkpoint", trial=number, path=path, best=best)

    def worker_died(self, number: int, reason: str) -> None:
        """A worker has died; the trial may be tried again."""
        self._record("death", trial=number, reason=reason)

    def lost(self, number: int) -> None:
        """The trial will not be tried again after its worker's death."""
        trial = self.history.trials[number]
        if trial.state == "running":
            reason = trial.deaths[-1] if trial.deaths else "its worker could not be started"
            times = f", {len(trial.deaths)} times" if len(trial.deaths) > 1 else ""
            self._end(trial, "oom" if "OutOfMemory" in reason else "failed", f"worker died{times}: {reason}")

    def cancel_running(self) -> None:
        """Ends whatever is still running as cancelled."""
        reason = self.stop.reason if self.stop else "the search broke off"
        for trial in list(self.history.trials.values()):
            if trial.state == "running":
                self._end(trial, "cancelled", reason)

    def _end(self, trial: TrialResult, state: State, reason: str, **detail: Any) -> None:
        value = trial.cost(self.task.metric)
        missed = None
        if state == "converged" and trial.apart is None and value is not None:
            missed = self.rungs.first_missed(trial.model, trial.id, value)
            detail["missed_rung"] = missed
        self._record("ending", trial=trial.id, state=state, reason=reason, **detail)
        if trial.apart or self.proposer is None:
            return
        rungs = self._judged.pop(trial.id, {})
        if missed is not None and value is not None:
            rungs[missed] = value
        self.proposer.tell(trial.id, told(state, missed), value, rungs)
        self._stop_if_all_fail_alike(trial)

    def _stop_if_all_fail_alike(self, trial: TrialResult) -> None:
        """``failed`` reasons hold exception, message and line; trials that differ in the message alone are alike."""
        if len(self._traces) < FIRST_FAILURES:
            exception, _, rest = trial.reason.partition(":")
            self._traces.append(f"{exception}{rest[rest.rfind('(') :]}" if trial.state == "failed" else "")
            if len(self._traces) == FIRST_FAILURES and len(set(self._traces)) == 1 and self._traces[0]:
                self.failure = trial
                self._stop(Stop("failures", f"the first trials all ended with {trial.reason}", at_once=True))


def trial_seed(search_seed: int, place: int) -> int:
    """A trial's seed, from the search's seed and the trial's place among those that count."""
    return int(np.random.SeedSequence([search_seed, place]).generate_state(1)[0])
