"""MLflow's basic authentication: what its app is told, where no other user of the machine can read it."""

import configparser
import importlib.util
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from datasets.errors import UserError
from mlflow_server.cli import PASSWORD, USERNAME
from mlflow_server.stores import TEAM
from search.tracking import sqlite_path

_SHORTEST = 12
"""MLflow's own bound."""
_CACHE_SECONDS = 60
"""A password is hashed slowly on purpose, some 50 ms: not anew for each of a search's requests."""


@dataclass(frozen=True)
class Administrator:
    """The first user, who may make others."""

    user: str
    password: str


def administrator() -> Administrator:
    """Who the environment says it is.

    Raises:
        UserError: no password, one that MLflow refuses, or a package that is missing.
    """
    if importlib.util.find_spec("flask_wtf") is None:
        raise UserError(f"--auth needs Flask-WTF; install it with: {TEAM}")
    user, password = os.environ.get(USERNAME) or "admin", os.environ.get(PASSWORD, "")
    if len(password) < _SHORTEST:
        what = f"{PASSWORD} is too short" if password else f"no password in the environment's {PASSWORD}"
        raise UserError(f"--auth: {what}; set it to the administrator's, of at least {_SHORTEST} characters")
    return Administrator(user, password)


def database(backend_store_uri: str) -> str:
    """Where users are kept: ``mlflow-auth.db`` beside an SQLite file, else tables of their own in the same database."""
    path = sqlite_path(backend_store_uri)
    return f"sqlite:///{path.with_name('mlflow-auth.db').resolve()}" if path else backend_store_uri


def environment(admin: Administrator, backend_store_uri: str, private: Path) -> dict[str, str]:
    """Variables for the server. ``private``: a folder that others cannot read, for a file that may hold a password.

    Everyone with a login may record in every experiment: searches of one task share one.
    """
    config = configparser.ConfigParser(interpolation=None)
    config["mlflow"] = {
        "default_permission": "EDIT",
        "database_uri": database(backend_store_uri).replace("%", "%%"),
        "auth_cache_ttl_seconds": str(_CACHE_SECONDS),
    }
    path = private / "basic_auth.ini"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        config.write(file)
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(path),
        "MLFLOW_AUTH_ADMIN_USERNAME": admin.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": admin.password,
        # Signs what a browser sends back from the page for new users: none outlives the server.
        "MLFLOW_FLASK_SERVER_SECRET_KEY": os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or secrets.token_hex(32),
    }
