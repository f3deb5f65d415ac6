"""GPUs: what the driver has, what torch can use, and what Ray gives to trials."""

import os
from collections.abc import Iterator

from search.checks import on_node
from search.checks.finding import Finding, count
from search.checks.on_node import Gpus

_BUSY = 0.1
_TORCH = "python -m pip install --force-reinstall -r requirements.txt (on Linux its torch is built with CUDA)"


def gpus() -> Iterator[Finding]:
    """Of this machine."""
    from search import cluster

    ray = int(cluster.this_machine()[0]["GPU"])
    yield from judged(on_node.gpus(os.environ), ray)


def judged(gpus: Gpus, ray: int, where: str = "") -> Iterator[Finding]:
    """``ray``: how many Ray gives out there; ``where`` begins each line."""
    driver, usable = gpus["driver"] or [], gpus["usable"]
    there = count(len(driver), "GPU")
    if gpus["driver_problem"]:
        what = f"{where}nvidia-smi is there, and says: {gpus['driver_problem']}"
        yield Finding("warning", what, "load or install the NVIDIA driver again, if there is a GPU")
    if gpus["problem"] and gpus["build"] == "":
        yield Finding("error", f"{where}torch cannot be asked: {gpus['problem']}", _TORCH)
    elif driver and gpus["build"] is None:
        yield Finding("error", f"{where}torch is a build without CUDA, beside {there}", _TORCH)
    elif driver and not usable:
        yield Finding("error", f"{where}torch can use none of {there}: {gpus['problem']}", _mend(gpus["problem"]))
    elif ray > usable:
        what = f"{where}Ray gives out {count(ray, 'GPU')}, torch can use {usable}"
        yield Finding("error", what, f"start Ray with --num-gpus={usable}, or see why nvidia-smi -L lists fewer")
    elif ray < usable:
        what = f"{where}Ray gives out {ray} of {count(usable, 'GPU')} that torch can use: the rest stay idle"
        yield Finding("warning", what, f"start Ray with --num-gpus={usable}, or say so by CUDA_VISIBLE_DEVICES")
    elif usable:
        names = ", ".join(sorted({gpu["name"] for gpu in driver})) or "of an unknown kind"
        version = f", driver {driver[0]['driver_version']}" if driver else ""
        yield Finding("ok", f"{where}{count(usable, 'GPU')} ({names}{version}), torch built for CUDA {gpus['build']}")
    else:
        yield Finding("ok", f"{where}none: trials train on CPUs")
    if usable:
        yield from _busy(driver, where)


def _busy(driver: list[dict[str, str]], where: str) -> Iterator[Finding]:
    for number, gpu in enumerate(driver):
        used, total = gpu["memory.used"], gpu["memory.total"]
        if used.isdigit() and total.isdigit() and int(used) > _BUSY * int(total):
            what = f"{where}of GPU {number}'s memory {used} of {total} MiB are in use already"
            yield Finding("warning", what, "see by whom: nvidia-smi; or name others: CUDA_VISIBLE_DEVICES=...")


def _mend(problem: str) -> str:
    if "driver" in problem and "old" in problem:
        return "update the NVIDIA driver, or install a torch that is built for an older CUDA"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return f"unset CUDA_VISIBLE_DEVICES (now {os.environ['CUDA_VISIBLE_DEVICES']!r}), or name GPUs that are there"
    return "see what nvidia-smi says; a container needs --gpus all"
