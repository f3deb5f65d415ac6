"""The same search with Syne Tune's local backend, as its README writes it: a process a trial, results read from stdout.

Syne Tune is not among the requirements. It goes into a folder of its own, with what its import needs besides ours::

    .venv/bin/python -m pip install --no-deps --target syne syne-tune==0.16.0 dill psutil
    PYTHONPATH=syne .venv/bin/python -m benchmarks.throughput

ASHA, or no stopping, is Syne Tune's, and a searcher gives it the list. The tuner looks at its trials every 5 seconds by
default, or as ``--sleep`` says: until then a worker whose trial has ended stands idle, and a trial that ASHA will stop
trains on. Those epochs are counted, for they were trained. Each trial's process reads the data anew. Like the README's
example it keeps no checkpoints; there is no MLflow and no test.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from syne_tune import Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import randint
from syne_tune.constants import TUNER_DEFAULT_SLEEP_TIME
from syne_tune.optimizer.scheduler import TrialScheduler
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving
from syne_tune.optimizer.schedulers.searchers.searcher import BaseSearcher
from syne_tune.optimizer.schedulers.single_objective_scheduler import SingleObjectiveScheduler

from benchmarks.setting import WORKERS, Setting


class Listed(BaseSearcher):
    """Suggests the points it is given, and then no more."""

    def suggest(self, **_: Any) -> dict[str, Any] | None:
        """The next one."""
        return self._next_points_to_evaluate()

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Nothing is learnt."""


def make_scheduler(setting: Setting) -> TrialScheduler:
    """A trial's configuration is its place in the list; Syne Tune knows no lists of layers."""
    task, trials = setting.task(), len(setting.given)
    space = {"place": randint(0, max(1, trials - 1)), "folder": str(setting.folder)}
    points = [{"place": place, "folder": str(setting.folder)} for place in range(trials)]
    searcher = Listed(space, points_to_evaluate=points)
    if not setting.asha:
        return SingleObjectiveScheduler(space, metric="loss", do_minimize=True, searcher=searcher)
    return AsynchronousSuccessiveHalving(
        space,
        metric="loss",
        do_minimize=True,
        searcher=searcher,
        time_attr="epoch",
        max_t=task.epochs,
        grace_period=task.grace,
        reduction_factor=task.reduction_factor,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the search."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sleep", type=float, default=TUNER_DEFAULT_SLEEP_TIME)
    options = parser.parse_args(arguments)
    setting = Setting.read(options.folder)
    os.environ["SYNETUNE_FOLDER"] = str(setting.folder)  # else ~/syne-tune
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("syne_tune_trial.py"))),
        scheduler=make_scheduler(setting),
        stop_criterion=lambda _: False,  # it ends when the list does
        n_workers=WORKERS,
        sleep_time=options.sleep,
        max_failures=len(setting.given),
    )
    tuner.run()


if __name__ == "__main__":
    main()
