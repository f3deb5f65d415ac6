"""The winner of a search in MLflow's model registry, under the task's name, and who is its champion.

Each search has one version there at most, found again by the search's id, so registering can be repeated at will.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import events
from search.cli import Register
from search.history import History, TrialResult
from search.packaging import MODEL_FOLDER, fit_of, identify, package
from search.recorder import import_mlflow, open_store
from search.results import BEST_FILE
from trainables.epoch import METRICS, rank

CHAMPION = "champion"
"""The alias of the version that is to be used: of those that can be compared, the one best by validation."""
_READY = "READY"
_VALUE_LENGTH = 500
_PROBLEM_LENGTH = 200


@dataclass(frozen=True)
class Candidate:
    """What is known of a version. ``figures``: of validation, by name; a version made otherwise has no metric."""

    version: str
    metric: str | None
    digest: str | None
    """Of the dataset with its splits."""
    figures: dict[str, float]

    def value(self, other: "Candidate") -> str:
        """Its value of the metric, and of the loss too where the other has the same."""
        assert self.metric is not None
        value = f"{self.figures[self.metric]:.4g}"
        same = self.metric != "val_loss" and self.figures[self.metric] == other.figures[self.metric]
        return f"{value} with val_loss {self.figures['val_loss']:.4g}" if same else value


@dataclass(frozen=True)
class Decision:
    """Whether the alias moves, and why."""

    moves: bool
    why: str


def decide(mode: Register, new: Candidate, champion: Candidate | None) -> Decision:
    """Who is champion: the better one by validation, ties by the validation loss, and the older one if nothing differs.

    Only what was judged by the same metric on the same data and splits can be compared; where it cannot, the champion
    stays, unless ``mode`` is always.
    """
    if champion is None:
        return Decision(True, "the first")
    before = f"version {champion.version}"
    if new.metric is None or champion.metric is None:
        problem = f"{before} has no figures of a search"
    elif champion.digest != new.digest:
        problem = f"{before} was judged on other data"
    elif champion.metric != new.metric:
        problem = f"{before} was judged by {champion.metric}, not {new.metric}"
    else:
        better = rank(new.figures, new.metric) < rank(champion.figures, new.metric)
        mine, theirs = f"{new.metric} {new.value(champion)}", champion.value(new)
        if better or mode == "always":
            return Decision(True, f"{mine}, before {theirs} of {before}")
        return Decision(False, f"{mine}, not better than {theirs}")
    if mode == "always":
        return Decision(True, f"not compared: {problem}")
    return Decision(False, f"cannot be compared: {problem}")


@dataclass(frozen=True)
class Registered:
    """What came of it: one line for people, and whether it is ``done``: trying again would change nothing."""

    line: str
    done: bool


def register(folder: Path, tracking_uri: str, parent: str, mode: Register) -> Registered:
    """Registers the winner of the search in ``folder``, and makes it champion where ``decide`` says so.

    ``auto`` and ``always`` give it a version; ``never`` does nothing. A search that has its version gets no second one,
    and the alias is decided once a mode: what people do with it afterwards stays.

    Args:
        folder: the search's, with its event log and ``best.pt``.
        tracking_uri: MLflow's, with its registry.
        parent: MLflow's run of the search.
        mode: when the alias moves.

    Returns:
        Never raises: neither a server nor a model that cannot be exported is to cost a search its result.
    """
    history = History(events.read(folder / events.FILE_NAME))
    name = history.search["task"]
    test = next((test for test in history.tests if test["chosen"] == "winner"), None)
    if mode == "never" or test is None:
        return Registered(f"{name}: nothing registered", True)
    try:
        return Registered(_Registration(folder, tracking_uri, parent, history, test).line(mode), True)
    except Exception as error:  # whatever a server can answer
        from trainables.exporting import ExportError

        problem = str(error) if isinstance(error, ExportError) else f"{type(error).__name__}: {error}"
        line = f"{name}: not registered: {problem.splitlines()[0][:_PROBLEM_LENGTH]}"
        return Registered(line, isinstance(error, ExportError))


class _Registration:
    """One winner's way into the registry; each step looks first whether an earlier try has done it."""

    def __init__(self, folder: Path, uri: str, parent: str, history: History, test: dict[str, Any]) -> None:
        self.folder, self.parent, self.history, self.test = folder, parent, history, test
        self.name, self.id = history.search["task"], history.search["id"]
        self.trial: TrialResult = history.trials[test["trial"]]
        self.figures = {name: value for name, value in (self.trial.checkpoint_best or {}).items() if name in METRICS}
        self.client = open_store(uri)
        self.mlflow = import_mlflow()

    def line(self, mode: Register) -> str:
        """Does what is left to do, and says how it stands."""
        version = self._known() or self._new_version()
        champion = self._champion()
        named = f"{self.name} version {version.version}"
        if champion and champion.version == str(version.version):
            why = version.tags.get("decision", "")
            decision = Decision(True, why)
        elif version.tags.get("register") == mode:
            return f"{named}; champion is {'version ' + champion.version if champion else 'none'}, as decided before"
        else:
            decision = decide(mode, _candidate(version), champion)
            if decision.moves:
                self.client.set_registered_model_alias(self.name, CHAMPION, version.version)
        for tag, value in (("register", mode), ("decision", decision.why)):
            if version.tags.get(tag) != value:
                self.client.set_model_version_tag(self.name, version.version, tag, value)
        if decision.moves:
            return f"{named}, champion" + (f" ({decision.why})" if decision.why else "")
        assert champion is not None
        return f"{named}; version {champion.version} stays champion ({decision.why})"

    def _known(self) -> Any:
        """The winner's version, if it has one; an earlier winner of a search that went on may have another."""
        found = self.client.search_model_versions(f"name = '{self.name}' and tags.`rungs.id` = '{self.id}'")
        found = [version for version in found if version.tags.get("trial") == str(self.trial.id)]
        return max(found, key=lambda version: int(version.version), default=None)

    def _champion(self) -> Candidate | None:
        version = self.client.get_registered_model(self.name).aliases.get(CHAMPION)
        return None if version is None else _candidate(self.client.get_model_version(self.name, version))

    def _new_version(self) -> Any:
        logged = self._logged_model()
        try:
            self.client.create_registered_model(self.name)
        except self.mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self.client.create_model_version(
            self.name,
            logged.artifact_location,  # "models:/<id>" would be looked for in the process's global store
            run_id=self.parent,
            tags=self._tags(),
            description=self._description(),
            await_creation_for=0,
            model_id=logged.model_id,
        )
        versions = json.dumps([{"name": self.name, "version": version.version}])
        self.client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": versions})
        return version

    def _logged_model(self) -> Any:
        """MLflow's logged model of the search, uploaded."""
        experiment = self.client.get_run(self.parent).info.experiment_id
        where = f"tags.`rungs.id` = '{self.id}' and tags.`trial` = '{self.trial.id}'"
        models = self.client.search_logged_models([experiment], where)
        model = models[0] if models else None
        if model is not None and str(model.status) == _READY:
            return model
        folder = self.folder / MODEL_FOLDER
        if not folder.is_dir():
            from trainables.training import load_checkpoint

            package(load_checkpoint(self.folder / BEST_FILE), folder, fit_of(self.history.search["conf"]))
        model = model or self._create(experiment)
        identify(folder, model)
        self.client.log_model_artifacts(model.model_id, str(folder))
        self._log_figures(model.model_id)
        return self.client.finalize_logged_model(model.model_id, _READY)

    def _create(self, experiment: str) -> Any:
        params = {key: str(value)[:_VALUE_LENGTH] for key, value in self.trial.config.items()}
        tags = {"rungs.id": self.id, "rungs.search": self.history.search["name"], "trial": str(self.trial.id)}
        model = self.client.create_logged_model(
            experiment, self.history.search["name"], self.parent, tags, params, "classifier"
        )
        output = self.mlflow.entities.LoggedModelOutput(model.model_id, step=0)
        self.client.log_outputs(self.parent, [output])
        return model

    def _log_figures(self, model_id: str) -> None:
        """The parent's figures, as the recorder writes them, as the model's too."""
        figures = self.figures | {f"test_{name}": self.test[name] for name in ("loss", "error", "f1")}
        when = int(self.test["time"] * 1000)
        metrics = [
            self.mlflow.entities.Metric(name, value, when, 0, model_id=model_id, run_id=self.parent)
            for name, value in figures.items()
        ]
        self.client.log_batch(self.parent, metrics, synchronous=True)

    def _tags(self) -> dict[str, str]:
        low, high = self.test["interval"]
        return {
            "rungs.id": self.id,
            "rungs.search": self.history.search["name"],
            "trial": str(self.trial.id),
            "family": self.trial.model,
            "metric": self.history.metric,
            **{name: repr(value) for name, value in self.figures.items()},
            "test_error": repr(self.test["error"]),
            "test_error_interval": f"{low:.4g} to {high:.4g}",
            "dataset.digest": self.history.search["dataset_digest"],
        }

    def _description(self) -> str:
        metric, (low, high) = self.history.metric, self.test["interval"]
        return (
            f"The winner of {self.history.search['name']}: trial {self.trial.id} of {len(self.history.searched())}, "
            f"{self.trial.model}, with {metric} {self.figures[metric]:.4g}; test error "
            f"{100 * self.test['error']:.2f} % (95 %: {100 * low:.2f} to {100 * high:.2f} %)."
        )


def _candidate(version: Any) -> Candidate:
    """What a version's tags say; nothing where another tool made it."""
    tags = version.tags
    figures = {name: float(tags[name]) for name in METRICS if name in tags}
    metric = tags.get("metric")
    known = {metric, "val_loss"} <= figures.keys()
    return Candidate(str(version.version), metric if known else None, tags.get("dataset.digest"), figures)
