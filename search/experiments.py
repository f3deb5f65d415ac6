"""MLflow's experiments, made where they are not there and restored where they were deleted."""

from typing import Any

_PROXIED = "mlflow-artifacts:"
_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Else MLflow's UI opens an experiment as one of language models, without charts of runs."""


def opened(client: Any, name: str, location: str | None, note: str = "") -> Any:
    """The experiment of a name, ready for runs without files.

    ``client`` is MLflow's; one that is made has the ``location`` for its files, and the ``note`` above it in the UI.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        tags = _TAGS | ({"mlflow.note.content": note} if note else {})
        return client.get_experiment(client.create_experiment(name, location, tags))
    if experiment.lifecycle_stage == "deleted":  # in the UI, where a name can't be used again before it is purged
        client.restore_experiment(experiment.experiment_id)
    return experiment


def for_files(client: Any, name: str, location: str | None) -> str:
    """The id of the experiment of a name, ready for runs with files.

    Raises:
        RuntimeError: its files go through a server, and no server is asked (which is where there is a ``location``).
    """
    experiment = opened(client, name, location)
    if location and experiment.artifact_location.startswith(_PROXIED):
        raise RuntimeError(
            f"the files of experiment {name} go through the server that made it: start python -m mlflow_server, "
            "and add --tracking-uri http://127.0.0.1:5000"
        )
    return str(experiment.experiment_id)
