"""``python -m search.report NAME``: makes a search's report again, from its folder alone."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from search import cli, report


@dataclass(frozen=True)
class Options:
    """One call of ``search.report``."""

    name: str
    runs_dir: Path


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.report",
        description="Make a search's report.html and report.md again, from its folder alone: also of a search that "
        "still runs or was cut off, and wherever the folder lies.",
        allow_abbrev=False,
    )
    result.add_argument(
        "name", metavar="NAME", help="the search's name, a folder of the runs folder, or the path of its folder"
    )
    cli.add_runs_dir(result)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _report(sys.argv[1:] if arguments is None else arguments))


def _report(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    from search import results

    folder = results.load(options.name, options.runs_dir).folder
    try:
        report.write(folder)
    except OSError as error:
        raise UserError(f"{folder}: the report cannot be written ({error.strerror})") from None
    for name in (report.HTML, report.MARKDOWN):
        print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
