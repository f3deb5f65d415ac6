"""Multi-layer perceptron."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import nn

from trainables.models import activation_layers


class MLP(nn.Sequential):
    """Flattened inputs through hidden layers of the given ``widths`` to one logit a class.

    A hidden layer is linear, batch normalisation (if asked), activation, dropout.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        *,
        widths: Sequence[int] = (128,),
        activation: Literal["none", "relu", "gelu", "silu", "tanh"] = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        features = math.prod(input_shape)
        for width in widths:
            layers.append(nn.Linear(features, width))
            if batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers += activation_layers(activation)
            if dropout:
                layers.append(nn.Dropout(dropout))
            features = width
        super().__init__(*layers, nn.Linear(features, classes))
