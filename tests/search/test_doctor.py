"""A machine where nothing is wrong, and many where something is; a task that could not be searched."""

import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doctoring import A_GPU, NO_GPU, Found, bad, with_free, with_gpus

from datasets.errors import UserError
from search import reading
from search.checks import finding, machine, on_node, packages, recording
from search.checks.finding import Check, Finding
from search.doctor import main


def test_a_healthy_machine(doctor: Callable[..., Found], tmp_path: Path) -> None:
    found = doctor("digits", code=0)
    assert bad(found) == []
    assert {line[0] for line in found} == {
        "packages", "GPUs", "storage", "tracking", "mlruns", "disk", "memory", "Ray", "task"
    }  # fmt: skip
    assert [line[2].partition(" (")[0] for line in found if line[0] == "task"][1].startswith("1,350 development and")
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("")


def has_mlruns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlruns").mkdir()


def has_version(found: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def of(name: str) -> str:
        return found if name == "torch" else version(name)

    version = packages.importlib.metadata.version
    return lambda _, monkeypatch: monkeypatch.setattr(packages.importlib.metadata, "version", of)


def lacks_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(name: str) -> str:
        if name == "torch":
            raise packages.importlib.metadata.PackageNotFoundError(name)
        return version(name)

    version = packages.importlib.metadata.version
    monkeypatch.setattr(packages.importlib.metadata, "version", of)


def has_free(free: float, total: float) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda _, monkeypatch: with_free(monkeypatch, free, total)


def has_little_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray._private.utils.get_shared_memory_bytes", lambda: 64 * 2**20)


def has_memory_used(used: float) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda _, monkeypatch: monkeypatch.setattr("ray._private.utils.get_used_memory", lambda: used)


def has_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/mlflow.db").write_text("no database, but text that goes on for longer than a header does" * 20)


def is_on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / {tmp_path.resolve()} rw shared:1 - nfs4 a:/b rw\n")
    monkeypatch.setattr(recording, "_MOUNTS", mounts)


def has_orphans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = {
        7: (1, "/site/ray/core/src/ray/raylet/raylet --session_name=session_2026"), 8: (7, "ray::IDLE"),
        20: (1, "ray::Trial"), 21: (2, "ray::IDLE"), 22: (1, "vim ray::notes"),
    }  # fmt: skip
    ending = running | {30: (1, "ray::IDLE")}
    answers = iter([ending, running])
    monkeypatch.setattr(machine, "processes", lambda: next(answers))
    monkeypatch.setattr(machine, "_ENDING_SECONDS", 0.0)


def is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leftover(folder: Path) -> Iterator[Finding]:
        yield Finding("ok", "so far")
        raise ZeroDivisionError("in\nhere")

    monkeypatch.setattr(recording, "leftover", leftover)


@pytest.mark.parametrize(
    ("sicken", "check", "level", "what", "mend"),
    [
        (is_a_file, "storage", "error", "runs cannot be used: Not a directory", "--storage FOLDER"),
        (has_mlruns, "mlruns", "warning", "mlruns in this folder", "mv mlruns"),
        (has_version("1.0"), "packages", "error", "torch 1.0 is none of <2.13,>=2.11", "pip install -r"),
        (has_version("2.12.0+cu130"), "packages", "warning", "torch 2.12.0+cu130 (pinned: 2.", "pip install -r"),
        (lacks_torch, "packages", "error", "torch is not installed", "pip install -r requirements.txt"),
        (has_free(2e8, 1e12), "disk", "error", "0.2 GB free for results, Ray, data", "--runs-dir"),
        (has_free(3e9, 1e11), "disk", "warning", "3.0 GB free for results, Ray, data", "delete"),
        (has_free(2e10, 1e12), "disk", "warning", "98% full: above 95 % Ray puts no objects", "RAY_TMPDIR"),
        (has_little_shared_memory, "memory", "warning", "/dev/shm has 0.1 GB free, Ray's object store", "--shm-size="),
        (has_memory_used(9.6e9), "memory", "error", "0.4 GB free of 10.0 GB: above 95 %", "--max-concurrent"),
        (has_memory_used(8.5e9), "memory", "warning", "1.5 GB free of 10.0 GB", "--max-concurrent"),
        (has_no_database, "tracking", "error", "mlflow.db: file is not a database", "--tracking-uri sqlite:///FILE"),
        (is_on_nfs, "tracking", "warning", "network file system (nfs4)", "python -m mlflow_server"),
        (has_orphans, "Ray", "warning", "2 workers of Ray's still there though its node has ended", "kill 20 21"),
        (is_broken, "mlruns", "error", "this check itself failed: ZeroDivisionError: in here", "report it"),
    ],
)  # fmt: skip
def test_a_sick_machine_has_one_line_that_says_so_and_what_mends_it(
    sicken: Callable[[Path, pytest.MonkeyPatch], None],
    check: str,
    level: str,
    what: str,
    mend: str,
    doctor: Callable[..., Found],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sicken(tmp_path, monkeypatch)
    found = doctor(code=int(level == "error"))
    (line,) = [line for line in bad(found) if line[0] == check]
    assert line[1] == level
    assert what in line[2]
    assert mend in line[3]
    if sicken is not is_a_file:  # where the database should be, too
        assert len(bad(found)) == 1
    assert {line[0] for line in found} >= {"packages", "GPUs", "storage", "tracking", "mlruns", "disk", "memory", "Ray"}


@pytest.mark.parametrize(
    ("facts", "ray", "level", "what", "mend"),
    [
        ({"driver": [A_GPU], "build": None}, 1, "error", "torch is a build without CUDA, beside 1 GPU", "pip install"),
        ({"driver": [A_GPU], "problem": "The NVIDIA driver on your system is too old (found version 11040)"}, 1,
         "error", "can use none of 1 GPU: The NVIDIA driver on your system is too old", "update the NVIDIA driver"),
        ({"driver": [A_GPU], "problem": "no device"}, 1, "error", "torch can use none of 1 GPU", "nvidia-smi"),
        ({"driver": [A_GPU] * 2, "usable": 1}, 2, "error", "Ray gives out 2 GPUs, torch can use 1", "--num-gpus=1"),
        ({"driver": [A_GPU] * 2, "usable": 2}, 1, "warning", "Ray gives out 1 of 2 GPUs", "--num-gpus=2"),
        ({"driver": [A_GPU | {"memory.used": "70000"}], "usable": 1}, 1, "warning",
         "of GPU 0's memory 70000 of 143771 MiB are in use already", "CUDA_VISIBLE_DEVICES"),
        ({"driver": [], "driver_problem": "NVIDIA-SMI has failed"}, 0, "warning", "NVIDIA-SMI has failed", "driver"),
        ({"build": "", "problem": "libcudart.so.13 is missing"}, 0, "error", "libcudart.so.13 is missing", "pip"),
    ],
)  # fmt: skip
def test_gpus_that_torch_and_ray_do_not_agree_on(
    facts: dict[str, Any],
    ray: int,
    level: str,
    what: str,
    mend: str,
    doctor: Callable[..., Found],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with_gpus(monkeypatch, NO_GPU | facts, ray)
    ((check, *line),) = bad(doctor(code=int(level == "error")))
    assert (check, line[0]) == ("GPUs", level)
    assert what in line[1]
    assert mend in line[2]


def test_gpus_that_are_well(doctor: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, NO_GPU | {"driver": [A_GPU], "usable": 1}, 1)
    line = next(line for line in doctor(code=0) if line[0] == "GPUs")
    assert line[2] == "1 GPU (NVIDIA H200, driver 580.1), torch built for CUDA 13.0"


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((packages.ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}  # type: ignore[index]
    assert names <= packages.pins().keys()


def test_ray_says_how_large_its_object_store_would_be() -> None:
    assert machine.object_store() > 0


def test_torch_here_can_be_asked() -> None:
    facts = on_node.gpus(os.environ)
    assert facts["build"] != "", facts["problem"]
    assert facts["usable"] or facts["problem"] or facts["build"] is None


POINTS = "dataset: {name: points, train: points.csv}\nepochs: 3\nmodels: {mlp: {widths: [8]}}\nspace: {lr: 1e-3}\n"


@pytest.mark.parametrize(
    ("task", "conf", "what", "mend"),
    [
        ("nothing", "", "no task 'nothing' in conf/", "conf/"),
        ("mine.yaml", "dataset: {name: digits}\nepoch: 3\n", "mine.yaml: epoch: no such key", "conf/"),
        ("mine.yaml", POINTS, "points.csv", "--data-root FOLDER"),
    ],
)  # fmt: skip
def test_a_task_that_could_not_be_searched(
    task: str, conf: str, what: str, mend: str, doctor: Callable[..., Found], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(conf)
    ((check, level, found, advice),) = bad(doctor(task, "--data-root", str(tmp_path / "nowhere"), code=1))
    assert (check, level) == ("task", "error")
    assert what in found
    assert mend in advice
    assert not (tmp_path / "nowhere").exists()


def test_data_and_weights_that_are_missing_are_both_said(
    doctor: Callable[..., Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(task: Any, root: Any, wanted: Any = None) -> None:
        raise UserError(f"{wanted or 'data'} not there; put it there")

    monkeypatch.setattr(reading, "read", missing)
    monkeypatch.setattr(reading, "read_weights", missing)
    found = bad(doctor("insects", code=1))
    assert [(line[0], line[1], line[3].partition(";")[0]) for line in found] == [("task", "error", "put it there")] * 2
    assert found[0][2] == "data not there"
    assert "resnet18 imagenet" in found[1][2]


def test_data_that_no_object_store_holds(doctor: Callable[..., Found], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "object_store", lambda: 1000)
    ((check, level, what, mend),) = bad(doctor("digits", code=1))
    assert (check, level) == ("task", "error")
    assert "Ray's object store holds 0.00 GB" in what
    assert "--object-store-memory" in what
    assert mend.startswith("make examples smaller")


def test_what_is_said_of_ended_sessions_removes_them_and_no_other(
    doctor: Callable[..., Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ended", "living", "new"):
        session = tmp_path / f"ray/session_2026-01-01_{name}"
        session.mkdir(parents=True)
        (session / "log").write_bytes(bytes(5000))
        if name != "new":
            os.utime(session, (1e9, 1e9))
    monkeypatch.setattr(machine, "processes", lambda: {5: (1, "raylet --session_name=session_2026-01-01_living")})
    assert bad(doctor(code=0)) == [], "little is left where it is"
    monkeypatch.setattr(machine, "_MUCH", 1)
    os.utime(tmp_path / "ray/session_2026-01-01_new", (2e9, 2e9))
    ((check, level, what, mend),) = bad(doctor(code=0))
    assert (check, level) == ("Ray", "warning")
    assert what.startswith("2 ended sessions of Ray's")
    subprocess.run(mend, shell=True, check=True)
    kept = {path.name.rpartition("_")[2] for path in (tmp_path / "ray").iterdir()}
    assert kept == {"living", "new"}


def test_a_check_that_hangs_holds_up_no_other_and_keeps_what_it_found() -> None:
    ends = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield Finding("ok", "so far")
        ends.wait()

    late = Finding("warning", "later", "wait")
    checks = [Check("a", hangs, 0.05), Check("b", hangs, 0.05, late), Check("c", lambda: [Finding("ok", "well")], 5)]
    found = [findings for _, findings in finding.run(checks)]
    ends.set()
    assert [[line.level for line in lines] for lines in found] == [["ok", "error"], ["ok", "warning"], ["ok"]]
    assert "no end after 0.05 seconds" in found[0][1].what


def test_a_package_that_cannot_be_imported_is_a_line(doctor: Callable[..., Found]) -> None:
    def lacks() -> Iterator[Finding]:
        import nothing_of_that_name  # type: ignore[import-not-found]

        yield nothing_of_that_name

    ((_, (line,)),) = finding.run([Check("a", lacks)])
    assert line.level == "error"
    assert "nothing_of_that_name cannot be imported" in line.what
    assert "pip install" in line.mend


@pytest.mark.parametrize("arguments", [["--nothing"], ["a", "b"], ["--runs-dir"]])
def test_a_mistake_in_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_for_people(
    terminal: bool, doctor: Callable[..., Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    has_mlruns(tmp_path, monkeypatch)
    if terminal:
        for name, value in {"FORCE_COLOR": "1", "COLUMNS": "60", "TERM": "xterm-256color"}.items():
            monkeypatch.setenv(name, value)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert ("\x1b[" in out) == terminal
    if not terminal:
        assert "ok       packages  Python " in out
        assert "\nwarning  mlruns    mlruns in this folder" in out
        assert "\n                   mend: mv mlruns mlruns.old" in out
    assert "0 errors, 1 warning\n" in out
