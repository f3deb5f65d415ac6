"""Reads conf files: YAML to a validated ``Task``. A mistake is one line with the file, the key and what is valid."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from datasets.errors import UserError
from search.task import Task, conf_folder
from search.validation import KEYS, RANGE_KEYS, Validator, nearest
from trainables.signatures import conforms


class _Loader(yaml.SafeLoader):
    """YAML whose ``1e-3`` is a number, as in YAML 1.2, and whose keys may stand once only."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(problem=f"key {key.value} stands twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def parse_yaml(text: str, where: str) -> Any:
    """The document, or a UserError that names the line."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{where}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not YAML: {error}") from None


def find(task: str) -> Path:
    """The conf file of a task's name, or of a path to one's own."""
    if task.endswith((".yaml", ".yml")) or "/" in task:
        path = Path(task)
        if not path.is_file():
            raise UserError(f"no file {task}")
        return path
    names = sorted(path.stem for path in conf_folder().glob("*.yaml"))
    if task not in names:
        raise UserError(f"no task {task!r} in conf/{nearest(task, names)}, or give the path of a YAML file")
    return conf_folder() / f"{task}.yaml"


def load(task: str, changes: Mapping[str, Any], assignments: Iterable[str], models: Iterable[str] = ()) -> Task:
    """The task of a name or path.

    Args:
        task: a name in conf/, or the path of a YAML file.
        changes: top-level keys to replace.
        assignments: ``KEY=VALUE`` texts, the values in YAML (see ``assign``).
        models: the families to search; none for all.

    Raises:
        UserError: anything in it that is not valid.
    """
    path = find(task)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    validator = Validator(str(path))
    document = validator.shaped(parse_yaml(text, str(path)))
    families = document["models"]
    for model in models:
        if model not in families:
            raise UserError(f"--model {model}: not in {path}{nearest(model, families)}")
    if models:
        document["models"] = {name: families[name] for name in families if name in set(models)}
    for assignment in assignments:
        assign(document, assignment)
        document = validator.shaped(document)
    document |= changes
    if "grace" not in changes and conforms(document["epochs"], int) and conforms(document["grace"], int):
        document["grace"] = min(document["grace"], document["epochs"])
    return validator.task(path.stem, document)


def assign(document: dict[str, Any], assignment: str) -> None:
    """Applies one ``KEY=VALUE`` to the document: a dotted key of the conf or of the space, fixed or narrowed."""
    key, equals, text = assignment.partition("=")
    where = f"--set {assignment}"
    if not equals or not key:
        raise UserError(f"{where}: must be KEY=VALUE")
    value = parse_yaml(text, where)
    first, _, rest = key.partition(".")
    if not rest:
        target = document if key in KEYS else document["space"]
    elif first == "dataset":
        target, key = document["dataset"], rest
    else:
        owners = dict(_alternatives(document))
        if first not in owners:
            raise UserError(f"{where}: no {first}{nearest(first, ['dataset', *owners])}")
        target, key = owners[first], rest
    target[key] = _narrowed(target.get(key), value)


def _alternatives(document: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Families and the alternatives of choices, by name, with their settings."""
    yield from document["models"].items()
    for tree in (document["space"], *document["models"].values()):
        for node in tree.values():
            if isinstance(node, dict) and isinstance(choice := node.get("choice"), dict):
                for name, settings in choice.items():
                    choice[name] = {} if settings is None else settings
                    if isinstance(choice[name], dict):
                        yield str(name), choice[name]


def _narrowed(old: Any, new: Any) -> Any:
    """``new``, keeping what it leaves unsaid of a range or of alternatives with settings."""
    if not isinstance(old, dict):
        return new
    if isinstance(new, dict) and "low" in old and new.keys() <= RANGE_KEYS:
        return old | new
    choice = old.get("choice")
    if isinstance(choice, dict):
        names = new.get("choice") if isinstance(new, dict) else [new]
        if isinstance(names, list) and all(isinstance(name, str) and name in choice for name in names):
            return {"choice": {name: choice[name] for name in names}}
    return new
