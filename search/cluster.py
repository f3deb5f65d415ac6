"""The Ray cluster a search runs on: connecting, probing what can't be reached, counting slots."""

import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from search import leftovers

if TYPE_CHECKING:
    from search.nodes import Autoscaler

PROBE_SECONDS = 5.0
# Ray's own client keeps trying a silent port for 40 seconds. A gRPC server answers HTTP/2's preface and an empty
# settings frame with a settings frame of its own (RFC 9113, 3.4).
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HTTP2_SETTINGS = b"\x04"
_NEEDED = ("gcs_server", "raylet")
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Ray's own snapshots are never read: going on is from the event log.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    # Tune would go on with the slots that there were at first.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000000",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "3",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}


def prepare_environment() -> None:
    """Sets what Ray reads when it is imported; what the user has set stays."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def check_address(address: str) -> None:
    """Refuses an address that can't serve.

    Raises:
        UserError: ``ray://``, or nothing there that answers within a few seconds.
    """
    if address.startswith("ray://"):
        raise UserError(
            f"--ray-address {address}: a search's driver runs inside the cluster; submit the command with "
            "'ray job submit' or 'ray exec' and give no address"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--ray-address {address}: must be HOST:PORT, or auto for the cluster of this machine")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_SECONDS) as connection:
            connection.sendall(_HTTP2_GREETING)
            answer = connection.recv(9)
    except OSError as error:
        raise UserError(f"--ray-address {address}: no Ray cluster answers there ({error})") from None
    if answer[3:4] != _HTTP2_SETTINGS:
        raise UserError(f"--ray-address {address}: what answers there is no Ray cluster")


def connect(address: str | None) -> str:
    """Joins the cluster at ``address``, or at the environment's ``RAY_ADDRESS`` (jobs have one), else starts Ray here.

    Returns:
        What to say of it, if anything.

    Raises:
        UserError: no cluster at the address; a working directory that is too large for its other nodes.
    """
    prepare_environment()
    address = address or os.environ.get("RAY_ADDRESS")
    if address == "local":
        address = None
    said, more = "", dict[str, Any](include_dashboard=False)
    if address:
        more["runtime_env"], said = _environment(address)
        del more["include_dashboard"]
    elif not _home_is_writable():  # where Ray would write a token, or end in a traceback
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    try:
        with _signals_apart():
            ray.init(address=address or "local", log_to_driver=False, logging_level="CRITICAL", **more)
    except (ConnectionError, RuntimeError) as error:
        if not address:
            raise
        raise UserError(f"--ray-address {address}: {str(error).partition(chr(10))[0]}") from None
    if not address:
        leftovers.claim(_session_folder())
    return said


@contextmanager
def _signals_apart() -> Iterator[None]:
    """Has the processes that Ray starts here in a process group of their own, where the kernel ends them with ours.

    What is sent to all of ours, as by ``timeout`` or a closed terminal, would end them before the search could.
    """
    from ray._private import services, utils

    own = services.ConsolePopen
    if utils.detect_fate_sharing_support():
        services.ConsolePopen = partial(own, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = own


def _environment(address: str) -> tuple[dict[str, Any], str]:
    """Of the workers that a search has on a cluster, and what to say of it."""
    from search import shipping

    others = max(0, len(nodes_at(address)) - 1)
    return shipping.runtime_env(Path.cwd(), others, autoscaler_at(address) is not None)


def autoscaler_at(address: str) -> "Autoscaler | None":
    """What may add nodes to the cluster at an address, which ``nodes_at`` was asked about before; see ``nodes``."""
    from ray._private.services import canonicalize_bootstrap_address_or_die

    from search import nodes

    return nodes.autoscaler(canonicalize_bootstrap_address_or_die(address))


def _home_is_writable() -> bool:
    ray_folder = Path.home() / ".ray"
    return os.access(ray_folder if ray_folder.exists() else Path.home(), os.W_OK)


def has_died() -> bool:
    """Whether the Ray that was started here has ended by itself, or in part, so that it can't go on."""
    from ray._private import worker

    node = worker._global_node
    return node is not None and any(kind in _NEEDED for kind, _ in node.dead_processes())


def disconnect() -> None:
    """Leaves the cluster, or ends the Ray that was started here; nothing where there is neither."""
    import ray

    session = _session_folder() if ray.is_initialized() else None
    ray.shutdown()
    if session:
        leftovers.release(session)


def _session_folder() -> Path:
    import ray

    return Path(ray._private.worker._global_node.get_session_dir_path())


def nodes_at(address: str) -> list[dict[str, float]]:
    """Resources of each living node of the cluster at an address, without joining it.

    Raises:
        UserError: no cluster answers within a few seconds.
    """
    check_address(address)
    prepare_environment()
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        found = canonicalize_bootstrap_address_or_die(address)
        try:
            with _silenced():
                nodes = GcsClient(address=found).get_all_node_info(timeout=PROBE_SECONDS)
        except Exception:
            # A token only where one is asked for: to a cluster that has none, actors of a driver with one are orphans.
            if not maybe_enable_token_auth_if_token_available(warn_if_disabled=False):
                raise
            nodes = GcsClient(address=found).get_all_node_info(timeout=PROBE_SECONDS)
    except Exception as error:
        problem = str(error).partition("\n")[0]
        raise UserError(f"--ray-address {address}: no Ray cluster answers there ({problem})") from None
    return [dict(node.resources_total) for node in nodes.values() if node.state == 0]


@contextmanager
def _silenced() -> Iterator[None]:
    """Without what Ray's client itself, no Python, has to say on the standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def this_machine() -> list[dict[str, float]]:
    """Resources that Ray would find here, without starting it."""
    prepare_environment()
    from ray._private.accelerators import NvidiaGPUAcceleratorManager
    from ray._private.utils import get_num_cpus

    gpus = NvidiaGPUAcceleratorManager.get_current_node_num_accelerators()
    return [{"CPU": float(get_num_cpus()), "GPU": float(gpus)}]


def joined_nodes() -> list[dict[str, float]]:
    """Resources of each living node of the cluster that was connected to."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def gpus_for(nodes: Sequence[Mapping[str, float]], asked: float | None) -> float:
    """GPUs a trial: what was asked, else 1 where any node has one, else 0."""
    if asked is not None:
        return asked
    return 1.0 if any(node.get("GPU", 0) for node in nodes) else 0.0


def fitting(nodes: Sequence[Mapping[str, float]], cpus: float, gpus: float) -> int:
    """How many trials fit side by side, none perhaps."""
    return sum(_slots_of_node(node, cpus, gpus) for node in nodes)


def slots(
    nodes: Sequence[Mapping[str, float]],
    cpus: float,
    gpus: float,
    kinds: Sequence[Mapping[str, float]] = (),
    *,
    grows: bool = False,
) -> int:
    """How many trials fit side by side, at least one, be it that some node has to join first.

    ``kinds`` of node may join where the cluster ``grows``; of one whose kinds are not known any may.

    Raises:
        UserError: none, on any node.
    """
    count = fitting(nodes, cpus, gpus)
    if not count and not fitting(kinds, cpus, gpus) and (kinds or not grows):
        nodes = [*nodes, *kinds]
        raise UserError(
            f"no node has what a trial asks for, {cpus:g} CPUs and {gpus:g} GPUs: the largest have "
            f"{max(node.get('CPU', 0) for node in nodes):g} CPUs and {max(node.get('GPU', 0) for node in nodes):g} "
            "GPUs; change --cpus-per-trial or --gpus-per-trial"
        )
    return max(1, count)


def check_object_store(nodes: Sequence[Mapping[str, float]], size: int) -> None:
    """Refuses data of so many bytes that a node could not hold it once for all of its trials.

    Raises:
        UserError: it is larger than the smallest object store.
    """
    store = min(node.get("object_store_memory", 0.0) for node in nodes)
    if size > store:
        raise UserError(
            f"the development examples take {size / 1e9:.2f} GB, Ray's object store holds {store / 1e9:.2f} GB on the "
            "smallest node: choose a smaller side of the pictures (--set dataset.side=...), or start Ray with more: "
            "ray start --head --object-store-memory=BYTES, then --ray-address auto"
        )


def _slots_of_node(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """A trial of a fraction stays on one GPU; one of several takes whole ones."""
    epsilon = 1e-6
    by_cpu = int(node.get("CPU", 0) / cpus + epsilon) if cpus else 1 << 30
    if not gpus:
        return by_cpu
    available = node.get("GPU", 0)
    by_gpu = int(available) * int(1 / gpus + epsilon) if gpus < 1 else int(available / gpus + epsilon)
    return min(by_cpu, by_gpu)
