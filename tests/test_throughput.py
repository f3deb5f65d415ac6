"""The figures of timed searches, on made-up epochs, and the list that all systems are given."""

import json
import sys
import threading
from contextlib import closing

import pytest

from benchmarks import rungs_search, systems, throughput
from benchmarks.epoch_log import EpochSpan
from benchmarks.measurement import Measurement, measurement
from benchmarks.setting import Setting, draw
from benchmarks.systems import System, rungs_spans
from search import conf, events, run
from search.proposer import Proposer
from search.recorder import Recorder

GIVEN = draw(3, 7)


@pytest.fixture
def setting(tmp_path) -> Setting:
    return Setting(2, 7, False, GIVEN, tmp_path)


def test_the_list_is_what_random_sampling_proposes():
    task = conf.load("digits", {"epochs": 2, "scheduler": "none"}, ["patience=2"])
    with closing(Proposer(task.space, "random", 7, task.references)) as proposer:
        assert [trial.config for trial in GIVEN] == [proposer.ask(number)[0] for number in range(3)]
    assert draw(3, 7) == GIVEN
    assert not {trial.seed for trial in draw(3, 8)} & {trial.seed for trial in GIVEN}


def test_a_setting_comes_back_from_its_folder(setting):
    setting.write()
    again = Setting.read(setting.folder)
    assert again == setting
    assert [again.place(trial.config) for trial in GIVEN] == [0, 1, 2]


@pytest.mark.parametrize("asha", [False, True])
def test_without_asha_nothing_ends_a_trial_early(tmp_path, asha):
    task = Setting(30, 0, asha, (), tmp_path).task()
    assert bool(task.milestones) == asha
    assert (task.patience < task.epochs) == asha


def write_log(setting: Setting, seed: int) -> str:
    """Two reports of two epochs each by every trial, half a second an epoch; returns what the command prints."""
    folder = setting.folder / "searched"
    folder.mkdir()
    figures = {"train_loss": 1.0, "val_loss": 1.0, "val_error": 0.5, "val_f1": 0.5, "seconds": 0.5}
    with (folder / events.FILE_NAME).open("w", encoding="utf-8") as file:
        for number, trial in enumerate(setting.given):
            lines = [{"event": "proposal", "time": 100.0, "trial": number, "config": trial.config, "seed": seed}]
            for last in (2, 4):
                epochs = [{"index": index, **figures} for index in (last - 1, last)]
                report = {"trial": number, "epochs": epochs, "best": epochs[0]}
                lines.append({"event": "report", "time": 100.0 + 10 * number + last, **report})
            file.writelines(json.dumps(line) + "\n" for line in lines)
    return json.dumps({"name": folder.name})


def test_our_epochs_are_laid_before_their_reports(tmp_path):
    setting = Setting(4, 7, False, GIVEN[:1], tmp_path)
    starts = [101.0, 101.5, 103.0, 103.5]
    output = write_log(setting, GIVEN[0].seed)
    assert rungs_spans(setting, output) == [EpochSpan("0", start, 0.5) for start in starts]


def test_a_search_that_left_the_list_is_refused(setting):
    with pytest.raises(SystemExit, match="our trial 0 was not trained as the list has it"):
        rungs_spans(setting, write_log(setting, GIVEN[0].seed + 1))


# Two workers: trials a and b from 10 to 12, c from 13 to 14 on one of them; the command runs from 5 to 20.
SPANS = [EpochSpan(trial, start, 1.0) for trial, start in (("a", 10), ("a", 11), ("b", 10), ("b", 11), ("c", 13))]


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("trials", 3),
        ("epochs", 5),
        ("wall_ms_an_epoch", 3000),
        ("span_ms_an_epoch", 800),
        ("train_ms_an_epoch", 1000),
        ("busy", 4 / 6),
        ("busy_to_end", 5 / 8),
        ("first_epoch_seconds", 5),
        ("recorder", 0.1),
    ],
)
def test_figures_of_a_run(figure, value):
    assert getattr(measurement(5.0, 15.0, SPANS, 1.5), figure) == pytest.approx(value)


def test_only_what_lies_before_the_last_trial_counts_as_busy():
    spans = [EpochSpan("a", 10, 4.0), EpochSpan("b", 12, 1.0)]
    assert measurement(0.0, 20.0, spans).busy == pytest.approx(2 / 4)
    assert measurement(0.0, 20.0, spans[:1]).busy is None


def made(system: str, repeat: int, wall: float, section: str = "fixed") -> dict:
    figures = dict.fromkeys(Measurement.__dataclass_fields__, wall) | {"recorder": None}
    return {"section": section, "system": system, "repeat": repeat, **figures}


def test_ratios_are_of_the_same_repeat():
    runs = [made("rungs", 0, 2.0), made("rungs", 1, 4.0), made("optuna", 0, 1.0), made("optuna", 1, 4.0)]
    row = throughput.figures([*runs, made("rungs", 0, 9.0, "asha")], "fixed", "optuna")
    assert row["wall_seconds"] == (2.5, 1.0, 4.0)
    assert row["wall_seconds_to_rungs"] == (0.75, 0.5, 1.0)
    assert row["wall_seconds_to_optuna"] == (1.0, 1.0, 1.0)
    assert "recorder" not in row


def test_the_table_has_a_row_a_section_and_system():
    runs = [made("optuna", 0, 2.0), made("rungs", 0, 1.0), made("bare_ray", 0, 3.0, "start")]
    lines = [line.split("|")[1:-1] for line in throughput.table(throughput.summary(runs)).splitlines()]
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line] for line in lines]
    assert [row[:3] for row in cells[2:]] == [
        ["start", "bare_ray", "3.0"],
        ["fixed", "rungs", "1.0"],
        ["fixed", "optuna", "2.0"],
    ]
    assert cells[2].count("–") == len(cells[0]) - 4


def test_each_system_is_first_in_turn():
    runs = list(throughput.turns(2, ["start", "fixed"], ["rungs", "optuna", "bare_ray"]))
    assert runs == [
        (0, "start", "bare_ray"),
        (0, "fixed", "rungs"),
        (0, "fixed", "optuna"),
        (1, "start", "bare_ray"),
        (1, "fixed", "optuna"),
        (1, "fixed", "rungs"),
    ]


def test_what_is_not_installed_is_left_out_with_its_reason(monkeypatch, capsys):
    lacking = System(lambda _: [], optional="benchmarks.no_such_peer")
    there = System(lambda _: [], optional="benchmarks.epoch_log")
    monkeypatch.setattr(throughput, "SYSTEMS", {"lacking": lacking, "there": there})
    assert throughput.available(["lacking", "there"]) == ["there"]
    assert capsys.readouterr().err == (
        "lacking is left out: ModuleNotFoundError: No module named 'benchmarks.no_such_peer' "
        "(how to install it: benchmarks/no_such_peer.py)\n"
    )


def test_the_users_python_path_reaches_those_that_need_it(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/more")
    paths = {name: system.environment()["PYTHONPATH"] for name, system in systems.SYSTEMS.items()}
    assert {name for name, path in paths.items() if "/more" in path} == {"syne_tune", "syne_tune_quick"}


def test_the_recorders_thread_is_timed(monkeypatch, tmp_path):
    def command(arguments: list[str]) -> int:
        recorder = Recorder(tmp_path, "")
        recorder.start()
        recorder.finish(10)
        return len(arguments)

    monkeypatch.setattr(threading.Thread, "run", threading.Thread.run)
    monkeypatch.setattr(Recorder, "_follow", lambda _: None)
    monkeypatch.setattr(run, "main", command)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "seconds"), "digits", "--quiet"])
    assert rungs_search.main() == 2
    assert float((tmp_path / "seconds").read_text()) >= 0
