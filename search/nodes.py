"""The nodes of a cluster that was joined: which have left, which an autoscaler may add, what all of them see."""

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError

if TYPE_CHECKING:
    from ray.exceptions import RayActorError

_ANSWER_SECONDS = 1.0
_LOOK_SECONDS = 30.0
_STATUS_SECONDS = 5.0


def left(error: "RayActorError") -> str | None:
    """Why the node of a worker that died has left the cluster; None where it has not.

    Ray takes some 15 seconds to miss a node that did not say goodbye, while the connections to it end at once.
    """
    import ray

    message = str(error)
    if error.preempted:
        return "it was taken away"
    if "its node has died" in message:
        return message.rpartition(": ")[2].partition("\n")[0]
    if not isinstance(error, ray.exceptions.ActorUnavailableError):
        return None
    node_id = ray._private.state.actors(actor_id=error.actor_id).get("Address", {}).get("NodeID")
    node = next((node for node in ray.nodes() if node["NodeID"] == node_id), None)
    if node is None or not node["Alive"]:
        return "it is gone"
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), _ANSWER_SECONDS).close()
    except OSError:
        return "it does not answer"
    return None


def check_folder(folder: Path, cpus: float, gpus: float) -> None:
    """Has each other node that a trial fits on read and write in a folder, all at once.

    Raises:
        UserError: one does not see what is written there, or lacks what a trial needs.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from search.cluster import fitting

    here = ray.get_runtime_context().get_node_id()
    nodes = {
        node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here and fitting([node["Resources"]], cpus, gpus)
    }
    if not nodes:
        return
    folder = folder.absolute()
    marker = folder / f".seen-{secrets.token_hex(8)}"

    def look(node: str) -> str:
        """A function of its own: the node may not find our packages, either."""
        from importlib.util import find_spec

        if not marker.exists():
            return "does not see it"
        try:
            marker.with_suffix(f".{node}").touch()
        except OSError as error:
            return f"cannot write there ({error.strerror})"
        missing = [name for name in ("trainables", "datasets", "torch") if find_spec(name) is None]
        return f"has no Python package {missing[0]}" if missing else ""

    marker.touch()
    try:
        asked = {
            ray.remote(num_cpus=0, max_retries=0)(look)
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            .remote(node): node
            for node in nodes
        }
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_SECONDS)
        problems = {asked[answer]: f"has not answered in {_LOOK_SECONDS:.0f} s" for answer in silent}
        for answer in answered:
            with suppress(ray.exceptions.RayError):  # a node that has left since
                problems[asked[answer]] = ray.get(answer)
        for node, problem in problems.items():
            if not problem and not marker.with_suffix(f".{node}").exists():
                problem = "sees another folder of that name"
            if problem:
                raise UserError(
                    f"{folder}: the node {nodes[node]} {problem}; give --storage a folder that all nodes share, or "
                    "s3://BUCKET/PREFIX"
                    if "package" not in problem
                    else f"the node {nodes[node]} {problem}: install on all nodes what is installed here"
                )
    finally:
        for file in folder.glob(f"{marker.name}*"):
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Autoscaler:
    """What adds nodes to a cluster where something waits for them."""

    kinds: tuple[dict[str, float], ...]
    """Resources of each kind of node that it may add; none where these are not known."""


def autoscaler(address: str | None = None) -> Autoscaler | None:
    """What is known of the autoscaler of the cluster at an address (HOST:PORT), or of the one joined; None without one.

    A platform's reports its kinds of node to the cluster. That of Ray's launcher runs beside the head and is given a
    file. Of any other no more is known than that it has given nodes the names of their kinds.
    """
    import ray
    from ray._raylet import (  # type: ignore[attr-defined]
        GCS_AUTOSCALER_CLUSTER_CONFIG_KEY,
        GCS_AUTOSCALER_STATE_NAMESPACE,
        GcsClient,
    )
    from ray.core.generated.autoscaler_pb2 import ClusterConfig

    address = address or str(ray.get_runtime_context().gcs_address)
    client = GcsClient(address=address)
    key, namespace = GCS_AUTOSCALER_CLUSTER_CONFIG_KEY.encode(), GCS_AUTOSCALER_STATE_NAMESPACE.encode()
    if reported := client.internal_kv_get(key, namespace, timeout=_STATUS_SECONDS):
        groups = ClusterConfig.FromString(reported).node_group_configs
        kinds = tuple({name: float(value) for name, value in group.resources.items()} for group in groups
                      if group.max_count)  # fmt: skip
        return Autoscaler(kinds) if kinds else None
    if file := _launchers_file(address):
        return Autoscaler(_kinds(file))
    status = client.internal_kv_get(b"__autoscaling_status", None, timeout=_STATUS_SECONDS)
    report = json.loads(status).get("autoscaler_report", {}) if status else {}
    names = {**report.get("active_nodes", {}), **(report.get("idle_nodes") or {})}
    return Autoscaler(()) if any(not name.startswith("node_") for name in names) else None


def _launchers_file(address: str) -> Path | None:
    """What the autoscaler of a cluster was given, where it runs on this machine."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = process.read_bytes().decode(errors="replace").split("\0")
            given = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
            if given.get("--gcs-address") == address and given.get("--autoscaling-config"):
                return Path(given["--autoscaling-config"])
    return None


def _kinds(file: Path) -> tuple[dict[str, float], ...]:
    """Of the launcher's configuration, see "Cluster YAML configuration options" in Ray's documentation."""
    import yaml

    given: dict[str, Any] = yaml.safe_load(file.expanduser().read_text(encoding="utf-8"))
    most = given.get("max_workers", 2)
    kinds = tuple(
        {name: float(value) for name, value in kind.get("resources", {}).items() if isinstance(value, int | float)}
        for name, kind in given.get("available_node_types", {}).items()
        if min(most, kind.get("max_workers", 0 if name == given.get("head_node_type") else most)) > 0
    )
    return kinds if all(kinds) else ()  # what machines of one's own have is known when they have joined


class Demand:
    """Has an autoscaler see how much more is wanted: tasks that wait for what a trial needs, and then do nothing.

    Not as a standing request, which outlives a driver that is killed.
    """

    def __init__(self, cpus: float, gpus: float) -> None:
        import ray

        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_nothing)
        self._waiting: list[Any] = []

    def ask(self, slots: int) -> None:
        """For so many slots more than there are."""
        import ray

        if self._waiting:
            _, self._waiting = ray.wait(self._waiting, num_returns=len(self._waiting), timeout=0)
        for unwanted in self._waiting[max(0, slots) :]:
            ray.cancel(unwanted)
        self._waiting = self._waiting[: max(0, slots)]
        self._waiting += [self._task.remote() for _ in range(slots - len(self._waiting))]


def _nothing() -> None:
    """Found by name on any node that finds our packages."""
