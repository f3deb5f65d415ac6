"""A conf document to change, and what is said of a mistake in it."""

import copy
from typing import Any

import pytest
import yaml

from datasets.errors import UserError

DOCUMENT: dict[str, Any] = {
    "dataset": {"name": "digits", "train": 1000, "val": 350},
    "metric": "val_loss",
    "epochs": 30,
    "grace": 2,
    "models": {
        "mlp": {"widths": {"choice": [[64], [128, 64]]}, "dropout": 0.1},
        "cnn": {"channels": [8, 16], "kernel": {"low": 2, "high": 5}},
    },
    "space": {
        "lr": {"low": 1e-3, "high": 1e-1, "log": True},
        "optimizer": {
            "choice": {
                "adam": {"weight_decay": {"low": 1e-6, "high": 1e-3, "log": True}},
                "sgd": {"momentum": {"low": 0.5, "high": 0.9}, "nesterov": True},
            }
        },
        "schedule": {"choice": {"constant": None, "step": {"every": {"low": 2, "high": 9}}}},
        "batch_size": {"choice": [32, 64]},
        "dropout": {"low": 0.0, "high": 0.5},
    },
    "references": [{"name": "by hand", "config": {"model": "mlp", "lr": 0.01}, "reported": {"test_error": 0.1}}],
}
ABSENT = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one place replaced, or taken out where the value is ABSENT."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in way:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return document


def dump(document: Any) -> str:
    return yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def message_of(call, *arguments, **keywords) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments, **keywords)
    message = str(error.value)
    assert "\n" not in message
    return message
