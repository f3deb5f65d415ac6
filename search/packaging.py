"""The winner's checkpoint as an MLflow model: a folder that loads wherever torch and MLflow are, without this code."""

import importlib.metadata
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.recorder import import_mlflow

MODEL_FOLDER = "model"
"""In the run's folder."""
METADATA = "rungs"
"""Under this name the model's metadata say what its inputs are: ``shape``, ``dtype``, ``fit`` (see ``unlabelled``)."""
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "torch")
_EXAMPLES = 2
_FILE = "MLmodel"
# No bars of progress, and no lock file of the working directory in the model.
_ENVIRONMENT = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_UV_AUTO_DETECT": "false"}


def import_models() -> Any:
    """MLflow with what it has for models."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, of its own classes
        assert import_mlflow().pyfunc.save_model  # which is imported only here
    return import_mlflow()  # that import has turned its chatter on again


def package(checkpoint: dict[str, Any], folder: Path, fit: str) -> None:
    """Makes ``folder``, an MLflow model of a checkpoint, whole or not at all.

    Its signature is a tensor of the dataset's own shape and type with any number of examples in, and a row each out, as
    ``search.served`` says; normalisation is inside. Its requirements are the installed versions.

    Args:
        checkpoint: as ``trainables.training`` makes them, with the best weights at least.
        folder: is not there yet.
        fit: how a picture that is not square was made so.

    Raises:
        ExportError: a model that cannot be exported.
    """
    from trainables.exporting import export, made_up

    mlflow = import_models()
    schema, classes = mlflow.types.schema, checkpoint["classes"]
    examples = made_up(checkpoint, _EXAMPLES)
    columns = [schema.ColSpec("string", "class"), schema.ColSpec("double", "probability")]
    columns += [schema.ColSpec("double", f"p_{name}") for name in classes]
    signature = mlflow.models.ModelSignature(
        inputs=schema.Schema([schema.TensorSpec(examples.dtype, (-1, *examples.shape[1:]))]),
        outputs=schema.Schema(columns),
    )
    model = mlflow.models.Model()
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        graph = Path(place) / "graph.pt2"
        export(checkpoint, graph)
        mlflow.pyfunc.save_model(
            partial,
            python_model=Path(__file__).with_name("served.py"),
            artifacts={"graph": str(graph)},
            model_config={"classes": classes},
            mlflow_model=model,
            signature=signature,
            input_example=examples,
            pip_requirements=[f"{name}=={_version(name)}" for name in _REQUIREMENTS],
            metadata={METADATA: {"shape": checkpoint["input_shape"], "dtype": str(examples.dtype), "fit": fit}},
        )
    flavor = model.flavors["python_function"]  # in which MLflow has written where things were on this machine
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(partial / _FILE))
    partial.rename(folder)


def fit_of(conf: Mapping[str, Any]) -> str:
    """How a task makes pictures square, by its conf as resolved."""
    return str(conf["dataset"].get("fit", "crop"))


def identify(folder: Path, logged: Any) -> None:
    """Writes into a packaged model's file which logged model of MLflow it is."""
    model = import_models().models.Model.load(str(folder))
    model.run_id, model.model_id, model.model_uuid = logged.source_run_id, logged.model_id, logged.model_id
    model.save(str(folder / _FILE))


def _version(package: str) -> str:
    """What is installed, without a build's own mark, as +cu130, which no index of packages has."""
    return importlib.metadata.version(package).partition("+")[0]
