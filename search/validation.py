"""Checks a conf document key by key and builds the ``Task``; every error names the file, the key and what is valid."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from datasets.errors import UserError
from search.space import Choice, Fixed, Node, Range, Space, parameters_of
from search.task import Reference, Scheduler, Task
from trainables.epoch import METRICS
from trainables.signatures import (
    Keyword,
    available,
    conforms,
    dataset_keywords,
    describe,
    is_own,
    model_keywords,
    recipe_keywords,
)

KEYS = (
    "dataset", "metric", "epochs", "scheduler", "grace", "reduction_factor", "patience", "max_parameters",
    "models", "space", "references",
)  # fmt: skip
REQUIRED = ("dataset", "epochs", "models")
SCHEDULERS = get_args(Scheduler)
RANGE_KEYS = {"low", "high", "log", "step"}


def nearest(name: str, valid: Iterable[str]) -> str:
    """`` (did you mean X? valid: ...)``, or without a likely X just the valid ones."""
    valid = [str(name) for name in valid]
    close = difflib.get_close_matches(name, valid, n=1)
    return f" ({f'did you mean {close[0]}? ' if close else ''}valid: {', '.join(valid)})"


class Validator:
    """Turns a document into a Task; every error names the file and the key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def error(self, key: str, problem: str) -> UserError:
        """The error for a key."""
        return UserError(f"{self.where}: {key}: {problem}")

    def shaped(self, document: Any) -> dict[str, Any]:
        """The document with its defaults, its keys and their nesting checked, their values not yet."""
        if not isinstance(document, dict):
            raise UserError(f"{self.where}: must be a mapping with the keys {', '.join(KEYS)}")
        for key in document:
            if key not in KEYS:
                raise self.error(str(key), f"no such key{nearest(str(key), KEYS)}")
        for key in REQUIRED:
            if document.get(key) is None:
                raise self.error(key, "is missing")
        defaults = {"metric": "val_loss", "scheduler": "asha", "grace": 1, "reduction_factor": 3, "patience": 20}
        shaped = defaults | {key: value for key, value in document.items() if value is not None}
        if not isinstance(shaped["dataset"], dict):
            shaped["dataset"] = {"name": shaped["dataset"]}
        shaped["space"] = self.mapping("space", document.get("space"))
        shaped["models"] = self.mapping("models", document["models"])
        if not shaped["models"]:
            raise self.error("models", "must name at least one model family")
        for family, settings in shaped["models"].items():
            shaped["models"][family] = self.mapping(f"models.{family}", settings)
        shaped["references"] = document.get("references") or []
        return {key: shaped.get(key) for key in KEYS}

    def mapping(self, key: str, value: Any) -> dict[str, Any]:
        """A mapping, or an empty one for nothing."""
        if not isinstance(value, dict | None):
            raise self.error(key, f"must be a mapping of settings, not {value!r}")
        return {} if value is None else value

    def task(self, name: str, document: dict[str, Any]) -> Task:
        """The validated task of a shaped document."""
        for key in ("epochs", "grace", "patience"):
            if not conforms(document[key], int) or document[key] < 1:
                raise self.error(key, f"must be a whole number of epochs, at least 1, not {document[key]!r}")
        if document["grace"] > document["epochs"]:
            raise self.error("grace", f"{document['grace']} is more than epochs, {document['epochs']}")
        if not conforms(document["reduction_factor"], int) or document["reduction_factor"] < 2:
            raise self.error("reduction_factor", f"must be a whole number from 2, not {document['reduction_factor']!r}")
        for key, valid in (("metric", METRICS), ("scheduler", SCHEDULERS)):
            if document[key] not in valid:
                raise self.error(key, f"{document[key]!r}: must be one of {', '.join(valid)}")
        most = document["max_parameters"]
        if most is not None and not (conforms(most, int) and most > 0):
            raise self.error("max_parameters", f"must be a whole number from 1, not {most!r}")
        data_root = self.data_root(document["dataset"])
        dataset, dataset_settings = self.dataset(document["dataset"])
        models = self.models(document["models"])
        space = self.space(document, models)
        return Task(
            name=name,
            dataset=dataset,
            dataset_settings=dataset_settings,
            data_root=data_root,
            metric=document["metric"],
            epochs=document["epochs"],
            scheduler=document["scheduler"],
            grace=document["grace"],
            reduction_factor=document["reduction_factor"],
            patience=document["patience"],
            max_parameters=most,
            models=models,
            space=space,
            references=tuple(self.references(document, models, space)),
            resolved=document,
        )

    def data_root(self, entry: dict[str, Any]) -> Path | None:
        """Where the dataset's files lie; a relative path is relative to the conf file, and written down in full."""
        root = entry.get("root")
        if root is None:
            return None
        if not isinstance(root, str):
            raise self.error("dataset.root", f"must be a text, not {root!r}")
        path = (Path(self.where).parent / Path(root).expanduser()).resolve()
        entry["root"] = str(path)
        return path

    def dataset(self, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The dataset's name and its keywords."""
        settings = dict(entry)
        settings.pop("root", None)
        name = settings.pop("name", None)
        if name not in available("datasets"):
            raise self.error("dataset", f"no dataset {name!r}{nearest(str(name), available('datasets'))}")
        self.values("dataset", settings, dataset_keywords(name))
        return name, settings

    def values(self, key: str, settings: Mapping[str, Any], keywords: Mapping[str, Keyword]) -> None:
        """Checks fixed values against keywords."""
        for name, value in settings.items():
            if name not in keywords:
                raise self.error(f"{key}.{name}", f"no such setting{nearest(str(name), keywords)}")
            if not keywords[name].accepts(value):
                raise self.error(f"{key}.{name}", f"must be {keywords[name].valid}, not {value!r}")
        for name, keyword in keywords.items():
            if keyword.required and name not in settings:
                raise self.error(f"{key}.{name}", f"is missing: {keyword.valid}")

    def models(self, families: Mapping[str, Any]) -> dict[str, str]:
        """The model of each family: its setting ``model``, or what it is called."""
        models = {}
        for family, settings in families.items():
            key, own = f"models.{family}", "model" in settings
            if set(str(family)) & set(".:=") or (own and not isinstance(family, str)):
                raise self.error(key, "a family's name has none of . : and =; say which model it is with "
                                 f"{{model: {family}}} under a name of its own")  # fmt: skip
            models[family] = settings.get("model", family)
            self.model(f"{key}.model" if own else key, models[family])
        return models

    def model(self, key: str, model: Any) -> None:
        """Checks that there is such a model."""
        if isinstance(model, str) and is_own(model):
            try:
                model_keywords(model)
            except UserError as error:
                raise self.error(key, str(error)) from None
        elif model not in (valid := available("trainables/models")):
            raise self.error(key, f"no such model: {model!r}{nearest(str(model), [*valid, 'package.module:Name'])}")

    def space(self, document: dict[str, Any], models: Mapping[str, str]) -> Space:
        """The tree, families first, then choices with settings, then the rest."""
        families, shared = document["models"], document["space"]
        accepted = {family: recipe_keywords() | model_keywords(model) for family, model in models.items()}
        common = {name: keyword for name, keyword in accepted[next(iter(accepted))].items()
                  if all(name in keywords for keywords in accepted.values())}  # fmt: skip
        trees: dict[str, Space] = {}
        for family, model in models.items():
            settings = {name: entry for name, entry in families[family].items() if name != "model"}
            trees[family] = {"model": Fixed(model)} if model != family else {}
            trees[family] |= self.tree(f"models.{family}", settings, accepted[family])
        rest = self.tree("space", shared, common)
        space: Space = {"model": Choice(tuple(models), trees)}
        space |= {key: node for key, node in rest.items() if isinstance(node, Choice) and node.settings}
        space |= rest
        self.names_once(space)
        return space

    def names_once(self, space: Space) -> None:
        """Alternatives with settings must have names of their own, since those make the keys of a configuration."""
        seen: dict[str, str] = {}
        trees = [("", space)]
        while trees:
            prefix, tree = trees.pop()
            for key, node in tree.items():
                for name, settings in node.settings.items() if isinstance(node, Choice) else ():
                    if name in seen:
                        raise self.error(prefix + key, f"alternative {name} has the name of one of {seen[name]}")
                    seen[name] = prefix + key
                    trees.append((f"{name}.", settings))

    def tree(self, key: str, settings: Mapping[str, Any], keywords: Mapping[str, Keyword]) -> Space:
        """The nodes of a mapping of settings."""
        space: Space = {}
        for name, entry in settings.items():
            if name not in keywords:
                raise self.error(f"{key}.{name}", f"no such setting{nearest(str(name), keywords)}")
            space[name] = self.node(f"{key}.{name}", entry, keywords[name], keywords)
        return space

    def node(self, key: str, entry: Any, keyword: Keyword, keywords: Mapping[str, Keyword]) -> Node:
        """A scalar or list is fixed, a mapping is a range or a choice."""
        if not isinstance(entry, dict):
            return Fixed(self.accepted(key, entry, keyword))
        if entry.keys() == {"choice"}:
            return self.choice(key, entry["choice"], keyword, keywords)
        if not {"low", "high"} <= entry.keys() <= RANGE_KEYS:
            raise self.error(key, "must be a value, {low, high} with log or step if wanted, or {choice: [...]}, "
                             f"not {entry!r}")  # fmt: skip
        return self.range(key, entry, keyword)

    def accepted(self, key: str, value: Any, keyword: Keyword) -> Any:
        """The value, if it is of the keyword's type."""
        if not keyword.accepts(value):
            raise self.error(key, f"must be {keyword.valid}, not {value!r}")
        return value

    def choice(self, key: str, options: Any, keyword: Keyword, keywords: Mapping[str, Keyword]) -> Choice:
        """A list of values, or a mapping of values to their settings."""
        if not isinstance(options, list | dict) or not options:
            raise self.error(key, f"choice must be a list, or a mapping of names to settings, not {options!r}")
        values = tuple(self.accepted(key, value, keyword) for value in options)
        if len({repr(value) for value in values}) < len(values):
            raise self.error(key, "choice has the same value twice")
        settings = {}
        for name in options if isinstance(options, dict) else ():
            settings[str(name)] = self.tree(f"{key}.{name}", self.mapping(f"{key}.{name}", options[name]), keywords)
        return Choice(values, settings)

    def range(self, key: str, entry: Mapping[str, Any], keyword: Keyword) -> Range:
        """Bounds of the keyword's type."""
        if not conforms(1, keyword.annotation):
            raise self.error(key, f"can't be a range: must be {keyword.valid}")
        low, high, log, step = entry["low"], entry["high"], entry.get("log", False), entry.get("step")
        for name, value in (("low", low), ("high", high), ("step", low if step is None else step)):
            if not (conforms(value, float) and keyword.accepts(value)):
                raise self.error(f"{key}.{name}", f"must be {keyword.valid}, not {value!r}")
        if not isinstance(log, bool):
            raise self.error(f"{key}.log", f"must be {describe(bool)}, not {log!r}")
        if not low < high:
            raise self.error(key, f"low {low} must be less than high {high}")
        if log and low <= 0:
            raise self.error(key, f"low {low} must be more than 0 on a log scale")
        whole = keyword.annotation is Any and all(isinstance(value, int) for value in (low, high, step or 1))
        integer = whole or not conforms(0.5, keyword.annotation)
        if step is not None and (log or step <= 0 or high not in Range(low, high, False, step)):
            raise self.error(f"{key}.step", f"must go from low to high in whole steps, and without log, not {step!r}")
        return Range(low, high, log, step, integer)

    def references(self, document: Mapping[str, Any], models: Mapping[str, str], space: Space) -> Iterable[Reference]:
        """Fixed configurations with what was reported of them."""
        entries = document["references"]
        if not isinstance(entries, list):
            raise self.error("references", "must be a list")
        names: set[str] = set()
        for number, entry in enumerate(entries):
            reference = self.reference(f"references[{number}]", entry, models, space, document)
            if reference.name in names:
                raise self.error(f"references[{number}].name", f"{reference.name!r} stands twice")
            names.add(reference.name)
            yield reference

    def reference(
        self, key: str, entry: Any, families: Mapping[str, str], space: Space, document: Mapping[str, Any]
    ) -> Reference:
        """One of them; it ends as the task's trials do unless it says otherwise."""
        valid = {"name", "config", "epochs", "patience", "reported"}
        if not isinstance(entry, dict) or not {"name", "config"} <= entry.keys() <= valid:
            raise self.error(key, f"must be a mapping with name and config, and of {', '.join(sorted(valid))}")
        if not isinstance(entry["name"], str):
            raise self.error(f"{key}.name", f"must be a text, not {entry['name']!r}")
        config = self.mapping(f"{key}.config", entry["config"])
        family = config.get("model")
        model = families.get(str(family), family)
        self.model(f"{key}.config.model", model)
        keywords = recipe_keywords() | model_keywords(model)
        self.values(f"{key}.config", {name: value for name, value in config.items() if name != "model"}, keywords)
        for name in ("epochs", "patience"):
            if entry.get(name) is not None and not (conforms(entry[name], int) and entry[name] > 0):
                raise self.error(f"{key}.{name}", f"must be a whole number from 1, not {entry[name]!r}")
        reported = self.mapping(f"{key}.reported", entry.get("reported"))
        figures = {name: Keyword(name, float, required=False) for name in ("test_error", "test_loss", "test_f1")}
        self.values(f"{key}.reported", reported, figures)
        defaults = {name: keyword.default for name, keyword in keywords.items()}
        inside = parameters_of(space, config, defaults) if family in families else None
        if model != family:
            config = {**config, f"{family}.model": model}
        epochs, patience = (entry.get(name) or document[name] for name in ("epochs", "patience"))
        return Reference(entry["name"], config, inside, epochs, patience, reported)
