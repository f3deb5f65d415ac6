"""One run of one system: the command timed from outside, its epochs by what it says of them."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.epoch_log import EpochSpan
from benchmarks.setting import WORKERS, Given, Setting
from benchmarks.systems import RECORDER_FILE, ROOT, System

_LINES_OF_A_FAILURE = 40
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Measurement:
    """The figures of a run; None where it has none."""

    wall_seconds: float
    """Of the whole command, from its start to its exit."""
    trials: int
    """Trials that trained at least one epoch."""
    epochs: int
    wall_ms_an_epoch: float
    """Of the whole command's wall time."""
    span_ms_an_epoch: float
    """Of the time from the first epoch's start to the last one's end."""
    train_ms_an_epoch: float
    """Mean time in the training loop: what the epochs of the configurations that were tried cost by themselves."""
    busy: float | None
    """Share of the workers' time spent in epochs while there was always another trial to begin: from the first epoch's
    start to the first epoch of the trial that began last."""
    busy_to_end: float
    """The same to the end of the last epoch."""
    first_epoch_seconds: float
    """From the command's start to the first epoch's."""
    recorder: float | None
    """Processor time of our recorder's thread, as a share of the wall time."""


def measurement(began: float, wall: float, spans: Sequence[EpochSpan], recorder: float | None = None) -> Measurement:
    """The figures of a run that began at ``began`` (seconds since 1970) and took ``wall`` seconds.

    ``recorder``: processor seconds of its recorder's thread.
    """
    starts: dict[str, float] = {}
    for span in spans:
        starts[span.trial] = min(span.start, starts.get(span.trial, math.inf))
    first, last_trial = min(starts.values()), max(starts.values())
    last = max(span.start + span.seconds for span in spans)
    training = sum(span.seconds for span in spans)
    while_more = sum(max(0.0, min(span.seconds, last_trial - span.start)) for span in spans)
    return Measurement(
        wall_seconds=wall,
        trials=len(starts),
        epochs=len(spans),
        wall_ms_an_epoch=1000 * wall / len(spans),
        span_ms_an_epoch=1000 * (last - first) / len(spans),
        train_ms_an_epoch=1000 * training / len(spans),
        busy=while_more / (WORKERS * (last_trial - first)) if last_trial > first else None,
        busy_to_end=training / (WORKERS * (last - first)),
        first_epoch_seconds=first - began,
        recorder=None if recorder is None else recorder / wall,
    )


def measure(name: str, system: System, given: tuple[Given, ...], epochs: int, seed: int, asha: bool) -> Measurement:
    """Runs one system once, in a new folder that is removed afterwards.

    Raises:
        SystemExit: it failed, or did not train each configuration of the list.
    """
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        setting = Setting(epochs, seed, asha, given, Path(folder))
        setting.write()
        command = [sys.executable, "-m", *system.command(setting)]
        out, err = setting.folder / "stdout.txt", setting.folder / "stderr.txt"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            began, clock = time.time(), time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=ROOT if system.in_root else folder,
                env=system.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                code = process.wait()
            except BaseException:
                stop(process)
                raise
            wall = time.perf_counter() - clock
        output = out.read_text(encoding="utf-8", errors="replace")
        spans = [] if code else system.spans(setting, output)
        trained = len({span.trial for span in spans})
        if trained < len(given):
            lines = (output + err.read_text(encoding="utf-8", errors="replace")).splitlines()
            said = "\n".join(lines[-_LINES_OF_A_FAILURE:])
            raise SystemExit(f"{said}\nerror: {name} ended with exit code {code}, {trained} of {len(given)} trained")
        recorder = setting.folder / RECORDER_FILE
        seconds = float(recorder.read_text(encoding="ascii")) if recorder.exists() else None
        return measurement(began, wall, spans, seconds)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and the processes of its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
