"""The models: a module a family, its class named like the file, built from its keywords.

Every model takes the shape of one example and the number of classes, and gives logits.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

Normalisation = Literal["none", "standard"]


def activation_layers(name: str) -> list[nn.Module]:
    """The activation as a list of no or one layer."""
    layers: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
    return [layers[name]()] if name != "none" else []


class Classifier(nn.Module):
    """A model with its own normalisation, so that neither evaluation nor serving can forget it.

    uint8 inputs are scaled to 0 to 1 first. ``mean`` and ``std`` are buffers, one value a channel (or feature).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: nn.Module, input_shape: Sequence[int]) -> None:
        super().__init__()
        shape = (1, input_shape[0], *[1] * (len(input_shape) - 1))
        self.net = net
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit_normalisation(self, inputs: torch.Tensor) -> None:
        """Takes mean and standard deviation from ``inputs`` (training examples only), shape (examples, ...)."""
        values = scaled(inputs)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        self.mean.copy_(values.mean(axes, keepdim=True))
        self.std.copy_(values.std(axes, keepdim=True).clamp_min(1e-6))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (examples, classes), of uint8 or float inputs."""
        logits: torch.Tensor = self.net((scaled(inputs) - self.mean) / self.std)
        return logits


class Ensemble(nn.Module):
    """Classifiers whose class probabilities are averaged: the model of a trial, with one member a fold."""

    def __init__(self, members: Sequence[Classifier], classes: Sequence[str]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.classes = tuple(classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Probabilities, shape (examples, classes), of uint8 or float inputs."""
        return torch.stack([member(inputs).softmax(1) for member in self.members]).mean(0)


def scaled(inputs: torch.Tensor) -> torch.Tensor:
    """Float inputs as they are, uint8 scaled to 0 to 1."""
    return inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs


def parameter_count(model: str, input_shape: Sequence[int], classes: int, keywords: Mapping[str, Any]) -> int:
    """Trainable parameters of a model, without memory being given to them."""
    with torch.device("meta"):
        return sum(value.numel() for value in build(model, input_shape, classes, keywords).parameters())


def build(model: str, input_shape: Sequence[int], classes: int, keywords: Mapping[str, Any]) -> Classifier:
    """A freshly initialised classifier of module ``trainables.models.<model>``, from torch's global generator."""
    module = importlib.import_module(f"trainables.models.{model}")
    (name,) = [name for name in vars(module) if name.lower() == model]
    return Classifier(getattr(module, name)(input_shape, classes, **keywords), input_shape)
