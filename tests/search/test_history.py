import json

import pytest

from search.events import EventLog, EventReader, read
from search.history import History


def epoch(index: int, val_loss: float = 1.0, val_error: float = 0.5) -> dict:
    figures = {"train_loss": 1.0, "train_error": 0.5, "seconds": 2.0, "lr": 0.1}
    return {"index": index, "val_loss": val_loss, "val_error": val_error, **figures}


def report(trial: int, *epochs: dict) -> dict:
    return {"event": "report", "time": 5.0, "trial": trial, "epochs": list(epochs), "best": epochs[-1]}


def proposal(trial: int, model: str = "mlp") -> dict:
    config = {"model": model, "lr": 0.1}
    return {"event": "proposal", "time": 1.0 + trial, "trial": trial, "config": config, "seed": 70 + trial}


def start(trial: int, time: float = 3.0, pid: int = 1) -> dict:
    return {"event": "start", "time": time, "trial": trial, "worker": {"pid": pid}}


def ending(trial: int, state: str, **fields) -> dict:
    return {"event": "ending", "time": 9.0, "trial": trial, "state": state, "reason": "because", **fields}


def test_a_proposed_trial_runs_and_has_nothing_yet():
    trial = History([proposal(4, "cnn")]).trials[4]
    assert (trial.id, trial.model, trial.seed, trial.proposed, trial.state) == (4, "cnn", 74, 5.0, "running")
    assert (trial.epochs, trial.seconds, trial.curve, trial.best, trial.checkpoint_best) == (0, 0, [], None, None)
    assert trial.figure("val_loss") is None


def test_reports_are_folded_into_the_curve_and_the_best():
    history = History([proposal(0), report(0, epoch(1), epoch(2)), report(0, epoch(3, 0.25, 0.125))])
    trial = history.trials[0]
    assert [each["index"] for each in trial.curve] == [1, 2, 3]
    assert (trial.epochs, trial.seconds, history.epochs_trained) == (3, 6.0, 3)
    assert (trial.figure("val_loss"), trial.figure("val_error")) == (0.25, 0.125)


def test_epochs_seen_again_after_a_restart_are_dropped_and_the_first_record_stays():
    history = History([proposal(0), report(0, epoch(1, 0.9), epoch(2, 0.8)), report(0, epoch(2, 0.7), epoch(3, 0.6))])
    assert [(each["index"], each["val_loss"]) for each in history.trials[0].curve] == [(1, 0.9), (2, 0.8), (3, 0.6)]
    history.apply(report(0, epoch(1, 0.1)))
    assert history.trials[0].epochs == 3
    assert history.trials[0].figure("val_loss") == 0.6


@pytest.mark.parametrize(("metric", "cost"), [("val_loss", 0.25), ("val_error", 0.125), ("val_f1", 0.375)])
def test_of_a_score_what_it_lacks_to_1_is_minimised(metric, cost):
    trial = History([proposal(0), report(0, epoch(1, 0.25, 0.125) | {"val_f1": 0.625})]).trials[0]
    assert trial.cost(metric) == cost
    assert History([proposal(0)]).trials[0].cost(metric) is None


def test_a_log_from_before_there_was_a_metric_has_none_of_it():
    history = History([{"event": "search"}, proposal(0), report(0, epoch(1))])
    assert (history.metric, history.trials[0].figure("val_f1")) == ("val_loss", None)


def test_a_report_without_epochs_changes_nothing():
    history = History([proposal(0), report(0, epoch(1, 0.9))])
    history.apply({"event": "report", "time": 6.0, "trial": 0, "epochs": [], "best": epoch(1, 0.1)})
    assert history.trials[0].figure("val_loss") == 0.9


def test_what_was_best_at_a_rung_is_that_of_the_report_that_ends_there():
    best = epoch(2, 0.2)
    folds = report(0, epoch(1, 0.9), epoch(2, 0.8)) | {"best": best}
    history = History([{"event": "search", "milestones": [2, 6]}, proposal(0), folds, report(0, epoch(3), epoch(4))])
    assert history.trials[0].at_rungs == {2: best}
    history.apply(report(0, epoch(2, 0.1)))
    assert history.trials[0].at_rungs == {2: best}, "seen again after a restart"


def test_a_checkpoint_is_the_newest_with_its_own_worth():
    first, second = ({"event": "checkpoint", "time": 6.0, "trial": 0, "path": path, "best": epoch(index, loss)}
                     for path, index, loss in (("a", 1, 0.5), ("b", 2, 0.4)))  # fmt: skip
    trial = History([proposal(0), first, second, report(0, epoch(3, 0.1))]).trials[0]
    assert (trial.checkpoint, trial.checkpoint_best["val_loss"], trial.figure("val_loss")) == ("b", 0.4, 0.1)


def test_a_second_start_is_another_worker_of_the_same_trial():
    death = {"event": "death", "time": 4.0, "trial": 0, "reason": "killed"}
    trial = History([proposal(0), start(0, 3.0, pid=1), death, start(0, 8.0, pid=2)]).trials[0]
    assert (trial.started, trial.workers, trial.deaths) == (3.0, [{"pid": 1}, {"pid": 2}], ["killed"])


@pytest.mark.parametrize("state", ["completed", "pruned", "converged", "diverged", "oom", "failed", "cancelled"])
def test_an_ending_sets_state_reason_and_time(state):
    trial = History([proposal(0), ending(0, state)]).trials[0]
    assert (trial.state, trial.reason, trial.ended, trial.traceback) == (state, "because", 9.0, "")


def test_a_failures_traceback_is_kept():
    assert History([proposal(0), ending(0, "failed", traceback="Traceback")]).trials[0].traceback == "Traceback"


def test_trials_are_counted_by_state():
    events = [proposal(0), proposal(1), proposal(2), ending(1, "pruned"), ending(2, "pruned")]
    assert History(events).counts() == {"running": 1, "pruned": 2}


def test_events_of_the_search_itself_are_kept_and_unknown_kinds_left_alone():
    kinds = ["search", "opening", "opening", "test", "end", "weather"]
    history = History([{"event": kind, "time": float(number)} for number, kind in enumerate(kinds)])
    assert history.search["time"] == 0.0
    assert ([each["time"] for each in history.openings], len(history.tests)) == ([1.0, 2.0], 1)
    assert history.trials == {}


def test_folding_all_at_once_is_folding_one_by_one():
    events = [proposal(0), start(0), report(0, epoch(1)), report(0, epoch(1), epoch(2)), ending(0, "completed")]
    one_by_one = History()
    for event in events:
        one_by_one.apply(event)
    assert one_by_one.trials == History(events).trials


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    yield log
    log.close()


def test_the_log_is_read_as_it_was_written(log):
    written = [log.append("proposal", trial=1, config={"widths": [3]}), log.append("end", note="größer\n2")]
    assert list(read(log.path)) == written
    assert [event["event"] for event in written] == ["proposal", "end"]
    assert written[0]["time"] <= written[1]["time"]


def test_a_log_can_be_read_while_it_is_written(log):
    reader = EventReader(log.path)
    assert reader.new() == []
    log.append("a")
    assert [event["event"] for event in reader.new()] == ["a"]
    log.append("b")
    log.append("c")
    assert [event["event"] for event in reader.new()] == ["b", "c"]
    assert reader.new() == []


def test_a_reader_takes_at_most_its_limit_and_goes_on_there(log):
    for number in range(5):
        log.append("x", number=number)
    reader = EventReader(log.path)
    assert [[event["number"] for event in reader.new(limit=2)] for _ in range(4)] == [[0, 1], [2, 3], [4], []]


def test_a_last_line_cut_off_is_ignored_until_it_is_whole(log):
    log.append("a")
    line = json.dumps({"event": "b", "time": 0.0, "note": "größer"}, ensure_ascii=False).encode() + b"\n"
    reader = EventReader(log.path)
    reader.new()
    for cut in range(len(line)):
        with log.path.open("ab") as file:
            file.write(line[cut : cut + 1])
        assert [event["event"] for event in reader.new()] == (["b"] if cut == len(line) - 1 else [])
        assert len(list(read(log.path))) == (2 if cut == len(line) - 1 else 1)


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -float("inf")])
def test_figures_that_are_not_json_are_refused_and_leave_the_log_whole(log, figure):
    log.append("a")
    with pytest.raises(ValueError, match="not JSON compliant"):
        log.append("report", epochs=[{"val_loss": figure}])
    log.append("b")
    assert [event["event"] for event in read(log.path)] == ["a", "b"]


def test_an_existing_log_is_not_written_over(log):
    with pytest.raises(FileExistsError):
        EventLog(log.path)


def stop(by: str) -> dict:
    return {"event": "stop", "time": 5.0, "by": by, "reason": "so"}


END = {"event": "end", "time": 9.0, "wall_seconds": 3.0, "interrupted": False}


@pytest.mark.parametrize(
    ("events", "by"),
    [
        ([], None),
        ([stop("target")], "target"),
        ([stop("target"), stop("interruption")], "interruption"),
        ([stop("target"), END, stop("interruption")], "target"),
        ([END, stop("interruption")], None),
    ],
)
def test_what_ended_the_search_is_not_what_ended_a_later_command(events, by):
    history = History(events)
    assert (history.stop["by"] if history.stop else None) == by


def test_epochs_searched_leave_out_what_is_beside_the_search():
    beside = proposal(0) | {"apart": "reference", "origin": "by hand", "epochs": 50}
    history = History([beside, proposal(1), report(0, epoch(1), epoch(2)), report(1, epoch(1))])
    assert (history.epochs_trained, history.epochs_searched) == (3, 1)
    assert [trial.id for trial in history.searched()] == [1]
    assert (history.trials[0].origin, history.trials[0].own_epochs) == ("by hand", 50)
