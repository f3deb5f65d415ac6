"""Which trials of earlier searches a search begins with, and which of them it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conf_document import message_of
from past_search import PastSearch

from datasets import digits
from search import conf, warm_start
from search.run import main
from search.task import Task

CONF = """
dataset: digits
epochs: 9
models: {mlp: {widths: {choice: [[8], [16]]}}}
space: {lr: {low: 1e-3, high: 1e-1, log: true}, batch_size: 64}
"""
CONFIG = {"model": "mlp", "mlp.widths": [16], "lr": 0.01, "batch_size": 64}
Load = Callable[..., Task]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "mine.yaml").write_text(CONF)
    return lambda *assignments, **changes: conf.load(str(tmp_path / "mine.yaml"), changes, assignments)


def test_trials_of_several_searches_are_told_and_the_rest_counted_by_reason(tmp_path: Path, load: Load) -> None:
    task = load("max_parameters=2000")
    first, second = PastSearch(load(), "first"), PastSearch(load("lr={low: 1e-3, high: 1.0}"), "second")
    for state in ("completed", "pruned", "oom", "failed", "cancelled", "failed"):
        trial = first.propose(CONFIG)
        first.report(trial, [1], 0.5)
        first.end(trial, state)
    first.propose(CONFIG)
    first.propose({"model": "mlp"}, apart="reference", origin="by hand")
    trial = first.propose(CONFIG)
    first.report(trial, [1], 0.5)
    first.pause(trial)
    for lr, parameters in ((0.05, 500), (0.5, 500), (0.05, 5000)):
        trial = second.propose(CONFIG | {"lr": lr})
        second.start(trial, parameters)
        second.report(trial, [1], 0.25)
        second.end(trial, "completed")
    first.write(tmp_path)
    found = warm_start.load(["first", str(second.write(tmp_path / "elsewhere"))], tmp_path, task)
    assert [str(search) for search in found] == [
        "4 of 8 trials of first (2 failed, 1 cancelled, 1 running)",
        "1 of 3 trials of second (1 outside today's space, 1 larger than max_parameters)",
    ]
    assert [[trial.state.name for trial in search.trials] for search in found] == [
        ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"], ["COMPLETE"],
    ]  # fmt: skip
    assert found[1].trials[0].params == {"mlp.widths": "[16]", "lr": 0.05}
    assert found[1].facts == {
        "name": "second", "id": "the id of second", "trials": 1,
        "left_out": {"outside today's space": 1, "larger than max_parameters": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("assignment", "parameters"),
    [
        ("lr={low: 1e-2, high: 1e-1}", {"mlp.widths": "[16]", "lr": 0.01}),
        ("lr={low: 2e-2, high: 1e-1}", None),
        ("lr=0.01", {"mlp.widths": "[16]"}),
        ("lr=0.02", None),
        ("mlp.widths={choice: [[16], [32]]}", {"mlp.widths": "[16]", "lr": 0.01}),
        ("mlp.widths={choice: [[8], [32]]}", None),
        ("batch_size={choice: [32, 64]}", {"mlp.widths": "[16]", "lr": 0.01, "batch_size": 64}),
        ("batch_size=32", None),
        ("mlp.dropout=0.0", None),
        ("mlp.batch_size=64", None),
    ],
)
def test_a_trial_is_told_where_todays_space_could_yield_its_very_configuration(
    tmp_path: Path, load: Load, assignment: str, parameters: dict[str, Any] | None
) -> None:
    past = PastSearch(load())
    past.complete(CONFIG)
    past.write(tmp_path)
    if parameters is None:
        said = message_of(warm_start.load, ["past"], tmp_path, load(assignment))
        assert said == "--warm-start: nothing to start from: 0 of 1 trials of past (1 outside today's space)"
    else:
        (found,) = warm_start.load(["past"], tmp_path, load(assignment))
        assert [trial.params for trial in found.trials] == [parameters]


@pytest.mark.parametrize(
    ("names", "changes", "says"),
    [
        (["none"], {}, "no search none in {runs}: it has empty, past"),
        (["past", "{runs}/past"], {}, "--warm-start {runs}/past: stands twice"),
        (["empty"], {}, "--warm-start: nothing to start from: 0 of 0 trials of empty"),
        (["past"], {"epochs": 8}, "{past} epochs was 9, and is 8; --epochs 9 would do"),
        (["past"], {"metric": "val_error"}, "{past} metric was val_loss, and is val_error; --metric val_loss would do"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    tmp_path: Path, load: Load, names: list[str], changes: dict[str, Any], says: str
) -> None:
    past = PastSearch(load())
    past.complete(CONFIG)
    for search in (past, PastSearch(load(), "empty")):
        search.write(tmp_path)
    said = message_of(warm_start.load, [name.format(runs=tmp_path) for name in names], tmp_path, load(**changes))
    assert said == says.format(runs=tmp_path, past="--warm-start past: its values can't be compared:")


def test_a_dry_run_says_what_is_told_and_refuses_other_data(
    tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = digits.load(tmp_path).digest()
    for name, data in (("past", digest), ("other", "abc")):
        past = PastSearch(load(), name, dataset_digest=data)
        past.complete(CONFIG)
        past.complete(CONFIG | {"batch_size": 32})
        past.write(tmp_path)
    arguments = [str(tmp_path / "mine.yaml"), "--runs-dir", str(tmp_path), "--dry-run", "--json"]
    assert main([*arguments, "--warm-start", "past"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["warm start"] == ["1 of 2 trials of past (1 outside today's space)"]
    assert main([*arguments, "--warm-start", "past", "--warm-start", "other"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: --warm-start other: the data of mine (")
    assert line.endswith("are not those it was searched on (mine, there)")
