"""Real searches with a worker, a node or the driver killed under them; ``make faults`` has fifty such faults."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fault_processes import Cluster, shared_memory
from benchmarks.fault_search import Fault
from benchmarks.faults import TRIALS, search

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    started = Cluster(f"cluster-{os.getpid()}")
    yield started
    started.end()


def test_two_killed_workers_and_two_killed_drivers_cost_nothing_but_time(tmp_path: Path) -> None:
    before = shared_memory()
    faults = [
        Fault("worker", "search", 0.2, 3),
        Fault("driver", "search", 0.2, 4),
        Fault("worker", "search", 0.1, 2),
        Fault("driver", "testing", 0.2, 1),
    ]
    result = search(f"mine-{os.getpid()}", tmp_path, 0, faults)
    assert result.problems == []
    assert [fault.kind for fault in result.faults] == ["worker", "driver", "worker", "driver"]
    assert (result.trials, result.commands) == (TRIALS, 3)
    assert shared_memory() <= before


def test_a_killed_node_costs_nothing_but_time(tmp_path: Path, cluster: Cluster) -> None:
    result = search(f"mine-{os.getpid()}", tmp_path, 0, [Fault("node", "search", 0.3, 3)], cluster)
    assert result.problems == []
    assert [fault.kind for fault in result.faults] == ["node"]
    assert (result.trials, result.commands) == (TRIALS, 1)
