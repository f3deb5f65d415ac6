import random

import pytest

from search.importance import FEWEST, Judged, importance, judged
from search.space import Choice, Range

LR = Range(1e-4, 1e-1, log=True)
SPACE = {
    "model": Choice(("mlp", "cnn"), {}),
    "optimizer": Choice(("adam", "sgd"), {"sgd": {"lr": Range(1e-2, 1.0, log=True), "momentum": Range(0.0, 0.9)}}),
    "lr": LR,
    "dropout": Range(0.0, 0.5),
    "widths": Choice(([16], [32, 32]), {}),
}


def drawn(count: int, value, seed: int = 0) -> list[Judged]:
    """Random points of the space, judged by a closed form of their plain settings, and a little by chance."""
    random_ = random.Random(seed)
    trials = []
    for _ in range(count):
        optimizer = random_.choice(["adam", "sgd"])
        parameters = {"model": "mlp", "optimizer": optimizer, "dropout": random_.uniform(0, 0.5)}
        parameters["widths"] = random_.choice(["[16]", "[32,32]"])
        if optimizer == "sgd":
            parameters |= {"sgd.lr": 10 ** random_.uniform(-2, 0), "sgd.momentum": random_.uniform(0, 0.9)}
        else:
            parameters["lr"] = 10 ** random_.uniform(-4, -1)
        plain = {name.rpartition(".")[2]: setting for name, setting in parameters.items()}
        trials.append(Judged(parameters, value(plain) + 1e-3 * random_.random()))
    return trials


@pytest.mark.parametrize(
    ("decides", "value"),
    [
        ("dropout", lambda settings: (settings["dropout"] - 0.4) ** 2),
        ("widths", lambda settings: len(settings["widths"])),
        ("optimizer", lambda settings: settings["optimizer"] == "sgd"),
        ("lr", lambda settings: settings["lr"]),
    ],
)
def test_the_setting_that_decides_has_the_largest_share(decides, value):
    shares = importance(SPACE, {"mlp": drawn(60, value)})["mlp"]
    assert next(iter(shares)) == decides
    assert shares[decides] > 0.5
    assert sum(shares.values()) == pytest.approx(1)


def test_only_settings_that_all_trials_have_and_that_vary_are_counted():
    shares = importance(SPACE, {"mlp": drawn(30, lambda settings: settings["dropout"])})["mlp"]
    assert set(shares) == {"optimizer", "lr", "dropout", "widths"}


def test_families_are_judged_by_themselves():
    families = {
        "mlp": drawn(40, lambda settings: settings["dropout"]),
        "cnn": drawn(40, lambda settings: -len(settings["widths"])),
    }
    assert {family: next(iter(shares)) for family, shares in importance(SPACE, families).items()} == {
        "mlp": "dropout",
        "cnn": "widths",
    }


@pytest.mark.parametrize(
    ("trials", "told"),
    [
        ([], False),
        (drawn(FEWEST - 1, lambda settings: settings["dropout"]), False),
        (drawn(FEWEST, lambda settings: settings["dropout"]), True),
        ([Judged(trial.parameters, 0.5) for trial in drawn(20, lambda _: 0.0)], False),
        ([Judged(drawn(1, lambda _: 0.0)[0].parameters, value) for value in range(9)], False),
    ],
    ids=["none", "too few", "just enough", "all as good", "all the same settings"],
)
def test_families_of_which_nothing_can_be_told_are_left_out(trials, told):
    assert ("mlp" in importance(SPACE, {"mlp": trials})) is told


def test_a_setting_whose_choices_depend_on_the_alternative_is_not_compared():
    inner = {"a": {"widths": Choice((1, 2), {})}}
    space = {"kind": Choice(("a", "b"), inner), "widths": Choice((3, 4), {}), "lr": LR}
    trials = [
        Judged({"kind": "a", "a.widths": 1 + k % 2, "lr": 0.001 * (k + 1)} if k % 3 else
               {"kind": "b", "widths": 3 + k % 2, "lr": 0.001 * (k + 1)}, k)
        for k in range(12)
    ]  # fmt: skip
    assert set(importance(space, {"mlp": trials})["mlp"]) == {"kind", "lr"}


def test_the_log_says_what_the_trials_that_count_were_worth():
    def proposal(trial, model, **more):
        config = {"model": model}
        return {"event": "proposal", "time": 0.0, "trial": trial, "config": config, "seed": 0,
                "parameters": {"lr": trial}, **more}  # fmt: skip

    def report(trial, index, loss):
        epoch = {"index": index, "val_loss": loss, "val_error": loss / 10, "val_f1": 1 - loss, "seconds": 1.0}
        return {"event": "report", "time": 1.0, "trial": trial, "epochs": [epoch], "best": epoch}

    events = [
        proposal(0, "mlp"),
        proposal(1, "cnn"),
        proposal(2, "mlp", apart="reference"),
        proposal(3, "mlp"),
        report(0, 1, 0.5),
        report(2, 1, 0.1),
        report(3, 1, 0.75),
        report(3, 2, 0.25),
    ]
    assert judged(events, "val_loss") == {"mlp": [Judged({"lr": 0}, 0.5), Judged({"lr": 3}, 0.25)], "cnn": []}
    assert judged(iter(events), "val_error")["mlp"][1] == Judged({"lr": 3}, 0.025)
    assert judged(events, "val_f1") == judged(events, "val_loss")
