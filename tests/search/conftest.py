import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conf_document import DOCUMENT, dump
from doctoring import NO_GPU, Found, with_free, with_gpus
from tracking_server import TrackingServer

from search import conf


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "mine.yaml"

    def load(document: Any = DOCUMENT, assignments=(), models=(), **changes):
        path.write_text(document if isinstance(document, str) else dump(document), encoding="utf-8")
        return conf.load(str(path), changes, assignments, models)

    return load


@pytest.fixture
def server(tmp_path) -> Iterator[TrackingServer]:
    """A real MLflow server that answers."""
    started = TrackingServer(tmp_path)
    try:
        started.start()
        yield started
    finally:
        started.kill()


@pytest.fixture
def make() -> Iterator[Any]:
    """Makes proposers, and closes them."""
    from search.proposer import Proposer

    with ExitStack() as at_end:
        yield lambda *arguments, **more: at_end.enter_context(closing(Proposer(*arguments, **more)))


@pytest.fixture
def make_driver(tmp_path: Path, make: Any) -> Iterator[Any]:
    """Makes drivers whose configurations come from a list, or from a task's own sampler."""
    from closed_form import Scripted

    from search import events
    from search.driver import Driver
    from search.events import EventLog
    from search.history import History
    from search.retention import Retention

    logs = []

    def driver(
        configs: list[dict[str, Any]] | None = None,
        epochs: int = 9,
        grace: int = 1,
        metric: str = "val_loss",
        task: Any = None,
        **more: Any,
    ) -> Any:
        logs.append(EventLog(tmp_path / events.FILE_NAME))
        proposer: Any = Scripted(configs or [])
        if task is not None:
            proposer = make(task.space, "gp", 0, task.references)
        task = task or conf.load("digits", {"epochs": epochs, "grace": grace, "metric": metric}, [])
        history = History()
        history.search = {"milestones": list(task.milestones)}
        if "keep" in more:
            books = {name: more.pop(name) for name in ("keep", "budget", "remove") if name in more}
            more["retention"] = Retention(history, task.metric, top_k=more.get("top_k", 1), **books)
        return Driver(task, logs[-1], history, proposer, num_samples=len(configs or "123"), seed=0, **more)

    yield driver
    for log in logs:
        log.close()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of an MLflow database for tests that use a task's name each."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@dataclass(frozen=True)
class Champion:
    """A search whose winner is registered."""

    folder: Path
    uri: str


@pytest.fixture(scope="session")
def registered(store: str, tmp_path_factory: pytest.TempPathFactory) -> Champion:
    """Of digits."""
    from finished_search import CONFIG, finish, of_digits, record

    from search.registry import register

    folder = tmp_path_factory.mktemp("runs") / "won"
    finish(folder, "digits", of_digits(), CONFIG)
    outcome = register(folder, store, record(folder, store), "auto")
    assert outcome.line == "digits version 1, champion (the first)"
    return Champion(folder, store)


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Calls the command in a folder of its own, on a machine with room, without GPUs and other people's processes."""
    from search.checks import machine, packages
    from search.doctor import main

    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "processes", dict)
    monkeypatch.setattr(machine, "ray_folder", lambda: tmp_path / "ray")
    monkeypatch.setattr(machine, "object_store", lambda: 10**9)
    for name, size in {"common.utils.get_system_memory": 1e10, "private.utils.get_used_memory": 1e9,
                       "private.utils.get_shared_memory_bytes": 5e9}.items():  # fmt: skip
        monkeypatch.setattr(f"ray._{name}", partial(float, size))
    monkeypatch.setattr(packages, "pins", lambda: {"torch": version("torch").partition("+")[0]})
    with_free(monkeypatch, 5e11, 1e12)
    with_gpus(monkeypatch, NO_GPU, 0)

    def call(*arguments: str, code: int) -> Found:
        assert main([*arguments, "--json"]) == code
        lines = json.loads(capsys.readouterr().out)
        return [(line["check"], line["level"], line["what"], line["mend"]) for line in lines]

    return call
