"""MLflow's server as a child process: how it is called, when it answers, and that nothing of it is left."""

import base64
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from queue import SimpleQueue

from mlflow_server.auth import Administrator
from mlflow_server.cli import Options

STOP_SECONDS = 10.0
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not what is bound, but how to reach it


def address(options: Options) -> str:
    """``HOST:PORT`` by which this machine reaches the server."""
    host = _ANY.get(options.host, options.host)
    return f"[{host}]:{options.port}" if ":" in host and "[" not in host else f"{host}:{options.port}"


def command(options: Options, artifacts: str) -> list[str]:
    """The child's arguments: nothing secret, for everyone on the machine can read them."""
    found = [sys.executable, "-m", "mlflow", "server", "--host", options.host, "--port", str(options.port)]
    # uvicorn alone, of the servers MLflow knows, checks who is asked for (--allowed-hosts).
    found += ["--workers", str(options.workers), "--uvicorn-opts", "--log-level warning"]
    found += ["--serve-artifacts", "--artifacts-destination", artifacts]
    return found + (["--app-name", "basic-auth"] if options.auth else [])


def environment(options: Options, backend_store_uri: str) -> dict[str, str]:
    """The child's variables: ours, without what is meant for MLflow's clients."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING_")}
    return kept | {
        "MLFLOW_BACKEND_STORE_URI": backend_store_uri,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(_hosts(options)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_origins(options)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # processes for evaluating language models
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # the working directory's own packages are not MLflow's business
    }


def _named(options: Options) -> list[str]:
    """Hosts other than this one; MLflow compares whole headers, so each without a port is named with ours, too."""
    own = [] if options.host in _ANY else [address(options).rpartition(":")[0]]
    names = [name for name in (*own, *options.allowed_hosts) if name not in _LOCAL]
    return [each for name in names for each in ([name] if _has_port(name) else [name, f"{name}:{options.port}"])]


def _has_port(host: str) -> bool:
    return re.search(r":\d+$", host.rpartition("]")[2]) is not None


def _hosts(options: Options) -> list[str]:
    # With a wildcard, MLflow reads a bracket as the start of a set of characters.
    return [each for name in _LOCAL for each in (name, f"{name.replace('[', '[[]')}:*")] + _named(options)


def _origins(options: Options) -> list[str]:
    """Under which the UI itself sends requests; from all others but localhost, MLflow refuses what changes anything.

    Without wildcards, which would be read as regular expressions that any longer name matches too.
    """
    return [f"{scheme}://{host}" for host in _named(options) for scheme in ("https", "http")]


class Server:
    """The child, in a process group of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        secrets: Sequence[str],
        ends: "SimpleQueue[type[Server] | int]",
    ) -> None:
        """``secrets``: what is never shown of its output. ``ends`` gets this class once all of it has ended."""
        self.secrets, self.ends = secrets, ends
        self.quiet = True
        """While set, its output is kept for ``last_words`` only; else shown, too."""
        self._lines: deque[str] = deque(maxlen=100)
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="server's output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:  # ends when the last process that could write has ended
                for secret in self.secrets:
                    line = line.replace(secret, "***")
                self._lines.append(line.rstrip())
                if not self.quiet:
                    sys.stderr.write(line)
        self.ends.put(Server)

    def last_words(self) -> str:
        """The line of its output that says most of why it ended."""
        lines = [line for line in self._lines if line.strip()]
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return (errors or lines or ["without a word"])[-1]

    def close(self) -> None:
        """Ends every process of it: asked first, and after some seconds not asked."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            # Not reaped before this, the child's number is still that of its group and of nothing else.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            self._reader.join(STOP_SECONDS)
        self._process.wait()


def answers(at: str) -> bool:
    """Whether a server at ``HOST:PORT`` says that it is well."""
    return _status(at, "/health") == HTTPStatus.OK


def refuses(at: str, admin: Administrator) -> bool:
    """Whether it holds the password for a wrong one."""
    basic = base64.b64encode(f"{admin.user}:{admin.password}".encode()).decode()
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    return _status(at, path, {"Authorization": f"Basic {basic}"}) == HTTPStatus.UNAUTHORIZED


def _status(at: str, path: str, headers: Mapping[str, str] = {}) -> int | None:
    connection = http.client.HTTPConnection(at, timeout=5)  # none of the environment's proxies
    try:
        connection.request("GET", path, headers=dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
