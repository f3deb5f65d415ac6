"""What a machine says of itself, asked here or by a task of Ray's: of this repository a node needs nothing for it."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

_SECONDS = 30.0
_TORCH = """
import json, torch
count, problem = torch.cuda.device_count() if torch.cuda.is_available() else 0, ""
if not count:
    try:
        torch.cuda.init()
    except Exception as error:
        problem = str(error).strip().partition(chr(10))[0]
print(json.dumps([torch.version.cuda or torch.version.hip, count, problem]))
"""
_SMI = ("name", "driver_version", "memory.used", "memory.total")


class Gpus(TypedDict):
    """GPUs as the driver and torch see them."""

    driver: list[dict[str, str]] | None
    """Of each GPU ``nvidia-smi``'s answers to ``_SMI``, memory in MiB; None where there is no nvidia-smi."""
    driver_problem: str
    build: str | None
    """The CUDA that torch was built for; None for a build without."""
    usable: int
    """How many torch can use."""
    problem: str
    """Why it can use none, or could not be asked."""


class Facts(TypedDict):
    """What a node says of itself."""

    host: str
    versions: dict[str, str]
    gpus: Gpus
    has_code: bool
    """Whether it finds this repository's packages."""
    storage: str
    """What is wrong with the storage as seen from there."""


def facts(place: str, marker: str, content: bytes) -> Facts:
    """What there is to be said on a node; ``marker`` is an object of that content in the storage ``place``."""
    return {
        "host": socket.gethostname(),
        "versions": versions(),
        "gpus": gpus({name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}),
        "has_code": importlib.util.find_spec("trainables") is not None,
        "storage": seen(place, marker, content) if marker else "",
    }


def clock() -> float:
    """Seconds since 1970."""
    return time.time()


def versions() -> dict[str, str]:
    """Of what must be the same everywhere."""
    found = {"Python": platform.python_version()}
    for package in ("ray", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def gpus(environment: Mapping[str, str]) -> Gpus:
    """Asked in processes of their own: a driver that hangs or a build that does not load ends with them."""
    answer = _output([sys.executable, "-P", "-W", "ignore", "-c", _TORCH], environment)
    try:
        build, usable, problem = json.loads(answer.partition("\n")[0])
    except ValueError:
        build, usable, problem = "", 0, answer or "import torch gives no answer"
    driver, driver_problem = None, ""
    if smi := shutil.which("nvidia-smi"):
        lines = _output([smi, f"--query-gpu={','.join(_SMI)}", "--format=csv,noheader,nounits"], environment)
        rows = [line.split(", ") for line in lines.splitlines()]
        driver = [dict(zip(_SMI, row, strict=True)) for row in rows if len(row) == len(_SMI)]
        driver_problem = "" if driver else lines.partition("\n")[0]
    return Gpus(driver=driver, driver_problem=driver_problem, build=build, usable=usable, problem=problem)


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    """What it prints, or the last line of its complaint."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return done.stdout.strip() or (lines[-1] if lines else f"{command[0]} ends with {done.returncode}")


def seen(place: str, marker: str, content: bytes) -> str:
    """What is wrong with a storage that the driver has put a marker into; nothing where it is shared and writable."""
    own = f"{marker}-{socket.gethostname()}-{os.getpid()}"
    try:
        if read(place, marker) != content:
            return "what the driver wrote there reads otherwise"
    except FileNotFoundError:
        return "what the driver wrote is not there: not the same folder"
    except OSError as error:
        return f"cannot be read ({explained(error)})"
    try:
        write(place, own, content)
        delete(place, own)
    except OSError as error:
        return f"cannot be written ({explained(error)})"
    return ""


def explained(error: OSError) -> str:
    """Why, in one line."""
    return os.strerror(error.errno) if error.errno else str(error).partition("\n")[0]


def write(place: str, name: str, content: bytes) -> None:
    """Makes an object in a folder, or below the URI of an object store."""
    if "://" not in place:
        Path(place, name).write_bytes(content)
        return
    from pyarrow.fs import FileSystem

    store, path = FileSystem.from_uri(place)
    with store.open_output_stream(f"{path.rstrip('/')}/{name}") as file:
        file.write(content)


def read(place: str, name: str) -> bytes:
    """What it holds."""
    if "://" not in place:
        return Path(place, name).read_bytes()
    from pyarrow.fs import FileSystem

    store, path = FileSystem.from_uri(place)
    with store.open_input_stream(f"{path.rstrip('/')}/{name}") as file:
        content: bytes = file.read()
    return content


def delete(place: str, name: str) -> None:
    """Nothing is left of it; in an object store perhaps the empty object by which Arrow marks a folder."""
    if "://" not in place:
        Path(place, name).unlink(missing_ok=True)
        return
    from pyarrow.fs import FileSystem

    store, path = FileSystem.from_uri(place)
    store.delete_file(f"{path.rstrip('/')}/{name}")
