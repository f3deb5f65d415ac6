"""Which configurations have models that are small enough."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset
    from search.space import Config


def at_most(parameters: int, dataset: "Dataset") -> "Callable[[Config], bool]":
    """Whether a configuration's model has at most so many trainable parameters."""
    from trainables.models import parameter_count
    from trainables.recipe import split_settings

    known: dict[str, bool] = {}

    def small_enough(model: str, keywords: dict[str, Any]) -> bool:
        try:
            return parameter_count(model, dataset.input_shape, len(dataset.classes), keywords) <= parameters
        except Exception:  # it can't be built: its trial will say why
            return True

    def accepts(config: "Config") -> bool:
        model, keywords, _ = split_settings(config)
        key = json.dumps([model, keywords])
        if key not in known:
            known[key] = small_enough(model, keywords)
        return known[key]

    return accepts
