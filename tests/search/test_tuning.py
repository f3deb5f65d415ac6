"""Trials on a real Ray, most of them in closed form."""

import math
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import closed_form
import numpy as np
import pytest
from closed_form import DiesOnce, Scripted, make_circular, make_closed_form, tiny_dataset

from datasets import Dataset, Examples, Fold, digits
from search import cluster, conf, events
from search.driver import Driver
from search.events import EventLog
from search.history import History, TrialResult
from search.selection import ranked
from trainables.models import build
from trainables.storage import SharedFolder
from trainables.trial import MakeLearning, Plan, torch_learning

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

RunScript = Callable[..., Driver]


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    import ray

    ray.cloudpickle.register_pickle_by_value(closed_form)
    cluster.connect(None)
    yield
    ray.shutdown()


@pytest.fixture
def run_script(tmp_path: Path) -> Iterator[RunScript]:
    """Runs trials of given configurations, one after the other or side by side."""
    from search.tuning import run_trials

    logs = []

    def run(
        configs: list[dict[str, Any]],
        *,
        slots: int = 1,
        epochs: int = 9,
        patience: int = 100,
        grace: int = 9,
        dataset: Dataset | None = None,
        make_learning: MakeLearning = make_closed_form,
        seconds_between_reports: float = 1.0,
        metric: str = "val_loss",
        top_k: int = 1,
        slots_now: Callable[[], int] | None = None,
    ) -> Driver:
        task = conf.load("digits", {"epochs": epochs, "grace": grace, "metric": metric}, [])
        logs.append(EventLog(tmp_path / events.FILE_NAME))
        proposer: Any = Scripted(configs)
        driver = Driver(task, logs[-1], History(), proposer, num_samples=len(configs), seed=0, top_k=top_k)
        plan = Plan(
            epochs=epochs,
            patience=patience,
            metric=task.metric,
            milestones=task.milestones,
            pauses=driver.rungs.pauses,
            seconds_between_reports=seconds_between_reports,
        )
        storage = SharedFolder(tmp_path)
        run_trials(driver, (dataset or tiny_dataset()).blind(), plan, storage, slots, make_learning, slots_now)
        driver.end()
        return driver

    yield run
    for log in logs:
        log.close()


def test_every_fate_is_told_to_everyone_and_the_workers_are_reused(run_script: RunScript) -> None:
    driver = run_script(
        [
            {"level": 1.0},
            {"level": 2.0},
            {"level": 0.5, "flat_after": 4},
            {"level": 0.4, "fate": "diverge", "at": 3},
            {"level": 0.4, "fate": "out of memory", "at": 3},
            {"level": 0.4, "fate": "raise", "at": 3},
            {"level": 0.3},
        ],
        patience=4,
        grace=3,
    )
    trials = list(driver.history.trials.values())
    assert [(trial.state, trial.epochs) for trial in trials] == [
        ("pruned", 3),
        ("pruned", 3),
        ("converged", 8),
        ("diverged", 2),
        ("oom", 2),
        ("failed", 2),
        ("completed", 9),
    ]
    assert all(trial.checkpoint for trial in trials), "what was learnt before a failure is kept too"
    assert trials[1].reason == "rung 3: place 4 of 4, where 1 may go on"
    assert trials[4].reason == "CUDA out of memory. Tried to allocate 20 GiB."
    assert trials[5].reason.startswith("KeyError: 'no such thing' (closed_form.py:")
    seen = [[state for state, _ in driver.proposer.seen[trial.id]] for trial in trials]
    assert seen[:3] == [["paused", "pruned"], ["paused", "pruned"], ["running", "converged"]]
    assert seen[3:] == [["diverged"], ["oom"], ["failed"], ["running", "completed"]]
    assert len({(worker["node"], worker["pid"]) for trial in trials for worker in trial.workers}) == 1
    assert [len(trial.workers) for trial in trials[:3]] == [1, 1, 1]


def test_nothing_of_a_trial_is_left_in_the_memory_of_its_worker_for_the_next_one(run_script: RunScript) -> None:
    driver = run_script([{}, {"fate": "raise", "at": 2}, {}], make_learning=make_circular)
    trials = list(driver.history.trials.values())
    assert len({worker["pid"] for trial in trials for worker in trial.workers}) == 1
    assert [trial.curve[0]["val_loss"] for trial in trials] == [2.0, 2.0, 2.0], "the first counts itself"


@pytest.mark.parametrize("slots", [1, 2])
def test_a_paused_trial_goes_on_from_its_checkpoint(run_script: RunScript, slots: int, tmp_path: Path) -> None:
    levels = (1.0, 3.0, 2.0, 4.0, 5.0, 6.0)
    in_turn = {"fate": "in turn", "at": 3, "folder": str(tmp_path)}
    configs = [{"level": level, "turn": turn, **in_turn} for turn, level in enumerate(levels)]
    driver = run_script(configs, grace=3, top_k=3, slots=slots)
    trials = list(driver.history.trials.values())
    assert [(trial.state, trial.epochs) for trial in trials] == [
        ("completed", 9), ("completed", 9), ("completed", 9), ("pruned", 3), ("pruned", 3), ("pruned", 3),
    ]  # fmt: skip
    if slots == 1:
        assert [len(trial.workers) for trial in trials] == [2, 2, 2, 1, 1, 1], "each leaves its worker once"
    assert all([epoch["index"] for epoch in trial.curve] == list(range(1, trial.epochs + 1)) for trial in trials)
    trained = [epoch["index"] for event in events.read(driver.log.path) for epoch in event.get("epochs", ())]
    assert len(trained) == 36, "no epoch is trained twice"


def test_by_f1_the_trials_with_less_of_it_are_pruned(run_script: RunScript) -> None:
    configs = [{"level": 1.5}, {"level": 2.5}, {"level": 0.5}]
    driver = run_script(configs, grace=2, epochs=4, metric="val_f1")
    trials = list(driver.history.trials.values())
    assert [trial.state for trial in trials] == ["pruned", "pruned", "completed"]
    assert ranked(trials, "val_f1") == [trials[2], trials[0], trials[1]]


def second_worker_needed(folder: Path) -> list[dict[str, Any]]:
    """Trials of which none after the first two begins before these have."""
    in_turn = {"fate": "in turn", "at": 1, "folder": str(folder)}
    return [*({"turn": turn, **in_turn} for turn in range(3)), *[{}] * 9]


def test_a_second_worker_comes_however_soon_the_first_ones_trial_ends(run_script: RunScript, tmp_path: Path) -> None:
    driver = run_script(second_worker_needed(tmp_path), slots=2)
    pids = [worker["pid"] for trial in driver.history.trials.values() for worker in trial.workers]
    assert (len(set(pids)), pids[0] != pids[1]) == (2, True)
    assert driver.history.counts() == {"completed": 12}


def test_slots_are_followed_as_nodes_come_and_go(
    run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("search.tuning._SECONDS_BETWEEN_LOOKS", 0.0)
    counts = iter([1, 0, *[2] * 100_000])
    driver = run_script(second_worker_needed(tmp_path), slots_now=lambda: next(counts))
    changes = [event["slots"] for event in events.read(driver.log.path) if event["event"] == "slots"]
    assert changes == [0, 2], "a moment without any node is waited through"
    pids = {worker["pid"] for trial in driver.history.trials.values() for worker in trial.workers}
    assert len(pids) <= 2


def test_a_killed_worker_costs_nothing_that_was_saved(run_script: RunScript, tmp_path: Path) -> None:
    configs = [{"fate": "die once", "at": 6, "marker": str(tmp_path / "died")}, {"fate": "die", "at": 2}]
    driver = run_script(configs, seconds_between_reports=0.0)
    first, second = driver.history.trials.values()
    assert (first.state, first.epochs, len(first.workers), len(first.deaths)) == ("completed", 9, 2, 1)
    assert [epoch["index"] for epoch in first.curve] == list(range(1, 10))
    assert second.state == "failed"
    assert second.reason.startswith("worker died, 4 times: ")


def test_a_checkpoint_that_no_report_told_of_is_not_gone_on_from(run_script: RunScript, tmp_path: Path) -> None:
    config = {"fate": "die in saving", "at": 6, "marker": str(tmp_path / "died")}
    driver = run_script([config], seconds_between_reports=0.0)
    (trial,) = driver.history.trials.values()
    assert (trial.state, len(trial.deaths)) == ("completed", 1)
    assert [epoch["index"] for epoch in trial.curve] == list(range(1, 10))
    there = {str(path.relative_to(tmp_path)) for path in (tmp_path / "trials/00000").glob("checkpoint_*")}
    assert there == {path for path, _ in trial.checkpoints}


def test_the_first_three_alike_end_the_search(run_script: RunScript) -> None:
    driver = run_script([{"fate": "raise", "at": 1}] * 30)
    assert driver.failure is not None
    assert "KeyError" in driver.failure.traceback
    assert len(driver.history.trials) <= 4


def test_a_trial_that_hangs_is_tried_once_more(run_script: RunScript, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.troubles.LEAST_SILENCE", 1.5)
    monkeypatch.setattr("search.tuning._SECONDS_BETWEEN_LOOKS", 0.1)
    driver = run_script([{}, {"fate": "hang", "at": 4}, {}], seconds_between_reports=0.0)
    trials = list(driver.history.trials.values())
    assert [trial.state for trial in trials] == ["completed", "failed", "completed"]
    assert trials[1].reason.startswith("hung, tried twice: no report for ")
    assert (len(trials[1].workers), trials[1].epochs) == (1, 3)
    assert [death.partition(":")[0] for death in trials[1].deaths] == ["hung", "hung"]


def test_stopping_cancels_what_runs_within_seconds(run_script: RunScript) -> None:
    """A trial in the middle of a long epoch can't be asked; its worker is ended."""
    import threading

    drivers: list[Driver] = []
    report = Driver.report

    def remember(driver: Driver, message: dict[str, Any]) -> bool:
        drivers.append(driver)
        return report(driver, message)

    stopped: list[float] = []

    def stop_when_hanging() -> None:
        while not (drivers and drivers[0].history.trials.get(1)):
            time.sleep(0.05)
        time.sleep(2)
        stopped.append(time.monotonic())
        drivers[0].interrupted = True

    thread = threading.Thread(target=stop_when_hanging)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, "report", remember)
        driver = run_script([{}, {"fate": "hang", "at": 1}])
    thread.join()
    assert time.monotonic() - stopped[0] < 10
    assert [trial.state for trial in driver.history.trials.values()] == ["completed", "cancelled"]


NOISY = {
    "model": "cnn",
    "channels": [4],
    "widths": [8],
    "batch_norm": True,
    "optimizer": "sgd",
    "momentum": 0.9,
    "schedule": "one_cycle",
    "lr": 0.05,
    "dropout": 0.2,
    "affine": 0.4,
    "shift": 0.1,
    "erase": 0.1,
    "batch_size": 32,
}


def small_digits() -> Dataset:
    whole = digits.load(Path("/nowhere"))
    examples = Examples(whole.development.inputs[:300], whole.development.targets[:300])
    return Dataset("digits", whole.classes, examples, (Fold(np.arange(200), np.arange(200, 300)),), whole.test)


def figures(trial: TrialResult) -> list[dict[str, Any]]:
    return [{**epoch, "seconds": 0} for epoch in trial.curve]


def test_a_killed_training_goes_on_bitwise_as_if_it_had_not_been(run_script: RunScript, tmp_path: Path) -> None:
    import torch

    from trainables.training import Training

    torch.set_num_threads(1)
    driver = run_script(
        [NOISY],
        epochs=12,
        dataset=small_digits(),
        make_learning=DiesOnce(tmp_path / "died"),
        seconds_between_reports=0.0,
    )
    (trial,) = driver.history.trials.values()
    assert (trial.state, len(trial.deaths)) == ("completed", 1)
    undisturbed = Training(small_digits().blind(), NOISY, epochs=12, patience=100, seed=trial.seed)
    assert figures(trial) == [{**vars(epoch), "seconds": 0} for epoch in undisturbed]


def test_a_training_goes_on_bitwise_after_a_pause(run_script: RunScript) -> None:
    import torch

    from trainables.training import Training

    torch.set_num_threads(1)
    driver = run_script(
        [NOISY, NOISY], epochs=7, grace=2, top_k=2, dataset=small_digits(), make_learning=torch_learning
    )
    for trial in driver.history.trials.values():
        assert (trial.state, len(trial.workers)) == ("completed", 3)
        undisturbed = Training(small_digits().blind(), NOISY, epochs=7, patience=100, seed=trial.seed)
        assert figures(trial) == [{**vars(epoch), "seconds": 0} for epoch in undisturbed]


def test_nothing_that_is_put_into_the_object_store_holds_the_test_split(
    run_script: RunScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.tune.trainable import util

    stored: list[bytes] = []
    put = ray.put

    def spying_put(value: Any, *args: Any, **kwargs: Any) -> Any:
        stored.append(ray.cloudpickle.dumps(value))
        return put(value, *args, **kwargs)

    monkeypatch.setattr(ray, "put", spying_put)
    monkeypatch.setattr(util.ray, "put", spying_put)
    dataset = small_digits()
    assert dataset.test is not None
    run_script([NOISY], epochs=1, grace=1, dataset=dataset, make_learning=torch_learning)
    development = [blob for blob in stored if dataset.development.inputs.tobytes() in blob]
    assert len(development) == 1, "the blind dataset is put once"
    assert pickle.loads(development[0]).test is None
    needle = dataset.test.inputs[:1].tobytes()
    assert not any(needle in blob for blob in stored)


def test_pretrained_models_begin_from_the_weights_that_the_driver_sends(run_script: RunScript) -> None:
    body = build("resnet18", (1, 8, 8), 10, {"weights": "none"}).net.body
    state = {name: value.numpy() * 0 for name, value in body.state_dict().items()}
    learning = partial(torch_learning, weights={"resnet18 imagenet": state})
    config = {"model": "resnet18", "stages": 0, "lr": 0.0, "batch_size": 64}
    driver = run_script([config], epochs=1, grace=1, dataset=small_digits(), make_learning=learning)
    (trial,) = driver.history.trials.values()
    assert trial.state == "completed"
    assert trial.curve[0]["val_loss"] == pytest.approx(math.log(10), abs=0.05)  # nothing but the head's bias is left


ABRUPT = """
import os, sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
import closed_form
from search import cluster, conf, events
from search.driver import Driver
from search.events import EventLog
from search.history import History
from trainables.storage import SharedFolder
from trainables.trial import Plan
import ray
ray.cloudpickle.register_pickle_by_value(closed_form)
cluster.connect(None)
from search.tuning import run_trials
folder = Path({folder!r})
task = conf.load("digits", dict(epochs=9, grace=3), [])
log, proposer = EventLog(folder / events.FILE_NAME), closed_form.Scripted([{{}}])
driver = Driver(task, log, History(), proposer, num_samples=1, seed=0)
Driver.judge = lambda self, message: os._exit(7)
plan = Plan(epochs=9, patience=9, metric="val_loss", milestones=task.milestones)
run_trials(driver, closed_form.tiny_dataset().blind(), plan, SharedFolder(folder), 1, closed_form.make_closed_form)
"""


def test_a_report_outlives_a_driver_that_ends_in_the_scheduler(tmp_path: Path) -> None:
    script = ABRUPT.format(root=str(ROOT), tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    history = History(events.read(tmp_path / events.FILE_NAME))
    assert [epoch["index"] for epoch in history.trials[0].curve] == [1, 2, 3]
    assert history.trials[0].state == "running"
