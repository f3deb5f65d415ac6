"""The same search with Optuna alone: worker processes that share a study in a journal file.

The list is enqueued, successive halving is Optuna's. Nothing is kept but the study: no checkpoints, no MLflow, no test.
"""

import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
import torch
from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.epoch_log import EpochLog
from benchmarks.setting import WORKERS, Setting, blind_dataset
from datasets import Dataset
from search.space import propose
from search.task import Task
from trainables.epoch import DivergedError, cost
from trainables.training import Training

STUDY = "digits"


def storage(setting: Setting) -> JournalStorage:
    """The study's file."""
    return JournalStorage(JournalFileBackend(str(setting.folder / "journal.log")))


def work(dataset: Dataset, task: Task, setting: Setting) -> None:
    """One worker: trials until the list is through."""
    torch.set_num_threads(1)

    def objective(trial: optuna.trial.Trial) -> float:
        if trial.number >= len(setting.given):
            trial.study.stop()
            raise optuna.TrialPruned
        config, seed = propose(task.space, trial), setting.given[trial.number].seed
        training = Training(dataset, config, epochs=task.epochs, patience=task.patience, metric=task.metric, seed=seed)
        log = EpochLog(setting.folder, str(setting.place(config)))
        best = float("inf")
        for epoch in training:
            log.append(epoch.seconds)
            best = min(best, cost(vars(epoch), task.metric))
            trial.report(best, epoch.index)
            if epoch.index < task.epochs and trial.should_prune():
                raise optuna.TrialPruned
        return best

    halving = SuccessiveHalvingPruner(min_resource=task.grace, reduction_factor=task.reduction_factor)
    study = optuna.load_study(
        study_name=STUDY,
        storage=storage(setting),
        sampler=RandomSampler(),
        pruner=halving if setting.asha else NopPruner(),
    )
    study.optimize(objective, catch=(DivergedError,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the search."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    setting = Setting.read(Path(folder))
    task = setting.task()
    dataset = blind_dataset(task)
    study = optuna.create_study(study_name=STUDY, storage=storage(setting))
    for trial in setting.given:
        study.enqueue_trial(trial.parameters)
    # Forked, as Optuna's example of a journal does it on Linux: the workers need not import torch again.
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(dataset, task, setting)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed")
    print("Best trial:", study.best_trial.params)


if __name__ == "__main__":
    main()
