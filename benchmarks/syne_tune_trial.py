"""The script that Syne Tune runs for each trial (see ``benchmarks/syne_tune_local.py``)."""

import argparse
from pathlib import Path

import torch
from syne_tune import Reporter

from benchmarks.epoch_log import EpochLog
from benchmarks.setting import Setting, blind_dataset
from trainables.training import Training


def main() -> None:
    """Trains the configuration at a place of the list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--place", type=int, required=True)
    options, _ = parser.parse_known_args()
    setting = Setting.read(options.folder)
    config, _, seed = setting.given[options.place]
    task = setting.task()
    torch.set_num_threads(1)
    training = Training(
        blind_dataset(task), config, epochs=task.epochs, patience=task.patience, metric=task.metric, seed=seed
    )
    log = EpochLog(setting.folder, str(options.place))
    report = Reporter()
    for epoch in training:
        log.append(epoch.seconds)
        report(epoch=epoch.index, loss=epoch.val_loss, accuracy=1 - epoch.val_error)


if __name__ == "__main__":
    main()
