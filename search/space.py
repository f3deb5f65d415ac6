"""The search space: a tree in which a scalar is fixed and a mapping is searched.

``{low, high, log, step}`` is a range, ``{choice: [...]}`` a choice, ``{choice: {name: {...}, ...}}`` a choice between
alternatives with settings of their own, which exist only under the one that was chosen. A configuration is flat: a
setting of an alternative has the key ``<alternative>.<setting>``.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Fixed:
    """One value."""

    value: Any


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where ``integer``."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        step = self.step or (1 if self.integer else None)
        return step is None or math.isclose((value - self.low) / step, round((value - self.low) / step), abs_tol=1e-6)


@dataclass(frozen=True)
class Choice:
    """Values, and by the name of a value the settings that exist only under it."""

    values: tuple[Any, ...]
    settings: dict[str, "Space"]


Node = Fixed | Range | Choice
Space = dict[str, Node]
Config = dict[str, Any]


def label(value: object) -> str | int | float | bool | None:
    """What stands for a value among an Optuna parameter's categories: itself, or a list as compact JSON."""
    if isinstance(value, list | tuple):
        return json.dumps(value, separators=(",", ":"))
    assert value is None or isinstance(value, str | int | float | bool)
    return value


def nodes(space: Space, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Every (key, node) of the tree, settings of alternatives under their dotted keys."""
    for key, node in space.items():
        yield prefix + key, node
        if isinstance(node, Choice):
            for alternative, settings in node.settings.items():
                yield from nodes(settings, f"{alternative}.")


def searched(space: Space) -> list[str]:
    """Keys that a search varies."""
    return [
        key
        for key, node in nodes(space)
        if isinstance(node, Range) or (isinstance(node, Choice) and len(node.values) > 1)
    ]


def strongest(space: Space, family: str, names: Collection[str]) -> Config:
    """The largest value that each of these settings, numbers or switches, can have for a family, by its plain name.

    A family's own setting goes before the shared one; what the space does not have is left out.
    """
    model = space["model"]
    assert isinstance(model, Choice)
    found: Config = {}
    for tree in (model.settings[family], {key: node for key, node in space.items() if node is not model}):
        values: dict[str, list[Any]] = {}
        for key, node in nodes(tree):
            name = key.rpartition(".")[2]
            if name in names and name not in found:
                values.setdefault(name, []).append(_largest(node))
        found |= {name: max(every) for name, every in values.items()}
    return found


def _largest(node: Node) -> Any:
    if isinstance(node, Fixed):
        return node.value
    return node.high if isinstance(node, Range) else max(node.values)


def propose(space: Space, trial: "optuna.trial.Trial", prefix: str = "") -> Config:
    """One configuration, asked of Optuna key by key (define-by-run).

    A shared setting is left out where the chosen alternative has its own of that name; the tree has alternatives first.
    """
    config: Config = {}
    for key, node in space.items():
        name = prefix + key
        if not prefix and key in _settings_of_alternatives(config):
            continue
        if isinstance(node, Fixed):
            config[name] = node.value
        elif isinstance(node, Range) and node.integer:
            config[name] = trial.suggest_int(
                name, int(node.low), int(node.high), log=node.log, step=int(node.step or 1)
            )
        elif isinstance(node, Range):
            config[name] = trial.suggest_float(name, node.low, node.high, log=node.log, step=node.step)
        else:
            labels = [label(value) for value in node.values]
            chosen = trial.suggest_categorical(name, labels) if len(labels) > 1 else labels[0]
            config[name] = next(value for value in node.values if label(value) == chosen)
            if str(chosen) in node.settings:
                config |= propose(node.settings[str(chosen)], trial, f"{chosen}.")
    return config


def identity(parameters: Config) -> str:
    """The same of Optuna's parameters of one point: numbers in steps may differ in their last digits."""
    return repr(
        [(name, f"{value:.9g}" if isinstance(value, float) else value) for name, value in sorted(parameters.items())]
    )


def all_parameters(space: Space, most: int) -> list[Config] | None:
    """Optuna's parameters of every point of the space, or None where it has more than ``most`` of them."""
    walk = _Walk()
    found: list[Config] = []
    while len(found) < most and not walk.endless:
        walk.parameters = {}
        propose(space, walk)
        found.append(walk.parameters)
        if not walk.advance():
            return None if walk.endless else found
    return None


class _Walk:
    """Stands where Optuna's trial does, and goes through all values of the settings it is asked for, the last first."""

    def __init__(self) -> None:
        self.parameters: Config = {}
        self.endless = False
        self._places: list[int] = []
        self._counts: list[int] = []

    def suggest_int(self, name: str, low: int, high: int, log: bool, step: int) -> Any:
        return self._take(name, (high - low) // step + 1, lambda place: low + step * place)

    def suggest_float(self, name: str, low: float, high: float, log: bool, step: float | None) -> Any:
        self.endless |= step is None
        count = round((high - low) / step) + 1 if step else 1
        return self._take(name, count, lambda place: min(high, low + (step or 0) * place))

    def suggest_categorical(self, name: str, labels: Sequence[Any]) -> Any:
        return self._take(name, len(labels), labels.__getitem__)

    def _take(self, name: str, count: int, value: Callable[[int], Any]) -> Any:
        depth = len(self.parameters)
        if depth == len(self._places):
            self._places.append(0)
            self._counts.append(count)
        self.parameters[name] = value(self._places[depth])
        return self.parameters[name]

    def advance(self) -> bool:
        """Goes on to the next point, if there is one."""
        while self._places and self._places[-1] == self._counts[-1] - 1:
            self._places.pop()
            self._counts.pop()
        if self._places:
            self._places[-1] += 1
        return bool(self._places)


def _settings_of_alternatives(config: Config) -> set[str]:
    return {_plain(name) for name in config if "." in name}


def _plain(name: str) -> str:
    return name.rpartition(".")[2]


def parameters_of(space: Space, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Config | None:
    """Optuna's parameters of the point of the space with these settings, or None where there is no such point.

    ``settings`` are plain names; what they leave out, and what the space leaves out, has its default.
    """
    wanted = {**defaults, **settings}
    found = _look(space, lambda name: wanted[_plain(name)])
    if found is None:
        return None
    config, parameters = found
    reached = {name: _plain(name) for name in config if not name.endswith(".model")}  # a family's own was found by then
    same = all(label(config[name]) == label(wanted[plain]) for name, plain in reached.items())
    missed = settings.keys() - reached.values()
    return parameters if same and all(label(wanted[name]) == label(defaults.get(name)) for name in missed) else None


def parameters_at(space: Space, config: Config) -> Config | None:
    """Optuna's parameters of the point of the space that is this very configuration, or None where there is none."""
    found = _look(space, config.__getitem__)
    return found[1] if found and found[0] == config else None


def _look(space: Space, value_of: Callable[[str], Any]) -> tuple[Config, Config] | None:
    """The configuration with these values of what is searched, and Optuna's parameters, or None where one is outside.

    ``value_of``: of a setting's key, a KeyError where there is none.
    """
    look = _Look(value_of)
    try:
        return propose(space, look), look.parameters
    except (KeyError, ValueError):
        return None


class _Look:
    """Stands where Optuna's trial does, and gives wanted values; one that is not valid is a ValueError."""

    def __init__(self, value_of: Callable[[str], Any]) -> None:
        self.parameters: Config = {}
        self._value_of = value_of

    def suggest_int(self, name: str, low: int, high: int, log: bool, step: int) -> Any:
        return self._take(name, Range(low, high, log, step, integer=True), int)

    def suggest_float(self, name: str, low: float, high: float, log: bool, step: float | None) -> Any:
        return self._take(name, Range(low, high, log, step), float)

    def suggest_categorical(self, name: str, labels: Sequence[Any]) -> Any:
        self.parameters[name] = labels[labels.index(label(self._value_of(name)))]
        return self.parameters[name]

    def _take(self, name: str, valid: Range, kind: type) -> Any:
        value = self._value_of(name)
        if value not in valid:
            raise ValueError(name)
        self.parameters[name] = kind(value)
        return self.parameters[name]
