"""Models of the user's own, named ``package.module:Name``, imported from wherever Python finds them."""

import collections.abc
import difflib
import functools
import importlib
import inspect
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from datasets.errors import UserError


@functools.cache
def find(model: str) -> Callable[..., Any]:
    """The class or function that ``package.module:Name`` names, which makes a torch module of logits.

    It takes the shape of one example and the number of classes, then its settings as keywords.

    Raises:
        UserError: no such module or name, a module that cannot be imported, or what cannot be called so.
    """
    module_name, _, name = model.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(model, error) from None
        raise UserError(
            f"model {model}: no module {error.name} in the working directory, on PYTHONPATH or among installed packages"
        ) from None
    except Exception as error:
        raise _broken(model, error) from None
    found = getattr(module, name, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if inspect.isclass(value) or inspect.isfunction(value)]
        close = difflib.get_close_matches(name, names, n=1)
        raise UserError(f"model {model}: {module_name} has no {name}{f', but {close[0]}' if close else ''}")
    try:
        inspect.signature(found).bind_partial((3, 32, 32), 10)
    except (TypeError, ValueError):
        raise UserError(
            f"model {model}: must take the shape of one example and the number of classes, then its settings"
        ) from None
    result: Callable[..., Any] = found
    return result


def _broken(model: str, error: Exception) -> UserError:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return UserError(f"model {model}: cannot be imported: {type(error).__name__}: {error} ({place})")


def parameters(model: str) -> Mapping[str, tuple[Any, bool, Any]]:
    """Annotation, whether it must be given, and default of each setting of the model, by its name.

    An annotation that says nothing checkable, or none where there is no default either, is ``Any``.
    """
    found = find(model)
    function = found.__init__ if inspect.isclass(found) else found
    try:
        annotations = typing.get_type_hints(function)
    except Exception:  # names that only a type checker knows
        annotations = {}
    settings = {}
    for parameter in list(inspect.signature(found).parameters.values())[2:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        annotation = annotations.get(parameter.name, Any if default is None else type(default))
        settings[parameter.name] = (_checkable(annotation), required, default)
    return settings


def _checkable(annotation: Any) -> Any:
    """The annotation in the terms of ``signatures.conforms``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal or annotation in (int, float, bool, str, type(None)):
        return annotation
    if origin in (Union, types.UnionType):
        return Union[tuple(_checkable(argument) for argument in arguments)]  # noqa: UP007 - made at run time
    if origin in (list, tuple, collections.abc.Sequence) or annotation in (list, tuple):
        return Sequence[_checkable(arguments[0]) if arguments else Any]  # type: ignore[misc]
    return Any
