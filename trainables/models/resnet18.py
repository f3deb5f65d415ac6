"""ResNet-18 (He et al., arXiv 1512.03385), as torchvision has it: from its ImageNet weights, or from scratch."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from datasets.files import Source

INPUT_DIMENSIONS = 3
PRETRAINED = {
    "imagenet": Source(
        "resnet18-f37072fd.pth", "f37072fd", ("https://download.pytorch.org/models/resnet18-f37072fd.pth",), "sha256"
    )
}
"""Where the weights are that a model may begin from, by the value of its setting ``weights``."""
_FEATURES = 512
_STAGES = (("layer4",), ("layer3",), ("layer2",), ("layer1",), ("conv1", "bn1"))


class ResNet18(nn.Module):
    """A ``body`` of five stages and a linear ``head``; grey pictures are taken for coloured ones.

    ``weights``: what the body begins with; ImageNet's expect ``normalise: imagenet``. Of a body with weights only the
    last ``stages`` are trained, the others stay as they are, their batch statistics too; one from scratch is trained as
    a whole. ``body_lr``: the body's learning rate as a share of the head's. ``dropout``: before the head.

    Raises:
        ValueError: pictures of other than 1 or 3 channels.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        *,
        weights: Literal["imagenet", "none"] = "imagenet",
        stages: Literal[0, 1, 2, 3, 4, 5] = 5,
        body_lr: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        from torchvision.models import resnet18

        super().__init__()
        if input_shape[0] not in (1, 3):
            raise ValueError(f"pictures of {input_shape[0]} channels: resnet18 takes 1 or 3")
        self.body = resnet18(weights=None)
        self.body.fc = nn.Identity()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(_FEATURES, classes))
        self.pretrained = None if weights == "none" else weights
        self.lr_shares = {"body": body_lr}
        kept = _STAGES[stages:] if self.pretrained else ()
        self._frozen = [self.body.get_submodule(name) for stage in kept for name in stage]
        for module in self._frozen:
            module.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load_pretrained(self, state: Mapping[str, np.ndarray]) -> None:
        """Gives the body its weights; ``state`` is torchvision's."""
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        self.body.load_state_dict({name: value for name, value in tensors.items() if not name.startswith("fc.")})

    def train(self, mode: bool = True) -> "ResNet18":
        """Frozen stages always compute as in evaluation."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits, shape (examples, classes)."""
        logits: torch.Tensor = self.head(self.body(inputs.expand(-1, 3, -1, -1)))
        return logits
