"""The server over a runs folder: it starts, takes in what is there, lets in who may come, and ends."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import (
    PICTURE,
    ROOT,
    Running,
    check_recorded,
    environment,
    family,
    free_port,
    processes,
    record,
    running,
    write_log,
)

from datasets.errors import UserError
from mlflow_server import stores
from mlflow_server.__main__ import main
from search import tracking

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=9"
PASSWORD = "correct horse % battery"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder in which a search was recorded without a server."""
    folder = tmp_path_factory.mktemp("served") / "runs"
    assert record(write_log(folder / "before"), tracking.default_uri(folder))
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Running]:
    hosts = ["--host", "0.0.0.0", "--allowed-hosts", "mlflow.example,other.example:8443"]
    with running("--runs-dir", str(runs), *hosts) as server:
        yield server


@pytest.mark.slow
def test_it_says_where_it_is_when_it_answers(server: Running) -> None:
    assert server.first_line == f"MLflow answers at {server.uri}; Ctrl-C ends it\n"
    assert server.ask("/health") == (200, b"OK")
    status, page = server.ask("/")
    assert (status, b"<title>MLflow</title>" in page) == (200, True)
    (warning,) = server.log
    assert warning.startswith("warning: sqlite:///")
    assert "has experiments that were made without a server (1): they keep their files in folders" in warning


@pytest.mark.slow
def test_what_was_recorded_without_a_server_is_there_and_what_comes_joins_it(
    server: Running, runs: Path, tmp_path: Path
) -> None:
    place = check_recorded(server.uri, "before", tmp_path / "before")
    picture = server.ask(f"/get-artifact?path=curves.png&run_uuid={place.split('/')[-2]}")
    assert picture == (200, PICTURE), "the UI asks for pictures this way"
    assert record(write_log(tmp_path / "now"), server.uri)
    check_recorded(server.uri, "now", tmp_path / "again")
    assert record(write_log(tmp_path / "fresh", "fresh"), server.uri)
    assert check_recorded(server.uri, "fresh", tmp_path / "fresh files", "fresh").startswith("mlflow-artifacts:")
    pictures = [path.parts[0] for path in (path.relative_to(runs) for path in runs.rglob("curves.png"))]
    assert sorted(pictures) == ["before", *["mlflow-artifacts"] * 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("localhost", 200),
        ("[::1]:{port}", 200),
        ("mlflow.example", 200),
        ("mlflow.example:{port}", 200),
        ("mlflow.example:1", 403),
        ("other.example:8443", 200),
        ("other.example", 403),
        ("evil.example", 403),
        ("mlflow.example.evil.example", 403),
        ("192.168.evil.example", 403),
    ],
)
def test_requests_for_another_host_are_refused(server: Running, host: str, status: int) -> None:
    assert server.ask(SEARCH, headers={"Host": host.format(port=server.port)})[0] == status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://mlflow.example", 200), ("https://other.example:8443", 200), ("http://localhost:{port}", 200),
     ("https://evil.example", 403), ("https://mlflow.example.evil.example", 403)],
)  # fmt: skip
def test_pages_of_another_origin_change_nothing(server: Running, origin: str, status: int) -> None:
    headers = {"Origin": origin.format(port=server.port), "Host": "mlflow.example"}
    assert server.ask("/ajax-api/2.0/mlflow/experiments/search?max_results=9", "POST", headers)[0] in {status, 400}


@pytest.mark.slow
def test_it_ends_with_all_its_processes(runs: Path) -> None:
    with running("--runs-dir", str(runs), "--workers", "2") as server:
        below = family(server.process.pid)
        assert len(below) >= 4
        assert server.end(signal.SIGTERM) == 0
        while below & processes().keys():  # what has closed its output may take a moment to be gone
            time.sleep(0.05)


@pytest.mark.slow
def test_a_first_start_that_is_told_to_end_leaves_a_whole_database(tmp_path: Path) -> None:
    runs = tmp_path / "none yet"
    command = [sys.executable, "-m", "mlflow_server", "--runs-dir", str(runs), "--port", str(free_port())]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    path = runs / "mlflow.db"
    while not (path.exists() and path.stat().st_size):
        time.sleep(0.02)
    process.terminate()
    assert process.communicate()[1] == "making tables; ends when they are done (once more: at once)\n"
    assert process.returncode == 0
    assert not stores.check_database(tracking.default_uri(runs)), "no tables are to be made"


@pytest.mark.slow
def test_it_says_so_when_the_server_ends_by_itself(runs: Path) -> None:
    with running("--runs-dir", str(runs)) as server:
        (child,) = (pid for pid, (parent, _) in processes().items() if parent == server.process.pid)
        for pid in family(child):
            subprocess.run(["kill", "-KILL", str(pid)], check=True)
        assert server.process.wait(60) == 2
    assert server.log[-1].startswith("error: MLflow's server has ended")


@pytest.mark.slow
def test_with_a_password_only_those_who_know_it_come_in_and_it_is_nowhere_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    with running("--runs-dir", str(runs), "--auth", MLFLOW_TRACKING_PASSWORD=PASSWORD) as server:
        assert server.ask(SEARCH)[0] == 401
        assert server.ask(SEARCH, login="admin:another password")[0] == 401
        assert server.ask(SEARCH, login=f"admin:{PASSWORD}")[0] == 200

        for name in ("USERNAME", "PASSWORD"):
            monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
        with pytest.raises(UserError, match="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
            tracking.check(server.uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        tracking.check(server.uri)
        assert record(write_log(tmp_path / "search"), server.uri)
        check_recorded(server.uri, "search", tmp_path / "files")

        shown = "\n".join(arguments for _, arguments in processes().values())
        assert "basic-auth" in shown
        assert PASSWORD not in shown
        assert PASSWORD not in "".join([server.first_line, *server.log])
        assert server.end(signal.SIGINT) == 0
    for path in runs.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes(), path
    assert (runs / "mlflow-auth.db").is_file()

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another password")
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    assert main(["--runs-dir", str(runs), "--auth", "--port", str(free_port())]) == 2
    error = capsys.readouterr().err
    assert "MLFLOW_TRACKING_PASSWORD is not the password that admin has in sqlite:///" in error
    assert "another password" not in error


@pytest.mark.slow
def test_a_search_is_told_at_once_that_a_server_does_not_know_its_name(server: Running) -> None:
    with pytest.raises(UserError, match=r"the server refuses requests .*Host header"):
        tracking.check(f"http://127.0.0.2:{server.port}")


def test_the_help_is_quick_and_names_no_password() -> None:
    script = "import sys; from mlflow_server import cli\ntry: cli.parse(['--help'])\nexcept SystemExit: pass\n"
    script += "assert not {'mlflow', 'sqlalchemy', 'ray', 'torch'} & sys.modules.keys()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=environment(MLFLOW_BACKEND_STORE_URI="postgresql://u:hidden@h/d"),
    )  # fmt: skip
    assert "--allowed-hosts" in done.stdout
    assert "hidden" not in done.stdout
    assert done.stderr == ""
