"""Runs a search's trials with Ray Tune. The classes here only translate between Ray's interfaces and the ``Driver``."""

from pathlib import Path
from typing import Any

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
            stop=_FirstReader(driver),
            callbacks=[_Checkpoints(driver, run_folder.resolve())],
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


class _FirstReader(Stopper):
    """Sees each result before anyone else does."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.driver.report(result)

    def stop_all(self) -> bool:
        return self.driver.stopping


class _Asha(FIFOScheduler):
    """Stops trials at rungs."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self.driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return str(TrialScheduler.STOP if self.driver.judge(result) else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        error = trial.get_pickled_error() or trial.get_error()
        self.driver.worker_died(trial.config["trial"], type(error).__name__)


class _Checkpoints(Callback):
    """Notes each stored checkpoint and removes those before the last two."""

    def __init__(self, driver: Driver, run_folder: Path) -> None:
        self.driver, self.run_folder = driver, run_folder
        self.kept: dict[int, list[tune.Checkpoint]] = {}

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
