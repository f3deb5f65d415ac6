"""Where MLflow keeps things: the default database of a runs folder, and whether a server answers."""

import http.client
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from datasets.errors import UserError

PROBE_SECONDS = 5.0


def default_uri(runs_folder: Path) -> str:
    """The SQLite file in the runs folder."""
    return f"sqlite:///{(runs_folder / 'mlflow.db').resolve()}"


def artifact_location(uri: str, experiment: str) -> str | None:
    """Beside the file for SQLite, where MLflow would otherwise use the working directory; a server decides itself."""
    path = _sqlite_path(uri)
    return (path.parent / "mlflow-artifacts" / experiment).resolve().as_uri() if path else None


def check(uri: str) -> None:
    """Refuses a tracking store that can't be used.

    Raises:
        UserError: an unknown kind of URI, an unwritable folder, or no answer within a few seconds.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        _check_server(uri)
    elif path := _sqlite_path(uri):
        if not path.parent.is_dir():
            raise UserError(f"--tracking-uri {uri}: no folder {path.parent}")
    elif scheme not in ("postgresql", "mysql", "mssql", "sqlite") and "+" not in scheme:
        raise UserError(f"--tracking-uri {uri}: must be http(s)://HOST:PORT, or sqlite:///FILE or another database")


def how_to_see(uri: str, experiment_id: str | None, run_id: str | None) -> list[str]:
    """What to do to see a run in MLflow's UI: the address, and where no server has it, first the command for one."""
    place = f"/#/experiments/{experiment_id}/runs/{run_id}" if experiment_id and run_id else ""
    if urlsplit(uri).scheme in ("http", "https"):
        return [uri.rstrip("/") + place]
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return [f"{here} -m mlflow ui --backend-store-uri {uri}", f"then http://127.0.0.1:5000{place}"]


def _sqlite_path(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _check_server(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS):  # noqa: S310 - http(s) only
            return
    except urllib.error.HTTPError as error:
        problem = f"it answers {error.code} {error.reason}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = str(getattr(error, "reason", error)) or type(error).__name__
    raise UserError(
        f"--tracking-uri {uri}: no MLflow server answers there ({problem}); start one, or leave the option out to "
        "record in a file"
    )
