import json
import subprocess
import sys
from pathlib import Path

import finished_search
import numpy as np
import pytest
import torch
from finished_search import CONFIG, DIGITS, POINTS, finish, record
from PIL import Image

from search.predict import main
from search.registry import register
from trainables.training import ensemble, load_checkpoint


def probabilities(folder: Path, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return ensemble(load_checkpoint(folder / "best.pt"))(torch.tensor(inputs)).numpy()


def predicted(capsys: pytest.CaptureFixture[str], uri: str, task: str, *arguments: object) -> list[dict]:
    capsys.readouterr()
    assert main([task, *map(str, arguments), "--tracking-uri", uri, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def said(uri: str, task: str, *arguments: object) -> list[str]:
    return [task, *map(str, arguments), "--tracking-uri", uri]


@pytest.mark.slow
def test_of_real_digits_as_pictures_it_says_what_the_winner_says(registered, tmp_path, capsys):
    pixels = (DIGITS.test.inputs[:12, 0] * 255).round().astype(np.uint8)
    files = [tmp_path / f"{number}.{'png' if number % 2 else 'bmp'}" for number in range(len(pixels))]
    for path, picture in zip(files, pixels, strict=True):
        Image.fromarray(picture).save(path)
    expected = probabilities(registered.folder, pixels[:, None].astype(np.float32) / 255)
    rows = predicted(capsys, registered.uri, "digits", *files)
    assert [row["file"] for row in rows] == list(map(str, files))
    assert [list(row["probabilities"]) for row in rows] == [list(DIGITS.classes)] * len(files)
    found = np.array([list(row["probabilities"].values()) for row in rows])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert [row["class"] for row in rows] == [str(digit) for digit in expected.argmax(1)]

    assert main(said(registered.uri, "digits", *files, "--version", 1)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{row['file']}  {row['class']}  {row['probability']:.3f}" for row in rows]

    np.save(tmp_path / "several.npy", DIGITS.test.inputs[:300])
    rows = predicted(capsys, registered.uri, "digits", tmp_path / "several.npy", files[0])
    assert [row.get("place") for row in rows] == [*range(300), None]
    exact = probabilities(registered.folder, DIGITS.test.inputs[:300])
    np.testing.assert_allclose([row["probability"] for row in rows[:300]], exact.max(1), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_coloured_pictures_of_bytes_and_classes_of_any_name(store, tmp_path, capsys):
    dataset = finished_search.of_bytes()
    finish(tmp_path / "won", "pictures", dataset, CONFIG)
    register(tmp_path / "won", store, record(tmp_path / "won", store), "auto")
    pixels = dataset.development.inputs[0]
    Image.fromarray(pixels.transpose(1, 2, 0)).resize((27, 27), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "exact.png")
    _, exact = predicted(capsys, store, "pictures", tmp_path / "large.png", tmp_path / "exact.png")
    assert list(exact["probabilities"]) == ["class", "probability", "p_c"]
    (expected,) = probabilities(tmp_path / "won", pixels[None])
    np.testing.assert_allclose(list(exact["probabilities"].values()), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_points_are_a_row_each(store, tmp_path, capsys):
    dataset = finished_search.of_points()
    finish(tmp_path / "won", "pairs", dataset, POINTS)
    register(tmp_path / "won", store, record(tmp_path / "won", store), "auto")
    path = tmp_path / "points.csv"
    rows = dataset.development.inputs[:3]
    path.write_text("x;y\n" + "".join(f"{x};{y}\n" for x, y in rows))
    expected = probabilities(tmp_path / "won", rows)
    assert main(said(store, "pairs", path)) == 0
    names = [f"arm {code}" for code in expected.argmax(1)]
    lines = [f"{path}:{line}  {name}  {p:.3f}" for line, name, p in zip((2, 3, 4), names, expected.max(1), strict=True)]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "arguments", "says"),
    [
        ("digits", ["none.png"], "none.png cannot be read: no such file"),
        ("digits", ["text.png"], "text.png: not a picture that Pillow opens"),
        ("digits", ["shape.npy"], "an array of 2×3; the model takes n×1×8×8"),
        ("digits", ["text.png", "--version", "9"], "--version 9: digits has no such version"),
        ("mnist", ["text.png"], "search for one: python -m search.run mnist"),
        ("orphan", ["text.png"], "orphan has no champion"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(registered, tmp_path, capsys, monkeypatch, task, arguments, says):
    import mlflow

    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("no picture")
    np.save("shape.npy", np.zeros((2, 3)))
    if task == "orphan":
        mlflow.MlflowClient(tracking_uri=registered.uri).create_registered_model("orphan")
    assert main(said(registered.uri, task, *arguments)) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error


def test_where_nothing_was_ever_recorded_it_says_what_to_run_and_makes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "a.png").touch()
    assert main(["digits", str(tmp_path / "a.png"), "--runs-dir", str(tmp_path)]) == 2
    assert "search for one: python -m search.run digits" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_the_command_line_imports_nothing_heavy():
    script = (
        "import sys; from search.predict import main; code = main(['digits', '/none.png'])\n"
        "print(*{'torch', 'ray', 'mlflow', 'optuna', 'sklearn', 'PIL'} & set(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (2, [])
