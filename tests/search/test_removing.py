"""The thread that removes, on a real folder."""

import threading
from pathlib import Path

import pytest
from test_retention import checkpoint, ending, pause, proposal

from search.history import History
from search.removing import Remover
from trainables.storage import SharedFolder


@pytest.fixture
def storage(tmp_path: Path) -> SharedFolder:
    storage = SharedFolder(tmp_path)
    for number in range(4):
        for index in range(3):
            with storage.writing(f"trials/{number:05d}/checkpoint_{index:06d}") as folder:
                (folder / "state.json").write_text("{}")
    return storage


HISTORY = History([event for number in range(4) for event in (proposal(number), checkpoint(number, 0))])
"""With checkpoints of all trials."""


def there(storage: SharedFolder) -> list[str]:
    return [name for trial in storage.names("trials") for name in storage.names(trial)]


def test_what_is_asked_for_is_removed(storage: SharedFolder) -> None:
    remover = Remover(storage)
    for name in ("trials/00000", "trials/00002/checkpoint_000001", "trials/00001", "trials/none", "trials/00003"):
        remover.remove(name)
    assert remover.finish(HISTORY, 30)
    assert there(storage) == ["trials/00002/checkpoint_000000", "trials/00002/checkpoint_000002"]
    assert storage.names("trials") == ["trials/00002"]


def test_a_storage_that_refuses_or_is_silent_keeps_nobody(storage: SharedFolder) -> None:
    answer = threading.Event()

    class Silent(SharedFolder):
        def remove(self, name: str) -> None:
            if name.endswith("1"):
                raise OSError("no route to host")
            if name.endswith("2"):
                answer.wait(30)
            super().remove(name)

    remover = Remover(Silent(storage.root))
    for number in range(4):
        remover.remove(f"trials/{number:05d}")
    assert not remover.finish(HISTORY, 0.01)
    answer.set()
    assert not remover.finish(HISTORY, 30)
    assert remover.problem == "no route to host"
    assert storage.names("trials") == ["trials/00001"]


def test_a_search_that_goes_on_removes_what_it_had_given_up_or_knows_nothing_of(storage: SharedFolder) -> None:
    events = [proposal(number) for number in range(3)]
    events += [checkpoint(number, index) for number in range(3) for index in range(3)]
    events += [ending(0), ending(1), pause(2)]
    events += [{"event": "removal", "time": 0.0, "trials": [0]}]
    events += [{"event": "removal", "time": 0.0, "trials": [2], "checkpoints": ["trials/00002/checkpoint_000001"]}]
    remover, history = Remover(storage), History(events)
    remover.tidy(history)
    assert not (storage.root / "trials/00003").exists(), "before the next trial can have that number"
    assert remover.finish(history, 30)
    left = ("00001/checkpoint_000001", "00001/checkpoint_000002", "00002/checkpoint_000002")
    assert there(storage) == [f"trials/{name}" for name in left]


def test_a_search_that_has_left_nothing_yet_goes_on(tmp_path: Path) -> None:
    remover = Remover(SharedFolder(tmp_path))
    remover.tidy(History())
    assert remover.finish(History(), 30)


def test_after_the_last_trial_nothing_is_left_of_what_has_ended_without_a_checkpoint(storage: SharedFolder) -> None:
    (storage.root / "trials/00001/checkpoint_000003.partial").mkdir()
    for name in ("trials/00000/checkpoint_000003.partial", "trials/00004"):
        (storage.root / name).mkdir()
    history = History([*(proposal(number) for number in range(5)), checkpoint(0, 2), ending(1, "failed"), ending(4)])
    remover = Remover(storage)
    assert remover.finish(history, 30)
    assert storage.names("trials") == ["trials/00000", "trials/00002", "trials/00003"], "two are running"
    assert storage.names("trials/00000")[0] == "trials/00000/checkpoint_000002"
