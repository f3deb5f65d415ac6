"""What a server stands on, checked before it is started: the database, the folder or bucket, the port."""

import importlib.metadata
import importlib.util
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datasets.errors import UserError
from search.tracking import masked, sqlite_path

if TYPE_CHECKING:
    from sqlalchemy import Connection

CONNECT_SECONDS = 10
TEAM = "python -m pip install -r requirements-team.txt"


def check_folder(folder: Path, option: str) -> None:
    """Makes a folder where there is none.

    Raises:
        UserError: it cannot be made or written; ``option`` says who asked for it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{option}: {folder} cannot be written ({error.strerror})") from None


def is_local(place: str) -> bool:
    """Whether artifacts go into a folder."""
    return "://" not in place


def check_artifacts(place: str) -> None:
    """Refuses a place for artifacts that MLflow could not use.

    Raises:
        UserError: neither a folder that can be written nor an S3 address, or no boto3 for one.
    """
    option = f"--artifacts {place}"
    if is_local(place):
        check_folder(Path(place), option)
    elif not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", place):
        raise UserError(f"{option}: must be a folder or s3://BUCKET/PATH")
    elif importlib.util.find_spec("boto3") is None:
        raise UserError(f"{option}: S3 needs boto3; install it with: {TEAM}")


def check_database(uri: str) -> bool:
    """Refuses a database that MLflow's server would not start on; one that is empty or not there yet is fine.

    Returns:
        Whether its tables are still to be made.

    Raises:
        UserError: no such folder or server, no driver for it, no database, or one of another MLflow.
    """
    option = f"--backend-store-uri {masked(uri)}"
    if path := sqlite_path(uri):
        if not path.parent.is_dir():
            raise UserError(f"{option}: no folder {path.parent}")
        check_folder(path.parent, option)
        if not path.exists():
            return True
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(f"{option}: {path} cannot be read and written")
    elif urlsplit(uri).scheme.partition("+")[0] not in ("postgresql", "mysql", "mssql"):
        raise UserError(f"{option}: must be sqlite:///FILE or postgresql://USER@HOST/NAME")
    revision, used = _state(uri, option)
    known = _known_revisions()
    if revision is None or revision == known[-1]:
        return revision is None
    version = importlib.metadata.version("mlflow")
    if revision in known:
        if not used:
            raise UserError(
                f"{option}: of an older MLflow than {version}, or never finished, and without runs; delete it and "
                "start again"
            )
        again = f"'{uri}'" if masked(uri) == uri else '"$MLFLOW_BACKEND_STORE_URI"'
        raise UserError(
            f"{option}: made by an older MLflow than {version}; make a copy of it, then: "
            f"python -m mlflow db upgrade {again}"
        )
    raise UserError(
        f"{option}: made by a newer MLflow than {version}, which does not know its revision {revision}; update MLflow, "
        "or name another database"
    )


def count_own_folders(uri: str) -> int:
    """How many experiments of a database keep their artifacts in folders, outside what the server passes on."""
    import sqlalchemy

    if (path := sqlite_path(uri)) and not path.exists():
        return 0
    with _connected(uri) as connection:
        if not sqlalchemy.inspect(connection).has_table("experiments"):
            return 0
        own = "SELECT count(*) FROM experiments WHERE artifact_location LIKE 'file:%' AND experiment_id > 0"
        return int(connection.execute(sqlalchemy.text(own)).scalar_one())


def passwords(uri: str) -> list[str]:
    """Those in a database's URI."""
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    return [str(found) for found in (url.password, url.query.get("password")) if found]


def check_port(host: str, port: int) -> None:
    """Listens for a moment.

    Raises:
        UserError: the port is taken, or the address is not one of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        hint = "--port names another port, --host another address"
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from None


@contextmanager
def _connected(uri: str) -> Iterator["Connection"]:
    import sqlalchemy
    from sqlalchemy import pool

    url = sqlalchemy.make_url(uri)
    limit = {"connect_timeout": CONNECT_SECONDS} if url.get_driver_name().startswith("psycopg") else {}
    engine = sqlalchemy.create_engine(url, poolclass=pool.NullPool, connect_args=limit)
    with engine.connect() as connection:
        yield connection


def _state(uri: str, option: str) -> tuple[str | None, bool]:
    """The revision that MLflow's migrations have left, None where there are none of its tables; whether it has runs."""
    import sqlalchemy
    from sqlalchemy import exc

    try:
        with _connected(uri) as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            first = {
                table: connection.execute(sqlalchemy.text(f"SELECT {column} FROM {table} LIMIT 1")).scalar()  # noqa: S608
                for table, column in (("alembic_version", "version_num"), ("runs", "run_uuid"))
                if table in tables
            }
    except ModuleNotFoundError as error:
        raise UserError(f"{option}: the database needs {error.name}; install it with: {TEAM}") from None
    except exc.DBAPIError as error:
        raise UserError(f"{option}: {_first_line(error.orig)}") from None
    except (exc.SQLAlchemyError, ValueError):  # whose words may have a part of the password
        raise UserError(f"{option}: cannot be read as a database's URI") from None
    revision = first.get("alembic_version")
    return None if revision is None else str(revision), first.get("runs") is not None


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]


def _known_revisions() -> list[str]:
    """Of the installed MLflow, the newest last: read from its migrations' source, which take seconds to import."""
    package = importlib.util.find_spec("mlflow")
    assert package is not None
    assert package.origin is not None
    before: dict[str, str] = {}
    for path in (Path(package.origin).parent / "store/db_migrations/versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        names = {
            name: re.search(rf"^{name} = [\"'](\w+)[\"']", text, re.MULTILINE) for name in ("revision", "down_revision")
        }
        if (this := names["revision"]) is not None:
            before[this[1]] = names["down_revision"][1] if names["down_revision"] else ""
    (newest,) = set(before) - set(before.values())
    return [*(set(before) - {newest}), newest]
