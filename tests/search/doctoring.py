"""Calls of ``search.doctor`` in a folder of its own, on a machine whose GPUs and processes are made up."""

import shutil
from typing import Any

import pytest

from search import cluster
from search.checks import on_node

NO_GPU: dict[str, Any] = {"driver": None, "driver_problem": "", "build": "13.0", "usable": 0, "problem": "no driver"}
A_GPU = {"name": "NVIDIA H200", "driver_version": "580.1", "memory.used": "4", "memory.total": "143771"}

Found = list[tuple[str, str, str, str]]
"""Check, level, what and mend of each line."""


def with_gpus(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], ray: int) -> None:
    monkeypatch.setattr(on_node, "gpus", lambda _: facts)
    monkeypatch.setattr(cluster, "this_machine", lambda: [{"CPU": 2.0, "GPU": float(ray)}])


def with_free(monkeypatch: pytest.MonkeyPatch, free: float, total: float) -> None:
    usage = shutil._ntuple_diskusage(total, total - free, free)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def bad(found: Found) -> Found:
    return [line for line in found if line[1] != "ok"]
