"""Searches on a real cluster of several nodes, as these come and go."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import closed_form
import numpy as np
import pytest
from closed_form import Scripted, make_closed_form, tiny_dataset
from conf_document import message_of
from many_nodes import many_nodes

from search import cluster, conf, events, testing
from search.driver import Driver
from search.events import EventLog
from search.history import History
from search.nodes import autoscaler, check_folder
from trainables.storage import SharedFolder
from trainables.trial import Plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster whose head has no CPUs, with one node of two."""
    import ray

    ray.cloudpickle.register_pickle_by_value(closed_form)
    with many_nodes({"num_cpus": 2}) as started:
        yield started


Run = Callable[..., Driver]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs trials; asks ``meanwhile`` again and again, with the driver."""
    from search.tuning import run_trials

    monkeypatch.setattr("search.tuning._SECONDS_BETWEEN_LOOKS", 0.0)
    logs = []

    def run(
        configs: list[dict[str, Any]],
        meanwhile: Callable[[Driver], None] = lambda _: None,
        *,
        epochs: int = 9,
        gpus: float = 0,
    ) -> Driver:
        task = conf.load("digits", {"epochs": epochs, "grace": epochs}, [])
        logs.append(EventLog(tmp_path / events.FILE_NAME))
        proposer: Any = Scripted(configs)
        driver = Driver(task, logs[-1], History(), proposer, num_samples=len(configs), seed=0)
        plan = Plan(epochs=epochs, patience=100, metric=task.metric, gpus=gpus, seconds_between_reports=0.0)

        def slots() -> int:
            meanwhile(driver)
            return cluster.fitting(cluster.joined_nodes(), plan.cpus, plan.gpus)

        run_trials(
            driver, tiny_dataset().blind(), plan, SharedFolder(tmp_path), max(1, slots()), make_closed_form, slots
        )
        driver.end()
        return driver

    yield run
    for log in logs:
        log.close()


@pytest.mark.parametrize(("says_goodbye", "times"), [pytest.param(True, 5, marks=pytest.mark.soak), (False, 2)])
def test_a_trial_outlives_any_number_of_nodes(nodes: Any, run: Run, says_goodbye: bool, times: int) -> None:
    """Each time it goes on from its last checkpoint, on the node that came instead."""
    seen = [0]

    def take_its_node(driver: Driver) -> None:
        (trial,) = driver.history.trials.values() or [None]
        if trial and len(trial.deaths) == len(seen) - 1 < times and trial.epochs > seen[-1] + 1:
            seen.append(trial.epochs)
            (node,) = nodes.worker_nodes
            nodes.remove_node(node, allow_graceful=says_goodbye)
            nodes.add_node(num_cpus=2)

    driver = run([{"seconds": 0.1}], take_its_node, epochs=30)
    (trial,) = driver.history.trials.values()
    assert (trial.state, trial.epochs, len(trial.deaths)) == ("completed", 30, times)
    assert [epoch["index"] for epoch in trial.curve] == list(range(1, 31))
    assert all(death.startswith("its node left the cluster (") for death in trial.deaths), trial.deaths


@pytest.mark.soak
def test_nodes_that_join_are_used(nodes: Any, run: Run) -> None:
    more: list[Any] = []

    def join(driver: Driver) -> None:
        if driver.history.epochs_trained > 2 and not more:
            more.append(nodes.add_node(num_cpus=2))

    driver = run([{"seconds": 0.1}] * 12, join, epochs=20)
    assert driver.history.counts() == {"completed": 12}
    assert [slots for _, slots in driver.history.slots[1:]] == [4]
    assert len({worker["pid"] for trial in driver.history.trials.values() for worker in trial.workers}) >= 4
    nodes.remove_node(more[0])


@pytest.mark.soak
def test_trials_and_tests_go_where_gpus_are(
    nodes: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A test of the winner outlives its node, too."""
    import ray

    of_gpus = nodes.add_node(num_cpus=4, num_gpus=1)
    driver = run([{"seconds": 0.05}] * 4, gpus=0.5)
    assert driver.history.counts() == {"completed": 4}
    assert len({worker["pid"] for trial in driver.history.trials.values() for worker in trial.workers}) == 2

    def evaluate(*_: Any) -> testing.Evaluation:
        where = tmp_path / f"evaluated-{ray.get_runtime_context().get_node_id()}"
        where.touch()
        while len(list(tmp_path.glob("evaluated-*"))) < 2:
            time.sleep(0.05)
        return testing.Evaluation([np.full((1, 2, 2), 0.5)], b"", None, {})

    monkeypatch.setattr(testing, "evaluate", evaluate)
    evaluating = testing.Evaluating(tiny_dataset(), SharedFolder(tmp_path), ["a"], [0], None, 1, 0.5)
    while not list(tmp_path.glob("evaluated-*")):
        time.sleep(0.05)
    assert [file.name for file in tmp_path.glob("evaluated-*")] == [f"evaluated-{of_gpus.node_id}"]
    nodes.remove_node(of_gpus)
    of_gpus = nodes.add_node(num_cpus=4, num_gpus=1)
    assert evaluating.opened().reports[0].trial == 0
    nodes.remove_node(of_gpus)


def test_a_folder_must_be_seen_by_every_node_that_trains(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_folder(tmp_path, 1, 0)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    elsewhere = Path("/proc/self/cwd")  # another one in each process
    check_folder(elsewhere, 1, 1)  # no trial fits on another node
    message = message_of(check_folder, elsewhere, 1, 0)
    assert message.startswith("/proc/self/cwd: the node ")
    assert message.endswith("does not see it; give --storage a folder that all nodes share, or s3://BUCKET/PREFIX")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_of_a_fixed_size_has_no_autoscaler(nodes: Any) -> None:
    assert autoscaler() is None
