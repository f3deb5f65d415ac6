"""What a trial computes of a whole dataset, it computes piece by piece: the dataset is shared, copies are not."""

import numpy as np
import pytest
import torch
from small_trainings import train
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from datasets import Dataset, Examples, Fold
from trainables.learner import in_pieces, predict_logits
from trainables.models import build


class Largest(TorchDispatchMode):
    """Values of the largest tensor, no view of ``shared``, that came of any operation within the context."""

    def __init__(self, shared: np.ndarray) -> None:
        super().__init__()
        self.shared, self.values = shared.ctypes.data, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        own = [tensor.numel() for tensor in tensors if tensor.untyped_storage().data_ptr() != self.shared]
        self.values = max(self.values, *own, 0)
        return result


def of_pictures(count: int) -> Dataset:
    """As many pictures of 64×64 noise, a half for validation."""
    inputs = np.random.default_rng(0).integers(0, 256, (count, 1, 64, 64), dtype=np.uint8)
    half = count // 2
    folds = (Fold(np.arange(half), np.arange(half, count)),)
    return Dataset("noise", ("a", "b"), Examples(inputs, np.arange(count) % 2), folds, None)


@pytest.mark.parametrize("normalise", ["none", "standard", "imagenet"])
def test_no_tensor_of_a_training_grows_with_the_dataset(normalise):
    largest = {}
    for count in (1200, 3600):
        dataset = of_pictures(count)
        with Largest(dataset.development.inputs) as seen:
            list(train({"model": "mlp", "widths": [2], "normalise": normalise}, dataset, epochs=1))
        largest[count] = seen.values
    assert largest[3600] == largest[1200] < 600 * 64 * 64


@pytest.mark.parametrize("count", [1, 7, 40])
def test_logits_at_an_index_are_those_of_the_gathered_examples(count):
    model = build("mlp", (300_000,), 3, {"widths": [2]})
    inputs = torch.randn(8, 300_000)
    index = torch.randint(8, (count,))
    assert len(list(in_pieces(inputs, index))) == -(-count // 6)
    expected = torch.cat([predict_logits(model, inputs[at : at + 1]) for at in index])
    torch.testing.assert_close(predict_logits(model, inputs, index), expected)
    torch.testing.assert_close(predict_logits(model, inputs), predict_logits(model, inputs, torch.arange(8)))
