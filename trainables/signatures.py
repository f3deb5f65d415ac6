"""What a model, a dataset or the recipe accepts, read from its source without importing it; the user's own imported.

Configurations are checked against this before torch (a user's own model may import it) or Ray are loaded.
"""

import ast
import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from datasets.errors import UserError
from trainables import own
from trainables.recipe import RECIPE_FIELDS, Recipe

RESERVED = RECIPE_FIELDS | {"model"}
"""What no setting of a model can be called."""
ROOT = Path(__file__).parent.parent
_ANNOTATION_NAMES = {"Sequence": Sequence, "Literal": Literal, "int": int, "float": float, "bool": bool, "str": str}


@dataclass(frozen=True)
class Keyword:
    """One keyword: its type annotation, whether it must be given, and else its default."""

    name: str
    annotation: Any
    required: bool
    default: Any = None
    bounds: tuple[float, float] | None = None

    def accepts(self, value: Any) -> bool:
        """Whether a value, as YAML gives it, is of the annotated type and within the bounds."""
        within = self.bounds is None or not isinstance(value, int | float) or self.bounds[0] <= value <= self.bounds[1]
        return conforms(value, self.annotation) and within

    @property
    def valid(self) -> str:
        """What is accepted, in words."""
        if self.bounds is None:
            return describe(self.annotation)
        low, high = self.bounds
        return f"{describe(self.annotation)} from {low:g}" + (f" to {high:g}" if math.isfinite(high) else "")


@functools.cache
def available(package: str) -> tuple[str, ...]:
    """Names of the modules in ``datasets`` or ``trainables/models`` that can be named in a conf, sorted."""
    entry = "load" if package == "datasets" else None
    paths = [path for path in (ROOT / package).glob("*.py") if not path.stem.startswith("_")]
    return tuple(sorted(path.stem for path in paths if _entry(path, entry) is not None))


def is_own(model: str) -> bool:
    """Whether a model is the user's, ``package.module:Name``, and not a module of ``trainables.models``."""
    return ":" in model


@functools.cache
def model_keywords(model: str) -> dict[str, Keyword]:
    """The keywords of the class in ``trainables/models/<model>.py``, or of a model of the user's own.

    Raises:
        UserError: an own model that is not there, or one with a setting of the recipe's name.
    """
    if is_own(model):
        keywords = {name: Keyword(name, *facts) for name, facts in own.parameters(model).items()}
        if taken := sorted(keywords.keys() & RESERVED):
            raise UserError(f"model {model}: its {taken[0]} has the name of a setting of learning; give it another")
        return keywords
    return _keywords(ROOT / "trainables/models" / f"{model}.py", None)


@functools.cache
def input_dimensions(model: str) -> int | None:
    """Dimensions that an example must have for a model (3: channels, height, width); None where any will do."""
    if is_own(model):
        return None
    path = ROOT / "trainables/models" / f"{model}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INPUT_DIMENSIONS":
            return int(ast.literal_eval(node.value))
    return None


@functools.cache
def dataset_keywords(dataset: str) -> dict[str, Keyword]:
    """The keywords of ``load`` in ``datasets/<dataset>.py``."""
    return _keywords(ROOT / "datasets" / f"{dataset}.py", "load")


@functools.cache
def recipe_keywords() -> dict[str, Keyword]:
    """The fields of the recipe."""
    types_of = typing.get_type_hints(Recipe)
    return {
        field.name: Keyword(field.name, types_of[field.name], False, field.default, field.metadata.get("bounds"))
        for field in dataclasses.fields(Recipe)
    }


def _entry(path: Path, name: str | None) -> ast.FunctionDef | None:
    """The function ``name``, or where that is None, ``__init__`` of the class that is named like the file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if name is None and isinstance(node, ast.ClassDef) and node.name.lower() == path.stem:
            return next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    return None


def _keywords(path: Path, entry: str | None) -> dict[str, Keyword]:
    function = _entry(path, entry)
    assert function is not None, f"{path} has no {entry or 'class named like it'}"
    arguments = function.args
    keywords = {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        assert argument.annotation is not None, f"{path}: {argument.arg} has no annotation"
        annotation = eval(ast.unparse(argument.annotation), {"__builtins__": {}}, _ANNOTATION_NAMES)  # noqa: S307 - our own source
        value = None if default is None else ast.literal_eval(default)
        keywords[argument.arg] = Keyword(argument.arg, annotation, default is None, value)
    return keywords


def conforms(value: object, annotation: Any) -> bool:
    """Whether ``value`` is of the type: int, float (finite; an int will do), bool, str, Literal, Sequence, a union."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if origin is Literal:
        return value in arguments and type(value) in {type(argument) for argument in arguments}
    if origin in (Union, types.UnionType):
        return any(conforms(value, argument) for argument in arguments)
    if origin is collections.abc.Sequence:
        return isinstance(value, list | tuple) and all(conforms(item, arguments[0]) for item in value)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def describe(annotation: Any) -> str:
    """The type in words, for an error message."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return "any value"
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments)
    if origin is collections.abc.Sequence:
        return f"a list, each item {describe(arguments[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "nothing"}
    return names[annotation]
