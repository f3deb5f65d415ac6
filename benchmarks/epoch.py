"""``python -m benchmarks.epoch``: what an epoch of training costs, ours beside plain PyTorch with the same operations.

- ``ours``: ``trainables.training.Training`` as trials use it.
- ``bare``: a loop over the same resident tensors, a batch gathered, augmented and learnt from at a time; the model's
  own parameters, torch's fused optimiser over them.
- ``bare, last``: the same with the convolutions' weights channels last, as ours are.
- ``loader``: ``bare`` over torch's ``DataLoader`` without workers, over single examples of a ``TensorDataset``.
- ``pictures``: the same over single examples as torchvision's datasets give them: each one made a picture and a tensor
  again, of uint8 arrays in memory.

What ours does in an epoch, the others do too: all training examples in a new random order, uint8 scaled to 0 to 1,
the same augmentation, normalisation in the model, cross-entropy with label smoothing, its backward pass, AdamW at a
cosine's rate that is set anew each step, the sums of loss and wrong predictions, and a look whether the loss is finite.
Left out of all: validation, the copy of the best weights, checkpoints. No configuration here clips or averages weights.
The augmentation is a whole batch's in ``loader`` as well, which is kinder to it than one example's at a time.

The settings are from the middle of the tasks' spaces. The digits are real, MNIST is where ``DATA_ROOT`` (else data/)
has it, else noise of its shape, as what stands for SVHN always is: the values make no difference to the time.

Every system has one thread. Ratios are of processor time in the same repeat, which others on the machine disturb less
than the wall time; that one is in the JSON file too.
"""

import argparse
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import ToTensor

import datasets
from benchmarks.figures import Figure, natural
from datasets import Dataset, Examples, Fold
from search.provenance import git_state, installed_versions
from search.summary import write_aside
from trainables.augmentation import augment
from trainables.learner import in_pieces
from trainables.models import build, scaled
from trainables.optimisation import learning_rate
from trainables.recipe import split_settings
from trainables.training import Training, on_device

_RECIPE = {"optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.1, "schedule": "cosine", "batch_norm": True,
           "normalise": "standard", "dropout": 0.1, "label_smoothing": 0.02, "affine": 0.3, "shift": 0.1}  # fmt: skip
CASES: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "MLP"): {"model": "mlp", "widths": [512], "batch_size": 64, **_RECIPE},
    ("digits", "CNN"): {"model": "cnn", "channels": [24, 64], "widths": [], "batch_size": 64, **_RECIPE},
    ("mnist", "MLP by hand"): {"model": "mlp", "widths": [128], "batch_size": 64, "optimizer": "adam", "lr": 1e-2},
    ("mnist", "MLP"): {"model": "mlp", "widths": [256], "batch_size": 128, **_RECIPE},
    ("mnist", "CNN"): {"model": "cnn", "channels": [8, 16, 32], "widths": [], "batch_size": 128, **_RECIPE},
    ("svhn", "CNN"): {"model": "cnn", "channels": [16, 32, 64], "widths": [128], "batch_size": 128, **_RECIPE},
}
"""What is measured: the configuration by dataset and name; by hand: the reference of the task, without augmentation."""
_SHAPES = {"mnist": (1, 28, 28), "svhn": (3, 32, 32)}

_COLUMNS = {"ours": 1, "bare": 1, "bare, last": 1, "loader": 1, "pictures": 1, "ours / bare": 2,
            "ours / bare, last": 2, "ours / loader": 2, "ours / pictures": 2}  # fmt: skip
"""Heading and figure, and its digits."""

Batches = Iterable[Sequence[torch.Tensor]]
OneEpoch = Callable[[], float]
"""Trains an epoch, and returns its mean training loss."""


@dataclass(frozen=True)
class Measurement:
    """One system's epochs in one repeat."""

    system: str
    repeat: int
    cpu_ms_an_epoch: float
    wall_ms_an_epoch: float
    train_loss: float
    """Of the last one: all systems learn alike, though not from the same random numbers."""


def examples(name: str, most: int) -> Dataset:
    """The dataset with at most so many training examples."""
    root = Path(os.environ.get("DATA_ROOT", "data"))
    if name == "digits" or (name == "mnist" and (root / name).is_dir()):
        dataset = datasets.load(name, root, {}).blind()
        train = dataset.folds[0].train[:most]
        kept = dataset.development.at(train)
        return Dataset(name, dataset.classes, kept, (_all(len(kept)),), None, dataset.origin)
    random = np.random.default_rng(0)
    inputs = random.integers(0, 256, (most, *_SHAPES[name]), np.uint8)
    noise = Examples(inputs, random.integers(0, 10, most, np.int64))
    return Dataset(name, tuple("0123456789"), noise, (_all(most),), None, "noise of its shape")


def _all(count: int) -> Fold:
    """Trains on all examples; the last one is there for a validation that is left out."""
    return Fold(np.arange(count), np.arange(count - 1, count))


def ours(dataset: Dataset, config: dict[str, Any], epochs: int) -> OneEpoch:
    """Our epochs, validation left out."""
    training = Training(dataset, config, epochs=epochs, patience=epochs)
    for learner in training.learners:
        learner._validate = lambda: (1.0, 0.0, 1.0)  # type: ignore[method-assign]
    each = iter(training)
    return lambda: next(each).train_loss


def resident(inputs: torch.Tensor, targets: torch.Tensor, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches gathered from whole tensors."""
    for index in torch.randperm(len(targets)).split(size):
        yield inputs[index], targets[index]


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """As ``torchvision.datasets.MNIST`` with ``ToTensor`` gives examples, from an array in memory."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.inputs, self.targets, self.to_tensor = inputs.movedim(1, -1).squeeze(-1), targets, ToTensor()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.to_tensor(Image.fromarray(self.inputs[place].numpy())), self.targets[place]


def plain(
    dataset: Dataset,
    config: dict[str, Any],
    epochs: int,
    *,
    source: type[torch.utils.data.Dataset[Any]] | None = None,
    last: bool = False,
) -> OneEpoch:
    """Epochs of a plain loop, from resident tensors or from a ``DataLoader`` over single examples of ``source``.

    ``last``: weights channels last.
    """
    name, keywords, recipe = split_settings(config)
    inputs, targets = on_device(dataset.development.inputs, "cpu"), on_device(dataset.development.targets, "cpu")
    size, steps = recipe.batch_size, math.ceil(len(targets) / recipe.batch_size)
    torch.manual_seed(0)
    model = build(name, dataset.input_shape, len(dataset.classes), keywords)
    model.fit_normalisation(recipe.normalise, in_pieces(inputs))
    if last:
        model.to(memory_format=torch.channels_last)
    family = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    optimizer = family(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    loaded = DataLoader(source(inputs, targets), batch_size=size, shuffle=True) if source else None
    step = 0

    def epoch() -> float:
        nonlocal step
        batches: Batches = resident(inputs, targets, size) if loaded is None else loaded
        loss_sum, wrong = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        model.train()
        for pictures, labels in batches:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, steps, epochs)
            optimizer.zero_grad()
            logits = model(augment(scaled(pictures), recipe))
            loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(labels)
            wrong += (logits.argmax(1) != labels).sum()
            step += 1
        mean, error = loss_sum.item() / len(targets), wrong.item() / len(targets)
        assert math.isfinite(mean), (mean, error)
        return mean

    return epoch


def measure(dataset: Dataset, config: dict[str, Any], repeats: int, epochs: int) -> list[Measurement]:
    """All systems in turn, ``repeats`` times so many epochs each; another one begins each time."""
    total = 1 + repeats * epochs
    run: dict[str, OneEpoch] = {
        "ours": ours(dataset, config, total),
        "bare": plain(dataset, config, total),
        "loader": plain(dataset, config, total, source=TensorDataset),
    }
    if dataset.development.inputs.dtype == np.uint8:
        run["pictures"] = plain(dataset, config, total, source=Pictures)
    if config["model"] == "cnn":
        run["bare, last"] = plain(dataset, config, total, last=True)
    systems = list(run)
    for epoch in run.values():  # the first one is slower, everybody's
        epoch()
    found = []
    for repeat in range(repeats):
        for turn in range(len(systems)):
            system = systems[(repeat + turn) % len(systems)]
            wall, cpu = time.perf_counter(), time.process_time()
            losses = [run[system]() for _ in range(epochs)]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found.append(Measurement(system, repeat, 1000 * cpu / epochs, 1000 * wall / epochs, losses[-1]))
    return found


def figures(runs: Sequence[Measurement]) -> dict[str, Figure]:
    """Processor milliseconds an epoch of each system, and ratios of ours to the others'."""
    systems = dict.fromkeys(run.system for run in runs)
    by_system = {system: [run.cpu_ms_an_epoch for run in runs if run.system == system] for system in systems}
    table = {system: Figure.of(values) for system, values in by_system.items()}
    for other in systems:
        ratios = (a / b for a, b in zip(by_system["ours"], by_system[other], strict=True))
        table[f"ours / {other}"] = Figure.of(ratios)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints the table, writes the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epoch", description="Time epochs beside plain PyTorch.")
    add = parser.add_argument
    add("--repeats", type=natural, default=5, metavar="N", help="turns of each system (default: 5)")
    add("--examples", type=natural, default=5000, metavar="N",
        help="training examples a turn, of a dataset cut to so many or gone through again (default: 5000)")  # fmt: skip
    add("--json", type=Path, default=Path(__file__).parent / "out" / "epoch.json", metavar="FILE",
        help="where the figures go (default: benchmarks/out/epoch.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    cases = []
    print(f"{options.repeats} repeats, processor ms an epoch: median (least to most)\n")
    print(f"| dataset | model | examples | {' | '.join(_COLUMNS)} |")
    print(f"|---|---|---:|{'---:|' * len(_COLUMNS)}")
    for (task, name), config in CASES.items():
        dataset = examples(task, options.examples)
        count = len(dataset.development)
        runs = measure(dataset, config, options.repeats, math.ceil(options.examples / count))
        table = figures(runs)
        cells = [table[column].text(digits) if column in table else "–" for column, digits in _COLUMNS.items()]
        print(f"| {task} | {name} | {count} | {' | '.join(cells)} |", flush=True)
        cases.append(
            {"dataset": task, "name": name, "origin": dataset.origin, "examples": count, "config": config,
             "figures": {key: figure._asdict() for key, figure in table.items()},
             "runs": [asdict(run) for run in runs]}
        )  # fmt: skip

    commit, dirty = git_state()
    given = sys.argv[1:] if arguments is None else arguments
    record = {
        "schema_version": 1,
        "command": shlex.join(["python", "-m", "benchmarks.epoch", *given]),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": installed_versions(),
        "cpus": os.cpu_count(),
        "load_average_before": load,
        "repeats": options.repeats,
        "cases": cases,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    write_aside(options.json, (json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
