import pytest
from conf_document import changed, message_of

from search.space import Choice, Fixed, Range

WHOLE, NUMBER = "a whole number", "a number"


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("epochs", ["--set epochs", "KEY=VALUE"]),
        ("=3", ["--set =3", "KEY=VALUE"]),
        ("epochs=many", ["epochs:", WHOLE, "'many'"]),
        ("lr=fast", ["space.lr:", NUMBER, "'fast'"]),
        ("lrr=3", ["space.lrr:", "lr"]),
        ("mlpp.dropout=0.1", ["--set mlpp.dropout=0.1", "did you mean mlp?", "dataset", "cnn", "adam", "sgd"]),
        ("mlp.width=[3]", ["models.mlp.width:", "did you mean widths?"]),
        ("adam.momentun=1", ["space.optimizer.adam.momentun:", "did you mean momentum?"]),
        ("dataset.trane=3", ["dataset.trane:", "did you mean train?"]),
        ("dataset=digitz", ["dataset:", "did you mean digits?"]),
        ("lr={low: 0.5}", ["space.lr:", "less than high 0.1"]),
        ("lr={low: , high: 1}", ["space.lr", NUMBER]),
        ("lr=[1", ["--set lr=[1", "not YAML"]),
        ("lr=\n[1", ["not YAML"]),
        ("lr=2024-13-45", ["not YAML"]),
        ("optimizer=adagrad", ["space.optimizer:", "adam, adamw, adamax, sgd"]),
        ("optimizer={choice: [adam, adagrad]}", ["space.optimizer:", "adam, adamw, adamax, sgd"]),
        ("optimizer=[adam]", ["space.optimizer:", "adam, adamw, adamax, sgd"]),
        ("optimizer={choice: [[adam]]}", ["space.optimizer:", "adam, adamw, adamax, sgd"]),
        ("models=3", ["models", "a mapping"]),
        ("models={mlp: 3}", ["models.mlp", "a mapping"]),
        ("models={}", ["models", "at least one"]),
        ("space=3", ["space", "a mapping"]),
        ("references=3", ["references", "a list"]),
    ],
)
def test_a_mistaken_assignment_is_one_line(load, assignment, says):
    message = message_of(load, assignments=[assignment])
    assert [each for each in says if each not in message] == []


@pytest.mark.parametrize(
    ("path", "value", "keywords"),
    [
        ("models/7", {}, {"models": ["resnet"]}),
        ("models/7", {}, {"assignments": ["resnet.lr=1"]}),
        ("space/optimizer/choice/adam", 3, {"assignments": ["adam.lr=1"]}),
        ("space/batch_norm", {"choice": {True: {}, False: {}}}, {"assignments": ["none.lr=1"]}),
    ],
)
def test_a_mistaken_option_over_an_odd_document_is_one_line(load, path, value, keywords):
    message_of(load, changed(path, value), **keywords)


WEIGHT_DECAY = Range(1e-6, 1e-3, log=True)
SGD = {"momentum": Range(0.5, 0.9), "nesterov": Fixed(value=True)}


@pytest.mark.parametrize(
    ("assignment", "key", "node"),
    [
        ("lr=0.01", "lr", Fixed(0.01)),
        ("lr=1e-3", "lr", Fixed(0.001)),
        ("lr=5E-2", "lr", Fixed(0.05)),
        ("lr={low: 1e-2}", "lr", Range(0.01, 0.1, log=True)),
        ("lr={high: 1e-2}", "lr", Range(0.001, 0.01, log=True)),
        ("lr={low: 2, high: 3, log: false}", "lr", Range(2, 3)),
        ("lr={choice: [0.1, 0.2]}", "lr", Choice((0.1, 0.2), {})),
        ("batch_size={low: 8, high: 16}", "batch_size", Range(8, 16, integer=True)),
        ("momentum=0.5", "momentum", Fixed(0.5)),
        ("optimizer=sgd", "optimizer", Choice(("sgd",), {"sgd": SGD})),
        ("optimizer={choice: [sgd]}", "optimizer", Choice(("sgd",), {"sgd": SGD})),
        (
            "optimizer={choice: [sgd, adam]}",
            "optimizer",
            Choice(("sgd", "adam"), {"sgd": SGD, "adam": {"weight_decay": WEIGHT_DECAY}}),
        ),
        (
            "adam.weight_decay={high: 1e-5}",
            "optimizer",
            Choice(("adam", "sgd"), {"adam": {"weight_decay": Range(1e-6, 1e-5, log=True)}, "sgd": SGD}),
        ),
        (
            "constant.clip=1.0",
            "schedule",
            Choice(
                ("constant", "step"),
                {"constant": {"clip": Fixed(1.0)}, "step": {"every": Range(2, 9, integer=True)}},
            ),
        ),
    ],
)
def test_an_assignment_fixes_narrows_or_restricts(load, assignment, key, node):
    before, after = load(), load(assignments=[assignment])
    assert after.space[key] == node
    assert {name: other for name, other in after.space.items() if name != key} == {
        name: other for name, other in before.space.items() if name != key
    }


def test_assignments_reach_the_conf_its_dataset_and_its_families_in_their_order(load):
    task = load(assignments=["epochs=9", "mlp.dropout=0.3", "cnn.lr=0.5", "dataset.train=900", "epochs=8"])
    assert (task.epochs, task.dataset_settings["train"]) == (8, 900)
    assert task.space["model"].settings["mlp"]["dropout"] == Fixed(0.3)
    assert task.space["model"].settings["cnn"]["lr"] == Fixed(0.5)
    assert load(assignments=["dataset=digits"]).dataset_settings == {}
    assert load(assignments=["metric=val_error"]).metric == "val_error"
    assert load(assignments=["metric=val_f1"]).metric == load(metric="val_f1").metric == "val_f1"


def test_options_replace_what_conf_and_assignments_say_and_grace_never_passes_the_epochs(load):
    assert load(assignments=["epochs=9"], epochs=7).epochs == 7
    assert load(epochs=1).grace == 1
    assert "grace: 5 is more than epochs, 3" in message_of(load, epochs=3, grace=5)


def test_models_restrict_the_families_in_the_order_of_the_conf(load):
    assert load().families == load(models=["cnn", "mlp"]).families == ("mlp", "cnn")
    task = load(models=["cnn"])
    assert task.families == ("cnn",)
    assert task.space["model"].values == ("cnn",)
    assert "--model cn: not in" in (message := message_of(load, models=["cn"]))
    assert "did you mean cnn? valid: mlp, cnn" in message
