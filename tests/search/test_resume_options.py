"""Which searches can go on with which command, and what those that cannot are told."""

from pathlib import Path
from typing import Any

import pytest
from past_search import PastSearch

from datasets import digits
from datasets.errors import UserError
from search import cli, conf, resuming
from search.events import FILE_NAME, EventLog
from search.run import main

DIGEST = digits.load(Path("/nowhere")).digest()
GIVEN = ["digits", "--num-samples", "3", "--epochs", "9", "--set", "mlp.widths=[16]", "--model", "mlp", "--seed", "4"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with a search ``past`` of two trials that was cut off."""
    task = conf.load("digits", {"epochs": 9}, ["mlp.widths=[16]"], ["mlp"])
    options = {name: str(value) if isinstance(value, Path) else value for name, value in vars(cli.parse(GIVEN)).items()}
    for name in ("resume", "storage"):
        del options[name]  # an older log has not all of today's options
    search = PastSearch(task, options=options, dataset_digest=DIGEST, tracking_uri="sqlite:///then.db")
    search.propose({"model": "mlp"})
    search.write(tmp_path)
    return tmp_path


def merged(runs: Path, *arguments: str) -> cli.Options:
    line = ["digits", "--resume", "past", "--runs-dir", str(runs), *arguments]
    given = cli.parse(line)
    return resuming.options(line, given, resuming.load(given))


def test_options_are_as_they_were_unless_they_are_given_again(runs: Path) -> None:
    options = merged(runs)
    assert (options.num_samples, options.epochs, options.set, options.seed) == (3, 9, ["mlp.widths=[16]"], 4)
    assert (options.name, options.resume, options.tracking_uri) == ("past", "past", "sqlite:///then.db")
    options = merged(runs, "--num-samples", "8", "--set", "mlp.widths=[16]", "--time-budget", "2h", "--data-root", "/d")
    assert (options.num_samples, options.time_budget, options.data_root) == (8, 7200.0, Path("/d"))
    assert options.set == ["mlp.widths=[16]"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--resume", "nothing"], "no search nothing in {runs}: it has past"),
        (["--epochs", "10"], "--resume past: --epochs stays as it began; leave it out, or take what *"),
        (["--reduction-factor", "4"], "--resume past: --reduction-factor stays as it began; *"),
        (["--set", "lr=0.1"], "--resume past: --set stays as it began; *"),
        (["--sampler", "tpe"], "--resume past: --sampler stays as it began; *"),
        (["--name", "other"], "--resume past --name other: a search that goes on keeps its name"),
    ],
)  # fmt: skip
def test_what_cannot_go_on_says_why(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    before = (runs / "past" / FILE_NAME).read_bytes()
    assert main(["digits", "--resume", "past", "--runs-dir", str(runs), *arguments]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    expected = f"error: {line.format(runs=runs)}"
    assert told == expected or (expected.endswith("*") and told.startswith(expected.removesuffix("*")))
    assert (runs / "past" / FILE_NAME).read_bytes() == before


def test_another_task_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist", "--resume", "past", "--runs-dir", str(runs)]) == 2
    assert capsys.readouterr().err == "error: --resume past: is a search of digits, not of mnist\n"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (
            {"conf": {"epochs": 12}},
            "the conf of digits is not what it began with: epochs was 12, and is 9; a new search",
        ),
        ({"conf": {"patience": None}}, "the conf of digits is not what it began with: patience was null, and is "),
        ({"dataset_digest": "other"}, "the data are not those it began with (there)"),
    ],
)
def test_a_conf_and_data_that_have_changed_are_refused(runs: Path, facts: dict[str, Any], line: str) -> None:
    task = conf.load("digits", {"epochs": 9}, ["mlp.widths=[16]"], ["mlp"])
    changed = {name: task.resolved | value if name == "conf" else value for name, value in facts.items()}
    past = PastSearch(task, **({"dataset_digest": DIGEST} | changed))
    earlier = resuming.Earlier(runs / "past", past.history)
    with pytest.raises(UserError) as refused:
        earlier.check(task, DIGEST)
    assert str(refused.value).startswith(f"--resume past: {line}")


def test_data_may_lie_elsewhere(runs: Path) -> None:
    task = conf.load("digits", {}, [])
    then = task.resolved | {"dataset": {**task.resolved["dataset"], "root": "/elsewhere"}}
    resuming.Earlier(runs / "past", PastSearch(task, conf=then).history).check(task)


def test_a_search_that_another_command_runs_is_left_alone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog(runs / "past" / FILE_NAME, resume=True)
    assert (
        main(["digits", "--resume", "past", "--runs-dir", str(runs), "--tracking-uri", f"sqlite:///{runs}/m.db"]) == 2
    )
    log.close()
    told = f"error: {runs / 'past'}: another command is writing to this search; wait until it ends\n"
    assert capsys.readouterr().err == told


def test_a_log_with_nothing_in_it_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "empty").mkdir()
    (runs / "empty" / FILE_NAME).write_text('{"event": "sear')
    assert main(["digits", "--resume", "empty", "--runs-dir", str(runs)]) == 2
    assert "was cut off before the search began" in capsys.readouterr().err


def test_a_dry_run_says_what_it_goes_on_with(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digits", "--resume", "past", "--runs-dir", str(runs), "--dry-run"]) == 0
    assert "goes on with: {running: 1}" in capsys.readouterr().out
