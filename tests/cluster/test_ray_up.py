"""``conf/cluster/local.yaml`` on machines with sshd, as the README has it: ray up, a search as a job, ray down."""

import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import machines
import pytest
import yaml

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def unable() -> str:
    if importlib.util.find_spec("opencensus") is None:
        return "needs Ray's dashboard: make cluster"
    return machines.lacking()


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.5)


def filled_in(head: str, worker: str, key: Path) -> dict[str, object]:
    """local.yaml with what is left to the user, for machines that have an environment already."""
    conf = yaml.safe_load((machines.ROOT / "conf/cluster/local.yaml").read_text())
    conf["provider"] |= {"head_ip": head, "worker_ips": [worker]}
    conf["auth"] |= {"ssh_user": "root", "ssh_private_key": str(key)}
    install, path = conf["setup_commands"]
    assert install == "make -C ~/rungs cluster"
    there = path.replace("~/rungs/.venv/bin", str(Path(sys.executable).parent))
    # A worker would try for a minute to find its head again.
    conf["setup_commands"] = [there.replace("export ", "export RAY_gcs_rpc_server_reconnect_timeout_s=5 ")]
    return conf


def test_a_search_is_a_job_of_a_cluster_that_ray_up_starts(tmp_path):
    if reason := unable():
        pytest.skip(reason)
    with machines.machines(tmp_path, ["laptop", "head", "worker"]) as (laptop, head, worker):
        cluster = tmp_path / "cluster.yaml"
        cluster.write_text(yaml.safe_dump(filled_in(head.address, worker.address, tmp_path / "key")))
        runs = tmp_path / "runs"
        laptop.variables = {"RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:8265"}

        laptop.run("ray", "get-auth-token", "--generate")
        laptop.run("ray", "up", "-y", str(cluster))
        forwarding = laptop.start("ray", "dashboard", str(cluster))
        wait_for(lambda: "4.0" in laptop.run("ray", "exec", str(cluster), "ray status"), 120, "both nodes")

        search = "python -m search.run digits --num-samples 4 --epochs 2 --grace 1 --model mlp --register never"
        options = ["--cpus-per-trial", "2", "--name", "one"]  # as many as a node has
        options += ["--storage", str(runs), "--runs-dir", str(runs)]
        submitted = laptop.run("ray", "job", "submit", "--working-dir", ".", "--", *search.split(), *options)
        assert "4 trials" in submitted
        events = [json.loads(line) for line in (runs / "one/events.jsonl").read_text().splitlines()]
        starts = [event for event in events if event["event"] == "start"]
        assert {event["worker"]["node"] for event in starts} == {"head", "worker"}
        assert (runs / "one/best.pt").exists()

        os.killpg(forwarding.pid, signal.SIGINT)
        forwarding.communicate()
        laptop.run("ray", "down", "-y", str(cluster))
        wait_for(lambda: not head.processes(), 60, "the end of the head's processes")
        wait_for(lambda: not worker.processes(), 180, "the end of the worker's processes")
