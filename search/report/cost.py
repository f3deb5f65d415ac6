"""What a search cost: time, workers, GPUs, disk, and what of it went into trials that were stopped."""

from collections.abc import Sequence

from search.history import TrialResult
from search.report.document import Block, Cell, Column, Facts, Row, Section, Table
from search.report.material import BROKEN, Material
from search.report.wording import count, duration
from search.screen import disk
from search.summary import busy_share

_PARTS = {
    "came to their end": ("completed", "converged"),
    "stopped at a rung": ("pruned", "paused"),
    "broke": BROKEN,
    "cancelled": ("cancelled",),
    "still running": ("running",),
}
_BESIDE = {"reference": "references", "confirmation": "confirmation", "again": "trained again"}


def section(material: Material) -> Section | None:
    """None before anything was tried."""
    trials = list(material.history.trials.values())
    if not trials:
        return None
    seconds = sum(trial.seconds_trained for trial in trials)
    gpus = sum(trial.seconds_trained * _share_of_gpu(trial) for trial in trials)
    summary, history = material.summary, material.history
    wall = summary.get("wall_seconds") or history.seconds_spent
    busy = summary.get("busy") if "busy" in summary else busy_share(history)
    deaths = sum(len(trial.deaths) for trial in trials)
    slots = max((number for _, number in history.slots), default=1)
    pairs = [
        ("wall time", duration(wall) if wall else ""),
        ("worker time in epochs", _hours(seconds)),
        ("GPU time in epochs", f"{_hours(gpus)} of whole GPUs" if gpus else "none: on CPUs"),
        ("side by side", f"at most {count(slots, 'trial')}"),
        ("workers busy", f"{100 * busy:.0f} % of the time until the last proposal's start" if busy is not None else ""),
        ("workers that died", str(deaths) if deaths else ""),
        ("epochs", f"{history.epochs_trained:,}, {history.epochs_searched:,} of them of the search's own trials"),
        ("most GPU memory", _memory(trials)),
        ("disk", disk(summary["disk"]) if summary.get("disk") else ""),
    ]
    blocks: list[Block] = [Facts([(name, text) for name, text in pairs if text]), _spent(trials, seconds)]
    return Section("cost", "What it cost", blocks)


def _share_of_gpu(trial: TrialResult) -> float:
    return max((float(worker.get("gpus") or 0) for worker in trial.workers), default=0.0)


def _hours(seconds: float) -> str:
    return duration(seconds) if seconds < 3600 else f"{seconds / 3600:.1f} hours"


def _memory(trials: Sequence[TrialResult]) -> str:
    most = max((trial.gpu_memory or 0 for trial in trials), default=0)
    return f"{most / 1e9:.2f} GB in one trial" if most else ""


def _spent(trials: Sequence[TrialResult], seconds: float) -> Table:
    rows = []
    groups = [(name, [trial for trial in trials if trial.apart is None and trial.state in states])
              for name, states in _PARTS.items()]  # fmt: skip
    groups += [(name, [trial for trial in trials if trial.apart == apart]) for apart, name in _BESIDE.items()]
    for name, own in groups:
        if own:
            spent = sum(trial.seconds_trained for trial in own)
            share = f"{100 * spent / seconds:.0f} %" if seconds else ""
            rows.append(Row([Cell(name), Cell(f"{len(own):,}"), Cell(f"{sum(trial.epochs for trial in own):,}"),
                             Cell(_hours(spent)), Cell(share)]))  # fmt: skip
    columns = [Column("trials that", numeric=False), Column("trials"), Column("epochs"), Column("worker time"),
               Column("share of it")]  # fmt: skip
    return Table("Where the workers' time went", columns, rows)
