from collections.abc import Iterator
from uuid import uuid4

import pytest
from s3_server import KEYS, Gate, make_bucket, s3_server

from trainables.object_store import ObjectStore


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of an S3 server on this machine."""
    pytest.importorskip("moto.server", reason="moto is not installed")
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as port:
        yield port


@pytest.fixture
def gate(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The way to the server, which this process and those it starts take for S3."""
    gate = Gate(s3_port)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": gate.url}.items():
        monkeypatch.setenv(name, value)
    yield gate
    gate.shut()


@pytest.fixture
def object_store(gate: Gate, s3_port: int) -> ObjectStore:
    """A search's place in a bucket of its own."""
    bucket = f"team-{uuid4().hex}"
    make_bucket(s3_port, bucket)
    return ObjectStore(f"s3://{bucket}/rungs/mine", patience=5)
