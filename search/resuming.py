"""Going on with a search from its event log: what its command was, and whether it still holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.errors import UserError
from search import cli, place, results
from search.cli import Options
from search.history import History
from search.task import Task

_OF_THE_SEARCH = (
    "epochs",
    "metric",
    "scheduler",
    "grace",
    "reduction_factor",
    "model",
    "set",
    "sampler",
    "seed",
    "warm_start",
)
"""Options that it keeps to its end."""
_OF_THE_COMMAND = ("task", "name", "resume", "runs_dir", "storage", "ray_address", "dry_run", "quiet", "json")
"""Options that a command that goes on has of its own; all others are as they were, unless they are given again."""


@dataclass(frozen=True)
class Earlier:
    """A search that goes on."""

    folder: Path
    history: History

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.history.search["name"])

    def check(self, task: Task, dataset_digest: str | None = None) -> None:
        """Refuses a conf, or data, that are not those it began with.

        Raises:
            UserError: it differs, and where.
        """
        then, now = (_comparable(conf) for conf in (self.history.search["conf"], task.resolved))
        if different := _difference(then, now):
            raise UserError(
                f"--resume {self.name}: the conf of {task.name} is not what it began with: {different}; a new search "
                f"can take what it has found: --warm-start {self.name}"
            )
        if dataset_digest and dataset_digest != self.history.search["dataset_digest"]:
            raise UserError(
                f"--resume {self.name}: the data are not those it began with ({self.history.search['dataset_origin']})"
            )


def options(arguments: Sequence[str], given: Options, earlier: Earlier) -> Options:
    """The options of a command that goes on with a search: the search's own, and what was given now.

    ``given``: the command line's, with defaults where nothing was given.

    Raises:
        UserError: another task, or an option that a search keeps to its end.
    """
    search, explicit = earlier.history.search, cli.explicit(arguments)
    if Path(given.task).stem != search["task"]:
        raise UserError(f"--resume {earlier.name}: is a search of {search['task']}, not of {given.task}")
    then = {name: value for name, value in search["options"].items() if name in vars(given)}
    then |= {name: Path(then[name]) for name in ("data_root",) if then.get(name)}
    then["tracking_uri"] = search["tracking_uri"]
    for name in _OF_THE_SEARCH:
        if name in explicit and explicit[name] != then.get(name):
            raise UserError(
                f"--resume {earlier.name}: --{name.replace('_', '-')} stays as it began; leave it out, or take what "
                f"was found into a new search: --warm-start {earlier.name}"
            )
    own = {name: getattr(given, name) for name in _OF_THE_COMMAND}
    return Options(**vars(given) | then | explicit | own | {"name": earlier.name})


def load(given: Options) -> Earlier:
    """The search that a command line names.

    Raises:
        UserError: there is none of the name.
    """
    assert given.resume is not None
    place.fetch(given.resume, given.storage, given.runs_dir)
    found = results.load(given.resume, place.root(given.storage, given.runs_dir))
    if given.name not in (None, found.history.search["name"]):
        raise UserError(f"--resume {given.resume} --name {given.name}: a search that goes on keeps its name")
    return Earlier(found.folder, found.history)


def _comparable(conf: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it, without where the data lies, which is another place on another machine."""
    result: dict[str, Any] = json.loads(json.dumps(conf))
    result["dataset"].pop("root", None)
    return result


def _difference(then: Any, now: Any, where: str = "") -> str:
    """The first place where two documents differ, in words; empty where they are the same."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            place = f"{where}.{key}" if where else str(key)
            if found := _difference(then.get(key), now.get(key), place):
                return found
        return ""
    return "" if then == now else f"{where} was {json.dumps(then)}, and is {json.dumps(now)}"
