"""What goes with a search to other machines."""

import json
from pathlib import Path

import pytest
from conf_document import message_of

from search import run
from search.shipping import in_job, runtime_env

MEGABYTE = bytes(1_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".gitignore").write_text("data/\n")
    for name in ("mine.py", "data/large", ".venv/lib", ".git/objects", "package/part.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(MEGABYTE)
    return tmp_path


def submit(monkeypatch: pytest.MonkeyPatch, environment: dict[str, object]) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": environment, "metadata": {}}))


@pytest.mark.parametrize(
    ("others", "grows", "said"),
    [
        (0, False, ""),
        (3, False, "ships 2.0 MB of code to 3 nodes"),
        (0, True, "ships 2.0 MB of code to each that joins"),
        (3, True, "ships 2.0 MB of code to 3 nodes and each that joins"),
    ],
)
def test_code_is_shipped_where_there_are_other_nodes(folder: Path, others: int, grows: bool, said: str) -> None:
    environment, says = runtime_env(folder, others, grows)
    assert says == said
    assert environment.get("working_dir") == (str(folder) if said else None)


def test_a_folder_that_ray_does_not_ship_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE", 1_500_000)
    message = message_of(runtime_env, folder, 1, False)
    assert message.startswith(f"{folder}: has more than the 2 MB of code that Ray ships to other nodes; ")
    assert runtime_env(folder, 0, False)[1] == ""


def test_a_job_has_its_own_working_directory_and_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/only/here")
    variables = runtime_env(folder, 3, True)[0]["env_vars"]
    assert variables["AWS_ACCESS_KEY_ID"] == "mine"
    assert "AWS_CONFIG_FILE" not in variables
    assert not in_job()
    submit(monkeypatch, {"working_dir": "gcs://code.zip", "env_vars": {"AWS_ACCESS_KEY_ID": "theirs"}})
    assert in_job()
    environment, said = runtime_env(folder, 3, True)
    assert (said, "working_dir" in environment) == ("", False)
    assert "AWS_ACCESS_KEY_ID" not in environment["env_vars"]


def test_a_job_keeps_nothing_in_a_folder_that_ray_deletes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    submit(monkeypatch, {"working_dir": "gcs://code.zip"})
    monkeypatch.chdir(tmp_path)
    assert run.main(["digits"]) == 2
    assert capsys.readouterr().err.startswith("error: --runs-dir runs: in a submitted job this lies in the working dir")
    assert list(tmp_path.iterdir()) == []
