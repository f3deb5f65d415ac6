"""Published weights that models begin from: found below the data root or in torchvision's cache, else downloaded."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import UserError
from datasets.files import Source, find
from trainables.signatures import is_own, model_keywords

if TYPE_CHECKING:
    from trainables.models import State


def named(model: str, settings: Mapping[str, Any]) -> str | None:
    """The weights that a model with these settings begins from, as ``resnet18 imagenet``; None if from none."""
    keyword = None if is_own(model) else model_keywords(model).get("weights")
    if keyword is None:
        return None
    weights = settings.get("weights", keyword.default)
    return None if weights == "none" else f"{model} {weights}"


def load(name: str, root: Path) -> "State":
    """The weights of that name, as ``models.build`` takes them.

    Raises:
        UserError: they are nowhere and cannot be had, or the file is another than the published one.
    """
    import torch

    model, _, weights = name.partition(" ")
    source: Source = importlib.import_module(f"trainables.models.{model}").PRETRAINED[weights]
    path = find(f"model {model}", root, source, [Path(torch.hub.get_dir()) / "checkpoints"])
    try:
        if (found := source.sum_of(path)) != source.checksum:
            raise UserError(
                f"model {model}: {path} is not the published file: its {source.algorithm} begins with {found}, not "
                f"{source.checksum}"
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"model {model}: {path} cannot be read: {error.strerror}") from None
    return {name: tensor.detach().numpy() for name, tensor in state.items()}
