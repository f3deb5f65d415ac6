import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from trainables.recipe import RECIPE_FIELDS, Recipe, split_settings
from trainables.signatures import (
    available,
    conforms,
    dataset_keywords,
    describe,
    model_keywords,
    recipe_keywords,
)

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "ray", "mlflow", "optuna", "sklearn"]


def modules(folder: str) -> list[str]:
    paths = [path for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]
    return sorted(path.stem for path in paths if folder != "datasets" or "\ndef load(" in path.read_text("utf-8"))


def real_keywords(function) -> dict:
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    keywords = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    return {keyword.name: (hints[keyword.name], keyword.default) for keyword in keywords}


def read_keywords(keywords) -> dict:
    empty = inspect.Parameter.empty
    return {name: (key.annotation, empty if key.required else key.default) for name, key in keywords.items()}


@pytest.mark.parametrize("model", modules("trainables/models"))
def test_keywords_read_from_source_are_those_of_the_model(model):
    module = importlib.import_module(f"trainables.models.{model}")
    (name,) = [name for name in vars(module) if name.lower() == model]
    assert read_keywords(model_keywords(model)) == real_keywords(getattr(module, name).__init__)
    assert list(inspect.signature(getattr(module, name)).parameters)[:2] == ["input_shape", "classes"]


@pytest.mark.parametrize("dataset", modules("datasets"))
def test_keywords_read_from_source_are_those_of_the_dataset(dataset):
    load = importlib.import_module(f"datasets.{dataset}").load
    assert read_keywords(dataset_keywords(dataset)) == real_keywords(load)
    assert next(iter(inspect.signature(load).parameters)) == "root"


def test_keywords_of_the_recipe_are_its_fields():
    keywords = recipe_keywords()
    assert keywords.keys() == RECIPE_FIELDS
    assert Recipe(**{name: keyword.default for name, keyword in keywords.items()}) == Recipe()
    assert all(keyword.accepts(keyword.default) for keyword in keywords.values())


@pytest.mark.parametrize("model", modules("trainables/models"))
def test_models_and_the_recipe_share_no_keyword_and_defaults_are_of_their_type(model):
    assert not model_keywords(model).keys() & RECIPE_FIELDS
    assert all(keyword.required or keyword.accepts(keyword.default) for keyword in model_keywords(model).values())


def test_every_module_of_the_packages_is_available_and_nothing_else():
    assert list(available("trainables/models")) == modules("trainables/models")
    assert list(available("datasets")) == modules("datasets")


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3, 10**30], [1.0, True, "1", None, [1]]),
        (float, [0.5, 1, -2], [True, "0.5", None, [0.5]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "x"], [1, None, ["x"]]),
        (Literal["a", "b"], ["a", "b"], ["c", None, 1, ["a"], {"a": 1}]),
        (Literal[1], [1], [True, 1.0, "1"]),
        (Sequence[int], [[], [1, 2], (3,)], [1, [1.5], ["1"], [[1]], "12", None, {1: 2}, [True]]),
        (int | Sequence[int], [1, [1, 2]], [1.5, [1.5], "1", None]),
        (float | Sequence[float], [1, 0.5, [1, 0.5]], ["x", ["x"], True]),
        (int | None, [1, None], ["1", 0.5]),
        (Sequence[Sequence[int]], [[[1], []]], [[1], 1]),
    ],
)
def test_conforms(annotation, good, bad):
    assert [value for value in good if not conforms(value, annotation)] == []
    assert [value for value in bad if conforms(value, annotation)] == []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (Literal["a", "b"], "one of a, b"),
        (Sequence[int], "a list, each item a whole number"),
        (float | Sequence[float], "a number or a list, each item a number"),
        (str | None, "a text or nothing"),
    ],
)
def test_describe(annotation, words):
    assert describe(annotation) == words


@pytest.mark.parametrize(
    ("config", "model", "keywords", "settings"),
    [
        ({"model": "mlp"}, "mlp", {}, {}),
        ({"model": "mlp", "lr": 0.1, "widths": [3]}, "mlp", {"widths": [3]}, {"lr": 0.1}),
        ({"model": "cnn", "cnn.dropout": 0.2, "dropout": 0.1}, "cnn", {"dropout": 0.2}, {}),
        ({"sgd.momentum": 0.5, "model": "mlp", "momentum": 0.9}, "mlp", {}, {"momentum": 0.5}),
    ],
)
def test_settings_are_split_into_the_models_and_the_recipes(config, model, keywords, settings):
    assert split_settings(config) == (model, keywords, Recipe(**settings))


def test_checking_a_conf_imports_nothing_heavy():
    script = "import sys; from search import conf; conf.load('digits', {}, ['epochs=3']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "search.conf" in loaded
    assert loaded & set(HEAVY) == set()
