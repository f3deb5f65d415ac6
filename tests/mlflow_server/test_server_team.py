"""A team's server: a real PostgreSQL, and S3 as moto's server has it."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import PICTURE, check_recorded, free_port, processes, record, running, write_log

PASSWORD = "not-to-be-read-anywhere"


def postgres_program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)]))
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: no {name}")
    return found


def someone() -> dict[str, Any]:
    """PostgreSQL does not run as root: as whom it runs, if we are root."""
    if os.getuid():
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def program(command: list[str], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is ended in the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def database() -> Iterator[str]:
    """The URI of an empty database, with a password in it."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
    with tempfile.TemporaryDirectory(prefix="rungs-postgres-") as name:
        folder, identity, port = Path(name), someone(), free_port()
        (folder / "password").write_text(PASSWORD)
        if identity:
            for path in (folder, folder / "password"):
                os.chown(path, identity["user"], identity["group"])
        command = [initdb, "-D", str(folder / "data"), "-U", "rungs", "-A", "scram-sha-256"]
        command += ["--pwfile", str(folder / "password"), "-E", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, **identity)
        command = [postgres, "-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-F"]
        with program(command, folder / "log", cwd=folder, **identity) as process:
            uri = f"postgresql://rungs:{PASSWORD}@127.0.0.1:{port}/postgres"
            while True:
                try:
                    psycopg.connect(uri).close()
                    break
                except psycopg.OperationalError:
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
            yield uri


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Any]:
    """A client of an S3 server on this machine, with a bucket named ``team``."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    pytest.importorskip("moto.server", reason="moto is not installed")
    port = free_port()
    with program([sys.executable, "-m", "moto.server", "-p", str(port)], tmp_path / "s3.log") as process:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                              aws_access_key_id="somebody", aws_secret_access_key="a secret of theirs")  # fmt: skip
        while True:
            try:
                client.create_bucket(Bucket="team")
                break
            except boto3.exceptions.botocore.exceptions.EndpointConnectionError:
                assert process.poll() is None, (tmp_path / "s3.log").read_text()
                time.sleep(0.1)
        yield client
        client.close()


@pytest.mark.slow
def test_a_search_is_recorded_in_postgresql_and_s3(
    database: str, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_S3_ENDPOINT_URL": s3.meta.endpoint_url,
                 "AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "a secret of theirs",
                 "AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_TRACKING_PASSWORD": PASSWORD}  # fmt: skip
    pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    arguments = ["--artifacts", "s3://team/rungs", "--workers", "2", "--runs-dir", str(tmp_path / "runs"), "--auth"]
    with running(*arguments, **variables) as server:
        assert record(write_log(tmp_path / "search"), server.uri)
        check_recorded(server.uri, "search", tmp_path / "files")
        shown = "\n".join(arguments for _, arguments in processes().values())
        assert "mlflow server" in shown
        assert PASSWORD not in shown
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup has it, of the tests themselves
        assert server.end(signal.SIGTERM if ignored else signal.SIGHUP) == 0
    assert PASSWORD not in "".join([server.first_line, *server.log])
    assert not (tmp_path / "runs").exists()
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket="team", Prefix="rungs/")["Contents"]]
    (picture,) = (key for key in keys if key.endswith("/curves.png"))
    assert s3.get_object(Bucket="team", Key=picture)["Body"].read() == PICTURE
