"""What goes and what begins again, on a real Ray."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import closed_form
import pytest
from closed_form import Scripted, make_closed_form, tiny_dataset

from search import cluster, conf, events
from search.driver import Driver
from search.events import EventLog
from search.history import History
from search.removing import Remover
from search.retention import Retention
from trainables.storage import SharedFolder
from trainables.trial import Plan

pytestmark = pytest.mark.slow
LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    import ray

    ray.cloudpickle.register_pickle_by_value(closed_form)
    cluster.connect(None)
    yield
    cluster.disconnect()


def search(folder: Path, trials: int, keep: int, *, resume: bool) -> Driver:
    """A command that takes a search to so many trials of falling worth, one after the other."""
    from search.tuning import run_trials

    task = conf.load("digits", {"epochs": 9, "grace": 3}, [])
    storage = SharedFolder(folder)
    remover = Remover(storage)
    with closing(EventLog(folder / events.FILE_NAME, resume=resume)) as log:
        history = History(events.read(log.path))
        if not resume:
            history.apply(log.append("search", milestones=list(task.milestones), slots=1))
        proposer: Any = Scripted([{"level": level} for level in LEVELS[:trials]])
        retention = Retention(history, task.metric, top_k=1, keep=keep, remove=remover.remove)
        driver = Driver(task, log, history, proposer, num_samples=trials, seed=0, retention=retention)
        if resume:
            driver.resume(slots=1)
            remover.tidy(history)
        plan = Plan(epochs=9, patience=9, metric=task.metric, milestones=task.milestones, pauses=True)
        run_trials(driver, tiny_dataset().blind(), plan, storage, 1, make_closed_form)
        driver.end()
    assert remover.finish(driver.history, 30)
    return driver


def test_what_was_pruned_and_lost_its_checkpoints_begins_again_where_more_trials_promote_it(tmp_path: Path) -> None:
    first = search(tmp_path, 3, keep=1, resume=False)
    assert [trial.state for trial in first.history.trials.values()] == ["completed", "pruned", "pruned"]
    storage = SharedFolder(tmp_path)
    assert storage.names("trials") == ["trials/00000"]
    (tmp_path / "trials/00002/checkpoint_000000").mkdir(parents=True)  # as if the first command had been too short
    second = search(tmp_path, 6, keep=2, resume=True)
    trials = list(second.history.trials.values())
    assert [(trial.state, trial.epochs) for trial in trials[:3]] == [("completed", 9), ("completed", 9), ("pruned", 3)]
    undisturbed = [LEVELS[1] + 1 / epoch for epoch in range(1, 10)]
    assert [epoch["val_loss"] for epoch in trials[1].curve] == undisturbed
    assert second.history.epochs_trained == 9 + 9 + 4 * 3, "what is trained again is not counted again"
    assert len(trials[1].workers) == 2
    assert storage.names("trials") == ["trials/00000", "trials/00001"]
    assert storage.names("trials/00001") == [path for path, _ in trials[1].checkpoints]
    assert storage.names("trials/00001") == [f"trials/00001/checkpoint_{made:06d}" for made in (1, 2)]
    on_disk = sum(file.stat().st_size for file in (tmp_path / "trials").rglob("*") if file.is_file())
    assert second.history.checkpoint_bytes == on_disk > 0
