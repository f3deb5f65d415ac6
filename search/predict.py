"""``python -m search.predict TASK FILE...``: what a task's champion says of one's own files; needs none of its data."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from datasets.unlabelled import Form, Unlabelled, read
from search import cli, tracking
from search.packaging import METADATA, import_models
from search.recorder import open_store
from search.registry import CHAMPION

_BLOCK = 256
"""Examples at a time."""
_NAMED = 5


@dataclass(frozen=True)
class Options:
    """One call of ``search.predict``."""

    task: str
    files: list[Path]
    version: int | None
    json: bool
    runs_dir: Path
    tracking_uri: str | None


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.predict",
        description="Say the class of each file, and how probable it is, by the task's champion: the registered model "
        "that was best by validation.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("task", metavar="TASK", help="the task's name, or the path of its conf file")
    add(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a picture in any format that Pillow reads; for points a table, a row each, without labels; or an array "
        "of examples (.npy)",
    )
    add("--version", type=cli.COUNT, metavar="N", help="a version of the registered model (default: the champion)")
    add("--json", action="store_true", help="print a list of objects with the probabilities of all classes")
    cli.add_runs_dir(result)
    add(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        metavar="URI",
        help="where the registry is (default: the environment's MLFLOW_TRACKING_URI, else the SQLite file in the runs "
        "folder)",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _predict(sys.argv[1:] if arguments is None else arguments))


def _predict(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    if absent := next((path for path in options.files if not path.exists()), None):
        raise UserError(f"{absent} cannot be read: no such file")
    uri = options.tracking_uri or tracking.default_uri(options.runs_dir)
    tracking.check(uri)
    task = Path(options.task).stem if options.task.endswith((".yaml", ".yml")) else options.task
    with tempfile.TemporaryDirectory() as folder:
        rows = predictions(load(task, uri, options.version, Path(folder)), options.files)
        if options.json:
            print(json.dumps(list(rows), indent=2))
            return 0
        for row in rows:
            place = f":{row['place']}" if "place" in row else ""
            print(f"{row['file']}{place}  {row['class']}  {row['probability']:.3f}")
    return 0


@dataclass(frozen=True)
class Model:
    """A version of a registered model."""

    form: Form
    run: Any
    """MLflow's loaded model."""


def load(task: str, uri: str, version: int | None, folder: Path) -> Model:
    """Fetches a version of a task's registered model, or its champion where none is said, into ``folder``.

    Raises:
        UserError: there is none; it cannot be fetched or loaded, or was not made by a search.
    """
    path = uri.removeprefix("sqlite:///")
    if path != uri and not Path(path).is_file():
        raise _none(task, uri)
    mlflow = import_models()
    try:
        client = open_store(uri)
        found = _version(client, mlflow, task, uri, version)
        source = client.get_model_version_download_uri(task, found)
        place = mlflow.artifacts.download_artifacts(artifact_uri=source, tracking_uri=uri, dst_path=str(folder))
        run = mlflow.pyfunc.load_model(place)
    except UserError:
        raise
    except Exception as error:  # whatever a server, a store of artifacts or another model can answer
        problem = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(f"{task} cannot be loaded from {uri}: {problem}") from None
    form = (run.metadata.metadata or {}).get(METADATA)
    if form is None:
        raise UserError(f"{task} version {found} at {uri} was not made by a search: what it takes is not known")
    return Model(Form(tuple(form["shape"]), form["dtype"], form["fit"]), run)


def _version(client: Any, mlflow: Any, task: str, uri: str, version: int | None) -> str:
    """The number of the version asked for, or of the champion."""
    try:
        champion = client.get_registered_model(task).aliases.get(CHAMPION)
    except mlflow.MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise _none(task, uri) from None
    if champion and version is None:
        return str(champion)
    valid = sorted(int(one.version) for one in client.search_model_versions(f"name = '{task}'"))
    has = f"it has {', '.join(map(str, valid[-_NAMED:]))}" if valid else "it has none"
    if version is None:
        raise UserError(
            f"{task} has no champion at {uri}; name a version by --version ({has}), or give one the alias "
            f"{CHAMPION} in MLflow's UI"
        )
    if version not in valid:
        raise UserError(f"--version {version}: {task} has no such version at {uri}; {has}")
    return str(version)


def _none(task: str, uri: str) -> UserError:
    return UserError(f"no model {task} is registered at {uri}; search for one: python -m search.run {task}")


def predictions(model: Model, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """A row an example: ``file``, its ``place`` there if there are several, ``class``, ``probability`` and, by class,
    ``probabilities``.

    Raises:
        UserError: a file that is not what the model takes; see ``unlabelled.read``.
    """
    waiting: list[Unlabelled] = []
    for path in files:
        for part in read(path, model.form):
            waiting.append(part)
            if sum(len(one.inputs) for one in waiting) >= _BLOCK:
                yield from _rows(model, waiting)
                waiting = []
    if waiting:
        yield from _rows(model, waiting)


def _rows(model: Model, parts: Sequence[Unlabelled]) -> Iterator[dict[str, Any]]:
    answers = iter(model.run.predict(np.concatenate([part.inputs for part in parts])).to_dict("records"))
    for part in parts:
        for number in range(len(part.inputs)):
            answer = next(answers)
            place = {"place": part.places[number]} if part.places else {}
            by_class = {name.removeprefix("p_"): value for name, value in answer.items() if name.startswith("p_")}
            named = {"class": answer["class"], "probability": answer["probability"]}
            yield {"file": str(part.path), **place, **named, "probabilities": by_class}


if __name__ == "__main__":
    sys.exit(main())
