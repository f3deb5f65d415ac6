import argparse
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from datasets.errors import UserError
from search import cli
from search.cli import Options

ROOT = Path(__file__).parents[2]

# The command line is what users have in their scripts: an option is added here knowingly, and none is taken away.
FLAGS = [
    *("--num-samples", "--gpus-per-trial", "--cpus-per-trial", "--max-concurrent", "--epochs", "--metric"),
    *("--scheduler", "--grace", "--reduction-factor", "--model", "--sampler", "--time-budget", "--epoch-budget"),
    *("--target", "--references", "--warm-start", "--seed", "--name", "--resume", "--data-root", "--runs-dir"),
    *("--storage", "--keep", "--disk-budget", "--tracking-uri", "--register", "--ray-address", "--top-k", "--confirm"),
    *("--confirm-seeds", "--set", "--dry-run", "--quiet", "--json"),
]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv("DATA_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def actions() -> list[argparse.Action]:
    return [action for action in cli.parser()._actions if action.dest != "help"]


def test_the_options_are_these():
    assert [flag for action in actions() for flag in action.option_strings] == FLAGS
    assert [action.dest for action in actions() if not action.option_strings] == ["task"]
    assert [field.name for field in fields(Options)] == [action.dest for action in actions()]


def test_defaults():
    assert cli.parse(["digits"]) == Options(
        task="digits",
        num_samples=40,
        gpus_per_trial=None,
        cpus_per_trial=1.0,
        max_concurrent=None,
        epochs=None,
        metric=None,
        scheduler=None,
        grace=None,
        reduction_factor=None,
        model=[],
        sampler="gp",
        time_budget=None,
        epoch_budget=None,
        target=None,
        references=False,
        warm_start=[],
        seed=0,
        name=None,
        resume=None,
        data_root=None,
        runs_dir=Path("runs"),
        storage=None,
        tracking_uri=None,
        register="auto",
        ray_address=None,
        top_k=3,
        confirm=3,
        confirm_seeds=5,
        set=[],
        dry_run=False,
        quiet=False,
        json=False,
        keep=5,
        disk_budget=None,
    )


def test_the_environment_sets_the_tracking_uri(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert cli.parse(["digits"]).tracking_uri == "http://tracking:5000"
    assert cli.parse(["digits", "--tracking-uri", "sqlite:///y.db"]).tracking_uri == "sqlite:///y.db"


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--num-samples", "50"], "num_samples", 50),
        (["--gpus-per-trial", "0.5"], "gpus_per_trial", 0.5),
        (["--gpus-per-trial", "0"], "gpus_per_trial", 0.0),
        (["--cpus-per-trial", "2"], "cpus_per_trial", 2.0),
        (["--max-concurrent", "3"], "max_concurrent", 3),
        (["--epochs", "7"], "epochs", 7),
        (["--confirm", "0"], "confirm", 0),
        (["--confirm-seeds", "2"], "confirm_seeds", 2),
        (["--metric", "val_error"], "metric", "val_error"),
        (["--metric", "val_f1"], "metric", "val_f1"),
        (["--scheduler", "median"], "scheduler", "median"),
        (["--time-budget", "90s"], "time_budget", 90.0),
        (["--time-budget", "30m"], "time_budget", 1800.0),
        (["--time-budget", "1.5h"], "time_budget", 5400.0),
        (["--epoch-budget", "500"], "epoch_budget", 500),
        (["--target", "0.01"], "target", 0.01),
        (["--references"], "references", True),
        (["--warm-start", "a", "--warm-start", "/x/b"], "warm_start", ["a", "/x/b"]),
        (["--grace", "2"], "grace", 2),
        (["--keep", "1"], "keep", 1),
        (["--disk-budget", "500MB"], "disk_budget", 500_000_000),
        (["--disk-budget", "1.5TB"], "disk_budget", 1_500_000_000_000),
        (["--reduction-factor", "4"], "reduction_factor", 4),
        (["--model", "mlp", "--model", "cnn"], "model", ["mlp", "cnn"]),
        (["--sampler", "random"], "sampler", "random"),
        (["--seed", "5"], "seed", 5),
        (["--name", "a.b_c-1"], "name", "a.b_c-1"),
        (["--resume", "runs/a"], "resume", "runs/a"),
        (["--storage", "s3://bucket/runs"], "storage", "s3://bucket/runs"),
        (["--data-root", "/x"], "data_root", Path("/x")),
        (["--runs-dir", "/y"], "runs_dir", Path("/y")),
        (["--tracking-uri", "sqlite:///x.db"], "tracking_uri", "sqlite:///x.db"),
        (["--register", "never"], "register", "never"),
        (["--ray-address", "auto"], "ray_address", "auto"),
        (["--top-k", "1"], "top_k", 1),
        (["--set", "a=1", "--set", "b={low: 1}"], "set", ["a=1", "b={low: 1}"]),
        (["--dry-run"], "dry_run", True),
        (["--quiet"], "quiet", True),
        (["--json"], "json", True),
    ],
)
def test_an_option_sets_its_field(arguments, name, value):
    options = cli.parse(["digits", *arguments])
    assert getattr(options, name) == value
    assert type(getattr(options, name)) is type(value)
    rest = {field.name: getattr(options, field.name) for field in fields(Options) if field.name not in (name, "task")}
    assert rest.items() <= vars(cli.parse(["digits"])).items()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["TASK"]),
        (["digits", "svhn"], ["svhn"]),
        (["digits", "--trials", "3"], ["--trials"]),
        (["digits", "--num", "3"], ["--num"]),
        (["digits", "--num-samples"], ["--num-samples", "expected one argument"]),
        (["digits", "--num-samples", "0"], ["--num-samples", "a whole number from 1", "'0'"]),
        (["digits", "--num-samples", "-3"], ["--num-samples", "a whole number from 1", "'-3'"]),
        (["digits", "--num-samples", "1.5"], ["--num-samples", "a whole number from 1", "'1.5'"]),
        (["digits", "--gpus-per-trial", "half"], ["--gpus-per-trial", "a number of GPUs from 0", "'half'"]),
        (["digits", "--gpus-per-trial", "-1"], ["--gpus-per-trial", "a number of GPUs from 0"]),
        (["digits", "--gpus-per-trial", "nan"], ["--gpus-per-trial", "a number of GPUs from 0"]),
        (["digits", "--gpus-per-trial", "inf"], ["--gpus-per-trial", "a number of GPUs from 0"]),
        (["digits", "--cpus-per-trial", "0"], ["--cpus-per-trial", "a number of CPUs above 0"]),
        (["digits", "--epochs", "0"], ["--epochs", "a whole number from 1"]),
        (["digits", "--max-concurrent", "0"], ["--max-concurrent", "a whole number from 1"]),
        (["digits", "--metric", "loss"], ["--metric", "loss", "val_loss", "val_error", "val_f1"]),
        (["digits", "--scheduler", "hyperband"], ["--scheduler", "hyperband", "asha", "median", "none"]),
        (["digits", "--time-budget", "90"], ["--time-budget", "90s, 30m or 2h", "'90'"]),
        (["digits", "--time-budget", "0s"], ["--time-budget", "90s, 30m or 2h", "'0s'"]),
        (["digits", "--time-budget", "-5m"], ["--time-budget"]),
        (["digits", "--epoch-budget", "0"], ["--epoch-budget", "a whole number from 1"]),
        (["digits", "--target", "1.2"], ["--target", "an error from 0 to 1", "'1.2'"]),
        (["digits", "--target", "-0.1"], ["--target"]),
        (["digits", "--grace", "0"], ["--grace", "a whole number from 1"]),
        (["digits", "--reduction-factor", "1"], ["--reduction-factor", "a whole number from 2"]),
        (["digits", "--sampler", "grid"], ["--sampler", "grid", "tpe", "random"]),
        (["digits", "--seed", "-1"], ["--seed", "a whole number from 0"]),
        (["digits", "--seed", str(2**32)], ["--seed"]),
        (["digits", "--top-k", "0"], ["--top-k", "a whole number from 1"]),
        (["digits", "--keep", "0"], ["--keep", "a whole number from 1"]),
        (["digits", "--disk-budget", "20"], ["--disk-budget", "500MB, 20GB or 1.5TB", "'20'"]),
        (["digits", "--disk-budget", "0GB"], ["--disk-budget", "500MB, 20GB or 1.5TB", "'0GB'"]),
        (["digits", "--name", "../x"], ["--name", "letters, digits", "'../x'"]),
        (["digits", "--name", ".hidden"], ["--name", "letters, digits"]),
        (["digits", "--name", "a" * 101], ["--name", "at most 100"]),
        (["digits", "--name", "two\nlines"], ["--name", "letters, digits"]),
        (["digits", "--name", ""], ["--name", "letters, digits"]),
        (["digits", "--dry-run=yes"], ["--dry-run"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option_and_what_is_valid(arguments, says):
    with pytest.raises(UserError) as error:
        cli.parse(arguments)
    message = str(error.value)
    assert "\n" not in message
    assert [text for text in [*says, "--help"] if text not in message] == []


def test_help_names_the_default_of_every_option_that_has_one():
    for action in actions():
        if not action.option_strings or action.nargs == 0 or isinstance(action, argparse._AppendAction):
            continue
        (told,) = re.findall(r"\(default: (.+)\)$", action.help)
        if isinstance(action.default, Path):
            assert f"{action.default}/" in told
        elif action.default is not None:
            number = isinstance(action.default, float)
            assert told == (f"{action.default:g}" if number else str(action.default))


def test_help_of_options_that_can_be_repeated_says_so():
    repeated = [action for action in actions() if isinstance(action, argparse._AppendAction)]
    assert [action.dest for action in repeated] == ["model", "warm_start", "set"]
    assert all("(repeatable)" in action.help for action in repeated)


def test_help_is_printed_with_every_option_and_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        cli.parse(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert [flag for flag in FLAGS if flag not in text] == []
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["digits", "--sampler", "grid"], 2, "error: argument --sampler"),
        (["digits", "--set", "lr=fast"], 2, "space.lr"),
        (["digitz"], 2, "digits"),
    ],
)
def test_the_command_ends_with_one_line_before_anything_heavy_is_imported(arguments, code, says):
    script = (
        "import sys; from search.run import main; code = main(sys.argv[1:]); "
        "print(*{'torch', 'ray', 'mlflow', 'optuna', 'sklearn'} & set(sys.modules)); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
