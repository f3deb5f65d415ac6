"""A real cluster on one machine whose autoscaler adds nodes: Ray's provider of nodes for tests."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search import cluster


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def autoscaled(kinds: dict[str, Any]) -> Iterator[str]:
    """A head without CPUs, and kinds of node that may join as ``available_node_types`` says it; yields its address.

    ``ray.cluster_utils.AutoscalingCluster`` would end every Ray of this machine.
    """
    cluster.prepare_environment()
    folder = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))  # sockets have short names
    from ray.util import get_node_ip_address

    address = f"{get_node_ip_address()}:{_free_port()}"
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    config = {
        "cluster_name": "fake",
        "max_workers": 8,
        "idle_timeout_minutes": 1,
        "upscaling_speed": 100.0,
        "provider": {"type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
                     "disable_launch_config_check": True, "gcs_address": address},
        "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [], "rsync_exclude": [],
        "rsync_filter": [], "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
        "worker_setup_commands": [], "head_start_ray_commands": [], "worker_start_ray_commands": [],
        "file_mounts_sync_continuously": False,
        "available_node_types": {"ray.head.default": head, **kinds},
        "head_node_type": "ray.head.default",
    }  # fmt: skip
    (folder / "autoscaling.json").write_text(json.dumps(config))
    environment = os.environ | {"RAY_TMPDIR": str(folder), "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    command = [Path(sys.executable).parent / "ray", "start", "--head", "--block", "--num-cpus=0",
               f"--port={address.rpartition(':')[2]}", f"--autoscaling-config={folder}/autoscaling.json",
               "--include-dashboard=false",
               f"--temp-dir={folder}/ray", f"--dashboard-port={_free_port()}"]  # fmt: skip
    with (folder / "out").open("wb") as out:
        started = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while "Ray runtime started" not in (said := (folder / "out").read_text()):
            assert time.monotonic() < until, said
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(started.pid, signal.SIGTERM)  # nodes that the autoscaler has added outlive it
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        shutil.rmtree(folder, ignore_errors=True)
