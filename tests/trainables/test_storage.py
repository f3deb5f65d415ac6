"""What every kind of place promises, and what only an object store has to."""

import errno
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from s3_server import Gate

from datasets.errors import UserError
from trainables.object_store import ObjectStore
from trainables.storage import SharedFolder, Storage, storage_at


@pytest.fixture(params=[SharedFolder, ObjectStore])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param is SharedFolder:
        return SharedFolder(tmp_path)
    store: ObjectStore = request.getfixturevalue("object_store")
    return store


def put(storage: Storage, name: str, **files: str) -> None:
    with storage.writing(name) as folder:
        for file, content in files.items():
            (folder / file).write_text(content)


def got(storage: Storage, name: str) -> dict[str, str]:
    with storage.reading(name) as folder:
        return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_was_written_is_read_on_another_node(storage: Storage) -> None:
    storage.check()
    put(storage, "trials/00003/checkpoint_000001", weights="1", settings="2")
    assert got(pickle.loads(pickle.dumps(storage)), "trials/00003/checkpoint_000001") == {
        "weights": "1",
        "settings": "2",
    }
    storage.check()


def test_what_is_written_again_replaces_all_that_was_there(storage: Storage) -> None:
    put(storage, "a/b", one="1", two="2")
    put(storage, "a/b", two="3")
    assert got(storage, "a/b") == {"two": "3"}


def test_nothing_is_there_of_what_broke_off(storage: Storage) -> None:
    with pytest.raises(UnicodeEncodeError):
        put(storage, "a/b", one="1", two="\ud800")
    with pytest.raises(OSError, match="a/b"):
        got(storage, "a/b")
    put(storage, "a/b", one="2")
    assert got(storage, "a/b") == {"one": "2"}


def test_names_are_those_below_and_what_is_removed_is_gone(storage: Storage) -> None:
    assert storage.names("trials/00001") == []
    storage.remove("trials/00001/b")
    for name in ("trials/00001/b", "trials/00001/a", "trials/00010/c"):
        put(storage, name, one="1")
    assert storage.names("trials/00001") == ["trials/00001/a", "trials/00001/b"]
    storage.remove("trials/00001/b")
    assert storage.names("trials/00001") == ["trials/00001/a"]
    storage.remove("trials/00001/a")
    assert storage.names("trials/00001") == []
    with pytest.raises(OSError, match="00001/b"):
        got(storage, "trials/00001/b")
    assert got(storage, "trials/00010/c") == {"one": "1"}


def test_a_large_checkpoint_comes_back_as_it_was(storage: Storage) -> None:
    content = bytes(range(256)) * 2**16  # of several parts
    with storage.writing("a") as folder:
        (folder / "weights").write_bytes(content)
        (folder / "empty").write_bytes(b"")
    with storage.reading("a") as folder:
        assert (folder / "weights").read_bytes() == content
        assert (folder / "empty").read_bytes() == b""


def test_a_place_that_is_not_there_is_refused(storage: Storage, tmp_path: Path) -> None:
    away: Any = SharedFolder(tmp_path / "away") if isinstance(storage, SharedFolder) else ObjectStore("s3://away/rungs")
    with pytest.raises(UserError, match="--storage") as error:
        away.check()
    assert "\n" not in str(error.value)


def test_files_and_folders_go_both_ways(object_store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "run/model/data").mkdir(parents=True)
    for name in ("best.pt", "model/MLmodel", "model/data/weights", "log.jsonl"):
        (tmp_path / "run" / name).write_text(name)
    object_store.upload(tmp_path / "run", without=["log.jsonl"])
    object_store.write("trials/00001/checkpoint", b"1")
    object_store.download("", tmp_path / "copy", without=["trials"])
    copied = {path.relative_to(tmp_path / "copy"): path.read_text() for path in (tmp_path / "copy").rglob("*.*")}
    assert copied == {Path("best.pt"): "best.pt"}
    assert (tmp_path / "copy/model/data/weights").read_text() == "model/data/weights"
    assert not (tmp_path / "copy/trials").exists()
    assert object_store.read("model/MLmodel") == b"model/MLmodel"
    assert [(file.name, file.size) for file in object_store.files("model")] == [("MLmodel", 13)]
    assert object_store.files("nowhere") == []
    with pytest.raises(OSError, match="nowhere"):
        object_store.read("nowhere")


def test_a_folder_that_is_no_longer_needed_here_is_gone(object_store: ObjectStore) -> None:
    with object_store.writing("a") as written:
        (written / "one").write_text("1")
    with object_store.reading("a") as read:
        pass
    assert not written.exists()
    assert not read.exists()


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    object_store: ObjectStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(object_store, "a", one="1")
    gate.shut()
    tries: list[float] = []

    def sleep(seconds: float) -> None:
        tries.append(seconds)
        gate.open()

    monkeypatch.setattr("trainables.object_store.time.sleep", sleep)
    assert got(object_store, "a") == {"one": "1"}
    assert tries == [0.5]


def test_a_store_that_stays_away_is_an_error_in_one_line(object_store: ObjectStore, gate: Gate) -> None:
    gate.shut()
    store = replace(object_store, patience=0)
    with pytest.raises(UserError, match="network connection: Could not connect to server") as error:
        store.check()
    assert "AWS_ENDPOINT_URL" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        put(store, "a", one="1")


def test_a_full_disk_on_this_node_is_told_as_such_at_once(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: ObjectStore, *arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    put(object_store, "a", one="1")
    monkeypatch.setattr(ObjectStore, "download", full)
    monkeypatch.setattr("trainables.object_store.time.sleep", lambda _: pytest.fail("it was tried again"))
    with pytest.raises(OSError, match="No space left") as error:
        got(object_store, "a")
    assert error.value.errno == errno.ENOSPC


def test_keys_do_not_travel_with_it_and_each_process_takes_its_own(object_store: ObjectStore, s3_port: int) -> None:
    put(object_store, "a", one="1")
    pickled = pickle.dumps(object_store)
    assert b"secret" not in pickled
    script = f"import pickle; store = pickle.loads({pickled!r})\nwith store.reading('a') as f: print(*f.iterdir())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("/one")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://AKIA:hid/d+en@team/rungs", "s3://team/rungs"),
        ("s3://hidden@team/rungs", "s3://team/rungs"),
        ("gs://team/rungs?key=hidden", "gs://team/rungs"),
        ("s3://team/rungs?endpoint_override=http://hidden:9000", "s3://team/rungs"),
        ("s3://minio:9000/team", "s3://minio:9000/team"),
    ],
)
def test_a_uri_with_more_than_bucket_and_prefix_is_refused(uri: str, shown: str) -> None:
    with pytest.raises(UserError) as error:
        storage_at(uri, "mine")
    assert str(error.value).startswith(f"--storage {shown}: must be {uri[:2]}://BUCKET/PREFIX, since it is kept")
    assert "hid" not in str(error.value)


@pytest.mark.parametrize("uri", ["hdfs://team/rungs", "s3://", "s3:///rungs", "s3://team//rungs", "http://team/rungs"])
def test_a_uri_that_names_no_bucket_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match="must be"):
        storage_at(uri, "mine")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://team", ObjectStore("s3://team/mine")),
        ("s3://team/rungs/", ObjectStore("s3://team/rungs/mine")),
        ("gs://team/a@b:c", ObjectStore("gs://team/a@b:c/mine")),
        ("/shared/runs", SharedFolder(Path("/shared/runs/mine"))),
        (Path("/shared/runs"), SharedFolder(Path("/shared/runs/mine"))),
        ("runs", SharedFolder(Path.cwd() / "runs/mine")),
    ],
)
def test_a_place_is_a_folder_or_a_uri(place: str | Path, expected: Storage) -> None:
    assert storage_at(place, "mine") == expected
