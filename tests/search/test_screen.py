"""What the result says on the terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from search import screen

TEST = {"trial": 3, "model": "cnn", "origin": "sampler", "chosen": "winner", "opening": 1, "error": 0.01, "loss": 0.05,
        "f1": 0.99, "interval": [0.005, 0.02], "fold_errors": [0.01]}  # fmt: skip
TRAINED = {"val_loss": 0.2, "val_error": 0.05, "error": 0.06, "interval": [0.05, 0.07], "loss": 0.3, "f1": 0.9,
           "search": "mine", "trial": 0}  # fmt: skip


def said(*tests: dict[str, Any], **changes: Any) -> str:
    """The result of a search named ``mine``."""
    trials = [{"id": number, "val_loss": 0.04, "val_error": 0.012, "val_f1": 0.97, "state": "completed"}
              for number in range(9)]  # fmt: skip
    summary = {"name": "mine", "metric": "val_loss", "trials": trials, "counts": {"completed": 9},
               "epochs_trained": 90, "wall_seconds": 61.0, "ended_by": "all trials", "ended_reason": "",
               "test": list(tests), "references": [], "ledger": None, "dataset_warnings": [],
               "verdict": {"sentences": ["It is good.", "As promised.", "And so on."]}, **changes}  # fmt: skip
    console = Console(file=io.StringIO(), width=60)
    screen.show(console, summary, [("results", "runs/mine")])
    text: str = console.file.getvalue()
    return text


def test_the_head_counts_and_the_last_lines_say_where_everything_is() -> None:
    lines = said(TEST).splitlines()
    assert lines[1] == "mine: 9 trials (9 completed), 90 epochs, 1 min 01 s"
    assert lines[2] == "It is good. As promised."
    assert lines[-1].split() == ["results", "runs/mine"]


@pytest.mark.parametrize(
    ("test", "row"),
    [
        ({}, "3 cnn 0.0400 1.20 % 1.00 % 0.50 to 2.00 0.0500 0.9900 winner"),
        ({"chosen": "family"}, "3 cnn 0.0400 1.20 % 1.00 % 0.50 to 2.00 0.0500 0.9900 best of its family"),
        ({"chosen": None}, "3 cnn 0.0400 1.20 % 1.00 % 0.50 to 2.00 0.0500 0.9900 beside them"),
        (
            {"chosen": "again", "origin": "trial 2", "opening": 4},
            "3 cnn 0.0400 1.20 % 1.00 % 0.50 to 2.00 0.0500 0.9900 trial 2 again, opening 4",
        ),
    ],
)
def test_a_tested_checkpoint_is_a_row_with_its_part(test: dict[str, Any], row: str) -> None:
    assert row in [" ".join(line.split()) for line in said(TEST | test).splitlines()]


@pytest.mark.parametrize(
    ("trained", "reported", "rows"),
    [
        (None, {"test_error": 0.0984, "test_loss": 0.301}, ["mlp 9.84 % 0.301 reported: by hand"]),
        (TRAINED, {}, ["0 mlp 0.2000 5.00 % 6.00 % 5.00 to 7.00 0.3000 0.9000 trained here: by hand"]),
        (
            TRAINED | {"search": "before"},
            {"test_error": 0.1},
            [
                "mlp 0.2000 5.00 % 6.00 % 5.00 to 7.00 0.3000 0.9000 trained here: by hand (in before)",
                "mlp 10.00 % reported: by hand",
            ],
        ),
    ],
)
def test_a_reference_stands_below_as_trained_here_and_as_reported(
    trained: dict[str, Any] | None, reported: dict[str, float], rows: list[str]
) -> None:
    reference = {"name": "by hand", "model": "mlp", "trained": trained, "reported": reported}
    lines = [" ".join(line.split()) for line in said(TEST, references=[reference]).splitlines()]
    assert [line for line in lines if "by hand" in line] == rows


def test_validations_f1_has_a_column_where_it_is_the_metric() -> None:
    references = [
        {"name": "new", "model": "mlp", "trained": TRAINED | {"val_f1": 0.85}, "reported": {"test_error": 0.1}},
        {"name": "old", "model": "mlp", "trained": TRAINED | {"search": "before"}, "reported": {}},
    ]
    assert "val F1" not in said(TEST, references=references)
    lines = said(TEST, references=references, metric="val_f1").splitlines()
    (head,) = [line for line in lines if "val error val F1 test error" in " ".join(line.split())]
    end = head.index("val F1") + len("val F1")
    rows = [line for line in lines if "mlp" in line or "cnn" in line]
    assert [row[end - 6 : end].strip() for row in rows] == ["0.9700", "0.8500", "", ""]


def test_folds_budgets_warnings_and_broken_trials_are_said() -> None:
    broken = [{"id": 1, "state": "oom", "reason": "CUDA out of memory", "val_loss": None, "val_error": None}]
    text = said(
        TEST | {"trial": 3, "fold_errors": [0.02, 0.03]},
        ended_by="target",
        ended_reason="trial 3 has validation error 0.01, target 0.02",
        dataset_warnings=["dataset svhn: not the published file"],
        trials=[*broken, {"id": 3, "val_loss": 0.1, "val_error": 0.01, "state": "completed"}],
    )
    assert "ended early: trial 3 has validation error 0.01, target 0.02\n" in text
    assert "winner's 2 folds, test error of each model alone: 2.00, 3.00 %; averaged: 1.00 %\n" in text
    assert "warning: dataset svhn: not the published file\n" in text
    assert "trial 1 oom: CUDA out of memory\n" in text


@pytest.mark.parametrize(
    ("searches", "complete", "line"),
    [
        ("a", True, None),
        ("aba", True, "this test split has been looked at 3 times, by 2 searches"),
        ("aa", True, "this test split has been looked at 2 times, by 1 search"),
        ("aa", False, "this test split has been looked at 2 times, by 1 search; MLflow may know of more"),
    ],
)
def test_how_often_the_test_split_was_looked_at_is_said_if_more_than_once(
    searches: str, complete: bool, line: str | None
) -> None:
    openings = [{"id": name, "search": "mine"} for name in searches]
    text = said(TEST, ledger={"split": "s", "openings": openings, "complete": complete})
    assert [found for found in text.splitlines() if "looked at" in found] == ([line] if line else [])


def test_where_nothing_was_tested_the_verdict_alone_says_so() -> None:
    assert said().splitlines()[2:] == ["It is good. As promised.", "results   runs/mine"]


def test_what_the_disk_has_is_said_in_few_words() -> None:
    facts = {"checkpoints": 5, "checkpoint_bytes": 1_250_000, "bytes": 12_000_000}
    assert screen.disk(facts) == "12.0 MB, 1.2 MB of them checkpoints of 5 trials"
