"""What Ray costs at least until something is trained: its start, and one task that trains one epoch.

The data is read while Ray starts, as our command does it, and sent to the task; torch is imported there alone.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ray

from benchmarks.epoch_log import EpochLog
from benchmarks.setting import Setting, blind_dataset
from datasets import Dataset
from search.task import Task


@ray.remote(num_cpus=1)
def train(dataset: Dataset, task: Task, setting: Setting) -> float:
    """The first epoch of the list's first configuration; returns its validation loss."""
    import torch

    from trainables.training import Training

    torch.set_num_threads(1)
    config, _, seed = setting.given[0]
    training = Training(dataset, config, epochs=task.epochs, patience=task.patience, metric=task.metric, seed=seed)
    epoch = next(iter(training))
    EpochLog(setting.folder, "0").append(epoch.seconds)
    return epoch.val_loss


def main(arguments: Sequence[str] | None = None) -> None:
    """Starts Ray, and trains the epoch."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    setting = Setting.read(Path(folder))
    task = setting.task()
    with ThreadPoolExecutor(1) as reader:
        dataset = reader.submit(blind_dataset, task)
        ray.init(include_dashboard=False, log_to_driver=False)
        print("Validation loss:", ray.get(train.remote(dataset.result(), task, setting)))
    ray.shutdown()


if __name__ == "__main__":
    main()
