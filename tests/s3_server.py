"""S3 as moto's server has it, in a process of its own, behind a gate that can be shut and opened."""

import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "a secret of theirs"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def s3_server(log: Path) -> Iterator[int]:
    """Its port; it answers."""
    port = free_port()
    with log.open("wb") as file:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def make_bucket(port: int, name: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT"), timeout=30).close()


class Gate:
    """A port through which the server is reached.

    Shut, nobody listens there, and what was open is cut; with ``flowing`` cleared it accepts and is silent.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.connections: set[socket.socket] = set()
        self.server: socketserver.ThreadingTCPServer | None = None
        self.flowing = threading.Event()
        self.flowing.set()
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        if self.server:
            return
        gate = self

        class Passing(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                gate.connections.add(self.request)
                with socket.create_connection(("127.0.0.1", gate.target)) as there, suppress(OSError, ValueError):
                    other = {self.request: there, there: self.request}
                    while True:
                        for source in select.select(list(other), [], [])[0]:
                            if not (content := source.recv(2**16)):
                                return
                            gate.flowing.wait()
                            other[source].sendall(content)
                gate.connections.discard(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server(("127.0.0.1", self.port), Passing)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def shut(self) -> None:
        self.flowing.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()
