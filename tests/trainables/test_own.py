"""Models of the user's own, from a module on Python's path."""

import sys
from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
from small_trainings import tiny

from datasets.errors import UserError
from trainables import own
from trainables.models import build, parameter_count
from trainables.signatures import Keyword, model_keywords
from trainables.training import Training, ensemble

SOURCE = """
from __future__ import annotations
import math
from typing import Literal, Optional
from torch import nn

class MyNet(nn.Module):
    def __init__(self, input_shape, classes, *, hidden: int = 8, act: Literal["relu", "tanh"] = "relu",
                 widths: list[int] = (4,), gain: Optional[float] = None, plain=0.5, anything: nn.Module = None,
                 bare=None, pair: tuple = (1, 2)):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), hidden), nn.ReLU(),
                                    nn.Linear(hidden, classes))

    def forward(self, inputs):
        return self.layers(inputs)

class Inherited(MyNet):
    pass

def function(input_shape, classes, depth: int):
    return nn.Sequential(nn.Flatten(), *[nn.Identity()] * depth, nn.Linear(math.prod(input_shape), classes))

class Flexible(MyNet):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)

class Fast(MyNet):
    def __init__(self, input_shape, classes, lr: float = 0.1):
        super().__init__(input_shape, classes)

def one_argument(input_shape):
    return nn.Flatten()

number = 3
"""


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A package ``mine`` with a module of models, one that breaks, and one that needs what is not installed."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "nets.py").write_text(SOURCE)
    (folder / "broken.py").write_text("\n1 / 0\n")
    (folder / "needy.py").write_text("import not_installed_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for cache in (own.find, model_keywords):
        cache.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def test_settings_are_those_of_the_signature_with_what_can_be_checked_of_their_types():
    assert list(model_keywords("mine.nets:MyNet").values()) == [
        Keyword("hidden", int, False, 8),
        Keyword("act", Literal["relu", "tanh"], False, "relu"),
        Keyword("widths", Sequence[int], False, (4,)),
        Keyword("gain", float | None, False, None),
        Keyword("plain", float, False, 0.5),
        Keyword("anything", Any, False, None),
        Keyword("bare", Any, False, None),
        Keyword("pair", Sequence[Any], False, (1, 2)),
    ]
    assert model_keywords("mine.nets:Inherited") == model_keywords("mine.nets:MyNet")
    assert model_keywords("mine.nets:function") == {"depth": Keyword("depth", int, True)}
    assert model_keywords("mine.nets:Flexible") == {}


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("mine.nest:MyNet", "no module mine.nest in the working directory, on PYTHONPATH or among installed packages"),
        ("their.nets:X", "no module their in the working directory, on PYTHONPATH or among installed packages"),
        ("mine.nets:MyNat", "mine.nets has no MyNat, but MyNet"),
        ("mine.nets:number", "mine.nets has no number"),
        ("mine.nets:", "mine.nets has no "),
        ("mine.broken:MyNet", "cannot be imported: ZeroDivisionError: division by zero (broken.py:2)"),
        (
            "mine.needy:MyNet",
            "cannot be imported: ModuleNotFoundError: No module named 'not_installed_at_all' (needy.py:1)",
        ),
        (
            "mine.nets:one_argument",
            "must take the shape of one example and the number of classes, then its settings",
        ),
        ("mine.nets:Fast", "its lr has the name of a setting of learning; give it another"),
    ],
)
def test_what_is_no_model_is_one_line(model, problem):
    with pytest.raises(UserError) as error:
        model_keywords(model)
    assert str(error.value) == " ".join(f"model {model}: {problem}".split())


def test_it_is_built_trained_and_found_again_from_its_checkpoint(tmp_path):
    config = {"model": "ours", "ours.model": "mine.nets:MyNet", "ours.hidden": 16, "lr": 0.01, "batch_size": 16}
    training = Training(tiny(), config, epochs=2, patience=9)
    assert [epoch.index for epoch in training] == [1, 2]
    model = ensemble(training.checkpoint())
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    assert model.members[0].net.layers[1].out_features == 16
    assert training.parameters == parameter_count("mine.nets:MyNet", (1, 8, 8), 10, {"hidden": 16})


def test_a_function_makes_a_model_too():
    assert build("mine.nets:function", (1, 8, 8), 3, {"depth": 2})(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
