"""A search's trials as Optuna has them, and the file that its tools open."""

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from past_search import PastSearch
from proposing import Make

from search import conf
from search.driver import Driver
from search.events import EventLog
from search.history import History, State
from search.space import Fixed, Range
from search.study import frozen_trials, main
from search.task import Task

CONF = """
dataset: digits
epochs: 20
grace: 2
models: {mlp: {widths: {choice: [[8], [16]]}}, cnn: {channels: [4]}}
space: {lr: {low: 1e-3, high: 1e-1, log: true}, dropout: {low: 0.0, high: 0.5, step: 0.1}, batch_size: 64}
"""
MLP = {"model": "mlp", "mlp.widths": [16], "lr": 0.01, "dropout": 0.3, "batch_size": 64}
CNN = {"model": "cnn", "cnn.channels": [4], "lr": 0.02, "dropout": 0.0, "batch_size": 64}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "mine.yaml").write_text(CONF)
    return conf.load(str(tmp_path / "mine.yaml"), {}, [])


STATES: list[tuple[State, int | None, str, float | None, dict[int, float]]] = [
    # state, missed rung, Optuna's state, value, intermediate values
    ("running", None, "RUNNING", None, {2: 0.5, 6: 0.25}),
    ("paused", None, "PRUNED", 0.25, {2: 0.5, 6: 0.25}),
    ("completed", None, "COMPLETE", 0.125, {2: 0.5, 6: 0.25}),
    ("pruned", None, "PRUNED", 0.25, {2: 0.5, 6: 0.25}),
    ("converged", None, "COMPLETE", 0.125, {2: 0.5, 6: 0.25}),
    ("converged", 18, "PRUNED", 0.125, {2: 0.5, 6: 0.25, 18: 0.125}),
    ("diverged", None, "PRUNED", None, {}),
    ("oom", None, "PRUNED", None, {}),
    ("failed", None, "FAIL", None, {}),
    ("cancelled", None, "FAIL", None, {}),
]


@pytest.mark.parametrize(("state", "missed_rung", "optuna_state", "value", "values"), STATES)
def test_every_state_has_its_trial(
    task: Task,
    state: State,
    missed_rung: int | None,
    optuna_state: str,
    value: float | None,
    values: dict[int, float],
) -> None:
    past = PastSearch(task)
    trial = past.propose(MLP)
    for epochs, best in (([1, 2], 0.5), ([3, 4], 0.4), ([5, 6], 0.25), ([7], 0.125)):
        past.report(trial, epochs, best)
    if state == "paused":
        past.pause(trial)
    elif state != "running":
        past.end(trial, state, missed_rung=missed_rung)
    found = frozen_trials(past.history, task.space)[trial]
    assert (found.state.name, found.value, found.intermediate_values) == (optuna_state, value, values)
    assert found.user_attrs["state"] == state
    assert found.datetime_start == datetime.fromtimestamp(1e9 + 1)
    ended = {"running": None, "paused": 1e9 + 5}.get(state, 1e9 + 6)
    assert found.datetime_complete == (ended and datetime.fromtimestamp(ended))


def test_the_table_has_every_state() -> None:
    assert {state for state, *_ in STATES} == set(get_args(State))


def test_a_trial_has_what_was_searched_with_its_distributions(task: Task) -> None:
    past = PastSearch(task)
    for config in (MLP, CNN):
        past.complete(config)
    mlp, cnn = frozen_trials(past.history, task.space).values()
    shared = {"lr": FloatDistribution(1e-3, 1e-1, log=True), "dropout": FloatDistribution(0.0, 0.5, step=0.1)}
    families = {"model": CategoricalDistribution(("mlp", "cnn"))}
    widths = {"mlp.widths": CategoricalDistribution(("[8]", "[16]"))}
    assert mlp.params == {"model": "mlp", "mlp.widths": "[16]", "lr": 0.01, "dropout": 0.3}
    assert mlp.distributions == families | widths | shared
    assert cnn.params == {"model": "cnn", "lr": 0.02, "dropout": 0.0}
    assert cnn.distributions == families | shared


def test_its_attributes_say_what_it_was(task: Task) -> None:
    past = PastSearch(task)
    past.propose({"model": "mlp"}, apart="reference", origin="by hand")
    past.complete(MLP)
    (found,) = frozen_trials(past.history, task.space).values()
    assert json.loads(json.dumps(found.user_attrs)) == {
        "number": 1, "state": "completed", "reason": "so", "origin": "sampler", "checkpoint": None,
    }  # fmt: skip


def test_values_are_costs_and_with_folds_not_the_least_of_the_curve(tmp_path: Path, task: Task) -> None:
    past = PastSearch(task)
    trial = past.propose(MLP)
    past.report(trial, [1, 2], loss=0.5, best=0.375)
    (found,) = frozen_trials(past.history, task.space).values()
    assert found.intermediate_values == {2: 0.375}
    by_f1 = PastSearch(conf.load(str(tmp_path / "mine.yaml"), {"metric": "val_f1"}, []))
    by_f1.complete(MLP)
    (found,) = frozen_trials(by_f1.history, task.space).values()
    assert found.value == 0.25


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 2),
        ({"lr": Range(1e-4, 1.0)}, 2),
        ({"lr": Fixed(0.01)}, 1),
        ({"lr": Range(0.015, 0.1)}, 1),
        ({"batch_size": Range(32, 64, step=32, integer=True)}, 2),
        ({"batch_size": Fixed(32)}, 0),
        ({"affine": Fixed(0.1)}, 0),
        ({"dropout": None}, 0),
    ],
)
def test_a_trial_outside_another_space_is_left_out(task: Task, change: dict[str, Any], count: int) -> None:
    past = PastSearch(task)
    for config in (MLP, CNN):
        past.complete(config)
    space = {key: node for key, node in (task.space | change).items() if node is not None}
    found = frozen_trials(past.history, space)
    assert len(found) == count
    searched = {key for key, node in space.items() if not isinstance(node, Fixed)}
    assert all(trial.params.keys() - {"mlp.widths"} == searched for trial in found.values())


def test_what_the_sampler_was_told_can_be_made_again_from_the_log_alone(tmp_path: Path, task: Task, make: Make) -> None:
    """Trials side by side that end by chance, in every way."""
    log = EventLog(tmp_path / "events.jsonl")
    history = History([log.append("search", metric=task.metric, milestones=task.milestones)])
    proposer = make(task.space, "random", 0, milestones=task.milestones)
    driver = Driver(task, log, history, proposer, num_samples=200, seed=0)
    rng = random.Random(0)
    on_workers: list[int] = []
    ages: dict[int, int] = {}
    bests: dict[int, dict[str, Any]] = {}
    while len(history.trials) < 200:
        if len(on_workers) < 6 and (proposal := driver.propose()):
            on_workers.append(proposal["trial"])
        trial = rng.choice(on_workers)
        ages[trial] = ages.get(trial, 0) + 1
        figures = PastSearch(task)
        figures.report(trial, [ages[trial]], rng.random() + 0.5 / ages[trial])
        report = figures.events[-1]
        if trial not in bests or report["best"]["val_loss"] < bests[trial]["val_loss"]:
            bests[trial] = report["best"]
        ending = None
        if ages[trial] == task.epochs:
            ending = "completed"
        elif ages[trial] not in task.milestones and rng.random() < 0.1:
            ending = rng.choice(["converged", "converged", "diverged", "oom", "failed"])
        message = report | {"best": bests[trial], "value": bests[trial]["val_loss"], "ending": ending, "worker": None}
        if driver.report(message) or driver.judge(message):
            on_workers.remove(trial)
            driver.left(trial)
    assert "paused" in history.counts()
    driver.end()
    log.close()

    def seen(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
        return trial.state.name, trial.value, trial.intermediate_values, trial.params, trial.distributions

    told = [seen(trial) for trial in proposer.trials]
    assert [seen(trial) for trial in frozen_trials(history, task.space).values()] == told
    assert {*get_args(State)} - {"running", "paused"} == history.counts().keys()
    assert any(trial.missed_rung for trial in history.trials.values())


def test_the_command_writes_a_study_that_optuna_opens(
    tmp_path: Path, task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    past = PastSearch(task, "mine")
    past.propose({"model": "mlp"}, apart="reference", origin="by hand")
    for state in ("completed", "pruned", "diverged", "failed"):
        trial = past.propose(MLP)
        past.report(trial, [1, 2], 0.5)
        past.end(trial, state)
    past.propose(CNN)
    folder = past.write(tmp_path)
    for _ in range(2):  # the second time in the place of the first
        assert main(["mine", "--runs-dir", str(tmp_path)]) == 0
        said = capsys.readouterr()
        file = folder / "study.journal"
        assert (said.out, said.err) == (f"wrote 5 trials of mine; see them with: optuna-dashboard {file}\n", "")
        backend = optuna.storages.journal.JournalFileBackend(str(file))
        study = optuna.load_study(study_name="mine", storage=optuna.storages.JournalStorage(backend))
        states = [(trial.state.name, trial.user_attrs["number"]) for trial in study.trials]
        assert states == [("COMPLETE", 1), ("PRUNED", 2), ("PRUNED", 3), ("FAIL", 4), ("RUNNING", 5)]
        assert (study.direction.name, study.metric_names, study.best_value) == ("MINIMIZE", ["val_loss"], 0.5)
        assert study.trials[0].intermediate_values == {2: 0.5}
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "study.journal"]


def test_of_a_score_the_study_has_what_it_lacks_to_1(tmp_path: Path, task: Task) -> None:
    past = PastSearch(conf.load(str(tmp_path / "mine.yaml"), {"metric": "val_f1"}, []), "mine")
    past.complete(MLP)
    past.write(tmp_path)
    assert main([str(tmp_path / "mine"), "--out", str(tmp_path / "f1.journal")]) == 0
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "f1.journal"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert (study.metric_names, study.best_value) == (["1 - val_f1"], 0.25)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "NAME"),
        (["yours"], "no search yours in "),
        (["mine", "--out", "{runs}/no/x.journal"], "--out {runs}/no/x.journal: no folder {runs}/no"),
        (["mine", "--out", "{runs}"], "--out {runs}: cannot be written (Is a directory)"),
        (["mine", "--output", "x"], "--output"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tmp_path: Path, task: Task, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    runs = tmp_path / "runs"
    folder = PastSearch(task, "mine").write(runs)
    assert main([argument.format(runs=runs) for argument in arguments] + ["--runs-dir", str(runs)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert says.format(runs=runs) in line
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.yaml", "events.jsonl"]
    assert [path.name for path in folder.iterdir()] == ["events.jsonl"]
