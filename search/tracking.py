"""Where MLflow keeps things: the default database of a runs folder, and whether a server answers."""

import base64
import fcntl
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from datasets.errors import UserError

PROBE_SECONDS = 5.0
DATABASE = "mlflow.db"
"""In a runs folder."""
_CREDENTIALS_FILE = Path("~/.mlflow/credentials")
"""Where MLflow's client looks for what the environment does not have."""


def default_uri(runs_folder: Path) -> str:
    """The SQLite file in the runs folder."""
    return f"sqlite:///{(runs_folder / DATABASE).resolve()}"


def artifact_location(uri: str, experiment: str) -> str | None:
    """Beside the file for SQLite, where MLflow would otherwise use the working directory; a server decides itself."""
    folder = artifact_folder(uri)
    return (folder / experiment).as_uri() if folder else None


def artifact_folder(uri: str) -> Path | None:
    """The folder of all experiments' artifacts beside an SQLite file; None for any other store."""
    path = sqlite_path(uri)
    return (path.parent / "mlflow-artifacts").resolve() if path else None


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite URI; None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Waits until no other process of ours opens an SQLite file of this folder, and keeps others waiting.

    Two that make the tables at once break the file for good: MLflow's migration keeps nobody out.
    """
    path = sqlite_path(uri)
    folder = os.open(path.parent, os.O_RDONLY) if path and path.parent.is_dir() else None
    try:
        if folder is not None:
            with suppress(OSError):  # a network's file system that locks no folders
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        if folder is not None:
            os.close(folder)


def masked(uri: str) -> str:
    """A URI as it may be shown and kept: with ``***`` for a password, and for whatever stands before an HTTP host."""
    if uri.startswith(("http://", "https://")):
        return re.sub(r"(?<=://)[^/]*@", "***@", uri)
    uri = re.sub(r"(?<=://)([^/:@]*):[^?]*@", r"\1:***@", uri)
    return re.sub(r"(?<=[?&]password=)[^&]*", "***", uri)


def check(uri: str) -> None:
    """Refuses a tracking store that can't be used.

    Raises:
        UserError: an unknown kind of URI, one with a password in it, an unwritable folder, no answer within a few
            seconds, or a server that wants other credentials than the environment has.
    """
    if (shown := masked(uri)) != uri:
        raise UserError(
            f"--tracking-uri {shown}: leave the password out, since the URI is kept with the results; a server's goes "
            "into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PostgreSQL's into PGPASSWORD"
        )
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        _check_server(uri)
    elif path := sqlite_path(uri):
        if not path.parent.is_dir():
            raise UserError(f"--tracking-uri {uri}: no folder {path.parent}")
    elif scheme not in ("postgresql", "mysql", "mssql", "sqlite") and "+" not in scheme:
        raise UserError(f"--tracking-uri {uri}: must be http(s)://HOST:PORT, or sqlite:///FILE or another database")


def how_to_see(uri: str, experiment_id: str | None, run_id: str | None) -> list[str]:
    """What to do to see a run in MLflow's UI: the address, and where no server has it, first the command for one."""
    page = f"/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    place = page if experiment_id and run_id else ""
    if urlsplit(uri).scheme in ("http", "https"):
        return [uri.rstrip("/") + place]
    path = sqlite_path(uri)
    where = f" --backend-store-uri {uri}"
    if path and path.name == DATABASE:
        runs = _from_here(path.parent)
        where = "" if runs == Path("runs") else f" --runs-dir {runs}"
    return [f"{_from_here(Path(sys.executable))} -m mlflow_server{where}", f"then http://127.0.0.1:5000{place}"]


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _check_server(uri: str) -> None:
    try:
        with get(f"{uri.rstrip('/')}/health"):
            pass
    except urllib.error.HTTPError as error:
        problem = f"it answers {error.code} {error.reason}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        _check_access(uri)
        return
    raise UserError(
        f"--tracking-uri {uri}: no MLflow server answers there ({problem}); start one, or leave the option out to "
        "record in a file"
    )


def _check_access(uri: str) -> None:
    """/health answers whoever asks under whatever name; what is recorded is not taken from everyone."""
    if os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4"):
        return  # the client's plugins know how to ask
    try:
        with get(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"):
            return
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.UNAUTHORIZED and not _CREDENTIALS_FILE.expanduser().exists():
            raise UserError(
                f"--tracking-uri {uri}: the server refuses the user or the password; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            ) from None
        if error.code == http.HTTPStatus.FORBIDDEN:
            reason = error.read(200).decode(errors="replace")
            name = urlsplit(uri).netloc
            advice = f"; start it with --allowed-hosts {name}" if "host" in reason.lower() else ""
            raise UserError(f"--tracking-uri {uri}: the server refuses requests ({reason}){advice}") from None
    except (OSError, http.client.HTTPException):
        pass  # it has just answered: the recorder tries for as long as the search takes


def get(url: str) -> http.client.HTTPResponse:
    """The answer to a request with the credentials that MLflow's client takes from the environment."""
    request = urllib.request.Request(url)  # noqa: S310 - http(s) only
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=PROBE_SECONDS)  # noqa: S310
    return answer
