"""``python -m mlflow_server``: starts MLflow's tracking server, says where it is, and waits."""

import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from datasets.command_line import guarded
from datasets.errors import UserError
from mlflow_server import auth, cli, stores
from mlflow_server.cli import Options
from mlflow_server.server import Server, address, answers, command, environment, refuses
from search import tracking

Ends = SimpleQueue[type[Server] | int]
"""What has ended the waiting: the server by itself, or the number of a signal."""
_SECONDS_BETWEEN_LOOKS = 0.1
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command until it is told to end.

    Returns:
        The exit code: 0, or 2 for a mistake of the user's.
    """
    return guarded(lambda: _serve(cli.parse(sys.argv[1:] if arguments is None else arguments)))


def _serve(options: Options) -> int:
    if options.host in ("0.0.0.0", "::") and not options.allowed_hosts:  # noqa: S104 - refused
        raise UserError(
            f"--host {options.host}: say by which name others reach this machine, with --allowed-hosts NAME"
        )
    admin = auth.administrator() if options.auth else None
    stores.check_port(options.host, options.port)
    uri = options.backend_store_uri
    if uri is None:
        stores.check_folder(options.runs_dir, f"--runs-dir {options.runs_dir}")
        uri = tracking.default_uri(options.runs_dir)
    new = stores.check_database(uri)
    artifacts = options.artifacts or str(
        tracking.artifact_folder(uri) or options.runs_dir.resolve() / "mlflow-artifacts"
    )
    stores.check_artifacts(artifacts)
    if stores.is_local(artifacts) and options.host not in _LOOPBACK and (count := stores.count_own_folders(uri)):
        print(
            f"warning: {tracking.masked(uri)} has experiments that were made without a server ({count}): they keep "
            "their files in folders of this machine, where searches on others cannot put theirs",
            file=sys.stderr,
        )
    with _until_told() as ends, tempfile.TemporaryDirectory(prefix="mlflow-server-") as private:
        variables = environment(options, uri)
        secrets = stores.passwords(uri)
        if admin is not None:
            variables |= auth.environment(admin, uri, Path(private))
            secrets += [admin.password, variables["MLFLOW_FLASK_SERVER_SECRET_KEY"]]
        with closing(Server(command(options, artifacts), variables, secrets, ends)) as server:
            end = _wait_until_it_answers(address(options), ends, finish=new)
            if end is None:
                if admin is not None and refuses(address(options), admin):
                    raise UserError(
                        f"--auth: {cli.PASSWORD} is not the password that {admin.user} has in "
                        f"{tracking.masked(auth.database(uri))}; start with that one"
                    )
                print(f"MLflow answers at http://{address(options)}; Ctrl-C ends it", flush=True)
                server.quiet = False
                end = ends.get()
            if end is Server:
                raise UserError(f"MLflow's server has ended: {server.last_words()}")
    return 0


def _wait_until_it_answers(at: str, ends: Ends, *, finish: bool) -> type[Server] | int | None:
    """None once it does, or what has ended the waiting.

    ``finish``: a first signal waits, too. Tables that are half made cannot be finished later.
    """
    told: type[Server] | int | None = None
    while not answers(at):
        with suppress(Empty):
            end = ends.get(timeout=_SECONDS_BETWEEN_LOOKS)
            if end is Server or told is not None or not finish:
                return end
            told = end
            print("making tables; ends when they are done (once more: at once)", file=sys.stderr)
    return told


@contextmanager
def _until_told() -> Iterator[Ends]:
    """A queue that gets the number of each signal that asks for the end."""
    ends: Ends = SimpleQueue()  # of all there is to wait on, what a signal's handler may touch
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup's
        wanted.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda told, _: ends.put(told)) for number in wanted}
    try:
        yield ends
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
