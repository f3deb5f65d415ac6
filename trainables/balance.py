"""What is done about classes of unequal size, in training only."""

import torch


def class_weights(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights by which every class counts alike: n / (classes * n_c), scikit-learn's ``balanced``.

    ``targets``: int64, shape (examples,); the weights are float32, shape (classes,), 0 for a class without examples.
    """
    counts = torch.bincount(targets, minlength=classes)
    return torch.where(counts > 0, len(targets) / (classes * counts.clamp_min(1)), 0.0)


def balanced_draw(targets: torch.Tensor) -> torch.Tensor:
    """As many positions in ``targets`` as there are, with replacement: each a class at random, then an example of it.

    Classes without examples are never drawn. Draws from torch's global generator.
    """
    device, size = targets.device, len(targets)
    counts = torch.bincount(targets)
    present = counts.nonzero().flatten()
    drawn = present[torch.randint(len(present), (size,), device=device)]
    within = (torch.rand(size, dtype=torch.float64, device=device) * counts[drawn]).long()
    starts = counts.cumsum(0) - counts
    return targets.argsort(stable=True)[starts[drawn] + within]
