"""The settings of learning, apart from the model's own. Imports no torch: configurations are checked against it."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Normalisation = Literal["none", "standard", "imagenet"]


def _bounded(default: float, low: float, high: float = math.inf, *, pictures: bool = False) -> Any:
    return field(default=default, metadata={"bounds": (low, high), "pictures": pictures})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is fitted. The field names are the setting names of conf files."""

    batch_size: int = _bounded(64, 1)
    """Examples a step."""
    optimizer: Literal["adam", "adamw", "adamax", "sgd"] = "adam"
    lr: float = _bounded(1e-3, 0)
    """Learning rate; the peak, where the schedule moves it."""
    momentum: float = _bounded(0.9, 0, 1)
    """Of sgd."""
    nesterov: bool = False
    """Of sgd."""
    weight_decay: float = _bounded(0.0, 0)
    """Decoupled from the gradient for adamw, an L2 term for the others, as in torch.optim."""
    schedule: Literal["constant", "step", "cosine", "one_cycle"] = "constant"
    factor: float = _bounded(0.5, 0)
    """Of step: what the rate is multiplied by."""
    every: int = _bounded(10, 1)
    """Of step: epochs between two multiplications."""
    warmup: float = _bounded(0.3, 0, 1)
    """Of one_cycle: the share of all steps in which the rate rises."""
    label_smoothing: float = _bounded(0.0, 0, 1)
    """Share of the target's probability spread over all classes, in the training loss only."""
    balance: Literal["none", "loss", "sampling"] = "none"
    """Of classes of unequal size, in training only. ``loss``: a class weighs inversely to its share of the training
    examples. ``sampling``: an epoch's examples are drawn with replacement, each class equally probable."""
    clip: float = _bounded(0.0, 0)
    """Largest norm of the whole gradient; 0 clips nothing."""
    average: float = _bounded(0.0, 0, 1)
    """Decay a step of a moving average of the weights, which is what is validated and kept; 0 averages nothing."""
    affine: float = _bounded(0.0, 0, 1, pictures=True)
    """Augmentation strength 0 to 1: random rotation, scale and shear (up to 30°, 30 % and 0.3 at 1)."""
    shift: float = _bounded(0.0, 0, 1, pictures=True)
    """Augmentation: largest random shift in each direction, as a share of the side."""
    perspective: float = _bounded(0.0, 0, 1, pictures=True)
    """Augmentation: random perspective; each corner moves inwards by up to half this share of width and height."""
    crop: float = _bounded(0.0, 0, 0.99, pictures=True)
    """Augmentation: a window at a random place, its side 1 - ``crop`` to 1 of the picture's, becomes the picture."""
    flip: bool = field(default=False, metadata={"pictures": True})
    """Augmentation: half of the pictures, chosen at random, are mirrored left to right."""
    jitter: float = _bounded(0.0, 0, 1, pictures=True)
    """Augmentation: brightness, contrast and saturation, each times a random factor from 1 - ``jitter`` to 1 + it."""
    erase: float = _bounded(0.0, 0, 1, pictures=True)
    """Augmentation: side of a randomly placed erased square, as a share of the picture's, rounded to whole pixels."""
    normalise: Normalisation = "none"
    """``standard``: channels have mean 0 and deviation 1 over the training examples. ``imagenet``: those of ImageNet's
    pictures are taken off, as torchvision's weights expect."""
    mixed_precision: bool = True
    """bfloat16 autocast while training on CUDA; nothing changes on the CPU, nor in validation."""


RECIPE_FIELDS = frozenset(setting.name for setting in fields(Recipe))
PICTURE_SETTINGS = frozenset(setting.name for setting in fields(Recipe) if setting.metadata.get("pictures"))
"""What only pictures can be augmented by."""


def split_settings(config: dict[str, Any]) -> tuple[str, dict[str, Any], Recipe]:
    """A trial's flat configuration as (model, the model's keywords, the recipe).

    A dotted key (``cnn.dropout``, ``sgd.momentum``) is the setting named by its last part and goes before the plain
    key of that name: only keys of alternatives that were chosen stand in a configuration. A family that is not called
    like its model has it as a setting of its own, ``<family>.model``.
    """
    plain = {key: value for key, value in config.items() if "." not in key and key != "model"}
    dotted = {key.rpartition(".")[2]: value for key, value in config.items() if "." in key}
    settings = plain | dotted
    recipe = Recipe(**{key: value for key, value in settings.items() if key in RECIPE_FIELDS})
    model = settings.pop("model", config["model"])
    return model, {key: value for key, value in settings.items() if key not in RECIPE_FIELDS}, recipe
