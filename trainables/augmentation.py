"""Random changes of whole batches of pictures, on their device."""

import math

import torch
from torch.nn import functional

from trainables.recipe import Recipe


def augment(pictures: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Each picture rotated, scaled, sheared, shifted and partly erased at random, as strongly as the recipe says.

    ``pictures``: float, shape (examples, channels, height, width); the same comes back. What moves in from outside the
    frame is 0. Draws from torch's global generator; without any augmentation nothing is drawn.
    """
    if recipe.affine or recipe.shift:
        grid = functional.affine_grid(_transforms(pictures, recipe), list(pictures.shape), align_corners=False)
        pictures = functional.grid_sample(pictures, grid, align_corners=False)
    if recipe.erase:
        pictures = pictures * _kept(pictures, recipe.erase)
    return pictures


def _transforms(pictures: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Inverse affine maps, shape (examples, 2, 3), in the coordinates of ``affine_grid`` (-1 to 1 across a side)."""
    draws = torch.rand(5, len(pictures), device=pictures.device) * 2 - 1
    angle = draws[0] * (math.radians(30) * recipe.affine)
    scale = torch.exp(draws[1] * (math.log(1.3) * recipe.affine))
    shear = draws[2] * (0.3 * recipe.affine)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [cos, cos * shear - sin, 2 * recipe.shift * draws[3], sin, sin * shear + cos, 2 * recipe.shift * draws[4]]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _kept(pictures: torch.Tensor, share: float) -> torch.Tensor:
    """1 where a picture is kept, 0 in its erased square; shape (examples, 1, height, width)."""
    count, _, height, width = pictures.shape
    size = round(share * min(height, width))
    draws = torch.rand(2, count, 1, device=pictures.device)
    top = (draws[0] * (height - size + 1)).floor()
    left = (draws[1] * (width - size + 1)).floor()
    rows = torch.arange(height, device=pictures.device)
    columns = torch.arange(width, device=pictures.device)
    in_rows = (rows >= top) & (rows < top + size)
    in_columns = (columns >= left) & (columns < left + size)
    return (~(in_rows[:, :, None] & in_columns[:, None, :])).to(pictures.dtype)[:, None]
