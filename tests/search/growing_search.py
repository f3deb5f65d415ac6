"""A search's history, built an event at a time: what is shown and estimated while it grows."""

import itertools
from typing import Any

from search import conf
from search.history import History
from search.standing import Standing

EPOCHS = 72
CONFIG = {
    "model": "cnn",
    "cnn.channels": [24, 64],
    "cnn.widths": [],
    "cnn.batch_size": 64,
    "optimizer": "sgd",
    "sgd.lr": 0.0123456,
    "sgd.momentum": 0.87654321,
    "sgd.nesterov": True,
    "sgd.weight_decay": 1.2345e-05,
    "schedule": "constant",
    "batch_norm": True,
    "normalise": "none",
    "dropout": 0.123456,
    "label_smoothing": 0.0123,
    "affine": 0.4,
    "shift": 0.1,
}


class Search:
    """A search's history, built an event at a time. Losses fall to ``level``, errors are a tenth of them."""

    def __init__(self) -> None:
        self.history = History()
        self.time = 1000.0

    def event(self, kind: str, trial: int, **fields: Any) -> None:
        self.history.apply({"event": kind, "time": self.time, "trial": trial, **fields})

    def start(self, model: str = "cnn", **settings: Any) -> int:
        number = len(self.history.trials)
        self.event("proposal", number, config={**CONFIG, "model": model, **settings}, seed=0)
        self.event("start", number, worker={})
        return number

    def report(self, trial: int, epochs: int, level: float = 0.5, seconds: float = 1.0) -> None:
        trained = self.history.trials[trial].epochs
        curve = [
            {"index": index, "val_loss": level + 1 / index, "val_error": (level + 1 / index) / 10, "seconds": seconds}
            for index in range(trained + 1, epochs + 1)
        ]
        self.event("report", trial, epochs=curve, best=curve[-1])

    def pause(self, trial: int) -> None:
        self.event("pause", trial, reason="rung 8: place 2 of 3, where 1 may go on")

    def promote(self, trial: int) -> None:
        self.event("promotion", trial)

    def end(self, trial: int, state: str = "completed", reason: str = "") -> None:
        self.event("ending", trial, state=state, reason=reason)

    def many(self, done: int, running: int) -> "Search":
        """``done`` trials in all other states, then ``running`` ones, every third without an epoch."""
        fates = [(8, "pruned"), (24, "pruned"), (72, "completed"), (40, "converged"), (3, "failed"), (5, "oom"),
                 (2, "diverged"), (9, "cancelled"), (8, "paused"), (24, "paused")]  # fmt: skip
        for number, (epochs, state) in zip(range(done), itertools.cycle(fates), strict=False):
            self.start(("mlp", "cnn")[number % 2])
            self.time += 1
            self.report(number, epochs, 0.1 + number / 100)
            if state == "paused":
                self.pause(number)
            else:
                self.end(number, state, "ValueError: a reason that is longer than most terminals are wide " * 3)
        for number in range(done, done + running):
            self.start(("mlp", "cnn")[number % 2])
            if number % 3:
                self.report(number, number % 70 + 1, 0.3)
        return self

    def standing(self, num_samples: int = 40, slots: int = 2, metric: str = "val_loss", **more: Any) -> Standing:
        task = conf.load("digits", {"epochs": EPOCHS}, [f"metric={metric}"])
        return Standing.of(self.history, task, num_samples, slots, elapsed=72.0, now=self.time, **more)
