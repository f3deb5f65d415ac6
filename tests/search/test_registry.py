"""Who becomes champion; and a winner's model in MLflow's registry, loaded and served without this repository."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import finished_search
import numpy as np
import pytest
import torch
from finished_search import DIGITS, finish, record

from search import registry
from search.registry import Candidate, Registered, decide, register
from trainables.training import ensemble, load_checkpoint


def candidate(version: str = "7", metric: str | None = "val_error", digest: str = "abc", **figures: float) -> Candidate:
    return Candidate(version, metric, digest, {"val_loss": 0.5, "val_error": 0.1, "val_f1": 0.8, **figures})


NEW = candidate("8")


@pytest.mark.parametrize(
    ("mode", "champion", "moves", "why"),
    [
        ("auto", None, True, "the first"),
        ("always", None, True, "the first"),
        ("auto", candidate(val_error=0.2), True, "val_error 0.1, before 0.2 of version 7"),
        ("auto", candidate(val_error=0.05), False, "val_error 0.1, not better than 0.05"),
        ("auto", candidate(), False, "val_error 0.1 with val_loss 0.5, not better than 0.1 with val_loss 0.5"),
        ("auto", candidate(val_loss=0.6), True, "val_loss 0.5, before 0.1 with val_loss 0.6 of version 7"),
        ("auto", candidate(val_loss=0.4), False, "val_loss 0.5, not better than 0.1 with val_loss 0.4"),
        ("auto", candidate(digest="abd", val_error=0.2), False, "not be compared: version 7 was judged on other data"),
        ("auto", candidate(metric="val_loss"), False, "version 7 was judged by val_loss, not val_error"),
        ("auto", candidate(metric=None), False, "version 7 has no figures of a search"),
        ("always", candidate(val_error=0.05), True, "val_error 0.1, before 0.05 of version 7"),
        ("always", candidate(digest="abd"), True, "not compared: version 7 was judged on other data"),
        ("always", candidate(metric=None), True, "not compared"),
    ],
)
def test_the_champion_is_the_one_that_is_better_by_validation(mode, champion, moves, why):
    decision = decide(mode, NEW, champion)
    assert decision.moves == moves
    assert why in decision.why


@pytest.mark.parametrize(("theirs", "moves"), [(0.7, True), (0.9, False)])
def test_of_a_score_more_is_better(theirs, moves):
    assert decide("auto", candidate("8", "val_f1"), candidate(metric="val_f1", val_f1=theirs)).moves == moves


def versions(uri: str, name: str) -> tuple[list[int], int]:
    """The versions of a registered model, and which is champion."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    found = sorted(int(version.version) for version in client.search_model_versions(f"name = '{name}'"))
    return found, int(client.get_registered_model(name).aliases["champion"])


@pytest.mark.slow
def test_searches_of_a_task_are_its_versions_and_the_best_is_champion(store, tmp_path):
    import mlflow

    def searched(name: str, val_loss: float) -> tuple[Path, str]:
        finish(tmp_path / name, "ladder", finished_search.of_points(), finished_search.POINTS, val_loss)
        return tmp_path / name, record(tmp_path / name, store)

    first, better, worse = searched("first", 0.5), searched("better", 0.25), searched("worse", 0.375)
    lines = [register(folder, store, parent, "auto") for folder, parent in (first, better, worse)]
    assert lines == [
        Registered("ladder version 1, champion (the first)", True),
        Registered("ladder version 2, champion (val_loss 0.25, before 0.5 of version 1)", True),
        Registered("ladder version 3; version 2 stays champion (val_loss 0.375, not better than 0.25)", True),
    ]
    for folder, parent in (first, better, worse):
        assert register(folder, store, parent, "auto").done
        assert register(folder, store, parent, "never").line == "ladder: nothing registered"
    assert versions(store, "ladder") == ([1, 2, 3], 2)
    client = mlflow.MlflowClient(tracking_uri=store)
    client.set_registered_model_alias("ladder", "champion", "1")
    register(*better[:1], store, better[1], "auto")
    assert versions(store, "ladder") == ([1, 2, 3], 1), "what people decide stays"
    line = register(worse[0], store, worse[1], "always").line
    assert line == "ladder version 3, champion (val_loss 0.375, before 0.5 of version 1)"
    assert versions(store, "ladder") == ([1, 2, 3], 3)

    version = client.get_model_version("ladder", "2")
    assert version.run_id == better[1]
    tags = {"rungs.search": "better", "trial": "0", "family": "mlp", "metric": "val_loss", "val_loss": "0.25"}
    tags |= {"val_error": "0.1", "test_error": "0.25", "test_error_interval": "0.2 to 0.3", "dataset.digest": "abc"}
    assert tags.items() <= version.tags.items()
    assert version.description == (
        "The winner of better: trial 0 of 1, mlp, with val_loss 0.25; test error 25.00 % (95 %: 20.00 to 30.00 %)."
    )
    models = client.search_logged_models([client.get_experiment_by_name("ladder").experiment_id])
    (model,) = [model for model in models if model.tags["rungs.search"] == "better"]
    assert (model.source_run_id, str(model.status)) == (better[1], "READY")
    figures = {metric.key: metric.value for metric in model.metrics}
    assert (figures["val_loss"], figures["test_error"]) == (0.25, 0.25)


@pytest.mark.slow
def test_what_breaks_on_the_way_is_told_and_made_up_for(store, tmp_path, monkeypatch):
    import mlflow

    folder = tmp_path / "broken"
    finish(folder, "mended", finished_search.of_points(), finished_search.POINTS)
    parent = record(folder, store)
    calls = ("log_model_artifacts", "finalize_logged_model", "create_model_version", "set_registered_model_alias")
    for name in calls:
        with monkeypatch.context() as broken:
            broken.setattr(mlflow.MlflowClient, name, _dead)
            assert register(folder, store, parent, "auto") == Registered(
                "mended: not registered: OSError: the line is dead", False
            )
    assert register(folder, store, parent, "auto").line == "mended version 1, champion (the first)"
    client = mlflow.MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("mended").experiment_id
    assert versions(store, "mended") == ([1], 1)
    assert len(client.search_logged_models([experiment])) == 1


def _dead(*_: Any, **__: Any) -> None:
    raise OSError("the line is dead\nand so on")


class Branches(torch.nn.Module):
    """A model of one's own that is no graph."""

    def __init__(self, input_shape, classes):
        super().__init__()
        self.linear = torch.nn.Linear(input_shape[0], classes)

    def forward(self, inputs):
        return self.linear(inputs) * (2 if inputs.sum() > 0 else 1)


@pytest.mark.slow
def test_a_model_that_cannot_be_exported_is_told_and_leaves_nothing(store, tmp_path, monkeypatch):
    import mlflow

    module = ModuleType("branching")
    vars(module)["Branches"] = Branches
    monkeypatch.setitem(sys.modules, "branching", module)
    folder = tmp_path / "own"
    finish(folder, "branching", finished_search.of_points(), {"model": "branching:Branches", "lr": 0.1})
    outcome = register(folder, store, record(folder, store), "auto")
    assert outcome.done
    assert outcome.line.startswith("branching: not registered: torch.export cannot take model branching:Branches (")
    client = mlflow.MlflowClient(tracking_uri=store)
    assert client.search_registered_models("name = 'branching'") == []
    assert client.search_logged_models([client.get_experiment_by_name("branching").experiment_id]) == []


def test_a_search_without_a_winner_registers_nothing(tmp_path):
    finish(tmp_path / "none", "digits", finished_search.of_points(), finished_search.POINTS)
    path = tmp_path / "none/events.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"event": "test"' not in line))
    assert register(tmp_path / "none", "sqlite:////nowhere/x.db", "", "auto") == Registered(
        "digits: nothing registered", True
    )


PREDICT = """
import json, sys, numpy as np, mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = model.predict(np.load(sys.argv[2]))
print(json.dumps([[sorted({"search", "trainables", "datasets"} & set(sys.modules))], *rows.values.tolist()]))
"""


def outside(tmp_path: Path, uri: str) -> dict[str, Any]:
    """How to start a process that knows nothing of this repository."""
    hidden = ("PYTHONPATH", "MLFLOW_REGISTRY_URI")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow looks for uvicorn there
    return {"cwd": tmp_path, "env": environment | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}}


@pytest.mark.slow
def test_the_champion_loads_in_a_fresh_process_without_this_repository(registered, tmp_path):
    inputs = DIGITS.test.inputs[:64]
    np.save(tmp_path / "inputs.npy", inputs)
    command = [sys.executable, "-c", PREDICT, "models:/digits@champion", str(tmp_path / "inputs.npy")]
    started = outside(tmp_path, registered.uri)
    done = subprocess.run(command, capture_output=True, text=True, check=False, **started)
    assert done.returncode == 0, done.stderr
    ours, *rows = json.loads(done.stdout.splitlines()[-1])
    expected = probabilities(registered.folder, inputs)
    assert ours == [[]]
    assert [row[0] for row in rows] == [str(digit) for digit in expected.argmax(1)]
    np.testing.assert_allclose([row[1] for row in rows], expected.max(1), rtol=0, atol=1e-6)
    np.testing.assert_allclose([row[2:] for row in rows], expected, rtol=0, atol=1e-6)


def probabilities(folder: Path, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return ensemble(load_checkpoint(folder / "best.pt"))(torch.tensor(inputs)).numpy()


@pytest.mark.slow
def test_the_model_says_what_it_takes_and_nothing_of_this_machine(registered, tmp_path):
    import mlflow

    source = mlflow.MlflowClient(tracking_uri=registered.uri).get_model_version_download_uri("digits", "1")
    folder = Path(mlflow.artifacts.download_artifacts(source, dst_path=str(tmp_path)))
    model = mlflow.models.Model.load(str(folder))
    (inputs,) = model.signature.inputs
    assert (inputs.type, inputs.shape) == (np.float32, (-1, 1, 8, 8))
    assert model.signature.outputs.input_names() == ["class", "probability", *(f"p_{digit}" for digit in range(10))]
    example = model.load_input_example(str(folder))
    assert (example.shape, example.dtype) == ((2, 1, 8, 8), np.float32)
    assert model.metadata == {"rungs": {"shape": [1, 8, 8], "dtype": "float32", "fit": "crop"}}
    requirements = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements] == ["mlflow", "numpy", "pandas", "torch"]
    assert all("==" in line for line in requirements)
    texts = [path.read_text() for path in folder.rglob("*") if path.suffix in (".yaml", ".txt", ".json", "")
             and path.is_file()]  # fmt: skip
    root = str(Path(registry.__file__).parents[1])
    assert [text for text in texts if root in text or "/tmp" in text or "://" in text.replace("sqlite://", "")] == []


@pytest.mark.slow
def test_mlflow_serves_the_champion(registered, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/digits@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (tmp_path / "serve.log").open("wb") as log:
        started = outside(tmp_path, registered.uri)
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **started)
    try:
        inputs = DIGITS.test.inputs[:3]
        body = json.dumps({"inputs": inputs.tolist()}).encode()
        address = f"http://127.0.0.1:{port}/invocations"
        for _ in range(600):
            try:
                request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=10) as answer:
                    rows = json.load(answer)["predictions"]
                break
            except urllib.error.HTTPError as error:
                pytest.fail(error.read().decode())
            except OSError:
                assert process.poll() is None, (tmp_path / "serve.log").read_text()
                time.sleep(0.1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    expected = probabilities(registered.folder, inputs)
    assert [row["class"] for row in rows] == [str(digit) for digit in expected.argmax(1)]
    found = [[row[f"p_{digit}"] for digit in range(10)] for row in rows]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
