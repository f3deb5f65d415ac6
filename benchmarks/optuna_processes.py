"""The same search with Optuna alone: worker processes that share a study in a journal file.

TPE and successive halving as Optuna has them. Nothing is kept but the study: no checkpoints, no MLflow, no test.
"""

import multiprocessing
from collections.abc import Sequence

import optuna
import torch
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback

from benchmarks.epoch_log import EpochLog
from benchmarks.setting import WORKERS, Setting, blind_dataset
from datasets import Dataset
from search.driver import trial_seed
from search.space import propose
from search.task import Task
from trainables.epoch import DivergedError, cost
from trainables.training import Training

STUDY = "digits"


def storage(setting: Setting) -> JournalStorage:
    """The study's file."""
    return JournalStorage(JournalFileBackend(str(setting.folder / "journal.log")))


def work(number: int, dataset: Dataset, task: Task, setting: Setting) -> None:
    """One worker: trials until there are enough, running ones counted.

    Two workers that end a trial at the same moment, and those were the only ones running, may both begin the last.
    """
    torch.set_num_threads(1)

    def objective(trial: optuna.trial.Trial) -> float:
        seed = trial_seed(setting.seed, trial.number)
        config = propose(task.space, trial)
        training = Training(dataset, config, epochs=task.epochs, patience=task.patience, metric=task.metric, seed=seed)
        log = EpochLog(setting.folder, str(trial.number))
        best = float("inf")
        for epoch in training:
            log.append(epoch.seconds)
            best = min(best, cost(vars(epoch), task.metric))
            trial.report(best, epoch.index)
            if epoch.index < task.epochs and trial.should_prune():
                raise optuna.TrialPruned
        return best

    study = optuna.load_study(
        study_name=STUDY,
        storage=storage(setting),
        sampler=TPESampler(seed=setting.seed + number),
        pruner=SuccessiveHalvingPruner(min_resource=task.grace, reduction_factor=task.reduction_factor),
    )
    enough = MaxTrialsCallback(setting.num_samples, states=None)
    study.optimize(objective, callbacks=[enough], catch=(DivergedError,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the search."""
    setting = Setting.parse(arguments)
    task = setting.task()
    dataset = blind_dataset(task)
    study = optuna.create_study(study_name=STUDY, storage=storage(setting))
    # Forked, as Optuna's example of a journal does it on Linux: the workers need not import torch again.
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number, dataset, task, setting)) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed")
    print("Best trial:", study.best_trial.params)


if __name__ == "__main__":
    main()
