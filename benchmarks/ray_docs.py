"""The same search as Ray's documentation writes it: OptunaSearch, ASHA, the stock MLflow callback if it is asked for.

Put together from the examples that come with Ray (``optuna_define_by_run_example``, ``cifar10_pytorch``,
``mlflow_example``) and otherwise left at its defaults: a new process a trial, concurrency by the CPUs, the CSV, JSON
and TensorBoard loggers, Ray's table on stdout. Where the examples differ, this was chosen:

- a checkpoint and a report of two metrics each epoch, as ``cifar10_pytorch`` does it; saved are our training's best and
  newest weights and the optimiser's state;
- no ConcurrencyLimiter, which the Optuna example has, at 4: 2 CPUs limit it below that;
- the data by ``tune.with_parameters``, which the user guide has for large objects: each trial would wait longer for
  reading it anew;
- ``save_artifact`` of the MLflow callback at its default, False: the MLflow example's True would copy each trial's
  folder once more;
- the list of configurations by OptunaSearch's ``points_to_evaluate``, so that nothing is left to its sampler;
- results in the measurement's folder instead of ``~/ray_results``.

The test split is not evaluated.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune import Checkpoint
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.epoch_log import EpochLog
from benchmarks.setting import Setting, blind_dataset
from datasets import Dataset
from search.space import propose
from search.task import Task
from trainables.training import Training


def train(config: dict[str, Any], dataset: Dataset, task: Task, setting: Setting) -> None:
    """The trainable."""
    torch.set_num_threads(1)
    place = setting.place(config)
    seed = setting.given[place].seed
    training = Training(dataset, config, epochs=task.epochs, patience=task.patience, metric=task.metric, seed=seed)
    log = EpochLog(setting.folder, str(place))
    for epoch in training:
        log.append(epoch.seconds)
        with tempfile.TemporaryDirectory() as folder:
            training.save(Path(folder))
            checkpoint = Checkpoint.from_directory(folder)
            tune.report({"loss": epoch.val_loss, "accuracy": 1 - epoch.val_error}, checkpoint=checkpoint)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the search."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mlflow", action="store_true")
    options = parser.parse_args(arguments)
    setting = Setting.read(options.folder)
    task = setting.task()
    mlflow = MLflowLoggerCallback(tracking_uri=f"sqlite:///{setting.folder / 'mlflow.db'}", experiment_name="digits")
    tuner = tune.Tuner(
        tune.with_parameters(train, dataset=blind_dataset(task), task=task, setting=setting),
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            # Ray pickles the searcher: a partial can be, a function inside this one can't.
            search_alg=OptunaSearch(
                space=partial(propose, task.space),
                metric="loss",
                mode="min",
                points_to_evaluate=[trial.parameters for trial in setting.given],
            ),
            scheduler=ASHAScheduler(max_t=task.epochs, grace_period=task.grace, reduction_factor=task.reduction_factor)
            if setting.asha
            else None,
            num_samples=len(setting.given),
        ),
        run_config=tune.RunConfig(
            name="digits",
            storage_path=str(setting.folder),
            callbacks=[mlflow] if options.mlflow else None,
        ),
    )
    results = tuner.fit()
    print("Best hyperparameters found were: ", results.get_best_result().config)


if __name__ == "__main__":
    main()
