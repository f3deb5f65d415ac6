"""Runs a search's trials with Ray Tune. The classes here only translate between Ray's interfaces and the ``Driver``."""

import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from datasets import Dataset
from search import leftovers, nodes
from search.driver import Driver
from search.history import TrialResult
from trainables.storage import TRIALS_FOLDER, Storage
from trainables.trial import MakeLearning, Plan, run_trial, torch_learning

WORKER_DEATHS = 3
"""A trial is started again from its checkpoint after so many deaths of its worker, not more.

Those that die with their node do not count: a node may be lent until somebody else wants it.
"""
_NODE_LEFT = "its node left the cluster"
_SECONDS_BETWEEN_LOOKS = 5.0


def run_trials(
    driver: Driver,
    dataset: Dataset,
    plan: Plan,
    storage: Storage,
    slots: int,
    make_learning: MakeLearning = torch_learning,
    slots_now: Callable[[], int] | None = None,
    on_last: Callable[[], None] = lambda: None,
) -> None:
    """Runs trials until the driver proposes no more, or wants to stop. Ray must be connected.

    ``slots``: trials side by side, at first; as many as ``slots_now`` says, where it is given, as nodes come and go.
    ``on_last`` is called once, when no new trial is left to be proposed.
    """
    assert dataset.test is None, "trials never see the test split"
    _use_ready_workers()
    workers = _Workers(driver)
    limiter = ConcurrencyLimiter(_Proposals(driver, on_last), max_concurrent=slots)
    trainable = tune.with_parameters(
        run_trial, dataset=dataset, plan=plan, storage=storage, make_learning=make_learning
    )
    with leftovers.scratch() as scratch:  # what Tune writes nobody reads
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": plan.cpus, "gpu": plan.gpus}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                reuse_actors=True,
                search_alg=limiter,
                scheduler=_AtRungs(driver, workers),
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=TRIALS_FOLDER,
                storage_path=str(scratch),
                stop=_FirstReader(driver, workers, limiter, slots_now),
                callbacks=[workers],
                failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS),
                verbose=0,
            ),
        )
        tuner.fit()


def _use_ready_workers() -> None:
    """Has Tune's actors run in the processes that Ray has ready.

    Tune gives them environment variables, which all our processes have already, but for which Ray starts new processes,
    and Python twice in each.
    """
    class_cache.DEFAULT_ENV_VARS.clear()
    class_cache.ENV_VARS_TO_PROPAGATE.clear()


def _folder_name(trial: Trial) -> str:
    number, stay = trial.config["trial"], trial.config["stay"]
    return f"{number:05d}-{stay}" if stay else f"{number:05d}"


class _Proposals(Searcher):
    """Asks the driver what comes next, and tells it which trials have left their workers.

    What Ray calls a trial is one stay of ours on a worker: a paused trial that goes on is a new one to Ray, with a
    folder of its own. Ray's own pauses hold a slot, and its way to go on can't be told from which checkpoint.
    """

    def __init__(self, driver: Driver, on_last: Callable[[], None]) -> None:
        super().__init__(metric="value", mode="min")
        self.driver, self.on_last = driver, on_last
        self.last = False
        self.proposals: dict[str, dict[str, Any]] = {}
        self.stays: Counter[int] = Counter()
        self.again: deque[dict[str, Any]] = deque()
        """What Tune has given up, and we have not."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        proposal = self.again.popleft() if self.again and not self.driver.stopping else self.driver.propose()
        if not self.last and (proposal is None or not self.driver.waiting):
            self.last = True
            self.on_last()
        if proposal is None:
            return str(Searcher.FINISHED) if self.driver.finished else None
        self.proposals[trial_id] = proposal
        proposal["stay"] = self.stays[proposal["trial"]]
        self.stays[proposal["trial"]] += 1
        return proposal

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        proposal = self.proposals.pop(trial_id)
        number = proposal["trial"]
        trial = self.driver.history.trials[number]
        if error and trial.state == "running" and trial.deaths and _tries_left(trial) >= 0:
            self.again.append(proposal | {"checkpoints": self.driver.checkpoints(number)})
            return
        if error:
            self.driver.lost(number)
        self.driver.left(number)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the event log has it all."""


def _tries_left(trial: TrialResult) -> int:
    """How many more deaths of its worker it may have; negative where it has had too many."""
    return WORKER_DEATHS - sum(not death.startswith(_NODE_LEFT) for death in trial.deaths)


def _what_happened(trial: Trial) -> str:
    """What ended a trial's worker, in one line, from the file that Tune wrote."""
    file = trial.pickled_error_file
    if not file or not Path(file).is_file():
        return "unknown"
    error = ray.cloudpickle.loads(Path(file).read_bytes())
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "running low on memory" in str(error):
        return "OutOfMemoryError: its node ran low on memory"
    if isinstance(error, ray.exceptions.RayActorError) and (why := nodes.left(error)) is not None:
        return f"{_NODE_LEFT} ({why})"
    if isinstance(error, ray.exceptions.RayActorError):
        return "its process ended unexpectedly"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"


class _Workers(Callback):
    """Ends workers that can't be asked to stop."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.running: dict[str, Trial] = {}
        self.heard: dict[str, float] = {}
        """When each running trial was last heard of."""
        self.hung: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see ``Driver``."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running[trial.trial_id] = trial
        self.heard[trial.trial_id] = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        self.heard[trial.trial_id] = time.monotonic()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running.pop(trial.trial_id, None)
        # Tune's statistics of each number that was reported, which nobody reads: half of what a trial leaves in memory.
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running.pop(trial.trial_id, None)

    def kill(self) -> None:
        """Ends the processes of all running trials: in the middle of an epoch they would hear nothing else."""
        for trial in self.running.values():
            self._kill(trial)

    def kill_hung(self) -> None:
        """Ends the processes of trials that have been silent for too long."""
        now = time.monotonic()
        for name, trial in list(self.running.items()):
            again = self.driver.hangs(trial.config["trial"], now - self.heard[name])
            if again is not None:
                self.hung.add(name)
                if not again:
                    trial.max_failures = 0
                self._kill(self.running.pop(name))

    def _kill(self, trial: Trial) -> None:
        if actor := trial.temporary_state.ray_actor:
            ray.kill(actor)


class _FirstReader(Stopper):
    """Sees each result before anyone else does; looks after workers and slots at times."""

    def __init__(
        self, driver: Driver, workers: _Workers, limiter: ConcurrencyLimiter, slots_now: Callable[[], int] | None
    ) -> None:
        self.driver, self.workers, self.limiter, self.slots_now = driver, workers, limiter, slots_now
        self.slots = limiter.max_concurrent
        self.looked = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see ``Driver``."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        (message,) = result["message"]
        return self.driver.report(message)

    def stop_all(self) -> bool:
        if self.driver.stopping:
            self.workers.kill()
        elif time.monotonic() - self.looked > _SECONDS_BETWEEN_LOOKS:
            self.looked = time.monotonic()
            self.workers.kill_hung()
            self._follow_slots()
        return self.driver.stopping

    def _follow_slots(self) -> None:
        slots = self.slots_now() if self.slots_now else self.slots
        if slots != self.slots:
            self.slots = slots
            self.driver.slots_changed(slots)
            if slots:
                self.limiter.set_max_concurrency(slots)


class _AtRungs(FIFOScheduler):
    """Takes trials off their workers at rungs."""

    def __init__(self, driver: Driver, workers: _Workers) -> None:
        super().__init__()
        self.driver, self.workers = driver, workers

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None: Tune starts what waits by itself.

        What is chosen gets a worker that comes free, and the one that is starting for it is ended: while trials are
        shorter than the start of a worker, there would never be a second one.
        """

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return str(TrialScheduler.STOP if self.driver.judge(*result["message"]) else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        trial.set_config(trial.config | {"checkpoints": self.driver.checkpoints(trial.config["trial"])})
        tune_controller._resetting_trials.discard(trial)  # or it would wait for this worker for ever
        if trial.trial_id in self.workers.hung:
            self.workers.hung.remove(trial.trial_id)  # noted when it was found to hang
        else:
            self.driver.worker_died(trial.config["trial"], _what_happened(trial))
        ours = self.driver.history.trials[trial.config["trial"]]
        trial.max_failures = max(0, trial.num_failures + _tries_left(ours))
