import copy
import json
import random
from typing import Any

import optuna
import pytest
from conf_document import ABSENT, changed, dump, message_of

from datasets.errors import UserError
from search import conf
from search.space import Choice, Fixed, Range, propose
from search.task import conf_folder
from trainables.recipe import split_settings

WHOLE, NUMBER, TEXTS = "a whole number", "a number", "a list, each item a whole number"
MISTAKES = [
    # what stands where, and what the message says: the key, then what is valid
    ("epoch", 3, ["epoch:", "did you mean epochs?", "valid: dataset, metric, epochs"]),
    ("zzz", 3, ["zzz:", "valid: dataset, metric, epochs"]),
    ("epochs", ABSENT, ["epochs: is missing"]),
    ("dataset", ABSENT, ["dataset: is missing"]),
    ("models", ABSENT, ["models: is missing"]),
    ("models", {}, ["models:", "at least one"]),
    ("models", ["mlp"], ["models:", "a mapping"]),
    ("models/mlp", 3, ["models.mlp:", "a mapping"]),
    ("models/mlp", False, ["models.mlp:", "a mapping"]),
    ("models/mlpp", {}, ["models.mlpp:", "no such model", "did you mean mlp?", "cnn, mlp"]),
    ("models/7", {}, ["models.7:", "no such model", "cnn, mlp"]),
    ("models/mlp/model", "mlpp", ["models.mlp.model:", "no such model", "did you mean mlp?", "package.module:Name"]),
    ("models/mlp/model", {"choice": ["mlp"]}, ["models.mlp.model:", "no such model"]),
    ("models/mlp/model", "nowhere.nets:Net", ["models.mlp.model:", "model nowhere.nets:Net: no module nowhere"]),
    ("models/nowhere.nets:Net", {}, ["models.nowhere.nets:Net:", "none of . : and =", "{model: nowhere.nets:Net}"]),
    ("dataset/root", 3, ["dataset.root:", "a text", "3"]),
    ("space", 3, ["space:", "a mapping"]),
    ("space", ["lr"], ["space:", "a mapping"]),
    ("epochs", "30", ["epochs:", WHOLE, "'30'"]),
    ("epochs", 0, ["epochs:", "at least 1", "0"]),
    ("epochs", 2.5, ["epochs:", WHOLE, "2.5"]),
    ("epochs", True, ["epochs:", WHOLE, "True"]),
    ("epochs", [3], ["epochs:", WHOLE]),
    ("grace", 0, ["grace:", "at least 1"]),
    ("patience", "long", ["patience:", WHOLE]),
    ("reduction_factor", 1, ["reduction_factor:", "from 2", "1"]),
    ("metric", "accuracy", ["metric:", "val_loss, val_error, val_f1"]),
    ("metric", ["val_loss"], ["metric:", "val_loss, val_error, val_f1"]),
    ("scheduler", "hyperband", ["scheduler:", "asha, median, none"]),
    ("max_parameters", 0, ["max_parameters:", "a whole number from 1", "0"]),
    ("max_parameters", "1000", ["max_parameters:", "a whole number from 1", "'1000'"]),
    ("dataset", "digitz", ["dataset:", "'digitz'", "did you mean digits?"]),
    ("dataset", ["digits"], ["dataset:", "valid: ", "digits"]),
    ("dataset", "__init__", ["dataset:", "valid: ", "digits"]),
    ("dataset/name", ABSENT, ["dataset:", "valid: ", "digits"]),
    ("dataset/trane", 3, ["dataset.trane:", "did you mean train?", "train, val"]),
    ("dataset/train", "1000", ["dataset.train:", WHOLE, "'1000'"]),
    ("dataset/train", {"low": 1, "high": 3}, ["dataset.train:", WHOLE]),
    ("models/mlp/width", [3], ["models.mlp.width:", "did you mean widths?"]),
    ("models/mlp/channels", [3], ["models.mlp.channels:", "no such setting", "widths"]),
    ("models/mlp/widths", 64, ["models.mlp.widths:", TEXTS, "64"]),
    ("models/mlp/widths", [64, "x"], ["models.mlp.widths:", TEXTS]),
    ("models/mlp/widths", {"choice": [64]}, ["models.mlp.widths:", TEXTS]),
    ("models/mlp/widths", {"low": 1, "high": 2}, ["models.mlp.widths", TEXTS]),
    ("models/cnn/padding", "reflect", ["models.cnn.padding:", "one of same, valid", "'reflect'"]),
    ("space/learning_rate", 3, ["space.learning_rate:", "no such setting", "lr"]),
    ("space/channels", [3], ["space.channels:", "no such setting"]),
    ("space/lr", "0.001", ["space.lr:", NUMBER, "'0.001'"]),
    ("space/lr", None, ["space.lr:", NUMBER, "None"]),
    ("space/lr", {}, ["space.lr:", "{low, high}", "{choice: [...]}"]),
    ("space/lr", {"low": 1}, ["space.lr:", "{low, high}"]),
    ("space/lr", {"low": 1, "high": 2, "base": 10}, ["space.lr:", "{low, high}", "base"]),
    ("space/lr", {"low": 1, "high": 2, "choice": [1]}, ["space.lr:", "{low, high}"]),
    ("space/lr", {"low": 0.1, "high": 0.01}, ["space.lr:", "low 0.1 must be less than high 0.01"]),
    ("space/lr", {"low": 0.1, "high": 0.1}, ["space.lr:", "less than"]),
    ("space/lr", {"low": "0.001", "high": 1}, ["space.lr.low:", NUMBER, "'0.001'"]),
    ("space/lr", {"low": 0, "high": [1]}, ["space.lr.high:", NUMBER]),
    ("space/lr", {"low": None, "high": 1}, ["space.lr", NUMBER]),
    ("space/lr", {"low": 0.1, "high": None}, ["space.lr", NUMBER]),
    ("space/lr", {"low": 0.1, "high": float("inf")}, ["space.lr", NUMBER]),
    ("space/lr", float("nan"), ["space.lr:", NUMBER]),
    ("space/lr", {"choice": [0.1, float("inf")]}, ["space.lr", NUMBER]),
    ("space/lr", {"low": 0, "high": 1, "log": True}, ["space.lr:", "more than 0 on a log scale"]),
    ("space/lr", {"low": -1, "high": 1, "log": True}, ["space.lr.low:", "a number from 0", "not -1"]),
    ("space/batch_size", 0, ["space.batch_size:", "a whole number from 1, not 0"]),
    ("space/batch_size", {"choice": [32, 0]}, ["space.batch_size:", "a whole number from 1, not 0"]),
    ("space/shift", {"low": 0.1, "high": 2}, ["space.shift.high:", "a number from 0 to 1, not 2"]),
    ("space/lr", {"low": 1, "high": 2, "log": "yes"}, ["space.lr.log:", "true or false", "'yes'"]),
    ("space/lr", {"low": 1, "high": 2, "log": True, "step": 1}, ["space.lr.step:", "without log"]),
    ("space/lr", {"low": 1, "high": 2, "step": 0}, ["space.lr.step:", "whole steps"]),
    ("space/lr", {"low": 1, "high": 2, "step": 5}, ["space.lr.step:", "whole steps"]),
    ("space/batch_size", {"low": 1, "high": 2.5}, ["space.batch_size.high:", WHOLE]),
    ("space/batch_size", {"low": 1, "high": 9, "step": 0.5}, ["space.batch_size.step:", WHOLE]),
    ("space/batch_norm", {"low": 0, "high": 1}, ["space.batch_norm", "true or false"]),
    ("space/batch_size", {"choice": []}, ["space.batch_size:", "choice must be a list"]),
    ("space/batch_size", {"choice": 3}, ["space.batch_size:", "choice must be a list"]),
    ("space/batch_size", {"choice": None}, ["space.batch_size:", "choice must be a list"]),
    ("space/batch_size", {"choice": [32, "64"]}, ["space.batch_size:", WHOLE, "'64'"]),
    ("space/batch_size", {"choice": [32, 64, 32]}, ["space.batch_size:", "same value twice"]),
    ("space/optimizer", {"choice": ["adam", "adagrad"]}, ["space.optimizer:", "adam, adamw, adamax, sgd", "'adagrad'"]),
    ("space/optimizer/choice/rmsprop", {}, ["space.optimizer:", "adam, adamw, adamax, sgd", "'rmsprop'"]),
    ("space/optimizer/choice/adam", 3, ["space.optimizer.adam:", "a mapping"]),
    ("space/optimizer/choice/adam/momentun", 3, ["space.optimizer.adam.momentun:", "did you mean momentum?"]),
    ("space/optimizer/choice/adam/weight_decay", "x", ["space.optimizer.adam.weight_decay:", NUMBER]),
    ("references", {"name": "x"}, ["references:", "a list"]),
    ("references/0", "by hand", ["references[0]:", "name and config"]),
    ("references/0/config", ABSENT, ["references[0]:", "name and config"]),
    ("references/0/score", 3, ["references[0]:", "config, epochs, name, patience, reported"]),
    ("references/0/config", "mlp", ["references[0].config", "mlp"]),
    ("references/0/config/model", "mpl", ["references[0].config.model:", "'mpl'", "cnn, mlp"]),
    ("references/0/config/model", ABSENT, ["references[0].config.model:", "cnn, mlp"]),
    ("references/0/config/lrr", 3, ["references[0].config.lrr:", "no such setting", "lr"]),
    ("references/0/config/lr", "x", ["references[0].config.lr:", NUMBER, "'x'"]),
    ("references/0/config/lr", {"low": 1, "high": 2}, ["references[0].config.lr:", NUMBER]),
    ("references/0/epochs", 0, ["references[0].epochs:", "from 1"]),
    ("references/0/patience", "x", ["references[0].patience:", "from 1"]),
    ("references/0/reported", {"error": 0.1}, ["references[0].reported.error:", "test_error, test_loss, test_f1"]),
    ("references/0/reported", {"test_error": "10 %"}, ["references[0].reported.test_error:", NUMBER]),
    ("references/0/reported", [0.1], ["references[0].reported", "a mapping"]),
    ("references/0/name", ["a"], ["references[0].name:"]),
    ("references/0/name", 3, ["references[0].name:"]),
    ("two\nlines", 3, ["lines"]),
]


@pytest.mark.parametrize(("path", "value", "says"), MISTAKES)
def test_a_mistake_is_one_line_with_the_file_the_key_and_what_is_valid(load, tmp_path, path, value, says):
    message = message_of(load, changed(path, value))
    assert message.startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert [text for text in says if text not in message] == []


def test_alternatives_of_two_choices_must_not_share_a_name(load):
    document = changed("space/normalise", {"choice": {"none": {}, "standard": {}}})
    document["space"]["activation"] = {"choice": {"none": {}, "relu": {}}}
    message = message_of(load, document)
    assert "alternative none has the name of one of" in message
    assert "activation" in message
    assert "normalise" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["a mapping with the keys dataset, "]),
        ("- a\n- b", ["a mapping with the keys dataset, "]),
        ("digits", ["a mapping with the keys dataset, "]),
        ("dataset: digits\nepochs: [3\n", ["line 3", "not YAML"]),
        ("dataset: digits\n\tepochs: 3\n", ["line 2", "not YAML"]),
        ("dataset: digits\nepochs: 3\nepochs: 4\n", ["line ", "key epochs stands twice"]),
        ("models:\n  mlp: {dropout: 0.1, dropout: 0.2}\n", ["line 2", "key dropout stands twice"]),
        ("a: 1\n---\nb: 2\n", ["line 2", "not YAML"]),
        ("a: !!python/object:os.system x\n", ["line 1", "not YAML"]),
        ("[a]: 3\n", ["line 1", "not YAML"]),
        ("a: \x07\n", ["not YAML"]),
        ("a: 2024-13-45\n", ["not YAML"]),
        ("a: !!int many\n", ["not YAML"]),
        ("a: " + "[" * 500 + "\n", ["not YAML"]),
    ],
)
def test_what_is_not_a_yaml_mapping_is_one_line_with_the_place(load, tmp_path, text, says):
    message = message_of(load, text)
    assert message.startswith(f"{tmp_path / 'mine.yaml'}")
    assert [each for each in says if each not in message] == []


def test_a_file_that_is_not_text_is_one_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert str(path) in message_of(conf.load, str(path), {}, [])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("digitz", ["'digitz'", "did you mean digits?", "path of a YAML file"]),
        ("", ["''", "digits"]),
        ("nowhere/mine.yaml", ["nowhere/mine.yaml"]),
        ("mine.yaml", ["mine.yaml"]),
        ("conf/", ["conf/"]),
    ],
)
def test_a_task_that_is_not_there_is_one_line(task, says):
    message = message_of(conf.load, task, {}, [])
    assert [each for each in says if each not in message] == []


def test_a_shared_setting_must_be_one_of_every_family(load):
    document = changed("space/channels", [8])
    document["models"] = {family: document["models"][family] for family in ("cnn", "mlp")}
    assert "space.channels: no such setting" in message_of(load, document)
    assert load(document, models=["cnn"]).space["channels"] == Fixed([8])


def test_a_conf_becomes_a_task(load):
    task = load()
    assert (task.name, task.dataset, task.dataset_settings) == ("mine", "digits", {"train": 1000, "val": 350})
    assert (task.metric, task.epochs, task.grace) == ("val_loss", 30, 2)
    assert list(task.space) == ["model", "optimizer", "schedule", "lr", "batch_size", "dropout"]
    assert task.space["model"] == Choice(
        ("mlp", "cnn"),
        {
            "mlp": {"widths": Choice(([64], [128, 64]), {}), "dropout": Fixed(0.1)},
            "cnn": {"channels": Fixed([8, 16]), "kernel": Range(2, 5, integer=True)},
        },
    )
    adam = {"weight_decay": Range(1e-6, 1e-3, log=True)}
    sgd = {"momentum": Range(0.5, 0.9), "nesterov": Fixed(value=True)}
    assert task.space["optimizer"] == Choice(("adam", "sgd"), {"adam": adam, "sgd": sgd})


def test_a_family_may_be_of_a_model_of_another_name(load):
    document = changed("models/wide", {"model": "mlp", "widths": [512]})
    config = {"model": "wide", "lr": 0.01, "widths": [512], "batch_size": 32, "weight_decay": 1e-5}
    document["references"][0]["config"] = config
    document["space"]["dropout"] = 0.0
    task = load(document)
    assert task.models == {"mlp": "mlp", "cnn": "cnn", "wide": "mlp"}
    assert task.space["model"].settings["wide"] == {"model": Fixed("mlp"), "widths": Fixed([512])}
    (reference,) = task.references
    assert reference.config == {"wide.model": "mlp", **config}
    assert reference.parameters["model"] == "wide"
    assert split_settings(reference.config)[:2] == ("mlp", {"widths": [512]})
    assert load(dump(task.resolved)) == task


def test_the_shortest_conf_has_defaults(load):
    task = load("dataset: digits\nepochs: 5\nmodels: {mlp: }\n")
    assert (task.metric, task.grace, task.reduction_factor, task.patience) == ("val_loss", 1, 3, 20)
    assert (task.scheduler, task.max_parameters) == ("asha", None)
    assert (task.space, task.references) == ({"model": Choice(("mlp",), {"mlp": {}})}, ())


def test_what_was_resolved_is_a_conf_of_the_same_task(load):
    task = load(assignments=["lr={low: 0.01}", "optimizer=sgd", "constant.clip=1.0"], models=["cnn"], epochs=3)
    again = load(dump(task.resolved))
    assert again == task


@pytest.mark.parametrize(
    ("change", "inside"),
    [
        ({}, True),
        ({"lr": 0.2}, False),
        ({"widths": [64, 64]}, False),
        ({"dropout": 0.2}, False),
        ({"optimizer": "adamax"}, False),
        ({"schedule": "step", "every": 10}, False),
        ({"schedule": "step", "every": 9}, True),
        ({"model": "cnn", "channels": [8, 16]}, False),
        ({"activation": "relu"}, True),
        ({"activation": "tanh"}, False),
        ({"label_smoothing": 0.1}, False),
        ({"normalise": "standard"}, False),
    ],
)
def test_a_reference_lies_inside_where_the_space_can_propose_just_it(load, change, inside):
    config = {"model": "mlp", "widths": [64], "dropout": 0.1, "lr": 0.01, "weight_decay": 1e-5, "batch_size": 64}
    (reference,) = load(changed("references/0/config", config | change)).references
    assert reference.config == config | change
    assert (reference.parameters is not None) == inside


@pytest.mark.parametrize("path", sorted(conf_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_conf_file_loads_and_says_how_it_is_run(path):
    assert conf.load(path.stem, {}, []).name == path.stem
    assert path.read_text(encoding="utf-8").startswith("#")
    assert f"python -m search.run {path.stem}" in path.read_text(encoding="utf-8")


def test_digits_has_its_split_and_the_hand_tuned_references():
    task = conf.load("digits", {}, [])
    assert task.dataset_settings == {"train": 1000, "val": 350}
    mlp, cnn = task.references
    learning = {"optimizer": "adamax", "lr": 1e-3, "weight_decay": 1e-5, "batch_size": 64}
    assert mlp.config == {"model": "mlp", "widths": [128, 64, 64, 32], **learning}
    assert cnn.config == {"model": "cnn", "channels": [16, 64], "conv_activation": "none", "widths": [128], **learning}
    assert (mlp.patience, mlp.reported) == (20, {"test_error": 0.0984, "test_loss": 0.301})
    assert (cnn.patience, cnn.reported) == (20, {"test_error": 0.0604, "test_loss": 0.191})


SCALARS = [None, True, -1, 0, 3, 0.5, 1e300, float("nan"), float("inf"), "", "adam", "cnn", "low", "1e-3", "\n"]


def places(node: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every node of a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, child in children for place in [(node, key), *places(child)]]


def mangled(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 3])):
        container, key = rng.choice(places(document))
        scalar, other = rng.choice(SCALARS), rng.choice(SCALARS)
        odd = [scalar, [], [scalar], [scalar, other], {}, {scalar: other}, {"choice": scalar}, {"choice": [scalar]}]
        odd += [{"low": scalar, "high": other}, {"choice": {scalar: other}}, {"low": scalar, "high": 2, "log": other}]
        container[key] = rng.choice(odd)
    return document


def test_a_mangled_conf_is_refused_in_one_line_or_can_be_proposed_from_and_never_ends_in_a_traceback(load):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    digits = conf.parse_yaml((conf_folder() / "digits.yaml").read_text(encoding="utf-8"), "digits")
    rng = random.Random(20)
    surprises, outcomes = {}, {"accepted": 0, "refused": 0}
    for _ in range(250):
        document = mangled(digits, rng)
        assignments = rng.choice(
            [[], [], ["adam.weight_decay=0.1"], ["optimizer=adam", "epochs=3"], ["lr={low: 0.002}"]]
        )
        try:
            task = load(document, assignments, rng.choice([[], [], ["mlp"]]))
            split_settings(propose(task.space, optuna.create_study().ask()))
            json.dumps(task.resolved, allow_nan=False)
            outcomes["accepted"] += 1
        except UserError as error:
            outcomes["refused"] += 1
            if "\n" in str(error):
                surprises["line break"] = str(error)
        except Exception as error:
            surprises[f"{type(error).__name__}: {error}"] = document
    assert not surprises, "\n".join(sorted(surprises))
    assert min(outcomes.values()) > 10
