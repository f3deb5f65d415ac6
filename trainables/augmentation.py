"""Random changes of whole batches of pictures, on their device."""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from trainables.models import scaled
from trainables.recipe import Recipe

_GREY = (0.2989, 0.587, 0.114)
_OUTSIDE = 2.0


def augment(pictures: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Each picture changed at random, as strongly as the recipe says.

    In this order: mirrored; its colours changed; cropped, then rotated, scaled, sheared and shifted, then seen in
    perspective, all in one resampling; a square of it erased.

    ``pictures``: float, 0 to 1, shape (examples, channels, height, width); the same comes back. What moves in from
    outside the frame is 0. Draws from torch's global generator; without any augmentation nothing is drawn.
    """
    if recipe.flip:
        mirrored = torch.rand(len(pictures), 1, 1, 1, device=pictures.device) < 0.5
        pictures = torch.where(mirrored, pictures.flip(-1), pictures)
    if recipe.jitter:
        pictures = _jittered(pictures, recipe.jitter)
    if recipe.crop or recipe.affine or recipe.shift or recipe.perspective:
        pictures = functional.grid_sample(pictures, _grid(pictures, recipe), align_corners=False)
    if recipe.erase:
        pictures = pictures * _kept(pictures, recipe.erase)
    return pictures


def augmented(pictures: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Pictures as an epoch of training might have them, drawn from a fixed seed; floats, of 0 to 1 for uint8 ones.

    ``settings``: fields of ``trainables.recipe.Recipe``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        changed: np.ndarray = augment(scaled(torch.from_numpy(pictures)), Recipe(**settings)).numpy()
    return changed


def _jittered(pictures: torch.Tensor, strength: float) -> torch.Tensor:
    """Brightness, contrast and saturation changed as by ``adjust_...`` of torchvision.transforms.functional."""
    draws = torch.rand(3, len(pictures), 1, 1, 1, device=pictures.device) * 2 - 1
    brightness, contrast, saturation = 1 + strength * draws
    pictures = (pictures * brightness).clamp_(0, 1)
    pictures = torch.lerp(_grey(pictures).mean((1, 2, 3), keepdim=True), pictures, contrast).clamp_(0, 1)
    if pictures.shape[1] == len(_GREY):
        pictures = torch.lerp(_grey(pictures), pictures, saturation).clamp_(0, 1)
    return pictures


def _grey(pictures: torch.Tensor) -> torch.Tensor:
    """Of red, green and blue the luma, shape (examples, 1, height, width); other channels as they are."""
    if pictures.shape[1] != len(_GREY):
        return pictures
    red, green, blue = pictures.split(1, dim=1)
    luma: torch.Tensor = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
    return luma


def _grid(pictures: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Where each pixel comes from, shape (examples, height, width, 2): the product of the inverse maps.

    A map has shape (examples, 3, 3), in homogeneous coordinates of ``affine_grid`` (-1 to 1 across a side).
    """
    maps = []
    if recipe.crop:
        maps.append(_crops(pictures, recipe.crop))
    if recipe.affine or recipe.shift:
        maps.append(_affine_maps(pictures, recipe))
    if recipe.perspective:
        maps.append(_perspectives(pictures, recipe.perspective))
    product, size = reduce(torch.matmul, maps), list(pictures.shape)
    grid = functional.affine_grid(product[:, :2], size, align_corners=False)
    if recipe.perspective:
        grid /= functional.affine_grid(product[:, [2, 2]], size, align_corners=False)
        grid.nan_to_num_(_OUTSIDE).clamp_(-_OUTSIDE, _OUTSIDE)  # grid_sample makes NaN of the infinite
    return grid


def _crops(pictures: torch.Tensor, share: float) -> torch.Tensor:
    """Windows within the picture; no sample of them lies beyond the outermost pixels' centres, where it darkens."""
    draws = torch.rand(3, len(pictures), device=pictures.device)
    height, width = pictures.shape[2:]
    side = 1 - share * draws[0]
    across, down = ((1 - side) * (1 - 1 / pixels) for pixels in (width, height))
    zero, one = torch.zeros_like(side), torch.ones_like(side)
    rows = [side, zero, across * (draws[1] * 2 - 1), zero, side, down * (draws[2] * 2 - 1), zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _affine_maps(pictures: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    draws = torch.rand(5, len(pictures), device=pictures.device) * 2 - 1
    angle = draws[0] * (math.radians(30) * recipe.affine)
    scale = torch.exp(draws[1] * (math.log(1.3) * recipe.affine))
    shear = draws[2] * (0.3 * recipe.affine)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [cos, cos * shear - sin, 2 * recipe.shift * draws[3], sin, sin * shear + cos, 2 * recipe.shift * draws[4]]
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return torch.stack([*rows, zero, zero, one], dim=1).view(-1, 3, 3)


def _perspectives(pictures: torch.Tensor, distortion: float) -> torch.Tensor:
    """Maps of quadrilaterals, each corner somewhere towards the centre, onto the whole frame.

    The map of the unit square onto a quadrilateral is Heckbert's (Fundamentals of Texture Mapping, 1989); its adjugate
    serves for the inverse, since scale makes no difference, and never fails.
    """
    frame = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=pictures.device)
    draws = torch.rand(4, 2, len(pictures), device=pictures.device)
    first, second, third, fourth = frame[:, :, None] * (1 - distortion * draws)
    a, b, c = second - third, fourth - third, first - second + third - fourth
    determinant, g, h = _area(a, b), _area(c, b), _area(a, c)
    across = torch.stack([*((second - first) * determinant + g * second), g], dim=1)
    down = torch.stack([*((fourth - first) * determinant + h * fourth), h], dim=1)
    origin = torch.stack([*(first * determinant), determinant], dim=1)
    rows = [torch.linalg.cross(down, origin), torch.linalg.cross(origin, across), torch.linalg.cross(across, down)]
    return torch.stack([2 * rows[0] - rows[2], 2 * rows[1] - rows[2], rows[2]], dim=1)


def _area(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first[0] * second[1] - first[1] * second[0]


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
