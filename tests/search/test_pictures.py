import random
from typing import get_args

import numpy as np
import pytest
from picture_file import is_picture

from search import pictures
from search.history import History, State
from search.pictures.families import rows
from search.pictures.progress import OVERALL, spending
from search.pictures.tested import columns
from trainables.epoch import METRICS

STATES = get_args(State)


def epoch(index: int, loss: float, error: float | None = None, seconds: float = 1.0) -> dict:
    error = loss / 10 if error is None else error
    return {"index": index, "train_loss": 2 * loss, "train_error": min(1.0, 2 * error), "val_loss": loss,
            "val_error": error, "val_f1": 1 - error, "seconds": seconds, "lr": 0.1}  # fmt: skip


def proposal(trial: int, model: str = "mlp", **more) -> dict:
    config = {"model": model}
    return {"event": "proposal", "time": float(trial), "trial": trial, "seed": 0, "config": config, "parameters": {},
            **more}  # fmt: skip


def report(trial: int, *epochs: dict, best: dict | None = None) -> dict:
    best = best or min(epochs, key=lambda each: each["val_loss"])
    return {"event": "report", "time": 1.0, "trial": trial, "epochs": list(epochs), "best": best}


def start(trial: int, parameters: int) -> dict:
    return {"event": "start", "time": 1.0, "trial": trial, "worker": {"pid": 1}, "parameters": parameters}


def checkpoint(trial: int, best: dict) -> dict:
    return {"event": "checkpoint", "time": 1.0, "trial": trial, "path": f"trials/{trial}", "best": best}


def opened(trial: int, model: str, chosen: str | None, error: float = 0.05, opening: int = 1, **more) -> dict:
    return {"event": "test", "trial": trial, "model": model, "chosen": chosen, "origin": "sampler", "opening": opening,
            "error": error, "interval": [error / 2, 2 * error], **more}  # fmt: skip


SEARCH = {"event": "search", "time": 0.0, "name": "a search", "metric": "val_loss"}


def a_search(trials: int, epochs: int, families: int = 2, *, least: float = 0.01) -> list[dict]:
    """Events of a whole search: trials of all fates, one tested a family, a reference beside it."""
    random_ = random.Random(trials)
    names = [f"a family with a long name, number {number}" for number in range(families)]
    events = [SEARCH, proposal(trials, "mlp", origin="a reference with quite a long name", apart="reference")]
    for trial in range(trials):
        events += [proposal(trial, names[trial % families]), start(trial, random_.randrange(10, 10**7))]
    for trial in range(trials + 1):
        state = STATES[trial % len(STATES)]
        for index in range(1, (epochs if trial % 3 == 0 else min(epochs, 1 + epochs // 2)) + 1):
            huge = state == "diverged" and index == 1 + epochs // 2
            new = epoch(index, 1e30 if huge else least + random_.random() / index, min(1.0, least + 1 / index - 0.01))
            events.append(report(trial, new))
            if index == 1:
                events.append(checkpoint(trial, new))
        events.append({"event": "ending", "time": 9.0, "trial": trial, "state": state, "reason": ""})
    if epochs:
        roles = ["winner"] + ["family"] * (families - 1)
        events += [opened(trial, names[trial], role) for trial, role in enumerate(roles[:trials])]
        events.append(opened(trials, "mlp", "reference", origin="a reference with quite a long name"))
    return events


@pytest.mark.parametrize(
    ("trials", "epochs", "families", "least"),
    [(1, 1, 1, 0.01), (1, 2, 1, 0.0), (2, 0, 1, 0.01), (9, 8, 2, 0.0), (300, 2, 12, 0.01)],
)
def test_every_picture_of_a_search_is_drawn_of_small_and_large_ones(tmp_path, trials, epochs, families, least):
    events = a_search(trials, epochs, families, least=least)
    history = History(events)
    for metric in METRICS:
        pictures.curves(history, metric, [2, 4], 0 if epochs else None, tmp_path / f"curves_{metric}.png")
        pictures.best_so_far(events, metric, tmp_path / f"best_{metric}.png")
    pictures.families(history, tmp_path / "families.png")
    pictures.tested_curves(history, tmp_path / "tested.png")
    drawn = sorted(tmp_path.iterdir())
    assert len(drawn) == 8
    assert all(map(is_picture, drawn))


@pytest.mark.parametrize("classes", [["no", "yes"], [f"the long name of class {k}" for k in range(100)], ["only"]])
def test_confusions_of_few_and_many_classes(tmp_path, classes):
    matrix = np.eye(len(classes), dtype=int) * 12345
    matrix[0, -1], matrix[-1] = 1, 0
    pictures.confusion(matrix.tolist(), classes, "a title that is far too long to fit " * 5, tmp_path / "c.png")
    assert is_picture(tmp_path / "c.png")


@pytest.mark.parametrize(("count", "channels", "kind"), [(1, 1, np.uint8), (7, 3, np.float32), (50, 3, np.uint8)])
def test_examples_of_every_kind_of_picture(tmp_path, count, channels, kind):
    random_ = np.random.default_rng(0)
    inputs = (random_.random((count, channels, 8, 6)) * (255 if kind == np.uint8 else 1)).astype(kind)
    targets = random_.integers(3, size=count)
    classes = ["short", "the long name of a class", "x"]
    said = random_.dirichlet([1, 1, 1], size=count)
    pictures.examples(inputs, targets, said, classes, "test pictures", tmp_path / "e.png")
    assert is_picture(tmp_path / "e.png")


@pytest.mark.parametrize(
    ("shares", "trials"),
    [
        ({}, {}),
        ({}, {"mlp": 3}),
        ({"mlp": {"lr": 1.0}}, {"mlp": 8, "cnn": 0}),
        ({f"family {n}": {f"a setting with a long name {k}": 1 / 40 for k in range(40)} for n in range(7)},
         {f"family {n}": n for n in range(30)}),
    ],
)  # fmt: skip
def test_importances_of_few_and_many_families(tmp_path, shares, trials):
    pictures.importances(shares, trials, "which settings decide", tmp_path / "i.png")
    assert is_picture(tmp_path / "i.png")


def cloud(count: int, classes: int, seed: int = 0, spread: float = 1.0) -> pictures.Points:
    random_ = np.random.default_rng(seed)
    inputs = (spread * random_.standard_normal((count, 2))).astype(np.float32)
    return pictures.Points(inputs, random_.integers(classes, size=count))


def two_lines_that_cross(at: tuple[float, float]) -> pictures.Points:
    """One class on each; they mix only near ``at``."""
    places = np.linspace(-1, 1, 400)
    upwards, downwards = np.stack([places, places], axis=1), np.stack([places, -places], axis=1)
    jitter = 0.01 * np.random.default_rng(0).standard_normal((800, 2))
    inputs = np.concatenate([upwards, downwards]) + jitter + at
    return pictures.Points(inputs.astype(np.float32), np.repeat([0, 1], 400))


@pytest.mark.parametrize("at", [(0.0, 0.0), (5.0, -3.0)])
def test_the_grid_covers_all_points_and_then_where_classes_mix(at):
    points = two_lines_that_cross(at)
    where = pictures.grid(points, side=20)
    assert (where.shape, where.dtype) == ((800, 2), np.float32)
    whole, enlarged = where[:400], where[400:]
    assert (whole.min(0) <= points.inputs.min(0)).all()
    assert (whole.max(0) >= points.inputs.max(0)).all()
    assert np.ptp(enlarged, axis=0).max() < 0.2 * np.ptp(whole, axis=0).min()
    assert (enlarged.min(0) < at).all()
    assert (enlarged.max(0) > at).all()


@pytest.mark.parametrize(
    "points",
    [cloud(1, 1), cloud(5, 2), cloud(200, 1), cloud(200, 2), cloud(50, 2, spread=0.0)],
    ids=["one", "five", "one class", "mixed everywhere", "all at one place"],
)
def test_nothing_is_enlarged_where_classes_mix_nowhere_or_everywhere(points):
    assert pictures.grid(points, side=10).shape == (100, 2)


def test_the_rows_of_a_grid_run_from_left_to_right_and_from_below():
    where = pictures.grid(cloud(50, 2), side=3).reshape(3, 3, 2)
    assert (np.diff(where[..., 0], axis=1) > 0).all()
    assert (np.diff(where[..., 1], axis=0) > 0).all()


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        (cloud(1, 1), cloud(1, 1, 1), 1),
        (cloud(30, 100), cloud(300, 100, 1), 100),
        (two_lines_that_cross((0, 0)), two_lines_that_cross((0.01, 0)), 2),
        (cloud(5, 2, spread=0.0), cloud(5, 2, 1, spread=0.0), 2),
    ],
    ids=["one class", "100 classes", "enlarged", "all at one place"],
)
def test_regions_of_few_and_many_classes(tmp_path, train, test, classes):
    def says(inputs):
        near = np.exp(-((inputs[:, None] - cloud(classes, 1, 7).inputs) ** 2).sum(-1))
        return near / near.sum(1, keepdims=True)

    where = pictures.grid(train, side=20)
    names = [f"class {k}" for k in range(classes)]
    pictures.regions(where, says(where), train, test, says(test.inputs), names, "regions", tmp_path / "r.png")
    assert is_picture(tmp_path / "r.png")


def test_the_best_so_far_falls_with_the_epochs_of_all_trials_in_the_order_of_their_reports():
    told = spending(
        [
            SEARCH,
            proposal(0, "mlp"),
            proposal(1, "cnn"),
            proposal(2, "cnn", apart="reference"),
            report(0, epoch(1, 0.9), epoch(2, 0.7)),
            report(2, epoch(1, 0.01)),
            report(1, epoch(1, 0.8)),
            report(0, epoch(3, 0.75)),
            report(0, epoch(3, 0.1)),
            report(1, epoch(2, 0.6), epoch(3, 0.5), epoch(4, 0.55)),
        ],
        "val_loss",
    )
    assert told.epochs == 7
    assert told.steps == {
        "mlp": [(1, 0.9), (2, 0.7)],
        "cnn": [(3, 0.8), (5, 0.6), (6, 0.5)],
        OVERALL: [(1, 0.9), (2, 0.7), (5, 0.6), (6, 0.5)],
    }
    assert told.moments == {0: (2, 0.7), 1: (6, 0.5)}
    assert told.winner("val_loss").id == 1


def test_the_time_of_each_epoch_is_without_what_passed_between_commands():
    def at(time, event):
        return {**event, "time": time}

    resumed = {"event": "resumption", "time": 1000.0, "slots": 1, "reopened": []}
    events = [
        at(100.0, SEARCH),
        at(101.0, proposal(0)),
        at(105.0, report(0, epoch(1, 0.9), epoch(2, 0.8))),
        resumed,
        at(1002.0, report(0, epoch(3, 0.7))),
    ]
    assert spending(events, "val_loss").seconds == [5.0, 5.0, 7.0]


def test_of_a_score_what_the_best_lacks_to_1_falls():
    reports = [report(0, epoch(1, 0.5, 0.75)), report(1, epoch(1, 0.4, 0.875)), report(1, epoch(2, 0.9, 0.25))]
    told = spending([SEARCH, proposal(0), proposal(1), *reports], "val_f1")
    assert told.steps[OVERALL] == [(1, 0.75), (3, 0.25)]
    assert told.winner("val_f1").id == 1


def test_with_folds_the_best_of_each_counts_and_the_tested_winner_is_the_winner():
    events = [
        SEARCH,
        proposal(0),
        proposal(1),
        report(0, epoch(1, 0.9), epoch(2, 0.8), best=epoch(2, 0.7)),
        report(1, epoch(1, 0.6)),
        opened(0, "mlp", "winner"),
    ]
    told = spending(events, "val_loss")
    assert told.steps["mlp"] == [(1, 0.9), (2, 0.7), (3, 0.6)]
    assert told.winner("val_loss").id == 0
    assert spending([SEARCH], "val_loss").winner("val_loss") is None


def test_families_stand_in_the_order_of_their_chosen_trials_validation_errors():
    history = History(
        [
            SEARCH,
            *[proposal(trial, model) for trial, model in enumerate(["mlp", "mlp", "cnn", "cnn", "resmlp"])],
            proposal(5, "cnn", apart="reference"),
            report(0, epoch(1, 0.5, 0.2, seconds=2.0)),
            report(1, epoch(1, 0.4, 0.3, seconds=4.0), epoch(2, 0.6, 0.1, seconds=6.0)),
            report(2, epoch(1, 0.2, 0.06)),
            report(3, epoch(1, 0.3, 0.05)),
            report(5, epoch(1, 0.1, 0.01)),
            checkpoint(2, epoch(1, 0.2, 0.06)),
            opened(2, "cnn", "winner"),
            opened(3, "cnn", None),
            opened(5, "cnn", "reference"),
            opened(3, "cnn", "winner", opening=2),
        ]
    )
    cnn, mlp = rows(history)
    assert (cnn.name, cnn.chosen.id, cnn.validation_error, len(cnn.trials)) == ("cnn", 2, 0.06, 2)
    assert cnn.test["trial"] == 2
    assert (mlp.name, mlp.chosen.id, mlp.validation_error, mlp.test) == ("mlp", 1, 0.3, None)
    assert mlp.seconds == [2.0, 5.0]


def test_what_was_tested_comes_once_in_the_order_of_its_part():
    history = History(
        [
            SEARCH,
            *map(proposal, range(5)),
            opened(3, "mlp", "reference"),
            opened(1, "mlp", None),
            opened(2, "mlp", "family"),
            opened(0, "mlp", "winner", error=0.25),
            opened(4, "mlp", "again", opening=2),
            opened(0, "mlp", "winner", error=0.5, opening=2),
        ]
    )
    assert [(trial.id, test["error"]) for trial, test in columns(history)] == [
        (0, 0.5),
        (2, 0.05),
        (3, 0.05),
        (1, 0.05),
        (4, 0.05),
    ]
