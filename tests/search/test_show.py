"""The command that draws a task's data."""

import subprocess
import sys
from pathlib import Path

import pytest
from picture_file import is_picture

from datasets import sample
from search.show import main

ROOT = Path(__file__).parents[2]


def test_a_task_is_drawn_and_one_line_says_what_and_where(tmp_path, capsys):
    out = tmp_path / "digits.png"
    assert main(["digits", str(out), "--set", "dataset.train=500", "--set", "shift=0"]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "drew digits, 850 development and 947 test examples of 10 classes (scikit-learn's copy of UCI's optical "
        f"digits), to {out}\n"
    )
    assert captured.err == ""
    assert is_picture(out)


def test_a_conf_of_ones_own_is_drawn_from_its_data_root_over_what_was_there(tmp_path, capsys):
    sample.write("spiral", tmp_path, 0, (60, 40))
    conf, out = tmp_path / "mine.yaml", tmp_path / "mine.PNG"
    conf.write_text("dataset: {name: spiral, folds: 3}\nepochs: 3\nmodels: {mlp: {}}\n")
    out.write_text("an older one")
    assert main([str(conf), str(out), "--data-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("drew mine, 60 development and 40 test examples of 5 classes (")
    assert is_picture(out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digits"], "the following arguments are required: OUT; --help lists the options"),
        (["digist", "{root}/x.png"], "no task 'digist' in conf/ (did you mean digits?"),
        (["digits", "{root}/x.pdf"], "OUT {root}/x.pdf: must be a file that ends in .png"),
        (["digits", "{root}"], "OUT {root}: must be a file that ends in .png"),
        (["digits", "{root}/no/x.png"], "OUT {root}/no/x.png: no folder {root}/no"),
        (["digits", "{root}/folder.png"], "OUT {root}/folder.png: cannot be written (Is a directory)"),
        (["digits", "{root}/x.png", "--set", "lrr=1"], "space.lrr: no such setting (did you mean lr?"),
        (["digits", "{root}/x.png", "--set", "dataset.train=1700"], "must be positive and leave some"),
        (["digits", "{root}/x.png", "--seed", "1"], "unrecognized arguments: --seed 1"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_code_2(arguments, said, tmp_path, capsys):
    (tmp_path / "folder.png").mkdir()
    assert main([argument.format(root=tmp_path) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said.format(root=tmp_path) in line
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_folder_that_is_not_writable_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, *_: Path(path) != tmp_path)
    assert main(["digits", str(tmp_path / "x.png")]) == 2
    assert capsys.readouterr().err == f"error: OUT {tmp_path / 'x.png'}: {tmp_path} is not writable\n"


def test_the_commands_name_is_that_of_a_module_and_its_mistakes_cost_no_heavy_import():
    script = (
        "import runpy, sys; sys.argv = ['show', 'digits', 'x.pdf']\n"
        "try:\n    runpy.run_module('datasets.show', run_name='__main__')\n"
        "finally:\n    print(*{'torch', 'ray', 'mlflow', 'optuna', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "\n")
    assert done.stderr == "error: OUT x.pdf: must be a file that ends in .png\n"
