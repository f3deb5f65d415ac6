"""Convolutional network of blocks, then fully connected layers."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from trainables.models import activation_layers
from trainables.models.mlp import MLP

INPUT_DIMENSIONS = 3


class CNN(nn.Sequential):
    """Blocks of convolutions and max-pooling, then an MLP head.

    A block has ``convolutions`` times (convolution, batch normalisation if asked, activation), then channel dropout,
    then max-pooling. What is given as a sequence holds one value a block; a single value holds for all.
    ``padding: same`` keeps the side, ``valid`` uses none. A ``pool`` of 1 is no pooling.

    Raises:
        ValueError: a sequence of another length than ``channels``, or a picture too small for its blocks.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        *,
        channels: Sequence[int] = (32, 64),
        kernel: int | Sequence[int] = 3,
        padding: Literal["same", "valid"] = "same",
        pool: int | Sequence[int] = 2,
        convolutions: int | Sequence[int] = 1,
        conv_activation: Literal["none", "relu", "gelu", "silu", "tanh"] = "relu",
        channel_dropout: float | Sequence[float] = 0.0,
        widths: Sequence[int] = (128,),
        activation: Literal["none", "relu", "gelu", "silu", "tanh"] = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        features, *sides = input_shape
        layers: list[nn.Module] = []
        columns = [
            _each_block("kernel", kernel, channels),
            _each_block("pool", pool, channels),
            _each_block("convolutions", convolutions, channels),
            _each_block("channel_dropout", channel_dropout, channels),
        ]
        for width, size, window, count, rate in zip(channels, *columns, strict=True):
            for _ in range(int(count)):
                layers.append(nn.Conv2d(features, width, int(size), padding=padding, bias=not batch_norm))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(width))
                layers += activation_layers(conv_activation)
                features = width
                if padding == "valid":
                    sides = [side - int(size) + 1 for side in sides]
            if rate:
                layers.append(nn.Dropout2d(rate))
            if window > 1:
                layers.append(nn.MaxPool2d(int(window)))
            sides = [side // int(window) for side in sides]
            if min(sides) < 1:
                raise ValueError(
                    f"pictures of {tuple(input_shape[1:])} pixels are too small for {len(channels)} blocks"
                )
        head = MLP(
            (features, *sides), classes, widths=widths, activation=activation, batch_norm=batch_norm, dropout=dropout
        )
        super().__init__(*layers, *head)


def _each_block(name: str, value: float | Sequence[float], channels: Sequence[int]) -> Sequence[float]:
    if isinstance(value, int | float):
        return [value] * len(channels)
    if len(value) != len(channels):
        raise ValueError(f"{name} has {len(value)} values for {len(channels)} blocks")
    return value
