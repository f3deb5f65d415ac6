"""A search on a cluster that has no node to train on until an autoscaler adds some."""

from pathlib import Path

import closed_form
import pytest
from autoscaled import autoscaled
from closed_form import Scripted, make_closed_form, tiny_dataset
from conf_document import message_of

from search import cluster, conf, events
from search.driver import Driver
from search.events import EventLog
from search.history import History
from search.nodes import Demand, autoscaler
from trainables.storage import SharedFolder
from trainables.trial import Plan

pytestmark = [pytest.mark.slow, pytest.mark.soak]
KINDS = {"small": {"resources": {"CPU": 2}, "node_config": {}, "min_workers": 0, "max_workers": 2}}


def test_nodes_are_asked_for_and_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from search.tuning import run_trials

    ray.cloudpickle.register_pickle_by_value(closed_form)
    monkeypatch.setattr("search.tuning._SECONDS_BETWEEN_LOOKS", 0.2)
    with autoscaled(KINDS) as address, monkeypatch.context() as patch:
        patch.delenv("RAY_AUTH_MODE", raising=False)
        try:
            assert cluster.connect(address).endswith(" MB of code to each that joins")
            found = autoscaler()
            assert found is not None
            assert found.kinds == ({"CPU": 2.0},)
            assert cluster.slots(cluster.joined_nodes(), 1, 0, found.kinds, grows=True) == 1
            message = message_of(cluster.slots, cluster.joined_nodes(), 3, 0, found.kinds, grows=True)
            assert message.startswith("no node has what a trial asks for, 3 CPUs and 0 GPUs: the largest have 2 CPUs")
            task = conf.load("digits", {"epochs": 30, "grace": 30}, [])
            proposer = Scripted([{"seconds": 0.2}] * 8)
            with_log = EventLog(tmp_path / events.FILE_NAME)
            driver = Driver(task, with_log, History(), proposer, num_samples=8, seed=0)  # type: ignore[arg-type]
            plan = Plan(epochs=30, patience=100, metric=task.metric)
            demand = Demand(1, 0)

            def slots() -> int:
                there = cluster.fitting(cluster.joined_nodes(), 1, 0)
                demand.ask(4 - there)
                return there

            run_trials(
                driver, tiny_dataset().blind(), plan, SharedFolder(tmp_path), max(1, slots()), make_closed_form, slots
            )
            driver.end()
            with_log.close()
        finally:
            cluster.disconnect()
    assert driver.history.counts() == {"completed": 8}
    assert [slots for _, slots in driver.history.slots[1:]] in ([0, 2, 4], [0, 4])
