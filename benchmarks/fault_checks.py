"""What must hold of a search that is over, whatever has happened to it; read from its log, its files and MLflow."""

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search import events
from search.history import History

Event = dict[str, Any]
_FINAL = {"completed", "pruned", "converged", "diverged", "oom", "failed"}
"""Of these faults no trial is cancelled: each is to be trained as if nothing had been."""


def problems(folder: Path, num_samples: int, cuts: Sequence[bytes]) -> list[str]:
    """What is wrong, in words; ``cuts``: the log as it was at each fault."""
    log = (folder / events.FILE_NAME).read_bytes()
    lines = [json.loads(line) for line in log.splitlines()]
    curves = first_reports(lines)
    found = [f"the log of fault {place} is not what it began with" for place, cut in enumerate(cuts)
             if not log.startswith(cut)]  # fmt: skip
    found += _of_the_log(lines, curves, num_samples)
    found += _of_the_best(lines, cuts)
    found += _of_the_test(lines)
    found += _of_the_files(folder, lines, curves)
    return found + list(_of_mlflow(lines, curves))


def whole_lines(log: bytes) -> bytes:
    """Without a last line that was cut off."""
    return log[: log.rfind(b"\n") + 1]


def first_reports(lines: Sequence[Event]) -> dict[int, dict[int, float]]:
    """By trial and epoch the validation loss, as it was reported first."""
    curves: dict[int, dict[int, float]] = {}
    for event in lines:
        for epoch in event["epochs"] if event["event"] == "report" else ():
            curves.setdefault(event["trial"], {}).setdefault(epoch["index"], epoch["val_loss"])
    return curves


def trained_again(lines: Sequence[Event]) -> int:
    """Epochs that were reported more than once."""
    reports = [epoch for event in lines if event["event"] == "report" for epoch in event["epochs"]]
    return len(reports) - sum(len(curve) for curve in first_reports(lines).values())


def _of_the_log(lines: Sequence[Event], curves: dict[int, dict[int, float]], num_samples: int) -> Iterator[str]:
    kinds = Counter(event["event"] for event in lines)
    if kinds["search"] != 1 or lines[0]["event"] != "search":
        yield "the log does not begin with its search"
    proposed = [event["trial"] for event in lines if event["event"] == "proposal"]
    if proposed != list(range(num_samples)):
        yield f"proposals {proposed} for {num_samples} trials"
    for trial in History(lines).trials.values():
        if trial.state not in _FINAL:
            yield f"trial {trial.id} is {trial.state} ({trial.reason})"
        if trial.state == "failed":
            yield f"trial {trial.id} failed: {trial.reason}"
        epochs = sorted(curves.get(trial.id, ()))
        if not epochs or epochs != list(range(1, epochs[-1] + 1)):
            yield f"trial {trial.id} has epochs {epochs}"
        if [epoch["index"] for epoch in trial.curve] != epochs:
            yield f"trial {trial.id} is read with epochs {[epoch['index'] for epoch in trial.curve]}"
    for before, after in itertools.pairwise(lines):
        if after["time"] < before["time"]:
            yield f"{after['event']} is earlier than {before['event']} before it"


def _of_the_best(lines: Sequence[Event], cuts: Sequence[bytes]) -> Iterator[str]:
    """What was best in the log at any fault is no better than the winner's checkpoint, or what it tied with."""
    history = History(lines)
    winner = next((test["trial"] for test in history.tests if test["chosen"] == "winner"), None)
    worth = None if winner is None else (history.trials[winner].checkpoint_best or {}).get("val_loss")
    for place, cut in enumerate(cuts):
        known = [loss for curve in first_reports([json.loads(line) for line in cut.splitlines()]).values()
                 for loss in curve.values()]  # fmt: skip
        if known and (worth is None or worth > min(known)):
            yield f"the winner has {worth}, before fault {place} there was {min(known)}"


def _of_the_test(lines: Sequence[Event]) -> Iterator[str]:
    openings = [place for place, event in enumerate(lines) if event["event"] == "opening"]
    if not openings:
        yield "the test split was never opened"
        return
    last = lines[openings[-1]]
    tested = [event["trial"] for event in lines[openings[-1] :] if event["event"] == "test"]
    if tested != last["trials"]:
        yield f"the last opening was for {last['trials']}, tested were {tested}"
    if last["chosen"].count("winner") != 1:
        yield f"the last opening has chosen {last['chosen']}"
    numbers = [lines[place]["number"] for place in openings]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"openings {numbers}"
    for place in openings[:-1]:  # only what was cut off is opened again for the same
        if lines[place]["trials"] == last["trials"] and "end" in _until_command(lines[place:]):
            yield f"opening {lines[place]['number']} came to its end, and was made again"
    if any(event["event"] in ("report", "proposal", "promotion") for event in lines[openings[-1] :]):
        yield "there was training after the last opening"
    if lines[-1]["event"] != "end":
        yield f"the log ends with {lines[-1]['event']}"


def _until_command(lines: Sequence[Event]) -> list[str]:
    kinds = [event["event"] for event in lines]
    return kinds[: kinds.index("resumption")] if "resumption" in kinds else kinds


def _of_the_files(folder: Path, lines: Sequence[Event], curves: dict[int, dict[int, float]]) -> Iterator[str]:
    history = History(lines)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [(number, trial.state, len(curves.get(number, ()))) for number, trial in history.trials.items()]
    if [(row["id"], row["state"], row["epochs"]) for row in summary["trials"]] != expected:
        yield "summary.json has other trials than the log"
    if [(int(row["id"]), row["state"], int(row["epochs"])) for row in rows] != expected:
        yield "trials.csv has other trials than the log"
    if summary["epochs_trained"] != sum(len(curve) for curve in curves.values()):
        yield f"summary.json has {summary['epochs_trained']} epochs"
    for row in summary["trials"]:
        least = min(curves.get(row["id"], {0: None}).values())
        if row["val_loss"] != least:
            yield f"summary.json has {row['val_loss']} for trial {row['id']}, reported was {least}"
    if not summary["mlflow"]["complete"]:
        yield f"summary.json says of MLflow: {summary['mlflow']['problem']}"
    if summary["interrupted"]:
        yield "summary.json says that it was interrupted"
    winners = [test for test in summary["test"] if test["chosen"] == "winner"]
    least = min(row["val_loss"] for row in summary["trials"])
    if len(winners) != 1 or summary["best"]["val_loss"] != least:
        yield f"summary.json has {len(winners)} winners, the best of {summary['best']}, reported was {least}"
    if not (folder / "best.pt").is_file():
        yield "best.pt is missing"
    yield from (f"{left.relative_to(folder)} is left" for left in folder.rglob("*.part*"))


def _of_mlflow(lines: Sequence[Event], curves: dict[int, dict[int, float]]) -> Iterator[str]:
    from search.recorder import open_store

    search = lines[0]
    client = open_store(search["tracking_uri"])
    experiment = client.get_experiment_by_name(search["experiment"])
    runs = client.search_runs([experiment.experiment_id], f"tags.`rungs.id` = '{search['id']}'", max_results=1000)
    states = {number: trial.state for number, trial in History(lines).trials.items()}
    if Counter(run.data.tags.get("rungs.trial", "") for run in runs) != Counter(["", *map(str, states)]):
        yield f"MLflow has the runs {sorted(run.data.tags.get('rungs.trial', '') for run in runs)}"
    for run in runs:
        name = run.data.tags.get("rungs.trial", "")
        if run.info.status == "RUNNING" or (not name and run.info.status != "FINISHED"):
            yield f"MLflow has run {name!r} as {run.info.status}"
        if not name:
            continue
        if run.data.tags["state"] != states[int(name)]:
            yield f"MLflow has trial {name} as {run.data.tags['state']}, the log as {states[int(name)]}"
        told = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "val_loss")]
        if sorted(told) != sorted(curves.get(int(name), {}).items()):
            yield f"MLflow has other epochs of trial {name}: {sorted(told)}"
    versions = client.search_model_versions(f"name = '{search['task']}'")
    of_this = [version for version in versions if version.run_id in {run.info.run_id for run in runs}]
    if len(of_this) > 1:
        yield f"{len(of_this)} versions of it are registered"
