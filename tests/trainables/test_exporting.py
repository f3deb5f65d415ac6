import random
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from small_trainings import PLAIN, RICH, three_folds, tiny, train

from trainables import own
from trainables.exporting import ExportError, export, made_up
from trainables.training import ensemble

RESNET = {"model": "resnet18", "weights": "none", "lr": 0.01, "batch_size": 16}


def checkpoint(config, dataset=None) -> dict:
    training = train(config, dataset, epochs=1)
    list(training)
    return training.checkpoint()


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
@pytest.mark.parametrize(
    ("config", "dataset"),
    [(PLAIN, tiny), (RICH, three_folds), (RESNET, tiny)],
    ids=["mlp", "cnn, three folds", "resnet"],
)
def test_the_graph_gives_the_probabilities_of_the_ensemble_for_any_number_of_examples(config, dataset, tmp_path):
    found = checkpoint(config, dataset())
    export(found, tmp_path / "graph.pt2")
    graph, model = torch.export.load(tmp_path / "graph.pt2").module(), ensemble(found)
    for count in (1, 2, 3, 117):
        inputs = torch.from_numpy(made_up(found, count))
        with torch.no_grad():
            torch.testing.assert_close(graph(inputs), model(inputs), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("shape", "dtype"), [([3, 5, 5], "uint8"), ([1, 8, 8], "float32"), ([2], "float32")], ids=str)
def test_made_up_examples_are_what_the_model_takes(shape, dtype):
    found = made_up({"input_shape": shape, "input_dtype": dtype}, 4)
    assert (found.shape, str(found.dtype)) == ((4, *shape), dtype)
    assert len(np.unique(found)) > 2
    assert len(shape) == 1 or (found.min() >= 0 and found.max() <= (255 if dtype == "uint8" else 1))


class Branches(torch.nn.Module):
    """What it computes depends on what it is given."""

    def __init__(self, input_shape, classes):
        super().__init__()
        self.linear = torch.nn.Linear(64, classes)

    def forward(self, inputs):
        return self.linear(inputs.flatten(1)) * (2 if inputs.sum() > 0 else 1)


class Rolls(Branches):
    """What it computes depends on chance."""

    def forward(self, inputs):
        return self.linear(inputs.flatten(1)) * random.random()


@pytest.mark.parametrize(
    ("model", "says"),
    [(Branches, "torch.export cannot take model mine:Net ("), (Rolls, "model mine:Net as a graph gives other prob")],
)
def test_a_model_of_ones_own_that_is_no_graph_is_refused_in_a_line(model, says, monkeypatch, tmp_path):
    module = ModuleType("mine")
    module.Net = model
    monkeypatch.setitem(sys.modules, "mine", module)
    own.find.cache_clear()
    found = checkpoint({"model": "mine:Net", "lr": 0.01, "batch_size": 16})
    with pytest.raises(ExportError) as error:
        export(found, tmp_path / "graph.pt2")
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_a_checkpoint_from_before_is_refused(tmp_path):
    with pytest.raises(ExportError, match="before inputs' types were kept"):
        export({"input_shape": [2]}, tmp_path / "graph.pt2")
