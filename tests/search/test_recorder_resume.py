"""What MLflow has of a search that went on after its end."""

import shutil
from pathlib import Path

from recorded_log import record, recorded, runs_of, write_log

from search import events
from search.events import EventLog
from search.tracking import default_uri


def go_on(folder: Path) -> None:
    """The trial that was cancelled trains another epoch, and is the winner."""
    log = EventLog(folder / events.FILE_NAME, resume=True)
    log.append("resumption", reopened=[1], command="again", options={}, slots=1)
    log.append("start", trial=1, worker={"node": "there", "pid": 2, "gpus": 0})
    figures = {"train_loss": 1.0, "train_error": 0.5, "val_error": 0.1, "seconds": 0.1, "lr": 0.1}
    curve = [{"index": index, "val_loss": 1 / index, **figures} for index in (3, 4)]
    log.append("report", trial=1, epochs=curve, best=curve[1])
    log.append("checkpoint", trial=1, path="y", best=curve[1])
    log.append("ending", trial=1, state="completed", reason="")
    log.append("opening", number=2, trials=[1, 0], chosen=["winner", None], why="search")
    log.append("test", trial=1, chosen="winner", loss=0.4, error=0.2, f1=0.8)
    log.append("test", trial=0, chosen=None, loss=0.5, error=0.25, f1=0.75)
    log.append("end", wall_seconds=1.0, interrupted=False)
    log.close()


def test_a_search_that_goes_on_does_so_in_the_same_runs(tmp_path: Path) -> None:
    folder, uri = tmp_path / "small", default_uri(tmp_path)
    folder.mkdir()
    write_log(folder, ("completed", "cancelled"))
    assert record(folder, uri)
    before = {name: run.info.run_id for name, run in runs_of("small", uri).items()}
    assert [(status, state) for _, status, state, _ in recorded(uri)[1:]] == [
        ("FINISHED", "completed"),
        ("KILLED", "cancelled"),
    ]
    go_on(folder)
    for _ in range(2):
        assert record(folder, uri)
        after = runs_of("small", uri)
        assert {name: run.info.run_id for name, run in after.items()} == before
        assert [(status, state) for _, status, state, _ in recorded(uri)] == [
            ("FINISHED", None), ("FINISHED", "completed"), ("FINISHED", "completed")
        ]  # fmt: skip
        assert recorded(uri)[2][3] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
        assert [run.data.tags.get("chosen") for _, run in sorted(after.items())] == [None, "formerly winner", "winner"]
        assert after[""].data.tags["winner"] == "1"


def test_the_whole_log_at_once_gives_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / name / "small" for name in ("twice", "once")]
    for folder in folders:
        folder.mkdir(parents=True)
    write_log(folders[0], ("completed", "cancelled", "pruned"))
    assert record(folders[0], default_uri(folders[0].parent))
    go_on(folders[0])
    assert record(folders[0], default_uri(folders[0].parent))
    shutil.copy(folders[0] / events.FILE_NAME, folders[1] / events.FILE_NAME)
    assert record(folders[1], default_uri(folders[1].parent))
    assert recorded(default_uri(folders[0].parent)) == recorded(default_uri(folders[1].parent))
