"""``python -m datasets.show TASK OUT.png``: draws what a task learns from, without a search."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from search import cli, conf


@dataclass(frozen=True)
class Options:
    """One call of ``datasets.show``."""

    task: str
    out: Path
    data_root: Path | None
    set: list[str]


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m datasets.show",
        description="Draw what a task learns from: examples with their classes, as the strongest augmentation of its "
        "families changes them, and how many there are of each class.",
        allow_abbrev=False,
    )
    result.add_argument("task", metavar="TASK", help="a task's name in conf/, or the path of a YAML file")
    result.add_argument("out", type=Path, metavar="OUT", help="the PNG file to write")
    cli.add_data_root(result)
    cli.add_set(result)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 2 for a mistake of the user's, 130 where interrupted.
    """
    return guarded(lambda: _show(sys.argv[1:] if arguments is None else arguments))


def _show(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    task = conf.load(options.task, {}, options.set)
    out = options.out
    if out.suffix.lower() != ".png":
        raise UserError(f"OUT {out}: must be a file that ends in .png")
    if not out.parent.is_dir():
        raise UserError(f"OUT {out}: no folder {out.parent}")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"OUT {out}: {out.parent} is not writable")
    from search import drawing
    from search.reading import read

    dataset = read(task, options.data_root)
    for warning in dataset.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    try:
        drawing.of_the_data(out, task, dataset, task.name)
    except OSError as error:
        raise UserError(f"OUT {out}: cannot be written ({error.strerror})") from None
    classes = "1 class" if len(dataset.classes) == 1 else f"{len(dataset.classes)} classes"
    assert dataset.test is not None
    print(
        f"drew {task.name}, {len(dataset.development):,} development and {len(dataset.test):,} test examples of "
        f"{classes} ({dataset.origin}), to {out}"
    )
    return 0
