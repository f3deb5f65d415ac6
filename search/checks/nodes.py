"""A running cluster: every node asked by a task of its own what it is, and whether it sees the storage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from datasets.errors import UserError
from search.checks import clocks, gpus, on_node
from search.checks.finding import Finding, count, of_error
from search.checks.on_node import Facts
from search.checks.storage import marked

SECONDS = 25.0
_TRIPS = 3


@dataclass(frozen=True)
class Node:
    """What a node answered."""

    name: str
    ray_gpus: int
    """That Ray gives out there."""
    facts: Facts | None = None
    offset: float = 0.0
    """Seconds that its clock is ahead of ours."""
    trip: float = 0.0
    """Of the quickest call that this was found by, seconds."""
    problem: str = ""
    """Why there are no facts."""


def nodes(address: str, storage: str) -> Iterator[Finding]:
    """What is wrong with a cluster, or with one of its nodes."""
    try:
        found = ask(address, storage)
    except UserError as error:
        yield of_error(error, "start one: ray start --head, and ray start --address=HOST:6379 on the other machines")
        return
    yield from judged(found, on_node.versions(), storage)


def judged(found: list[Node], here: Mapping[str, str], storage: str) -> Iterator[Finding]:
    """``here``: the driver's versions."""
    answered = [(node, node.facts) for node in found if node.facts is not None]
    whole = ", ".join(f"{name} {version}" for name, version in here.items())
    yield Finding("ok", f"{count(len(answered), 'node')} of {len(found)} answer")
    for node in found:
        if node.facts is None:
            yield Finding("error", f"{node.name}: {node.problem}", "see ray status, and ray logs on that node")
    for node, facts in answered:
        other = [f"{name} {facts['versions'][name]}" for name in here if facts["versions"][name] != here[name]]
        if other:
            what = f"{node.name} has {', '.join(other)}; here is {whole}"
            yield Finding("error", what, "python -m pip install -r requirements.txt there, with the same Python")
        if not facts["has_code"]:
            what = f"{node.name} does not find this repository's packages"
            yield Finding("error", what, "put the repository in the same folder there, or in one that nodes share")
        if facts["storage"]:
            what = f"{storage} as {node.name} sees it: {facts['storage']}"
            yield Finding("error", what, "--storage with a folder that all nodes share and may write, or s3://BUCKET")
        for finding in gpus.judged(facts["gpus"], node.ray_gpus, f"{node.name}: "):
            if finding.level != "ok" or node.ray_gpus:
                yield finding
        yield from clocks.judged(node.offset, node.trip, f"{node.name}'s clock")
    alike = sum(all(facts["versions"][name] == here[name] for name in here) for _, facts in answered)
    if answered and alike == len(answered):
        yield Finding("ok", f"the same {', '.join(here)} as here on every node ({whole})")
    if answered and all(not facts["storage"] for _, facts in answered):
        yield Finding("ok", f"{storage} is read and written from every node")


def ask(address: str, storage: str) -> list[Node]:
    """Asks each living node.

    Raises:
        UserError: no cluster at the address.
    """
    from search import cluster

    cluster.check_address(address)
    cluster.connect(address)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Nodes may lack this repository: what they run comes with the call.
    ray.cloudpickle.register_pickle_by_value(on_node)
    try:
        with ExitStack() as at_end:
            try:
                marker = at_end.enter_context(marked(storage))
                arguments: tuple[Any, ...] = (marker.place, marker.name, marker.content)
            except (OSError, ValueError, NotImplementedError):
                arguments = (storage, "", b"")  # the check of the storage says why
            facts, clock = (
                ray.remote(num_cpus=0, max_retries=0)(function) for function in (on_node.facts, on_node.clock)
            )
            asked = {}
            for node in ray.nodes():
                if node["Alive"]:
                    where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                    call = facts.options(scheduling_strategy=where).remote(*arguments)
                    asked[call] = (node, where)
            ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS)
            return [
                _answer(call, node, clock.options(scheduling_strategy=where)) for call, (node, where) in asked.items()
            ]
    finally:
        ray.cloudpickle.unregister_pickle_by_value(on_node)
        cluster.disconnect()


def _answer(call: Any, node: dict[str, Any], clock: Any) -> Node:
    import ray

    name = node["NodeManagerHostname"] or node["NodeManagerAddress"]
    if name != node["NodeManagerAddress"]:
        name = f"{name} ({node['NodeManagerAddress']})"
    gpus = int(node["Resources"].get("GPU", 0))
    trips = []
    try:
        facts: Facts = ray.get(call, timeout=0.1)
        for _ in range(_TRIPS):  # the process is there now: what a call takes is the way there and back
            sent = time.time()
            there = ray.get(clock.remote(), timeout=5)
            received = time.time()
            trips.append((received - sent, there - (sent + received) / 2))
    except ray.exceptions.GetTimeoutError:
        return Node(name, gpus, problem=f"no answer to a task within {SECONDS:g} seconds")
    except ray.exceptions.RayError as error:
        return Node(name, gpus, problem=f"a task fails there ({str(error).strip().splitlines()[-1]})")
    trip, offset = min(trips)
    return Node(name, gpus, facts, offset, trip)
