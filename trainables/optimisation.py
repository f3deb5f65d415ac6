"""Optimisers over one flat parameter, and learning-rate schedules as functions of progress."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trainables.recipe import Recipe


class FlatParameters:
    """A model's trainable parameters and gradients, laid end to end in two tensors of which they become views.

    Every optimiser of the recipe works on each element alone, so on the flat tensors it computes the same with one
    call instead of one a layer; so does clipping. On small models that is a third of a step.
    """

    def __init__(self, model: nn.Module) -> None:
        """``model`` may have ``lr_shares``: by a part's name its share of the learning rate."""
        shares: dict[str, float] = getattr(model, "lr_shares", {})
        trained = [
            (shares.get(name.partition(".")[0], 1.0), parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        ]
        trained.sort(key=lambda item: -item[0])
        initial = [parameter.detach().clone() for _, parameter in trained]
        self.values = nn.Parameter(torch.empty(sum(value.numel() for value in initial), device=initial[0].device))
        self.values.grad = self.gradients = torch.zeros_like(self.values)
        sizes: dict[float, int] = {}
        start = 0
        for (share, parameter), value in zip(trained, initial, strict=True):
            span = slice(start, start := start + parameter.numel())
            parameter.data = _as_view(self.values.data[span], parameter)
            parameter.grad = _as_view(self.gradients[span], parameter)
            parameter.data.copy_(value)
            sizes[share] = sizes.get(share, 0) + parameter.numel()
        self.groups = self._groups(sizes)
        """Parts of the values, each with its share of the learning rate."""

    def _groups(self, sizes: dict[float, int]) -> list[tuple[nn.Parameter, float]]:
        if len(sizes) == 1:
            return [(self.values, share) for share in sizes]
        groups = []
        start = 0
        for share, size in sizes.items():
            span = slice(start, start := start + size)
            part = nn.Parameter(self.values.data[span])
            part.grad = self.gradients[span]
            groups.append((part, share))
        return groups

    def clip(self, norm: float) -> None:
        """Scales the gradient down to ``norm`` where it is longer."""
        self.gradients.mul_((norm / (torch.linalg.vector_norm(self.gradients) + 1e-6)).clamp_max(1.0))


class MovingAverage:
    """An exponential moving average of a model's weights and of its float buffers (Polyak and Juditsky, 1992).

    Computes what ``torch.optim.swa_utils.AveragedModel`` does with ``get_ema_multi_avg_fn`` and ``use_buffers``, on the
    flat parameters: there it takes a sixth of a small network's step, here next to nothing.
    """

    def __init__(self, parameters: FlatParameters, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.sources = [parameters.values.data, *(b for b in model.buffers() if b.is_floating_point())]
        self.averages = [source.clone() for source in self.sources]

    def update(self) -> None:
        """Takes the present weights in, the first ones whole."""
        torch._foreach_lerp_(self.averages, self.sources, 1 - self.decay if self.updates else 1.0)
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the context the model has the averaged weights."""
        present = [source.clone() for source in self.sources]
        torch._foreach_copy_(self.sources, self.averages)
        try:
            yield
        finally:
            torch._foreach_copy_(self.sources, present)

    def state_dict(self) -> dict[str, Any]:
        """Plain types and tensors."""
        return {"updates": self.updates, "averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict()`` gave."""
        self.updates = state["updates"]
        torch._foreach_copy_(self.averages, state["averages"])


def _as_view(span: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The span in the shape of ``like``; a convolution's weights channels last, which its kernels are fastest with."""
    if like.ndim != 4:
        return span.view_as(like)
    out, channels, height, width = like.shape
    return span.view(out, height, width, channels).permute(0, 3, 1, 2)


def make_optimizer(parameters: FlatParameters, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the flat parameter, by torch's fused kernel where it has one.

    Its groups have a ``share`` of the learning rate each.
    """
    values = [{"params": [values], "share": share} for values, share in parameters.groups]
    shared: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        momentum = recipe.momentum
        return torch.optim.SGD(
            values, momentum=momentum, nesterov=recipe.nesterov and momentum > 0, fused=True, **shared
        )
    if recipe.optimizer == "adamax":
        return torch.optim.Adamax(values, foreach=False, **shared)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(values, fused=True, **shared)
    return torch.optim.Adam(values, fused=True, **shared)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of a step (counted from 0) out of ``epochs * steps_per_epoch``.

    ``one_cycle`` (Smith and Topin, arXiv 1708.07120) rises by a cosine from 1/25 of the peak and falls by another to
    1/10,000 of the start, as torch's OneCycleLR does by default.
    """
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "step":
        return recipe.lr * recipe.factor ** (step // steps_per_epoch // recipe.every)
    last = epochs * steps_per_epoch - 1
    if recipe.schedule == "cosine":
        return _cosine(recipe.lr, 0.0, step / max(1, last))
    start, peak = recipe.lr / 25, recipe.warmup * (last + 1) - 1
    if step < peak:
        return _cosine(start, recipe.lr, step / peak)
    return _cosine(recipe.lr, start / 1e4, (step - peak) / (last - peak) if last > peak else 0.0)


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
