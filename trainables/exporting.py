"""A trained model as a graph that torch alone can run, without this repository."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables.training import ensemble

_TOLERANCE = 1e-6


class ExportError(ValueError):
    """What is in the way of a model's export, in one line."""


def export(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint's model by ``torch.export`` for any number of examples (PyTorch's .pt2 archive).

    The graph takes inputs as the dataset has them, shape (examples, ...), and gives class probabilities, float32, shape
    (examples, classes): normalisation is inside, the folds' models are averaged. It runs on the CPU.

    Raises:
        ExportError: a checkpoint that does not say its inputs' type; a model that cannot be a graph, as one of the
            user's own may be, or whose graph gives other probabilities.
    """
    inputs = torch.from_numpy(made_up(checkpoint, 3))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of its own buffers and of weights that are not contiguous
        try:
            model = ensemble(checkpoint)
            batch = torch.export.Dim("examples", min=1)
            torch.export.save(torch.export.export(model, (inputs[:2],), dynamic_shapes=({0: batch},)), path)
            graph = torch.export.load(path).module()
            same = _agree(graph, model, inputs) and _agree(graph, model, inputs[:1])
        except Exception as error:  # whatever the tracing of the user's code leads to
            problem = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise ExportError(f"torch.export cannot take model {checkpoint['config']['model']} ({problem})") from None
    if not same:
        raise ExportError(f"model {checkpoint['config']['model']} as a graph gives other probabilities")


def made_up(checkpoint: dict[str, Any], count: int) -> np.ndarray:
    """So many examples that the checkpoint's model can take, drawn by a fixed seed.

    Pictures are noise of 0 to 255 (uint8) or 0 to 1, points standard normal, with three decimals.

    Raises:
        ExportError: the checkpoint does not say its inputs' type.
    """
    if "input_dtype" not in checkpoint:
        raise ExportError("its checkpoint is from before inputs' types were kept")
    random = np.random.default_rng(0)
    shape = (count, *checkpoint["input_shape"])
    if checkpoint["input_dtype"] == "uint8":
        return random.integers(256, size=shape, dtype=np.uint8)
    values = random.random(shape) if len(shape) == 4 else random.standard_normal(shape)
    return values.round(3).astype(np.float32)


def _agree(graph: nn.Module, model: nn.Module, inputs: torch.Tensor) -> bool:
    return torch.allclose(graph(inputs), model(inputs), rtol=0, atol=_TOLERANCE)
