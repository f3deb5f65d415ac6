"""What a server cannot be started on: one line each, before anything is started."""

import importlib.util
import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from running import free_port

from mlflow_server.__main__ import main

HEAD_OF_2019 = "451aebb31d03"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr."""
    assert main([*arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("error: ").rstrip()


def database(path: Path, revision: str, runs: list[str]) -> str:
    """One of whom we know no more than its revision and its runs."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.execute("CREATE TABLE runs (run_uuid TEXT)")
    connection.executemany("INSERT INTO runs VALUES (?)", [[run] for run in runs])
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find_spec = importlib.util.find_spec

    def found(name: str, *more: Any) -> Any:
        return None if name == package else find_spec(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = error_of(capsys, "--runs-dir", str(tmp_path), "--port", str(port))
    assert error.startswith(f"cannot listen on 127.0.0.1:{port} (Address already in use); --port names another port")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "runs", "message"),
    [
        (
            "ffffffffffff",
            ["1", "2"],
            "made by a newer MLflow than {version}, which does not know its revision ffffffffffff",
        ),
        (
            HEAD_OF_2019,
            ["1", "2"],
            "made by an older MLflow than {version}; make a copy of it, then: python -m mlflow db upgrade '{uri}'",
        ),
        (
            HEAD_OF_2019,
            [],
            "of an older MLflow than {version}, or never finished, and without runs; delete it and start",
        ),
    ],
)
def test_a_database_of_another_mlflow_is_left_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, revision: str, runs: list[str], message: str
) -> None:
    uri = database(tmp_path / "mlflow.db", revision, runs)
    before = (tmp_path / "mlflow.db").read_bytes()
    error = error_of(capsys, "--runs-dir", str(tmp_path), "--port", str(free_port()))
    version = importlib.metadata.version("mlflow")
    assert error.startswith(f"--backend-store-uri {uri}: {message.format(uri=uri, version=version)}")
    assert (tmp_path / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs-dir", "{tmp}/file/runs"], "--runs-dir {tmp}/file/runs: {tmp}/file/runs cannot be written (Not a dir"),
        (["--artifacts", "{tmp}/file/a"], "--artifacts {tmp}/file/a: {tmp}/file/a cannot be written (Not a directory)"),
        (["--artifacts", "gs://bucket"], "--artifacts gs://bucket: must be a folder or s3://BUCKET/PATH"),
        (["--artifacts", "s3://"], "--artifacts s3://: must be a folder or s3://BUCKET/PATH"),
        (["--backend-store-uri", "sqlite:///{tmp}/none/a.db"], "--backend-store-uri sqlite:///{tmp}/none/a.db: no "),
        (["--backend-store-uri", "sqlite:///{tmp}/file"], "--backend-store-uri sqlite:///{tmp}/file: file is not a"),
        (["--backend-store-uri", "mlflow.db"], "--backend-store-uri mlflow.db: must be sqlite:///FILE or postgresql://"),
        (["--backend-store-uri", "postgresql://u:pa@ss:w@h:x/d"], "--backend-store-uri postgresql://u:***@h:x/d: c"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0: say by which name others reach this machine, with --allowed-hosts"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:{port} (Cannot assign requested address); --port names"),
        (["--allowed-hosts", "a,*"], "argument --allowed-hosts: must be names or addresses, each with or without :"),
        (["--port", "0"], "argument --port: must be a port from 1 to 65535, not '0'"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("no folder, and no database")
    port = str(free_port())
    given = ["--port", port, "--runs-dir", str(tmp_path), *(text.format(tmp=tmp_path) for text in arguments)]
    assert error_of(capsys, *given).startswith(message.format(tmp=tmp_path, port=port))


def test_a_database_server_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    port = free_port()
    uri = f"postgresql://rungs:hidden@127.0.0.1:{port}/rungs"
    error = error_of(capsys, "--port", str(free_port()), "--backend-store-uri", uri)
    assert error.startswith(f"--backend-store-uri postgresql://rungs:***@127.0.0.1:{port}/rungs: connection ")
    assert "refused" in error


@pytest.mark.parametrize(
    ("package", "arguments", "message"),
    [
        ("flask_wtf", ["--auth"], "--auth needs Flask-WTF; install it with: python -m pip install -r"),
        ("boto3", ["--artifacts", "s3://bucket"], "--artifacts s3://bucket: S3 needs boto3; install it with: python"),
    ],
)  # fmt: skip
def test_packages_that_are_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    package: str, arguments: list[str], message: str,
) -> None:  # fmt: skip
    without(monkeypatch, package)
    error = error_of(capsys, "--port", str(free_port()), "--runs-dir", str(tmp_path), *arguments)
    assert error.startswith(message)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "--auth: no password in the environment's MLFLOW_TRACKING_PASSWORD; set it to the administrator's"),
        ("hidden", "--auth: MLFLOW_TRACKING_PASSWORD is too short; set it to the administrator's, of at least 12"),
    ],
)
def test_passwords_that_are_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, message: str
) -> None:
    pytest.importorskip("flask_wtf")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    error = error_of(capsys, "--runs-dir", str(tmp_path), "--auth")
    assert error.startswith(message)
    assert "hidden" not in error
