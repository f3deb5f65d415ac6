from collections import Counter

import numpy as np
import pytest

from datasets import drawn_animals, drawn_bees

SHARES = {"wildlife": drawn_animals.WILDLIFE, "insects": drawn_animals.INSECTS}
DRAW = {"wildlife": drawn_animals.wildlife, "insects": drawn_animals.insects}
each = pytest.mark.parametrize("kind", DRAW)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def drawn() -> dict[str, drawn_animals.Labelled]:
    return {"wildlife": drawn_animals.wildlife(60, random()), "insects": drawn_animals.insects(20, random())}


@each
def test_pictures_are_uint8_rgb_of_many_sizes_upright_ones_too(kind, drawn):
    pictures = [picture for _, picture in drawn[kind]]
    assert all(picture.dtype == np.uint8 and picture.shape[2:] == (3,) for picture in pictures)
    sizes = np.array([picture.shape[:2] for picture in pictures])
    assert sizes.min() >= 160
    assert sizes.max() <= 260
    assert len(np.unique(sizes, axis=0)) > len(pictures) / 3
    height, width = sizes.T
    assert 0 < (height > width).sum() < (width > height).sum()


@each
def test_classes_are_in_random_order_and_every_one_is_drawn(kind, drawn):
    names = [name for name, _ in drawn[kind]]
    assert set(names) == set(SHARES[kind])
    assert names != sorted(names, key=list(SHARES[kind]).index)


@each
def test_same_state_same_pictures_and_another_others(kind):
    first, again, other = (DRAW[kind](5, random(seed)) for seed in (3, 3, 4))
    for (name, picture), (name_again, picture_again) in zip(first, again, strict=True):
        assert name == name_again
        np.testing.assert_array_equal(picture, picture_again)
    assert not {picture.tobytes() for _, picture in first} & {picture.tobytes() for _, picture in other}


@pytest.mark.parametrize(
    ("kind", "count", "least"),
    [("wildlife", 400, 10), ("wildlife", 100, 5), ("insects", 150, 10), ("insects", 30, 5), ("wildlife", 7, 0)],
)
def test_classes_are_unequally_frequent_but_none_is_too_rare(kind, count, least):
    names = drawn_animals.names(SHARES[kind], count, random())
    counts = Counter(names)
    assert len(names) == count
    assert all(counts[name] == pytest.approx(share * count, abs=1) for name, share in SHARES[kind].items())
    assert min(counts[name] for name in SHARES[kind]) >= least


@each
def test_most_frequent_class_is_about_three_times_as_frequent_as_the_rarest(kind):
    shares = SHARES[kind].values()
    assert sum(shares) == pytest.approx(1)
    assert 2.5 < max(shares) / min(shares) < 4


def test_some_wildlife_is_seen_in_grey_by_night_and_most_in_colour(drawn):
    spread = [np.ptp(picture.astype(int), axis=2).max() for _, picture in drawn["wildlife"]]
    assert 0.05 < np.mean(np.array(spread) == 0) < 0.4


def test_pictures_have_contrast_and_are_neither_black_nor_white(drawn):
    for _, picture in drawn["wildlife"] + drawn["insects"]:
        assert picture.std() > 6
        assert 15 < picture.mean() < 240


def test_andrena_fulva_is_rust_red_and_panurgus_the_larger_of_the_dark_ones():
    """Medians of what such colours cover, since grounds may have them too."""
    rust, dark = {}, {}
    for name in drawn_animals.INSECTS:
        pictures = [drawn_bees.close_up(name, (200, 160), random(seed)) for seed in range(10)]
        red, green, blue = np.moveaxis(np.array(pictures, float), 3, 0)
        rust[name] = np.median(((red - green > 40) & (green > blue)).mean((1, 2)))
        dark[name] = np.median((red + green + blue < 150).mean((1, 2)))
    andrena, lasioglossum, panurgus = drawn_animals.INSECTS
    assert rust[andrena] > 0.04 > 0.02 > max(rust[lasioglossum], rust[panurgus])
    assert dark[panurgus] > 1.5 * dark[lasioglossum]
