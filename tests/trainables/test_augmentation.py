import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from trainables.augmentation import augment, augmented
from trainables.recipe import Recipe

BILINEAR = InterpolationMode.BILINEAR
ADJUSTMENTS = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
EACH = {"affine": 0.8, "shift": 0.2, "perspective": 0.5, "crop": 0.4, "flip": True, "jitter": 0.4, "erase": 0.3}
CASES = [*({name: value} for name, value in EACH.items()), EACH]


def picture_batch(count: int = 64, channels: int = 1, side: int = 12) -> torch.Tensor:
    """Black frames with a bright square of 4×4 in the middle."""
    pictures = torch.zeros(count, channels, side, side)
    middle = slice(side // 2 - 2, side // 2 + 2)
    pictures[:, :, middle, middle] = 1
    return pictures


def noise(count: int, channels: int = 3, height: int = 12, width: int = 12) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(9))


def coordinates(count: int, side: int) -> torch.Tensor:
    """Two channels that show where each pixel came from: x and y, -1 to 1 across a side."""
    at = (torch.arange(side) + 0.5) * 2 / side - 1
    return torch.stack([at.expand(side, side), at[:, None].expand(side, side)]).expand(count, 2, side, side)


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


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_shape_and_dtype_stay_and_the_input_is_not_written(settings):
    pictures = noise(8)
    original = pictures.clone()
    torch.manual_seed(0)
    changed = augment(pictures, Recipe(**settings))
    assert changed.shape == pictures.shape
    assert changed.dtype == torch.float32
    assert torch.equal(pictures, original)
    assert not torch.equal(changed, original)


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_follows_the_global_seed(settings):
    def changed(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(noise(8), Recipe(**settings))

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


@pytest.mark.parametrize("settings", [{"affine": 0.5}, {"shift": 0.1}, {"affine": 1, "shift": 0.3, "erase": 0.25}])
@pytest.mark.parametrize("shape", [(64, 1, 8, 8), (3, 3, 12, 20)])
def test_affine_shift_and_erase_draw_and_compute_bitwise_what_they_did_before_there_were_others(settings, shape):
    recipe = Recipe(**settings)
    pictures = noise(*shape)
    torch.manual_seed(4)
    draws = torch.rand(5, len(pictures)) * 2 - 1
    angle, scale = draws[0] * (math.radians(30) * recipe.affine), torch.exp(draws[1] * (math.log(1.3) * recipe.affine))
    shear, cos, sin = draws[2] * (0.3 * recipe.affine), torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [cos, cos * shear - sin, 2 * recipe.shift * draws[3], sin, sin * shear + cos, 2 * recipe.shift * draws[4]]
    maps = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(maps, list(shape), align_corners=False)
    expected = functional.grid_sample(pictures, grid, align_corners=False)
    if recipe.erase:
        expected = augment(expected, Recipe(erase=recipe.erase))
    end = torch.get_rng_state()
    torch.manual_seed(4)
    assert torch.equal(augment(pictures, recipe), expected)
    assert torch.equal(torch.get_rng_state(), end)


@pytest.mark.parametrize("distortion", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("size", [(12, 12), (8, 20)])
def test_perspective_is_torchvisions_with_each_corner_moved_inwards(distortion, size):
    height, width = size
    pictures = noise(20, 3, height, width)
    torch.manual_seed(2)
    moved = torch.rand(4, 2, 20) * distortion / 2
    torch.manual_seed(2)
    changed = augment(pictures, Recipe(perspective=distortion))
    # in torchvision's grid a picture goes from 0 to its width, though its own start points go to a pixel less
    frame = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]])
    sides = torch.tensor([width, height])
    for number, picture in enumerate(pictures):
        corners = (frame + (1 - 2 * frame) * moved[:, :, number]) * sides
        expected = reference.perspective(picture, (frame * sides).tolist(), corners.tolist(), BILINEAR)
        torch.testing.assert_close(changed[number], expected, atol=5e-4, rtol=0)


HORIZON_THROUGH_PIXELS = [[0.75, 0.75], [0.75, 0.75], [0.125, 0.0], [0.125, 0.0]]


@pytest.mark.parametrize("moved", [[[1.0, 1.0]] * 4, HORIZON_THROUGH_PIXELS], ids=["no area", "horizon"])
def test_perspective_of_a_degenerate_quadrilateral_is_finite(moved, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(moved)[:, :, None])
    changed = augment(torch.ones(1, 1, 4, 4), Recipe(perspective=1))
    assert changed.isfinite().all()
    assert changed[0, 0, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_crop_is_of_a_random_window_within_the_picture(share):
    torch.manual_seed(0)
    changed = augment(coordinates(2000, 16), Recipe(crop=share))
    step = changed[:, 0, 0, 1] - changed[:, 0, 0, 0]
    side = step * 8
    torch.testing.assert_close(changed[:, 1, 1, 0] - changed[:, 1, 0, 0], step, atol=1e-5, rtol=0)
    assert 1 - share - 1e-5 < side.min() < 1 - 0.98 * share
    assert 1 - 0.02 * share < side.max() < 1 + 1e-5
    assert side.mean() == pytest.approx(1 - share / 2, abs=0.02)
    centre = changed[:, :, 7:9, 7:9].mean((2, 3))
    place = centre / (1 - side)[:, None].clamp_min(1e-3)
    assert place.abs().max() <= 1
    assert (place > 0.8).any(0).all()
    assert (place < -0.8).any(0).all()
    assert torch.corrcoef(place.T)[0, 1].abs() < 0.1


def test_crop_of_white_is_white_to_its_edges():
    torch.manual_seed(0)
    changed = augment(torch.ones(200, 3, 8, 12), Recipe(crop=0.9))
    torch.testing.assert_close(changed, torch.ones(200, 3, 8, 12))


def test_crop_is_torchvisions_of_the_same_window():
    torch.manual_seed(0)
    pictures = noise(300, 1, 16, 16)
    changed = augment(torch.cat([coordinates(300, 16), pictures], dim=1), Recipe(crop=0.8))
    for picture, (x, y, pixels) in zip(pictures, changed, strict=True):
        side = (x[0, 1] - x[0, 0]) * 8
        # a map of the whole picture onto the window, about the centre and in pixels
        at = [-8 * x[7:9, 7:9].mean() / side, -8 * y[7:9, 7:9].mean() / side]
        expected = reference.affine(picture, 0.0, [float(each) for each in at], 1 / float(side), [0.0], BILINEAR)
        torch.testing.assert_close(pixels, expected[0], atol=1e-4, rtol=0)


def test_flip_mirrors_half_of_the_pictures_left_to_right():
    torch.manual_seed(0)
    pictures = noise(1000, 3, 4, 5)
    changed = augment(pictures, Recipe(flip=True))
    mirrored = (changed == reference.horizontal_flip(pictures)).all((1, 2, 3))
    assert (mirrored != (changed == pictures).all((1, 2, 3))).all()
    assert mirrored.float().mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("strength", [0.2, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_torchvisions_brightness_contrast_and_saturation_in_this_order(channels, strength):
    pictures = noise(30, channels)
    torch.manual_seed(1)
    factors = (1 + strength * (torch.rand(3, 30) * 2 - 1)).tolist()
    torch.manual_seed(1)
    changed = augment(pictures, Recipe(jitter=strength))
    for number, expected in enumerate(pictures):
        for adjust, factor in zip(ADJUSTMENTS, factors, strict=True):
            expected = adjust(expected, factor[number])
        torch.testing.assert_close(changed[number], expected, atol=1e-6, rtol=0)


def test_jitter_of_channels_that_are_no_colours_stays_within_0_and_1():
    torch.manual_seed(0)
    changed = augment(noise(50, 2), Recipe(jitter=1))
    assert changed.min() == 0
    assert changed.max() == 1


def test_geometry_is_one_resampling_first_cropped_then_moved_then_seen_in_perspective():
    settings = {"crop": 0.3, "affine": 0.3, "shift": 0.1, "perspective": 0.3}
    torch.manual_seed(3)
    changed = augment(coordinates(8, 24), Recipe(**settings))
    torch.manual_seed(3)
    in_turn = coordinates(8, 24)
    for step in ({"crop": 0.3}, {"affine": 0.3, "shift": 0.1}, {"perspective": 0.3}):
        in_turn = augment(in_turn, Recipe(**step))
    middle = slice(9, 15)
    torch.testing.assert_close(changed[:, :, middle, middle], in_turn[:, :, middle, middle], atol=1e-4, rtol=0)


def test_augmented_pictures_are_those_of_training_and_disturb_no_other_draw():
    inputs = np.random.default_rng(0).integers(256, size=(8, 3, 12, 12), dtype=np.uint8)
    before = torch.get_rng_state()
    changed = augmented(inputs, {"affine": 0.5, "shift": 0.1})
    assert torch.equal(torch.get_rng_state(), before)
    assert changed.shape == inputs.shape
    assert (changed >= 0).all()
    assert (changed <= 1).all()
    assert not np.allclose(changed, inputs / 255, atol=0.1)
    np.testing.assert_array_equal(changed, augmented(inputs, {"affine": 0.5, "shift": 0.1}))
    np.testing.assert_allclose(augmented(inputs, {}), inputs / 255, rtol=1e-6)
