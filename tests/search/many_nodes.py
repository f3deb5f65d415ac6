"""A real cluster of several nodes on one machine."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search import cluster


@contextmanager
def many_nodes(*nodes: dict[str, Any]) -> Iterator[Any]:
    """A head without CPUs, where the driver is, and nodes by what Ray is told of them: ``num_cpus``, ``num_gpus``.

    Joined until the end. Yields a ``ray.cluster_utils.Cluster``.
    """
    cluster.prepare_environment()
    import ray
    from ray.cluster_utils import Cluster

    before = os.environ.copy()
    # Sockets have short names; other clusters of this machine are not to find this one.
    os.environ["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="r-", dir="/tmp")
    missed = {"health_check_period_ms": 300, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": missed}
    started = Cluster(head_node_args=head, initialize_head=True)
    try:
        for node in nodes:
            started.add_node(**node)
        cluster.connect(started.address)
        yield started
    finally:
        ray.shutdown()
        started.shutdown()
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
