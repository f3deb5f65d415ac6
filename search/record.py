"""``python -m search.record NAME``: brings MLflow up to a search's event log; again at will, from wherever it lies."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from search import cli

if TYPE_CHECKING:
    from search.recorder import Recorder
    from search.results import Results

_PATIENCE = 30.0
"""Seconds for which a server may answer nothing but errors."""


@dataclass(frozen=True)
class Options:
    """One call of ``search.record``."""

    name: str
    tracking_uri: str | None
    runs_dir: Path


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.record",
        description="Send MLflow what it lacks of a search, and compare what it has with the search's event log. It "
        "can be run any number of times, also on another machine that has the search's folder.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("name", metavar="NAME", help="the search's name, a folder of the runs folder, or the path of its folder")
    add("--tracking-uri", metavar="URI", help="MLflow's tracking store (default: the one that the search had)")
    cli.add_runs_dir(result)
    return result


def command(folder: Path) -> str:
    """The command line for a search's folder."""
    return shlex.join(["python", "-m", "search.record", str(folder)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 where MLflow has all, 1 where it has not, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _record(sys.argv[1:] if arguments is None else arguments))


def _record(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    from search import results, tracking
    from search.events import FILE_NAME, EventLog
    from search.recorder import Recorder

    found = results.load(options.name, options.runs_dir)
    with closing(EventLog(found.folder / FILE_NAME, resume=True)):  # nobody else adds to the search, nor records it
        uri = options.tracking_uri or found.history.search["tracking_uri"]
        tracking.check(uri)
        recorder = Recorder(found.folder, uri)
        recorder.start()
        well = time.monotonic()
        while not recorder.wait(1.0) and recorder.running:
            if recorder.problem is None:
                well = time.monotonic()
            elif time.monotonic() - well > _PATIENCE:
                recorder.finish(0.0)
                raise UserError(f"{uri}: {recorder.problem}; what has come through stays there: try again later")
        assert recorder.arrived is not None
        print(f"{found.history.search['name']}: {recorder.arrived} in {uri}")
        if not recorder.arrived.complete:
            return 1
        return 0 if _register(found, recorder) else 1


def _register(found: "Results", recorder: "Recorder") -> bool:
    """Makes up for what the search itself could not do, as it was asked to; whether nothing is left to be done."""
    mode = found.history.search["options"].get("register", "never")
    if mode == "never" or not any(test["chosen"] == "winner" for test in found.history.tests):
        return True
    from search import registry

    assert recorder.parent is not None
    registered = registry.register(found.folder, recorder.tracking_uri, recorder.parent, mode)
    print(registered.line)
    return registered.done


if __name__ == "__main__":
    sys.exit(main())
