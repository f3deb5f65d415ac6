"""Runs a search's trials with Ray Tune. The classes here only translate between Ray's interfaces and the ``Driver``."""

from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from datasets import Dataset
from search.driver import Driver
from trainables.trial import MakeLearning, Plan, run_trial, torch_learning

TRIALS_FOLDER = "trials"
WORKER_DEATHS = 3
"""A trial is started again from its checkpoint after so many deaths of its worker, not more."""
_CHECKPOINTS_KEPT = 2


def run_trials(
    driver: Driver,
    dataset: Dataset,
    plan: Plan,
    run_folder: Path,
    slots: int,
    make_learning: MakeLearning = torch_learning,
) -> None:
    """Runs trials until the driver proposes no more, or wants to stop. Ray must be connected."""
    assert dataset.test is None, "trials never see the test split"
    workers = _Workers(driver, run_folder.resolve())
    trainable = tune.with_parameters(run_trial, dataset=dataset, plan=plan, make_learning=make_learning)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": plan.cpus, "gpu": plan.gpus}),
        tune_config=tune.TuneConfig(
            num_samples=-1,
            max_concurrent_trials=slots,
            reuse_actors=True,
            search_alg=_Proposals(driver),
            scheduler=_Asha(driver),
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=TRIALS_FOLDER,
            storage_path=str(run_folder.resolve()),
            stop=_FirstReader(driver, workers),
            callbacks=[workers],
            failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS),
            verbose=0,
        ),
    )
    tuner.fit()


def _folder_name(trial: Trial) -> str:
    return f"{trial.config['trial']:05d}"


class _Proposals(Searcher):
    """Asks the driver for configurations, and tells it of trials that Ray has given up."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(metric="value", mode="min")
        self.driver = driver
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        proposal = self.driver.propose()
        if proposal is None:
            return str(Searcher.FINISHED)
        self.numbers[trial_id] = proposal["trial"]
        return proposal

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        number = self.numbers.pop(trial_id)
        if error:
            self.driver.lost(number)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the event log has it all."""


def _what_happened(trial: Trial) -> str:
    """What ended a trial's worker, in one line, from the file that Tune wrote."""
    file = trial.pickled_error_file
    if not file or not Path(file).is_file():
        return "unknown"
    error = ray.cloudpickle.loads(Path(file).read_bytes())
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "running low on memory" in str(error):
        return "OutOfMemoryError: its node ran low on memory"
    if isinstance(error, ray.exceptions.ActorDiedError):
        return "its process ended unexpectedly"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"


class _Workers(Callback):
    """Notes each stored checkpoint and removes those before the last two; ends workers that can't be asked to stop."""

    def __init__(self, driver: Driver, run_folder: Path) -> None:
        self.driver, self.run_folder = driver, run_folder
        self.running: dict[str, Trial] = {}
        self.kept: dict[int, list[tune.Checkpoint]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see ``Driver``."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running[trial.trial_id] = trial

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        self.running.pop(trial.trial_id, None)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **_: Any
    ) -> None:
        number = trial.config["trial"]
        path = Path(checkpoint.path).relative_to(self.run_folder)
        self.driver.checkpoint(number, str(path), trial.last_result["best"])
        kept = self.kept.setdefault(number, [])
        kept.append(checkpoint)
        while len(kept) > _CHECKPOINTS_KEPT:
            old = kept.pop(0)
            old.filesystem.delete_dir(old.path)

    def kill(self) -> None:
        """Ends the processes of all running trials: in the middle of an epoch they would hear nothing else."""
        for trial in self.running.values():
            if actor := trial.temporary_state.ray_actor:
                ray.kill(actor)


class _FirstReader(Stopper):
    """Sees each result before anyone else does."""

    def __init__(self, driver: Driver, workers: _Workers) -> None:
        self.driver, self.workers = driver, workers

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.driver.report(result)

    def stop_all(self) -> bool:
        if self.driver.stopping:
            self.workers.kill()
        return self.driver.stopping


class _Asha(FIFOScheduler):
    """Stops trials at rungs."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self.driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return str(TrialScheduler.STOP if self.driver.judge(result) else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self.driver.worker_died(trial.config["trial"], _what_happened(trial))
