"""``python -m mlflow_server`` as a process, the requests that are made to it, and what is recorded through it."""

import base64
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search.events import FILE_NAME, EventLog
from search.recorder import Recorder

ROOT = Path(__file__).parents[2]
PICTURE = b"\x89PNG\r\n\x1a\n and so on"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of each process that has not ended, as everyone on the machine may see them."""
    lines = subprocess.run(["ps", "-Awwo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=3) for line in lines.splitlines())
    return {int(row[0]): (int(row[1]), " ".join(row[3:])) for row in rows if row[2][0] != "Z"}


def family(pid: int) -> set[int]:
    """A process and all below it."""
    there, found = processes(), {pid}
    while more := {child for child, (parent, _) in there.items() if parent in found} - found:
        found |= more
    return found


@dataclass
class Running:
    """A server that answers."""

    port: int
    process: subprocess.Popen[str]
    first_line: str
    log: list[str]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] = {}, login: str = ""
    ) -> tuple[int, bytes]:
        """Status and body. ``login``: user:password."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if login:
            headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}", **headers}
        if method == "POST":
            headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, body="{}" if method == "POST" else None, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tells it to end, and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what would lead a server astray."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | variables


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow_server", "--port", str(port), *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(**variables), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []
    reader = threading.Thread(target=log.extend, args=(process.stderr,))
    reader.start()
    try:
        first_line = process.stdout.readline()
        assert first_line, (process.wait(), log)
        yield Running(port, process, first_line, log)
    finally:
        process.terminate()
        process.wait(60)
        reader.join()
        process.stdout.close()
        process.stderr.close()


def write_log(folder: Path, experiment: str = "digits") -> Path:
    """The folder of a finished search of one trial of three epochs, with a picture."""
    folder.mkdir(parents=True)
    log = EventLog(folder / FILE_NAME)
    log.append("search", id=folder.name, name=folder.name, task=experiment, experiment=experiment, seed=1, options={},
               command="python -m search.run digits", versions={}, dataset_digest="abc", git_commit=None,
               git_dirty=None, conf={})  # fmt: skip
    log.append("proposal", trial=0, seed=0, config={"model": "mlp", "lr": 0.1}, parameters={"lr": 0.1})
    log.append("start", trial=0, worker={"node": "here", "pid": 1, "gpus": 0})
    figures = {"train_loss": 1.0, "train_error": 0.5, "val_error": 0.1, "val_f1": 0.5, "seconds": 0.1, "lr": 0.1}
    curve = [{"index": index, "val_loss": 0.5 ** (index - 1), **figures} for index in (1, 2, 3)]
    log.append("report", trial=0, epochs=curve, best=curve[-1])
    log.append("checkpoint", trial=0, path="x", best=curve[-1])
    log.append("ending", trial=0, state="completed", reason="so")
    log.append("test", trial=0, chosen="winner", loss=0.5, error=0.25, f1=0.75)
    (folder / "curves.png").write_bytes(PICTURE)
    log.append("end", wall_seconds=1.0, interrupted=False)
    log.close()
    return folder


def record(folder: Path, uri: str) -> bool:
    """Whether all of it is recorded."""
    recorder = Recorder(folder, uri)
    recorder.start()
    return recorder.finish(60)


def check_recorded(uri: str, name: str, download: Path, experiment: str = "digits") -> str:
    """That a server has the search of this name, its curve and its picture; returns where its files are."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], f"tags.`rungs.id` = '{name}'")
    by_trial = {run.data.tags.get("rungs.trial"): run for run in runs}
    assert by_trial.keys() == {None, "0"}
    history = client.get_metric_history(by_trial["0"].info.run_id, "val_loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5), (3, 0.25)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    download.mkdir(parents=True)
    picture = client.download_artifacts(by_trial[None].info.run_id, "curves.png", str(download))
    assert Path(picture).read_bytes() == PICTURE
    return str(by_trial[None].info.artifact_uri)
