"""How often a test split has been looked at, as MLflow and the summary have it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from recorded_log import record

from search import events, ledger, recorder
from search.events import EventLog
from search.history import History
from search.recorder import Recorder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store of all tests: each looks at a test split of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


def client(uri: str) -> Any:
    return recorder.open_store(uri)


def opening(number: int, time: float, trials: tuple[int, ...] = (3, 1), why: str = "the search has ended") -> Any:
    return {"event": "opening", "time": time, "number": number, "trials": trials, "chosen": ["winner"], "why": why}


def write(folder: Path, name: str, *openings: dict[str, Any], **digests: str) -> Path:
    """The folder of a search without trials; its id is its name's place."""
    place = folder / name
    place.mkdir(parents=True)
    log = EventLog(place / events.FILE_NAME)
    log.append(
        "search", id=str(place), name=name, task="digits", seed=1, command="", versions={}, options={},
        experiment="digits", git_commit=None, git_dirty=None, conf={}, **{"dataset_digest": "whole", **digests},
    )  # fmt: skip
    for one in openings:
        log.append(**one)
    log.append("end", wall_seconds=1.0, interrupted=False)
    log.close()
    return place


def runs(uri: str) -> list[Any]:
    """All of the ledger's that can be seen in the UI."""
    store = client(uri)
    return list(store.search_runs([store.get_experiment_by_name(ledger.EXPERIMENT).experiment_id]))


def test_three_searches_are_told_with_who_when_what_and_why(tmp_path: Path, uri: str) -> None:
    again = opening(2, 2000.5, (4,), "trial 1 trained again")
    searches = [
        write(tmp_path, "late", opening(1, 3000.0), test_digest="three"),
        write(tmp_path, "early", opening(1, 1000.25), again, test_digest="three", dataset_digest="another validation"),
        write(tmp_path, "other", opening(1, 500.0), test_digest="another"),
        write(tmp_path / "elsewhere", "early", opening(1, 4000.0), test_digest="three"),
    ]
    for folder in searches:
        assert record(folder, uri)
    found = ledger.openings(client(uri), "three")
    assert [
        (entry["search"], entry["number"], entry["time"], entry["checkpoints"], entry["why"]) for entry in found
    ] == [
        ("early", 1, 1000.25, [3, 1], "the search has ended"),
        ("early", 2, 2000.5, [4], "trial 1 trained again"),
        ("late", 1, 3000.0, [3, 1], "the search has ended"),
        ("early", 1, 4000.0, [3, 1], "the search has ended"),
    ]
    assert len({entry["id"] for entry in found}) == 3
    shown = {run.info.run_name: run for run in runs(uri) if run.data.tags["rungs.test_split"] == "three"}
    assert shown.keys() == {"late, opening 1", "early, opening 1", "early, opening 2"}
    assert {(run.info.status, run.info.end_time - run.info.start_time) for run in shown.values()} == {("FINISHED", 0)}
    experiment = client(uri).get_experiment_by_name(ledger.EXPERIMENT)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_log_that_does_not_know_its_test_split_counts_by_its_whole_dataset(tmp_path: Path, uri: str) -> None:
    assert record(write(tmp_path, "old", opening(1, 1000.0), dataset_digest="of before"), uri)
    assert [entry["search"] for entry in ledger.openings(client(uri), "of before")] == ["old"]


@pytest.mark.parametrize("breaks", ["create_run", "set_terminated", "search_runs"])
def test_whatever_breaks_an_opening_is_there_once(
    breaks: str, tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that breaks is heard nevertheless."""
    import mlflow

    monkeypatch.setattr(recorder, "_SECONDS_BETWEEN_TRIES", 0.0)
    call, names = getattr(mlflow.MlflowClient, breaks), []

    def called(client: Any, *arguments: Any, **named: Any) -> Any:
        answer = call(client, *arguments, **named)
        names.append(breaks)
        if len(names) in (1, 3):
            raise OSError("the line is dead")
        return answer

    monkeypatch.setattr(mlflow.MlflowClient, breaks, called)
    folder = write(tmp_path, "broken", opening(1, 1000.0), opening(2, 2000.0), test_digest=breaks)
    assert record(folder, uri)
    assert len(names) >= 3
    assert record(folder, uri)
    found = ledger.openings(client(uri), breaks)
    assert [entry["number"] for entry in found] == [1, 2]
    mine = [run for run in runs(uri) if run.data.tags["rungs.test_split"] == breaks]
    assert sorted(run.data.tags["rungs.opening"] for run in mine) == ["1", "2"]
    assert {run.info.status for run in mine} == {"FINISHED"}


def test_what_is_there_twice_counts_once(tmp_path: Path, uri: str) -> None:
    folder = write(tmp_path, "twice", opening(1, 1000.0), test_digest="twice")
    assert record(folder, uri)
    store = client(uri)
    (run,) = [run for run in runs(uri) if run.data.tags["rungs.test_split"] == "twice"]
    store.create_run(run.info.experiment_id, run.info.start_time, run.data.tags)
    assert len(ledger.openings(store, "twice")) == 1


def test_deleting_an_opening_in_the_ui_undoes_nothing(tmp_path: Path, uri: str) -> None:
    folders = [write(tmp_path, name, opening(1, 1000.0), test_digest="deleted") for name in ("first", "second")]
    assert record(folders[0], uri)
    store = client(uri)
    (run,) = [run for run in runs(uri) if run.data.tags["rungs.test_split"] == "deleted"]
    store.delete_run(run.info.run_id)
    assert record(folders[0], uri)
    assert [entry["search"] for entry in ledger.openings(store, "deleted")] == ["first"]
    store.delete_experiment(run.info.experiment_id)
    assert [entry["search"] for entry in ledger.openings(store, "deleted")] == ["first"]
    assert record(folders[1], uri), "the experiment is restored"
    assert [entry["search"] for entry in ledger.openings(store, "deleted")] == ["first", "second"]
    assert store.get_experiment(run.info.experiment_id).lifecycle_stage == "active"


def test_more_than_a_page_of_openings_is_read_to_its_end(tmp_path: Path, uri: str, monkeypatch) -> None:
    import mlflow

    openings = [opening(number, 1000.0 + number) for number in range(1, 6)]
    assert record(write(tmp_path, "pages", *openings, test_digest="pages"), uri)
    search = mlflow.MlflowClient.search_runs
    monkeypatch.setattr(
        mlflow.MlflowClient, "search_runs", lambda *args, **named: search(*args, max_results=2, **named)
    )
    assert [entry["number"] for entry in ledger.openings(client(uri), "pages")] == [1, 2, 3, 4, 5]


def test_an_experiment_that_a_server_made_is_written_to_without_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client(uri).create_experiment(ledger.EXPERIMENT, "mlflow-artifacts:/7")
    assert record(write(tmp_path, "direct", opening(1, 1000.0), test_digest="direct"), uri)
    assert len(ledger.openings(client(uri), "direct")) == 1


def test_a_server_that_forbids_it_has_the_rest_of_the_search(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    create = mlflow.MlflowClient.create_run

    def refused(client: Any, experiment_id: str, *arguments: Any, **named: Any) -> Any:
        if client.get_experiment(experiment_id).name == ledger.EXPERIMENT:
            raise mlflow.MlflowException("Permission denied", PERMISSION_DENIED)
        return create(client, experiment_id, *arguments, **named)

    monkeypatch.setattr(mlflow.MlflowClient, "create_run", refused)
    folder = write(tmp_path, "forbidden", opening(1, 1000.0), test_digest="forbidden")
    follower = Recorder(folder, uri)
    follower.start()
    assert follower.finish(60)
    told = ledger.told(History(events.read(folder / events.FILE_NAME)), follower.openings)
    assert told is not None
    assert (len(told["openings"]), told["complete"]) == (1, False)


def test_the_summary_has_what_the_store_has_or_else_what_the_log_has(tmp_path: Path, uri: str) -> None:
    folders = [
        write(tmp_path, "before", opening(1, 1000.0), test_digest="told"),
        write(tmp_path, "now", opening(1, 2000.0, why="the search has ended"), test_digest="told"),
    ]
    for folder in folders:
        assert record(folder, uri)
    history = History(events.read(folders[1] / events.FILE_NAME))
    told = ledger.told(history, ledger.openings(client(uri), "told"))
    assert told is not None
    assert (told["split"], told["complete"]) == ("told", True)
    assert [entry["search"] for entry in told["openings"]] == ["before", "now"]
    assert ledger.told(history, None) == {"split": "told", "openings": told["openings"][1:], "complete": False}
    assert ledger.told(history, told["openings"][:1]) == told | {"complete": False}
    assert json.loads(json.dumps(told)) == told
    history.openings.clear()
    assert ledger.told(history, None) is None


def test_a_store_that_cannot_be_reached_leaves_it_open(tmp_path: Path) -> None:
    follower = Recorder(write(tmp_path, "offline", opening(1, 1000.0)), "sqlite:////proc/none/mlflow.db")
    follower.start()
    while follower.problem is None:
        assert follower.running
        time.sleep(0.01)
    assert not follower.finish(0)
    assert follower.openings is None
