"""Bees from above, on flowers, leaves and sand."""

from dataclasses import dataclass

import numpy as np

from datasets.drawn_scenes import Colour, Figure, mottled, photograph, turned, varied


@dataclass(frozen=True)
class _Bee:
    """A species; lengths are shares of the bee's, which is 1 from head to tail."""

    long: float
    """How much of a picture's shorter side it mostly is."""
    thorax: Colour
    abdomen: Colour
    band: Colour
    """The hind edges of the abdomen's segments."""
    legs: Colour
    fur: float
    """How far hair stands out."""
    wide: tuple[float, float]
    """Half the width of thorax and abdomen."""
    brush: Colour
    """Of the hind legs."""


_BEES = {
    "Andrena fulva": _Bee(
        0.56, (176, 78, 28), (204, 98, 36), (222, 128, 56), (34, 26, 24), 0.045, (0.19, 0.2), (48, 34, 28)
    ),
    "Lasioglossum punctatissimum": _Bee(
        0.38, (40, 40, 38), (34, 32, 30), (86, 80, 70), (40, 36, 32), 0.008, (0.11, 0.105), (120, 112, 98)
    ),
    "Panurgus banksianus": _Bee(
        0.5, (26, 24, 26), (20, 20, 22), (36, 34, 34), (24, 22, 22), 0.02, (0.165, 0.185), (206, 156, 66)
    ),
}


def close_up(name: str, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A bee of one of the species, uint8, (height, width, 3)."""
    bee = _BEES[name]
    width, height = size
    picture = _GROUNDS[random.integers(len(_GROUNDS))](size, random)
    long = min(size) * bee.long * random.uniform(0.75, 1.3)
    middle = np.array([width, height]) * random.uniform(0.32, 0.68, 2)
    axes = turned(random.uniform(0, 2 * np.pi)) @ np.diag([long, -long * random.uniform(0.85, 1.1)])
    place = np.column_stack([axes, middle])
    shadow = Figure(size, np.column_stack([axes, middle + random.uniform(-0.07, 0.07, 2) * long]), (0, 0, 0))
    shadow.oval((0, 0, 0), (-0.05, 0), (0.5, 1.4 * bee.wide[1]))
    shadow.put(picture, random, opacity=random.uniform(0.15, 0.4))
    _body(bee, size, place, random).put(picture, random, random.uniform(8, 20), grain=3)
    _wings(size, place, random).put(picture, random, opacity=random.uniform(0.3, 0.55))
    return photograph(picture, random)


def _body(bee: _Bee, size: tuple[int, int], place: np.ndarray, random: np.random.Generator) -> Figure:
    thorax, abdomen, band, legs, brush = (
        varied(colour, random, 0.08) for colour in (bee.thorax, bee.abdomen, bee.band, bee.legs, bee.brush)
    )
    chest, belly = bee.wide
    figure = Figure(size, place, thorax)
    for side in (-1, 1):
        for start, out, along in ((0.2, 0.26, 0.2), (0.1, 0.32, -0.02), (0.02, 0.3, -0.3)):
            knee = np.array([start + 0.5 * along, side * (chest + 0.45 * out)]) + random.normal(0, 0.03, 2)
            foot = np.array([start + 1.2 * along, side * (chest + 0.75 * out)]) + random.normal(0, 0.04, 2)
            figure.limb(legs, (start, side * 0.6 * chest, 0.025), (*knee, 0.022), (*foot, 0.011))
            if along < -0.2:
                figure.limb(brush, (*knee, 0.033), (*((knee + foot) / 2), 0.045), (*(0.2 * knee + 0.8 * foot), 0.02))
        bend = random.normal(0, 0.04)
        joint = (0.52, side * (0.12 + bend), 0.013)
        figure.limb(legs, (0.43, side * 0.04, 0.013), joint, (0.6, side * (0.2 + 1.5 * bend), 0.014))
    _hairy(figure, abdomen, (-0.24, 0), (0.3, belly), bee.fur, random)
    for x in (-0.06, -0.17, -0.28, -0.38):
        half = belly * np.sqrt(1 - ((x + 0.24) / 0.3) ** 2)
        figure.limb(band, (x, -half, 0.01), (x - 0.025, 0, 0.008), (x, half, 0.01), within=True)
    _hairy(figure, legs, (0.39, 0), (0.09, 0.75 * chest), 0.5 * bee.fur, random)
    for side in (-1, 1):
        figure.oval((14, 12, 14), (0.4, side * 0.62 * chest), (0.07, 0.035), 0.3 * side, within=True)
    _hairy(figure, thorax, (0.17, 0), (0.17, chest), bee.fur, random)
    if bee.fur < 0.03:  # bare enough to shine
        figure.oval(thorax + 50, (0.2, 0.25 * chest), (0.05, 0.2 * chest), within=True)
        figure.oval(abdomen + 40, (-0.2, 0.3 * belly), (0.1, 0.14 * belly), within=True)
    return figure


def _hairy(
    figure: Figure,
    colour: np.ndarray,
    middle: tuple[float, float],
    radii: tuple[float, float],
    fur: float,
    random: np.random.Generator,
) -> None:
    """An oval with hair that stands out, lighter at its tips."""
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    edge = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for shade, reach in ((1.12, 0.8), (1.0, 0.3)):
        out = reach * fur * np.abs(random.normal(0, 1, 200))[:, None]
        figure.shape(shade * colour, middle + edge * (radii + out))


def _wings(size: tuple[int, int], place: np.ndarray, random: np.random.Generator) -> Figure:
    """Two pairs, folded over the abdomen or spread."""
    tint = varied((196, 184, 160), random)
    figure = Figure(size, place, tint)
    spread = random.uniform(0.12, 0.9)
    for side in (-1, 1):
        for long, wide, more in ((0.36, 0.085, 0.0), (0.26, 0.065, -0.12)):
            turn = np.pi - side * (spread + more)
            root = np.array([0.14 if more == 0 else 0.06, side * 0.08])
            tip = turned(turn) @ (long, 0)
            figure.oval(tint, root + tip, (long, wide), turn)
            figure.limb(0.5 * tint, (*root, 0.01), (*(root + 1.8 * tip), 0.005), within=True)
    return figure


def _flower(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """One large flower with many petals, over blurred green."""
    width, height = size
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = varied((86, 116, 62), random) + 14 * mottled(size, random, 5)[..., None]
    petal, disc = (varied(colour, random) for colour in _FLOWERS[random.integers(len(_FLOWERS))])
    radius = max(size) * random.uniform(0.4, 0.8)
    middle = np.array([width, height]) * random.uniform(0.25, 0.75, 2)
    figure = Figure(size, np.column_stack([radius * np.eye(2), middle]), petal)
    count = int(random.integers(8, 26))
    for angle in 2 * np.pi * (np.arange(count) + random.uniform(-0.2, 0.2, count)) / count:
        shade = petal * random.uniform(0.82, 1.05)
        tip = turned(angle) @ (random.uniform(0.75, 1.05), 0)
        figure.limb(shade, (0, 0, 0.05), (*(0.7 * tip), 1.6 / count), (*tip, 1.1 / count))
    figure.put(picture, random, 4, grain=15)
    centre = Figure(size, np.column_stack([radius * random.uniform(0.15, 0.4) * np.eye(2), middle]), disc)
    centre.oval(disc, (0, 0), (1, 1))
    centre.put(picture, random, 10)
    return picture


_FLOWERS = (
    ((226, 192, 44), (198, 150, 34)),
    ((234, 228, 222), (218, 182, 60)),
    ((172, 124, 188), (120, 84, 130)),
    ((216, 142, 170), (206, 190, 90)),
)
"""Petals and disc."""


def _leaf(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A leaf larger than the picture, with its veins."""
    width, height = size
    green = varied((94, 136, 62), random, 0.2)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = green + 7 * mottled(size, random, 6, 3)[..., None]
    middle = np.array([width, height]) * random.uniform(0.3, 0.7, 2)
    figure = Figure(size, np.column_stack([max(size) * turned(random.uniform(0, np.pi)), middle]), 1.25 * green)
    figure.limb(1.25 * green, (-1, 0, 0.014), (1, 0, 0.008))
    for x in np.arange(-1, 1, random.uniform(0.14, 0.24)):
        for side in (-1, 1):
            figure.limb(1.2 * green, (x, 0, 0.006), (x + 0.35, side * 0.6, 0.003))
    figure.put(picture, random, opacity=0.7)
    return picture


def _sand(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Sand with stones and crumbs."""
    width, height = size
    colour = varied((186, 162, 122), random)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = colour + (7 * mottled(size, random, 5, 3) + 11 * mottled(size, random, width / 2))[..., None]
    stones = Figure(size, np.eye(2, 3), colour)
    for x, y in random.uniform(0, 1, (random.integers(3, 22), 2)) * size:
        long, wide = random.gamma(2, 0.012, 2) * width + 1
        stones.oval(varied(colour, random, 0.3), (x, y), (long, wide), random.uniform(0, np.pi))
    stones.put(picture, random)
    return picture


_GROUNDS = (_flower, _flower, _leaf, _sand)
