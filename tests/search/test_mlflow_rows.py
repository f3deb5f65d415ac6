"""Rows written beside MLflow's client are those that the client would have written."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from search.mlflow_rows import insert
from search.recorder import import_mlflow, open_store

pytestmark = pytest.mark.slow
NAMES = ("train_loss", "val_loss", "lr")


class Store:
    """A database of its own, with a client."""

    def __init__(self, path: Path) -> None:
        self.path, self.mlflow = path, import_mlflow()
        self.client = open_store(f"sqlite:///{path}")
        self.experiment = self.client.create_experiment("curves", path.parent.as_uri())

    def run(self) -> str:
        """A new one."""
        return str(self.client.create_run(self.experiment, 1, {}, "one").info.run_id)

    def metrics(self, steps: range, value: float = 0.5) -> list[Any]:
        make = self.mlflow.entities.Metric
        return [make(name, value / step, 1000 * step, step) for step in steps for name in NAMES]

    def params(self) -> list[Any]:
        return [self.mlflow.entities.Param("model", "mlp"), self.mlflow.entities.Param("lr", "0.1")]

    def rows(self, run: str) -> dict[str, list[tuple[Any, ...]]]:
        """Of each table."""
        with closing(sqlite3.connect(self.path)) as database:
            columns = {"metrics": "key, value, timestamp, step, is_nan", "params": "key, value"}
            columns["latest_metrics"] = columns["metrics"]
            return {
                table: sorted(database.execute(f"SELECT {names} FROM {table} WHERE run_uuid = ?", [run]))
                for table, names in columns.items()
            }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("mlflow") / "mlflow.db")


@pytest.mark.parametrize("value", [0.5, math.inf, -math.inf, math.nan, 1e-300])
def test_the_same_rows_are_there_as_from_the_client(store: Store, value: float) -> None:
    ours, theirs = store.run(), store.run()
    assert insert(store.client, ours, store.metrics(range(1, 40), value), store.params())
    store.client.log_batch(theirs, store.metrics(range(1, 40), value), store.params(), synchronous=True)
    assert store.rows(ours) == store.rows(theirs)
    for run in (ours, theirs):  # and what comes later finds them
        store.client.log_batch(run, store.metrics(range(38, 44), value), store.params(), synchronous=True)
    assert store.rows(ours) == store.rows(theirs)
    assert len(store.rows(ours)["metrics"]) == 3 * 43


def test_where_something_is_there_already_nothing_is_written_and_the_client_has_to(store: Store) -> None:
    run = store.run()
    assert insert(store.client, run, store.metrics(range(1, 3)), store.params())
    before = store.rows(run)
    assert not insert(store.client, run, store.metrics(range(3, 5)), [])
    assert not insert(store.client, run, [], store.params())
    assert not insert(store.client, "no such run", store.metrics(range(1, 3)), [])
    assert store.rows(run) == before


def test_a_server_is_left_to_the_client() -> None:
    client = import_mlflow().MlflowClient(tracking_uri="http://127.0.0.1:9")
    assert not insert(client, "run", [], [])
