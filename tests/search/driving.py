"""What Ray does with a driver, without Ray."""

from collections.abc import Callable
from typing import Any

from search.driver import Driver

MakeDriver = Callable[..., Driver]
"""See the fixture ``make_driver``."""


def message(trial: int, epochs: list[int], value: float, ending: str | None = None, **more: Any) -> dict[str, Any]:
    """A report of a trial whose cost is ``value``, by the loss and by F1."""
    curve = [
        {
            "index": index,
            "train_loss": 1.0,
            "train_error": 0.5,
            "val_loss": value,
            "val_error": 0.1,
            "val_f1": 1 - value,
            "seconds": 0.1,
            "lr": 0.1,
        }
        for index in epochs
    ]
    return {"trial": trial, "epochs": curve, "best": curve[-1] if curve else None, "value": value, "ending": ending,
            "worker": None, "parameters": None, **more}  # fmt: skip


def pass_on(driver: Driver, report: dict[str, Any]) -> bool:
    """What Ray does with a report: the stopper first, then, unless that stops it, the scheduler."""
    return driver.report(report) or driver.judge(report)


def leave(driver: Driver, report: dict[str, Any]) -> bool:
    """The same, and where it leaves its worker that is free."""
    leaves = pass_on(driver, report)
    if leaves:
        driver.left(report["trial"])
    return leaves
