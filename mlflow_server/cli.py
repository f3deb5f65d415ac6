"""The command line of ``python -m mlflow_server``."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.command_line import Parser
from search.cli import COUNT, number

PASSWORD, USERNAME = "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_USERNAME"
"""Where the administrator of ``--auth`` is read: the names by which MLflow's clients read what they say."""


@dataclass(frozen=True)
class Options:
    """One call."""

    host: str
    port: int
    runs_dir: Path
    backend_store_uri: str | None
    artifacts: str | None
    allowed_hosts: tuple[str, ...]
    auth: bool
    workers: int


def _hosts(text: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",") if host.strip()]
    for host in hosts:
        if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?", host):
            raise argparse.ArgumentTypeError(f"must be names or addresses, each with or without :PORT, not {host!r}")
    return hosts


def parser() -> Parser:
    """The parser; its errors are ``UserError``."""
    result = Parser(
        prog="python -m mlflow_server",
        description="Start MLflow's tracking server and its UI over the searches in a runs folder, or over a database "
        "and an artifact store of a team's; Ctrl-C ends it.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1, this machine only)")
    add("--port", type=number(int, 1, "a port from 1 to 65535", 65535), default=5000, help="(default: 5000)")
    add(
        "--runs-dir",
        type=Path,
        default=Path("runs"),
        metavar="FOLDER",
        help="where searches put their results: mlflow.db and mlflow-artifacts in there are served (default: runs/)",
    )
    add(
        "--backend-store-uri",
        default=os.environ.get("MLFLOW_BACKEND_STORE_URI"),
        metavar="URI",
        help="another database: sqlite:///FILE or postgresql://USER@HOST/NAME (default: the environment's "
        "MLFLOW_BACKEND_STORE_URI, where one with a password belongs, since everyone on the machine can read command "
        "lines; else mlflow.db in the runs folder)",
    )
    add(
        "--artifacts",
        metavar="PLACE",
        help="where pictures, tables and models go, through the server: a folder, or s3://BUCKET/PATH (default: "
        "mlflow-artifacts beside the SQLite file, else in the runs folder)",
    )
    add(
        "--allowed-hosts",
        type=_hosts,
        action="extend",
        default=[],
        metavar="HOST,...",
        help="names by which browsers and searches reach the server, as mlflow.example or mlflow.example:8443; "
        "requests for any other are refused (repeatable; localhost is always among them)",
    )
    add(
        "--auth",
        action="store_true",
        help=f"ask for user and password; the administrator's come from the environment's {USERNAME} (default: admin) "
        f"and {PASSWORD}",
    )
    add("--workers", type=COUNT, default=1, metavar="N", help="server processes, a quarter of a GB each (default: 1)")
    return result


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line.

    Raises:
        UserError: an option that is unknown, incomplete or out of its bounds.
    """
    found = vars(parser().parse_args(arguments))
    return Options(**found | {"allowed_hosts": tuple(found["allowed_hosts"])})
