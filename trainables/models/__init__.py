"""The models: a module each, its class named like the file, built from its keywords.

Every model takes the shape of one example and the number of classes, and gives logits. One whose parts learn at
different rates has ``lr_shares``, by a part's name its share of the learning rate. One that may begin from weights has
their name or None as ``pretrained``, and ``load_pretrained``, which takes them; its module says in ``PRETRAINED``, by
name, where they are.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables import own
from trainables.recipe import Normalisation
from trainables.signatures import is_own

State = Mapping[str, np.ndarray]
"""A model's weights and buffers, by name."""

# Of red, green and blue, 0 to 1: what torchvision's weights were trained with.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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

    def fit_normalisation(self, kind: Normalisation, pieces: Iterable[torch.Tensor]) -> None:
        """``standard`` takes mean and standard deviation from training examples, piece by piece, of shape (n, ...).

        ``imagenet`` takes those of ImageNet; for grey pictures the mean of its three channels'.

        Raises:
            ValueError: ``imagenet`` for anything but pictures with 1 or 3 channels.
        """
        if kind == "standard":
            mean, std = _moments(pieces, torch.zeros_like(self.mean, dtype=torch.float64))
            self.mean.copy_(mean)
            self.std.copy_(std.clamp_min(1e-6))
        elif kind == "imagenet":
            channels, picture = self.mean.shape[1], self.mean.ndim == 4
            if not picture or channels not in (1, 3):
                found = f"{channels} {'channels' if picture else 'features'}"
                raise ValueError(f"normalise imagenet is for pictures with 1 or 3 channels, not for {found}")
            for buffer, figures in ((self.mean, _IMAGENET_MEAN), (self.std, _IMAGENET_STD)):
                colours = torch.tensor(figures).view(1, 3, 1, 1)
                buffer.copy_(colours if channels == 3 else colours.mean())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (examples, classes), of uint8 or float inputs."""
        logits: torch.Tensor = self.net((scaled(inputs) - self.mean) / self.std)
        return logits


def _moments(pieces: Iterable[torch.Tensor], zero: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and sample deviation of each channel over all pieces, in the shape and type of ``zero``.

    The pieces' own are merged as by Chan, Golub and LeVeque (1979): one pass, and exact where the mean is large.
    """
    count, mean, squares = 0, zero, zero
    for piece in pieces:
        values = scaled(piece).to(zero.dtype)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        variance, centre = torch.var_mean(values, axes, correction=0, keepdim=True)
        size = values.numel() // values.shape[1]
        count += size
        share, apart = size / count, centre - mean
        mean = mean + share * apart
        squares = squares + size * (variance + (1 - share) * apart.square())
    return mean, (squares / max(1, count - 1)).sqrt()


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


def build(
    model: str,
    input_shape: Sequence[int],
    classes: int,
    keywords: Mapping[str, Any],
    weights: Mapping[str, State] | None = None,
) -> Classifier:
    """A freshly initialised classifier of module ``trainables.models.<model>``, or of a model of the user's own.

    It draws from torch's global generator. ``weights`` are, by name, what models begin from; where its own come from a
    checkpoint afterwards, or do not matter, there need be none.
    """
    if is_own(model):
        return Classifier(own.find(model)(input_shape, classes, **keywords), input_shape)
    module = importlib.import_module(f"trainables.models.{model}")
    (name,) = [name for name in vars(module) if name.lower() == model]
    net = getattr(module, name)(input_shape, classes, **keywords)
    if weights is not None and getattr(net, "pretrained", None):
        net.load_pretrained(weights[f"{model} {net.pretrained}"])
    return Classifier(net, input_shape)
