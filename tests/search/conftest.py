from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conf_document import DOCUMENT, dump
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
