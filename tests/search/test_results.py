"""Reading results from code, from a folder alone."""

from pathlib import Path

import pytest
from conf_document import message_of

from search import events, results
from search.events import EventLog

EPOCH = {"train_loss": 1.0, "train_error": 0.5, "val_loss": 0.5, "val_error": 0.1, "seconds": 0.1, "lr": 0.1}


def write(folder: Path, cut: int = 0, **figures: float) -> Path:
    """A log of two trials, one of them tested; the last ``cut`` bytes lost. ``figures``: further ones of each epoch."""
    folder.mkdir()
    log = EventLog(folder / events.FILE_NAME)
    log.append("search", name=folder.name)
    for trial in (0, 1):
        config = {"model": "mlp", "lr": 0.1, "mlp.widths": [8, 4]}
        log.append("proposal", trial=trial, seed=1, config=config, origin="sampler")
        curve = [{"index": index, **EPOCH, **figures} for index in (1, 2)]
        log.append("report", trial=trial, epochs=curve, best=curve[1])
    log.append("ending", trial=0, state="completed", reason="")
    tested = {"model": "mlp", "origin": "sampler", "chosen": "winner", "opening": 1, "error": 0.2, "loss": 0.5,
               "f1": 0.8, "interval": [0.1, 0.3], "fold_errors": [0.2], "checkpoint": "x"}  # fmt: skip
    log.append("test", trial=0, **tested)
    log.close()
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[: len(whole) - cut])
    return folder


def test_trials_epochs_and_tests_are_frames(tmp_path: Path) -> None:
    write(tmp_path / "mine")
    found = results.load("mine", tmp_path)
    assert list(found.trials.index) == [0, 1]
    assert list(found.trials["state"]) == ["completed", "running"]
    assert found.trials.loc[0, "mlp.widths"] == [8, 4]
    assert list(found.epochs.index) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert found.epochs.loc[(1, 2), "val_loss"] == 0.5
    assert found.tests.loc[0, ["trial", "chosen", "error"]].to_list() == [0, "winner", 0.2]
    assert "no trial of it was tested" in message_of(found.winner)


def test_a_log_from_before_there_was_a_metric_is_read_without_it(tmp_path: Path) -> None:
    write(tmp_path / "now", val_f1=0.875)
    write(tmp_path / "before")
    now, before = (results.load(name, tmp_path) for name in ("now", "before"))
    assert list(now.trials["val_f1"]) == [0.875] * 2
    assert list(now.epochs["val_f1"]) == [0.875] * 4
    assert before.trials["val_f1"].isna().all()
    assert list(before.trials["val_loss"]) == [0.5] * 2
    assert "val_f1" not in before.epochs


@pytest.mark.parametrize("cut", [1, 40])
def test_a_log_that_was_cut_off_is_read_and_continued_from_its_last_whole_line(tmp_path: Path, cut: int) -> None:
    folder = write(tmp_path / "mine", cut)
    assert len(results.load("mine", tmp_path).tests) == 0
    log = EventLog(folder / events.FILE_NAME, resume=True)
    assert "another command is writing" in message_of(EventLog, folder / events.FILE_NAME, resume=True)
    log.append("ending", trial=1, state="cancelled", reason="")
    log.close()
    assert list(results.load("mine", tmp_path).trials["state"]) == ["completed", "cancelled"]


def test_an_unknown_name_is_told_the_known_ones(tmp_path: Path) -> None:
    assert message_of(results.load, "mine", tmp_path) == f"no search mine in {tmp_path}: it has none"
    write(tmp_path / "yours")
    assert message_of(results.load, "mine", tmp_path) == f"no search mine in {tmp_path}: it has yours"


def test_a_search_is_found_by_its_name_or_by_the_path_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for runs in ("runs", "old"):
        (tmp_path / runs).mkdir()
        write(tmp_path / runs / "mine")
    found = [results.load(name).folder for name in ("mine", "old/mine", str(tmp_path / "old/mine"))]
    assert found == [Path("runs/mine"), Path("old/mine"), tmp_path / "old/mine"]
    assert message_of(results.load, "old/yours") == "no search old/yours in runs: it has mine"
