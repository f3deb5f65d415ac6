"""Searches' folders, written by hand: what a report is made from."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from search import conf, predictions
from search.predictions import Predictions
from search.space import propose

CLASSES = ("zero", "one", "two")
STATES = ("completed", "completed", "converged", "pruned", "pruned", "pruned", "pruned")


class Log:
    """Events of a search of digits, one second each. ``facts``: what the search's own event says otherwise."""

    def __init__(self, **facts: Any) -> None:
        self.task = conf.load("digits", {"epochs": 9, "grace": 1}, [])
        self.events: list[dict[str, Any]] = []
        self.add(
            "search", **{"name": "made", "id": "the id", "task": "digits", "seed": 1, "metric": "val_loss",
                         "command": "python -m search.run digits", "slots": 2, "conf": self.task.resolved,
                         "milestones": list(self.task.milestones), "dataset_digest": "abc", "classes": list(CLASSES),
                         "dataset_origin": "there", "dataset_warnings": ["copies on both sides"], "options": {},
                         "dataset_sizes": {"development": 90, "folds": [[60, 30]], "test": 30, "input_shape": [2]},
                         "git_commit": "c0ffee", "git_dirty": True, "versions": {"python": "3"},
                         "tracking_uri": "sqlite:///x.db", **facts},
        )  # fmt: skip

    def add(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, "time": 1e9 + len(self.events), **fields})

    def trial(self, config: dict[str, Any], values: list[float], state: str = "completed", **more: Any) -> int:
        """A trial with these losses, an epoch each; errors are a tenth of them. Running where ``state`` says so."""
        number = sum(event["event"] == "proposal" for event in self.events)
        reason = more.pop("reason", "")
        self.add("proposal", trial=number, config=config,
                 **{"seed": number, "parameters": {}, "origin": "sampler", "apart": None, **more})  # fmt: skip
        self.add("start", trial=number, worker={"node": "n", "pid": 1, "gpus": 0.5}, parameters=1000 + number)
        curve = [epoch(index, value) for index, value in enumerate(values, 1)]
        if curve:
            best = min(curve, key=lambda figures: figures["val_loss"])
            self.add("report", trial=number, epochs=curve, best=best, examples=10)
            self.add("checkpoint", trial=number, path=f"trials/{number}", best=best, bytes=10)
        if state != "running":
            self.add("ending", trial=number, state=state, reason=reason)
        return number

    def test(self, trial: int, chosen: str | None, wrong: int, origin: str = "sampler") -> None:
        """Of 30 examples."""
        confusion = [[10 - wrong, wrong, 0], [0, 10, 0], [0, 0, 10]]
        entries = [{"class": name, "precision": 1.0, "recall": 1.0, "f1": 1.0, "examples": 10} for name in CLASSES]
        entries = [entry | {"class": name} for entry, name in zip(entries, self.events[0]["classes"], strict=True)]
        config = next(event["config"] for event in self.events if event.get("trial") == trial)
        self.add("test", trial=trial, model=config["model"], chosen=chosen, origin=origin, opening=1,
                 error=wrong / 30, loss=0.5, f1=1 - wrong / 30, interval=[wrong / 60, (wrong + 1) / 30],
                 per_class=entries, confusion=confusion, fold_errors=[wrong / 30], checkpoint="x")  # fmt: skip

    def write(self, folder: Path) -> Path:
        folder.mkdir()
        (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in self.events))
        return folder


def epoch(index: int, loss: float) -> dict[str, Any]:
    return {"index": index, "train_loss": loss, "train_error": loss / 10, "val_loss": loss, "val_error": loss / 10,
            "val_f1": 1 - loss / 10, "seconds": 60.0, "lr": 0.1}  # fmt: skip


def searched(log: Log, trials: int, seed: int = 0) -> None:
    """Random trials of two families: the nearer the rate of learning is to 0.004, the better; above 0.008 it breaks."""
    source = random.Random(seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    for number in range(trials):
        asked = study.ask()
        config = propose(log.task.space, asked)
        rate = next(value for name, value in config.items() if name.rpartition(".")[2] == "lr")
        level = 0.05 + abs(np.log(rate / 0.004)) + 0.05 * source.random()
        state = "diverged" if rate > 0.008 and number > 3 else STATES[number % len(STATES)]
        epochs = {"completed": 9, "converged": 5, "diverged": 2}.get(state, 1 + 2 * (number % 2))
        log.trial(config, [float(level + 1 / index) for index in range(1, epochs + 1)], state,
                  parameters=asked.params, reason="the loss is not finite" if state == "diverged" else "")  # fmt: skip


def whole(folder: Path, trials: int = 40, **facts: Any) -> Path:
    """A finished search with all there is: a reference, what failed, a confirmed winner, its predictions."""
    log = Log(options={"confirm": 2}, **facts)
    reference = log.task.references[0]
    by_hand = log.trial(reference.config, [0.9, 0.8], "converged", origin=reference.name, apart="reference")
    searched(log, trials)
    numbers = [event["trial"] for event in log.events if event["event"] == "ending" and event["state"] == "completed"]
    first, second = numbers[:2]
    log.add("confirmation", configurations=[first, second], seeds=2, cap=90, note="", resplit=True,
            asked={"configurations": 2, "seeds": 2})  # fmt: skip
    configs = {event["trial"]: event["config"] for event in log.events if event["event"] == "proposal"}
    trained = [
        log.trial(configs[number], [0.4 + shift], apart="confirmation", origin=f"trial {number}", seed=seed)
        for seed in (7, 8)
        for number, shift in ((first, 0.01 * seed), (second, 0.02 * seed))
    ]
    log.add("opening", number=1, why="search", trials=[trained[0]], chosen=["winner"])
    log.test(trained[0], "winner", 2, f"trial {first}")
    log.test(trained[2], "seed", 3, f"trial {first}")
    log.test(by_hand, "reference", 8, reference.name)
    log.add("ensemble", trials=[trained[0], trained[2]], error=1 / 30, interval=[0.01, 0.2], loss=0.3, f1=0.9)
    log.add("end", wall_seconds=100.0, interrupted=False)
    targets = np.repeat(np.arange(3), 10)
    says = np.eye(3, dtype=np.float32)[targets] * 0.7 + 0.1
    says[:2] = [0.2, 0.7, 0.1]
    answers = {trained[0]: says.argmax(1), trained[2]: targets}
    found = Predictions(targets, 0, answers, {trained[0]: says}, {reference.name: (targets + (targets == 1)) % 3})
    log.write(folder)
    predictions.save(folder / predictions.FILE_NAME, found)
    return folder
