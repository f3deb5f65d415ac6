import math

import pytest
import torch

from trainables.augmentation import augment
from trainables.recipe import Recipe


def picture_batch(count: int = 64, channels: int = 1, side: int = 12) -> torch.Tensor:
    """Black frames with a bright square of 4×4 in the middle."""
    pictures = torch.zeros(count, channels, side, side)
    middle = slice(side // 2 - 2, side // 2 + 2)
    pictures[:, :, middle, middle] = 1
    return pictures


def centres(pictures: torch.Tensor) -> torch.Tensor:
    """Centre of brightness (row, column) of each picture, in shares of the side."""
    side = pictures.shape[-1]
    at = (torch.arange(side) + 0.5) / side
    mass = pictures.mean(1)
    return torch.stack([(mass.sum(2) * at).sum(1), (mass.sum(1) * at).sum(1)], 1) / mass.sum((1, 2))[:, None]


def test_without_strength_nothing_changes_and_nothing_is_drawn():
    pictures = picture_batch()
    before = torch.get_rng_state()
    assert augment(pictures, Recipe()) is pictures
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("settings", [{"affine": 0.8}, {"shift": 0.2}, {"erase": 0.3}, {"affine": 1, "erase": 0.5}])
def test_shape_and_dtype_stay_and_the_input_is_not_written(settings):
    pictures = picture_batch(8, channels=3)
    original = pictures.clone()
    torch.manual_seed(0)
    changed = augment(pictures, Recipe(**settings))
    assert changed.shape == pictures.shape
    assert changed.dtype == torch.float32
    assert torch.equal(pictures, original)
    assert not torch.equal(changed, original)


@pytest.mark.parametrize("settings", [{"affine": 0.8}, {"shift": 0.2}, {"erase": 0.3}])
def test_follows_the_global_seed(settings):
    def changed(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(picture_batch(), Recipe(**settings))

    assert torch.equal(changed(3), changed(3))
    assert not torch.equal(changed(3), changed(4))


@pytest.mark.parametrize("shift", [0.05, 0.25])
def test_shift_moves_each_picture_by_up_to_its_share_of_the_side(shift):
    torch.manual_seed(0)
    moved = centres(augment(picture_batch(500), Recipe(shift=shift))) - 0.5
    assert moved.abs().max() <= shift + 1e-4
    assert moved.amax(0).min() > 0.9 * shift
    assert moved.amin(0).max() < -0.9 * shift
    assert (moved[:, 0] - moved[:, 1]).abs().max() > shift / 2


def test_shift_brings_in_black_and_keeps_the_content():
    torch.manual_seed(0)
    pictures = picture_batch(100)
    moved = augment(pictures, Recipe(shift=0.2))
    torch.testing.assert_close(moved.sum((1, 2, 3)), pictures.sum((1, 2, 3)))
    white = augment(torch.ones(100, 1, 12, 12), Recipe(shift=0.2))
    assert white.amin((1, 2, 3)).max() < 1


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_affine_rotates_scales_and_shears_up_to_its_strength(strength):
    torch.manual_seed(0)
    at = torch.arange(12.0) - 5.5
    ramps = torch.stack([at.expand(12, 12), at[:, None].expand(12, 12)]).expand(1000, 2, 12, 12)
    changed = augment(ramps, Recipe(affine=strength))
    # the ramps show where each pixel came from: the map's columns are their differences at the centre
    first, second = changed[:, :, 5, 6] - changed[:, :, 5, 5], changed[:, :, 6, 5] - changed[:, :, 5, 5]
    figures = {
        "degrees": torch.rad2deg(torch.atan2(first[:, 1], first[:, 0])),
        "log scale": first.norm(dim=1).log(),
        "shear": (first * second).sum(1) / first.norm(dim=1) ** 2,
    }
    for (name, values), most in zip(figures.items(), (30, math.log(1.3), 0.3), strict=True):
        for largest in (values.max(), -values.min()):
            assert 0.95 * most * strength < float(largest) < most * strength * 1.001, name
    torch.testing.assert_close(changed[:, :, 5:7, 5:7].mean((2, 3)), torch.zeros(1000, 2), atol=1e-4, rtol=0)


def test_weaker_affine_changes_less():
    def distance(strength: float) -> float:
        torch.manual_seed(0)
        return float((augment(picture_batch(), Recipe(affine=strength)) - picture_batch()).abs().mean())

    assert distance(0.1) < distance(0.5) < distance(1.0)


@pytest.mark.parametrize(
    ("share", "side", "erased"),
    [(0.25, 8, 2), (0.5, 8, 4), (0.3, 8, 2), (0.07, 8, 1), (0.01, 8, 0), (1.0, 8, 8), (0.25, 32, 8)],
)
def test_erase_blackens_exactly_its_square_in_every_channel(share, side, erased):
    torch.manual_seed(0)
    changed = augment(torch.ones(50, 3, side, side), Recipe(erase=share))
    assert set(changed.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal((changed == 0).sum((1, 2, 3)), torch.full((50,), 3 * erased**2))
    gone = changed[:, 0] == 0
    assert torch.equal(gone, changed[:, 2] == 0)
    assert torch.equal(gone.any(1).sum(1), torch.full((50,), erased))
    assert torch.equal(gone.any(2).sum(1), torch.full((50,), erased))


def test_erased_squares_reach_every_place():
    torch.manual_seed(0)
    gone = (augment(torch.ones(2000, 1, 8, 8), Recipe(erase=0.25)) == 0).float().mean((0, 1))
    assert gone.min() > 0
    assert gone[0, 0] == pytest.approx(1 / 49, abs=0.01)
    assert gone[4, 4] == pytest.approx(4 / 49, abs=0.02)


def test_erase_of_an_oblong_picture_is_a_square_of_its_shorter_side():
    torch.manual_seed(0)
    changed = augment(torch.ones(20, 1, 8, 16), Recipe(erase=0.5))
    assert torch.equal((changed == 0).sum((1, 2, 3)), torch.full((20,), 16))
