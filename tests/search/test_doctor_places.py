"""Servers, storage and clusters that a search could not use, and some that it could."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from doctoring import NO_GPU, Found, bad
from tracking_server import TrackingServer

from search import cluster
from search.checks import nodes, on_node, recording
from search.checks.nodes import Node

ROOT = Path(__file__).parents[2]
HERE = {"Python": "3.11.7", "ray": "2.60.0", "torch": "2.12.1"}


@contextmanager
def answering(status: int, text: str, date: str | None = None, version: str = "") -> Iterator[str]:
    """A server that is well, of MLflow's version here if not another, and answers to all else as told; its URI."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            whole = {"/health": (200, "OK"), "/version": (200, version or recording.version("mlflow"))}
            code, body = whole.get(self.path, (status, text))
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def date_time_string(self, timestamp: float | None = None) -> str:
            return date or super().date_time_string(timestamp)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "date", "level", "what", "mend"),
    [
        (403, "Invalid Host header - possible DNS rebinding attack detected", None, "error", "the server refuses",
         "start it with --allowed-hosts 127.0.0.1:"),
        (403, "Permission denied", None, "error", "refuses requests (Permission denied)", "the server's log"),
        (401, "You are not authenticated", None, "error", "refuses the user or the password", "set MLFLOW_TRACKING"),
        (200, "{}", "Thu, 01 Jan 2015 00:00:00 GMT", "error", "seconds behind this machine's", "timedatectl"),
    ],
)  # fmt: skip
def test_a_server_that_would_not_do(
    status: int,
    text: str,
    date: str | None,
    level: str,
    what: str,
    mend: str,
    doctor: Callable[..., Found],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.tracking._CREDENTIALS_FILE", tmp_path / "none")
    with answering(status, text, date) as uri:
        ((check, *line),) = bad(doctor("--tracking-uri", uri, code=1))
    assert (check, line[0]) == ("tracking", level)
    assert what in line[1]
    assert mend in line[2]


def test_a_server_that_does_and_one_of_another_version(doctor: Callable[..., Found]) -> None:
    with answering(200, "{}") as uri:
        assert bad(doctor("--tracking-uri", uri, code=0)) == []
    with answering(200, "{}", version="2.9.1") as uri:
        ((_, level, what, mend),) = bad(doctor("--tracking-uri", uri, code=0))
    here = recording.version("mlflow")
    assert (level, what) == ("warning", f"{uri} has MLflow 2.9.1, here is {here}")
    assert f"python -m pip install mlflow=={here}" in mend


@pytest.mark.slow
def test_a_real_server(server: TrackingServer, doctor: Callable[..., Found]) -> None:
    found = doctor("--tracking-uri", server.uri, code=0)
    assert bad(found) == []
    line = next(line for line in found if line[0] == "tracking")
    assert line[2] == f"{server.uri} answers, and takes what is sent (MLflow {recording.version('mlflow')})"


@pytest.mark.parametrize(
    ("problem", "mend"),
    [
        ("When testing for existence of bucket 'b': AWS Error ACCESS_DENIED during HeadBucket", "AWS_ACCESS_KEY_ID"),
        ("AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation", "make the bucket"),
        ("AWS Error NETWORK_CONNECTION during HeadBucket operation: curlCode: 6", "AWS_ENDPOINT_URL"),
    ],
)
def test_an_object_store_that_cannot_be_used(
    problem: str, mend: str, doctor: Callable[..., Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(place: str, name: str, content: bytes) -> None:
        raise OSError(problem)

    monkeypatch.setattr(on_node, "write", write)
    ((check, level, what, advice),) = bad(doctor("--storage", "s3://bucket/runs", code=1))
    assert (check, level) == ("storage", "error")
    assert what == f"s3://bucket/runs cannot be used: {problem}"
    assert mend in advice


def test_a_kind_of_storage_that_is_not_known(doctor: Callable[..., Found]) -> None:
    ((check, level, _, advice),) = bad(doctor("--storage", "zip://bucket/runs", code=1))
    assert (check, level) == ("storage", "error")
    assert "s3://BUCKET/PREFIX" in advice


def well(name: str, **changes: Any) -> Node:
    """A node as it should be, but for some of its facts."""
    facts = {"host": name, "versions": HERE, "gpus": NO_GPU, "has_code": True, "storage": ""}
    others = {key: changes.pop(key) for key in list(changes) if key not in facts}
    return Node(**{"name": name, "ray_gpus": 0, "facts": facts | changes} | others)


@pytest.mark.parametrize(
    ("node", "level", "what", "mend"),
    [
        (well("b", offset=45.0, trip=0.1), "error", "b's clock is 45 seconds ahead of this machine's", "timedatectl"),
        (well("b", offset=-3.0, trip=0.1), "warning", "b's clock is 3 seconds behind", "timedatectl"),
        (well("b", versions=HERE | {"torch": "2.11.0"}), "error", "b has torch 2.11.0; here is Python 3.11.7", "pip"),
        (well("b", has_code=False), "error", "b does not find this repository's packages", "the same folder"),
        (well("b", storage="cannot be written (Permission denied)"), "error",
         "as b sees it: cannot be written (Permission denied)", "s3://BUCKET"),
        (well("b", ray_gpus=1), "error", "b: Ray gives out 1 GPU, torch can use 0", "--num-gpus=0"),
        (well("b", facts=None, problem="no answer to a task within 25 seconds"), "error", "b: no answer", "ray status"),
    ],
)  # fmt: skip
def test_a_sick_node_of_a_cluster(
    node: Node, level: str, what: str, mend: str, doctor: Callable[..., Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_node, "versions", lambda: HERE)
    monkeypatch.setattr(nodes, "ask", lambda *_: [well("a", offset=3.0, trip=4.0), node])
    ((check, found, *texts),) = bad(doctor("--ray-address", "a:6379", code=int(level == "error")))
    assert (check, found) == ("cluster", level)
    assert what in texts[0]
    assert mend in texts[1]


def test_no_cluster_at_the_address(doctor: Callable[..., Found]) -> None:
    found = bad(doctor("digits", "--ray-address", "127.0.0.1:1", code=1))
    assert [(line[0], line[1]) for line in found] == [("cluster", "error")]
    assert "no Ray cluster answers there" in found[0][2]
    assert "ray start --head" in found[0][3]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "not the same folder"), (b"other", "reads otherwise"), (b"mine", "")],
)
def test_a_node_that_does_not_share_the_storage_says_so(content: bytes | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "marker").write_bytes(content)
    assert problem in (found := on_node.seen(str(tmp_path), "marker", b"mine"))
    assert bool(found) == bool(problem)
    assert {path.name for path in tmp_path.iterdir()} <= {"marker"}


@pytest.mark.slow
def test_a_real_cluster_of_two_nodes(
    doctor: Callable[..., Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # where nodes look for the repository, too
    cluster.prepare_environment()
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        started.add_node(num_cpus=1)
        found = doctor("--ray-address", started.address, "--storage", str(tmp_path / "shared"), code=0)
    finally:
        started.shutdown()
    assert bad(found) == []
    texts = [line[2] for line in found if line[0] == "cluster"]
    assert texts[0] == "2 nodes of 2 answer"
    assert texts[1].startswith("the same Python, ray, torch as here on every node")
    assert texts[2].endswith("shared is read and written from every node")
    assert list(tmp_path.iterdir()) == []
