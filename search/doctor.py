"""``python -m search.doctor [TASK]``: what would go wrong with a search here, and what mends it, in seconds."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.command_line import Parser, guarded
from datasets.errors import UserError
from search import cli
from search.checks.finding import Check, Finding, count, run

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"ok": "green", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True)
class Options:
    """One call of ``search.doctor``."""

    task: str | None
    ray_address: str | None
    runs_dir: Path
    storage: str | None
    tracking_uri: str | None
    data_root: Path | None
    json: bool


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m search.doctor",
        description="Say in seconds what would go wrong with a search here: installed packages, GPUs, storage, the "
        "tracking server, room on disks and in memory, the nodes of a cluster, a task's data; and what mends it. "
        "Starts no Ray.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("task", nargs="?", metavar="TASK", help="also its conf and data: a name in conf/, or the path of a YAML file")
    cli.add_ray_address(result)
    cli.add_runs_dir(result)
    add(
        "--storage",
        metavar="PLACE",
        help="where checkpoints and results are to go: a folder that all nodes share, or s3://BUCKET/PREFIX (default: "
        "the runs folder)",
    )
    add(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        metavar="URI",
        help="MLflow's tracking store (default: the environment's MLFLOW_TRACKING_URI, else an SQLite file in the runs "
        "folder)",
    )
    cli.add_data_root(result)
    add("--json", action="store_true", help="print the findings as JSON")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 where there is no error, 1 where there is, 2 for a mistake of the user's, 130 where
        interrupted.
    """
    return guarded(lambda: _doctor(sys.argv[1:] if arguments is None else arguments))


def _doctor(arguments: Sequence[str]) -> int:
    options = Options(**vars(parser().parse_args(arguments)))
    from search.checks import machine

    with suppress(ImportError):  # the checks that need it say so
        machine.import_ray()
    found = [(check.name, finding) for check, findings in run(_checks(options)) for finding in findings]
    if options.json:
        print(json.dumps([{"check": name} | asdict(finding) for name, finding in found], indent=2))
    else:
        _show(found)
    return 1 if any(finding.level == "error" for _, finding in found) else 0


def _checks(options: Options) -> list[Check]:
    from search import tracking
    from search.checks import data, gpus, machine, nodes, packages, recording, storage

    address = options.ray_address or os.environ.get("RAY_ADDRESS")
    place = options.storage or str(options.runs_dir)
    uri = options.tracking_uri or tracking.default_uri(options.runs_dir)
    root = options.data_root or Path(os.environ.get("DATA_ROOT", "data"))
    checks = [
        Check("packages", packages.packages),
        Check("GPUs", gpus.gpus, 40),
        Check("storage", partial(storage.storage, place), 20),
        Check("tracking", partial(recording.recording, uri), 20),
        Check("mlruns", partial(recording.leftover, Path.cwd())),
        Check("disk", partial(machine.disks, Path(place) if "://" not in place else options.runs_dir, root)),
        Check("memory", machine.memory),
        Check("Ray", machine.leftovers, late=_MUCH_LEFT),
    ]
    if address and address != "local":
        checks.append(Check("cluster", partial(nodes.nodes, address, place), 60))
    if options.task:
        late = Finding(
            "warning",
            "not all was read within 30 seconds: it is downloaded, or decoded, which is done once",
            f"python -m search.run {options.task} --dry-run, which waits for it",
        )
        look = partial(data.data, options.task, options.data_root, partial(_resources, address))
        checks.append(Check("task", look, 30, late))
    return checks


_MUCH_LEFT = Finding(
    "warning",
    "what ended sessions of Ray's have left is not counted after 10 seconds: it is much",
    "where no Ray runs: rm -r /tmp/ray/session_2*",
)


def _resources(address: str | None) -> Sequence[Mapping[str, float]]:
    """Of each node that a search would run on; none of a cluster that does not answer: its own check says so."""
    from search import cluster
    from search.checks import machine

    if address and address != "local":
        try:
            return cluster.nodes_at(address)
        except UserError:
            return []
    return [node | {"object_store_memory": float(machine.object_store())} for node in cluster.this_machine()]


def _show(found: Sequence[tuple[str, Finding]]) -> None:
    from rich.console import Console

    console = Console()
    errors, warnings = (sum(finding.level == level for _, finding in found) for level in ("error", "warning"))
    total = f"{count(errors, 'error')}, {count(warnings, 'warning')}"
    if not errors and not warnings:
        total = "nothing stands in the way of a search"
    if console.is_terminal:
        console.print(_table(found))
        console.print(f"\n{total}", highlight=False)
        return
    wide = max(len(name) for name, _ in found)
    for name, finding in found:
        print(f"{finding.level:7}  {name:{wide}}  {finding.what}")
        if finding.mend:
            print(f"{'':7}  {'':{wide}}  mend: {finding.mend}")
    print(f"\n{total}")


def _table(found: Sequence[tuple[str, Finding]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, finding in found:
        text = Text(finding.what)
        if finding.mend:
            text.append(f"\nmend: {finding.mend}", style="cyan")
        table.add_row(Text(finding.level, style=_COLOURS[finding.level]), name, text)
    return table


if __name__ == "__main__":
    sys.exit(main())
