"""The driver's decisions, apart from Ray: what is proposed, when a trial stops, how it ended.

Each fact is written to the event log before anything acts on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from search import troubles
from search.beside import Beside, trial_seed
from search.budgets import Budgets, Stop
from search.events import EventLog
from search.history import History, State, TrialResult
from search.proposer import Proposer
from search.retention import Retention
from search.rungs import restore, rungs_of
from search.selection import select
from search.task import Task
from trainables.epoch import cost

if TYPE_CHECKING:
    from search.confirmation import Confirm

_GOES_ON = ("interruption", "disk full")
"""A search that was stopped by these may go on: what it left paused keeps its checkpoints."""
_HUNG = "hung"


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
        top_k: int = 1,
        beside: Sequence[Beside] = (),
        confirm: "Confirm | None" = None,
        budgets: Budgets | None = None,
        retention: Retention | None = None,
        say: Callable[[str], None] = lambda _: None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        """``confirm``: None where the choice is not confirmed; ``retention``: None where all checkpoints stay; ``say``
        is called with lines for people.
        """
        self.task, self.log, self.history, self.proposer = task, log, history, proposer
        self.num_samples, self.seed, self.top_k = num_samples, seed, top_k
        self.budgets = budgets or Budgets()
        self.rungs = rungs_of(task)
        self.interrupted = False
        """Set from outside: a signal handler must not write to the log."""
        self.stop: Stop | None = None
        self.failure: TrialResult | None = None
        """The trial whose exception every one of the first trials had."""
        self._beside, self._confirm = list(beside), confirm
        self.retention, self.say, self._on_event = retention, say, on_event
        self._first_failures = troubles.FirstFailures()
        self._unfinished: list[int] = []
        self._on_workers: set[int] = set()

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
        """What a free worker does next: a trial's number, seed and configuration; None where there is nothing now.

        What is trained beside the search comes first, with ``epochs`` and ``patience`` of its own. A trial that goes on
        has the ``checkpoints`` that it can go on from, paths in the run's folder, the newest last; where they are gone,
        it begins again, with the number of its ``next_checkpoint``. When all have been proposed, whatever is to be
        tested goes on to its end; when nothing of the search runs any more, its choice is confirmed.
        """
        if self.stopping:
            return None
        if self._unfinished and not self.stop:
            return self._to_worker(self._unfinished.pop(0))
        if self._beside:
            return self._propose_beside()
        proposal = None if self.stop else self._search_on()
        if proposal is None and self._confirm and not any(map(self._counts, self._on_workers)):
            self._plan_confirmation(self._confirm)
            return self._propose_beside() if self._beside else None
        return proposal

    def _propose_beside(self) -> dict[str, Any]:
        number, beside = len(self.history.trials), self._beside.pop(0)
        own = {"epochs": beside.epochs, "patience": beside.patience}
        own |= {} if beside.split is None else {"split": beside.split}
        self._record("proposal", trial=number, seed=beside.seed, origin=beside.origin, apart=beside.kind,
                     config=beside.config, parameters={}, **own)  # fmt: skip
        return self._to_worker(number)

    def _search_on(self) -> dict[str, Any] | None:
        if (promoted := self.rungs.next(self._left_its_worker)) is not None:
            return self._go_on(promoted)
        number, proposed = len(self.history.trials), len(self.history.searched())
        if self.proposer is not None and proposed < self.num_samples:
            config, origin = self.proposer.ask(number)
            seed = trial_seed(self.seed, proposed)
            parameters = self.proposer.parameters(number)
            self._record("proposal", trial=number, seed=seed, origin=origin, config=config, parameters=parameters)
            return self._to_worker(number)
        return self._finalist() if self.proposer else None

    def _plan_confirmation(self, confirm: "Confirm") -> None:
        self._confirm, before = None, self.history.confirmation
        plan = confirm.plan(self.history, self.task)
        if any(before.get(name) != value for name, value in asdict(plan).items()):
            self._record("confirmation", **asdict(plan))
        self._beside = list(confirm.trainings(plan, self.history, self.task, self.seed))
        self.say(str(plan))

    def _finalist(self) -> dict[str, Any] | None:
        for selected in select(self.history.searched(), self.task.metric, self.top_k):
            trial = selected.trial
            if trial.state == "paused" and self._left_its_worker(trial.id):
                self.rungs.resume(trial.id)
                return self._go_on(trial.id)
        return None

    @property
    def finished(self) -> bool:
        """Whether ``propose`` gives nothing any more, whatever still happens."""
        return self.stopping or not (self._beside or self._confirm or self._on_workers)

    @property
    def waiting(self) -> int:
        """How many trials are to be proposed yet, as far as is known."""
        return len(self._beside) + (0 if self.stop else self.num_samples - len(self.history.searched()))

    def _counts(self, number: int) -> bool:
        return self.history.trials[number].apart is None

    def _left_its_worker(self, number: int) -> bool:
        return number not in self._on_workers

    def _go_on(self, number: int) -> dict[str, Any]:
        self._record("promotion", trial=number)
        self._show(self.history.trials[number])
        return self._to_worker(number)

    def _to_worker(self, number: int) -> dict[str, Any]:
        self._on_workers.add(number)
        trial = self.history.trials[number]
        proposal: dict[str, Any] = {"trial": number, "seed": trial.seed, "config": trial.config}
        if trial.own_epochs is not None:
            proposal |= {"epochs": trial.own_epochs, "patience": trial.own_patience}
        if trial.split is not None:
            proposal["split"] = trial.split
        if trial.checkpoints:
            proposal["checkpoints"] = self.checkpoints(number)
        elif trial.checkpoints_made:
            proposal["next_checkpoint"] = trial.checkpoints_made
        return proposal

    def checkpoints(self, number: int) -> list[str]:
        """What a trial can go on from, paths in the run's folder, the newest last."""
        return [path for path, _ in self.history.trials[number].checkpoints]

    def report(self, message: dict[str, Any]) -> bool:
        """Takes a trial's message; returns whether it has to stop without being judged."""
        number = message["trial"]
        trial = self.history.trials[number]
        if message["worker"]:
            self._record("start", trial=number, worker=message["worker"], parameters=message["parameters"])
        if trial.state != "running":
            self._note_checkpoint(message)
            # A worker that died between its last report and the saving of that report's checkpoint makes it again.
            return bool(message["ending"]) or message["epochs"][-1]["index"] >= trial.epochs
        damaged = message.get("damaged", {})
        for path, problem in damaged.items():
            self._record("damaged", trial=number, path=path, problem=problem)
        for problem in damaged.values():
            went_on = f"went on from {self.checkpoints(number)[-1]}" if self.checkpoints(number) else "began again"
            self.say(f"warning: trial {number} {went_on}: {problem}")
        if message["epochs"] and "best" in message:
            used = message.get("used", {})
            self._record("report", trial=number, epochs=message["epochs"], best=message["best"], **used)
        self._note_checkpoint(message)  # before an ending, after which nobody would ask for it again
        if message["ending"] == "full":
            self._stop(Stop("disk full", message["reason"], at_once=True))
        elif message["ending"]:
            detail = {"traceback": message["traceback"]} if "traceback" in message else {}
            self._end(trial, message["ending"], message.get("reason", ""), **detail)
        if self.stop is None and (stop := self.budgets.reached(self.history, self.task.metric)):
            self._stop(stop)
        if self.stop and trial.state == "running" and trial.apart is None:
            self._end(trial, "cancelled", self.stop.reason)
        return trial.state != "running"

    def judge(self, message: dict[str, Any]) -> bool:
        """Whether a trial that has just reported must leave its worker at a rung; then that is recorded."""
        number, epoch = message["trial"], message["epochs"][-1]["index"]
        trial = self.history.trials[number]
        if trial.state != "running" or trial.apart or epoch not in self.rungs.milestones:
            return False
        return not self._goes_on(trial, epoch, message["value"])

    def _goes_on(self, trial: TrialResult, milestone: int, value: float) -> bool:
        goes_on = self.rungs.judge(trial.model, trial.id, milestone, value)
        if not goes_on and not self.rungs.pauses:
            self._end(trial, "pruned", self.rungs.verdict(trial.id))
            return False
        if not goes_on:
            self._record("pause", trial=trial.id, reason=self.rungs.verdict(trial.id))
            self._stop_if_all_fail_alike(trial)
        self._show(trial)
        return goes_on

    def resume(self, **facts: Any) -> None:
        """Goes on with a search that was cut off, or has ended: what has not come to its own end is open again.

        Trials that were cancelled go on; what was paused to the last waits at its rung again. ``facts`` are for the
        log.
        """
        trials, metric = self.history.searched(), self.task.metric
        reopened = [
            trial.id
            for trial in self.history.trials.values()
            if trial.apart != "again"
            and (trial.state == "cancelled" or (trial.state == "pruned" and self.rungs.pauses))
        ]
        self._record("resumption", reopened=reopened, **facts)
        self._first_failures.over = True
        restore(self.rungs, trials, metric)
        for trial in trials:
            if trial.state == "running" and trial.epochs in self.rungs.milestones:
                self._goes_on(trial, trial.epochs, cost(trial.at_rungs[trial.epochs], metric))
            elif trial.id in reopened:
                self._show(trial)
        for trial in self.history.trials.values():
            if trial.state == "running" and trial.apart == "again":
                self._end(trial, "cancelled", "its command broke off")
        self._unfinished = [trial.id for trial in self.history.trials.values() if trial.state == "running"]
        self.budgets = replace(self.budgets, began=self.budgets.began - self.history.seconds_spent)
        if stop := self.budgets.reached(self.history, metric):
            self._stop(stop)
        self._retain(list(self.history.trials.values()))

    def left(self, number: int) -> None:
        """The trial's worker is free, and the trial's last checkpoint known."""
        self._on_workers.discard(number)
        self._retain([self.history.trials[number]])

    def _note_checkpoint(self, message: dict[str, Any]) -> None:
        if "checkpoint" in message:
            self.checkpoint(message["trial"], message["checkpoint"], message["best"], message["bytes"])

    def checkpoint(self, number: int, path: str, best: dict[str, Any], size: int = 0) -> None:
        """A checkpoint of so many bytes has been stored whole."""
        self._record("checkpoint", trial=number, path=path, best=best, bytes=size)
        trial = self.history.trials[number]
        if trial.state == "running":  # of one that has ended or pauses, when it leaves its worker
            self._retain([trial])

    def slots_changed(self, slots: int) -> None:
        """So many trials run side by side from now on."""
        self._record("slots", slots=slots)

    def worker_died(self, number: int, reason: str) -> None:
        """A worker has died; the trial may be tried again."""
        self._record("death", trial=number, reason=reason)

    def hangs(self, number: int, seconds: float) -> bool | None:
        """Notes where a trial has been silent for too long; None where it has not, else whether to try it once more."""
        if not troubles.too_long(seconds, self.history):
            return None
        trial = self.history.trials[number]
        if trial.state != "running":
            return False
        again = not any(death.startswith(_HUNG) for death in trial.deaths)
        self._record("death", trial=number, reason=f"{_HUNG}: no report for {seconds:.0f} s")
        if not again:
            self._end(trial, "failed", f"{_HUNG}, tried twice: no report for {seconds:.0f} s")
        return again

    def lost(self, number: int) -> None:
        """The trial will not be tried again after its worker's death."""
        trial = self.history.trials[number]
        if trial.state == "running":
            reason = trial.deaths[-1] if trial.deaths else "its worker could not be started"
            times = f", {len(trial.deaths)} times" if len(trial.deaths) > 1 else ""
            self._end(trial, "oom" if "OutOfMemory" in reason else "failed", f"worker died{times}: {reason}")

    def end(self) -> None:
        """Ends whatever has not: what is running as cancelled, what is paused as pruned where it stands."""
        reason = self.stop.reason if self.stop else "the search broke off"
        trials = list(self.history.trials.values())
        broke_off = self.stop is None and any(trial.state == "running" for trial in trials)
        for trial in trials:
            if trial.state == "running":
                self._end(trial, "cancelled", reason)
            elif trial.state == "paused":
                # Where it stood is not known of a search that was killed, and is opened again for something else.
                self._end(trial, "pruned", self.rungs.verdict(trial.id) if self.proposer else trial.reason)
        if not (broke_off or (self.stop and self.stop.by in _GOES_ON)):
            self._retain(trials)

    def _retain(self, changed: Sequence[TrialResult]) -> None:
        """Lets go of checkpoints that are no longer needed, now that these trials are not as they were."""
        if self.retention is not None:
            for removal in self.retention.due(changed):
                only = {} if removal.checkpoints is None else {"checkpoints": removal.checkpoints}
                self._record("removal", trials=removal.trials, **only)
            if warning := self.retention.warning():
                self.say(f"warning: {warning}")

    def _end(self, trial: TrialResult, state: State, reason: str, **detail: Any) -> None:
        value = trial.cost(self.task.metric)
        if state == "converged" and trial.apart is None and value is not None:
            detail["missed_rung"] = self.rungs.carry(trial.model, trial.id, value)
        self._record("ending", trial=trial.id, state=state, reason=reason, **detail)
        self._show(trial)
        if trial.apart is None:
            self._stop_if_all_fail_alike(trial)

    def _show(self, trial: TrialResult) -> None:
        if trial.apart is None and self.proposer is not None:
            self.proposer.see(trial)

    def _stop_if_all_fail_alike(self, trial: TrialResult) -> None:
        """Looks at the first trials that end or pause."""
        if self._first_failures.see(trial):
            self.failure = trial
            self._stop(Stop("failures", f"the first trials all ended with {trial.reason}", at_once=True))
