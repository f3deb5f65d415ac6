"""Pictures of animals that are drawn here: stand-ins for camera-trap photographs, and for close-ups of bees."""

import numpy as np

from datasets import drawn_beasts, drawn_bees
from datasets.drawn_scenes import Figure, blades, photograph, trees, turned, varied, woods

WILDLIFE = {
    "amur leopard": 0.09,
    "amur tiger": 0.09,
    "birds": 0.06,
    "black bear": 0.07,
    "brown bear": 0.05,
    "dog": 0.1,
    "roe deer": 0.16,
    "sika deer": 0.17,
    "wild boar": 0.13,
    "people": 0.08,
}
"""The classes, and the share of the pictures that each has."""

INSECTS = {"Andrena fulva": 0.5, "Lasioglossum punctatissimum": 0.32, "Panurgus banksianus": 0.18}
"""The same of the bees."""

Labelled = list[tuple[str, np.ndarray]]
"""Classes and their pictures, uint8, (height, width, 3), each of a size of its own."""


def wildlife(count: int, random: np.random.Generator) -> Labelled:
    """Animals and people in the woods, by day and by night, at random places, partly hidden; in random order."""
    return [(name, _wild(name, random)) for name in names(WILDLIFE, count, random)]


def insects(count: int, random: np.random.Generator) -> Labelled:
    """Bees from above, on flowers, leaves and sand; in random order."""
    return [(name, drawn_bees.close_up(name, _size(random), random)) for name in names(INSECTS, count, random)]


def names(shares: dict[str, float], count: int, random: np.random.Generator) -> list[str]:
    """``count`` classes in random order, each as often as its share says, the largest remainders rounded up."""
    exact = count * np.array(list(shares.values()))
    counts = np.floor(exact + 1e-9).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    chosen: list[str] = random.permutation(np.repeat(list(shares), counts)).tolist()
    return chosen


def _size(random: np.random.Generator) -> tuple[int, int]:
    """Width and height, 4:3, 3:2 or square, upright at times."""
    long = int(random.integers(180, 261))
    short = max(160, round(long * random.choice([0.67, 0.75, 1])))
    return (short, long) if random.random() < 0.25 else (long, short)


def _wild(name: str, random: np.random.Generator) -> np.ndarray:
    size = width, height = _size(random)
    picture, edge = woods(size, random)
    night = bool(random.random() < 0.2)
    tall = min(height, 0.85 * width) * _TALL.get(name, 0.5) * random.uniform(0.8, 1.3)
    for _ in range(1 + (random.random() < _COMPANY.get(name, 0))):
        foot = max(random.uniform(max(0.65 * height, edge), 0.98 * height), 0.05 * height + tall)
        middle = np.array([random.uniform(0.35, 0.65) * width, foot])
        if name == "birds" and random.random() < 0.4:
            figure = _flying(size, tall, middle, random)
        else:
            _shadow(picture, middle, tall, random)
            figure = _standing(name, size, tall, middle, random, night=night)
        figure.put(picture, random, random.uniform(4, 12))
    if hiding := int(random.choice([0, 0, 1, 2])):
        trees(size, random, hiding, 1.05 * height, 0.05).put(picture, random, 12)
    if random.random() < 0.35:
        blades(size, random).put(picture, random)
    return photograph(picture, random, night=night)


_TALL = {"people": 0.75, "birds": 0.42, "roe deer": 0.42, "sika deer": 0.45, "amur leopard": 0.4, "amur tiger": 0.45}
"""How high the shoulder, or all of a person or bird, mostly is in the picture."""
_COMPANY = {"birds": 0.5, "people": 0.3, "roe deer": 0.2, "sika deer": 0.25, "wild boar": 0.25}
"""How often there are two."""


def _shadow(picture: np.ndarray, middle: np.ndarray, tall: float, random: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    across = np.exp(-(((np.arange(width) - middle[0]) / (0.7 * tall)) ** 2))
    down = np.exp(-(((np.arange(height) - middle[1]) / (0.1 * tall)) ** 2))
    picture *= 1 - np.float32(random.uniform(0.1, 0.45)) * np.outer(down, across).astype(np.float32)[..., None]


def _standing(
    name: str, size: tuple[int, int], tall: float, middle: np.ndarray, random: np.random.Generator, *, night: bool
) -> Figure:
    across = tall * random.uniform(0.8, 1.05) * random.choice([-1, 1])  # many do not stand quite side-on
    place = np.column_stack([turned(random.normal(0, 0.06)) @ np.diag([across, -tall]), middle])
    if name == "people":
        return _person(size, place, random)
    if name == "birds":
        return _bird(size, place, random)
    return drawn_beasts.draw(name, size, place, random, night=night)


def _person(size: tuple[int, int], place: np.ndarray, random: np.random.Generator) -> Figure:
    """Upright, height 1, in clothes of any colour, some with a rucksack."""
    jacket, trousers, bag = (varied(colours[random.integers(len(colours))], random) for colours in _CLOTHES)
    skin, hair = varied((208, 162, 132), random), varied((60, 46, 38), random, 0.3)
    figure = Figure(size, place, jacket)
    stride, swing = random.uniform(0.02, 0.14), random.uniform(-0.12, 0.12)
    for side in (-1, 1):
        foot = side * stride
        figure.limb(trousers, (0.4 * foot, 0.48, 0.07), (0.8 * foot, 0.25, 0.05), (foot, 0.05, 0.04))
        figure.limb((44, 38, 34), (foot, 0.025, 0.026), (foot + 0.06, 0.022, 0.022))
    figure.limb(0.75 * jacket, (-0.03, 0.77, 0.045), (-0.1 - swing, 0.61, 0.037), (-0.08 - 1.6 * swing, 0.47, 0.03))
    if random.random() < 0.4:
        figure.limb(bag, (-0.11, 0.73, 0.08), (-0.11, 0.6, 0.08))
    figure.limb(jacket, (0, 0.49, 0.085), (0, 0.76, 0.1))
    hand = (0.05 + 2 * swing, 0.47, 0.024)
    figure.limb(skin, hand)
    figure.limb(1.1 * jacket, (0.02, 0.77, 0.045), (0.04 + swing, 0.61, 0.037), hand)
    figure.limb(skin, (0.01, 0.83, 0.035), (0.015, 0.92, 0.06))
    figure.limb(bag if random.random() < 0.5 else hair, (0, 0.95, 0.055), (-0.03, 0.92, 0.045))
    return figure


_CLOTHES = (
    ((196, 44, 40), (40, 84, 168), (226, 132, 36), (216, 196, 60), (76, 92, 58), (52, 52, 60), (170, 176, 184)),
    ((46, 52, 74), (92, 84, 66), (52, 50, 48), (74, 84, 56)),
    ((58, 72, 52), (172, 48, 42), (44, 56, 96), (66, 62, 60)),
)
"""Jackets, trousers, bags and caps."""


def _bird(size: tuple[int, int], place: np.ndarray, random: np.random.Generator) -> Figure:
    """On the ground, height about 1, looking for food at times."""
    body, wing, head, beak = _plumage(random)
    figure = Figure(size, place, body)
    long = random.uniform(0.4, 1.2)
    for x in (-0.06, 0.07):
        figure.limb((96, 80, 56), (x, 0.4, 0.03), (x + 0.03, 0.02, 0.02), (x + 0.12, 0.015, 0.015))
    figure.shape(wing, [(-0.3, 0.68), (-0.35, 0.48), (-0.45 - long, 0.42), (-0.45 - long, 0.54)])
    figure.limb(body, (-0.36, 0.56, 0.11), (-0.05, 0.54, 0.24), (0.2, 0.62, 0.18))
    skull = np.array([0.4, 0.88] if random.random() < 0.6 else [0.55, 0.48]) + random.normal(0, 0.03, 2)
    figure.limb(head, (0.25, 0.68, 0.13), (*skull, 0.12))
    figure.shape(beak, skull + np.array([[0.08, 0.06], [0.08, -0.07], [0.3, -0.05]]))
    figure.limb((16, 14, 12), (skull[0] + 0.04, skull[1] + 0.03, 0.025))
    figure.limb(wing, (0.1, 0.6, 0.13), (-0.2, 0.56, 0.13), (-0.5, 0.5, 0.04))
    return figure


def _flying(size: tuple[int, int], tall: float, middle: np.ndarray, random: np.random.Generator) -> Figure:
    body, wing, head, beak = _plumage(random)
    axes = turned(random.normal(0, 0.4)) @ np.diag([0.8 * tall * random.choice([-1, 1]), -0.8 * tall])
    centre = middle - (0, random.uniform(0.6, 1.2) * tall)
    figure = Figure(size, np.column_stack([axes, centre]), body)
    lift, sweep = random.uniform(0.4, 1.1) * random.choice([-1, 1]), random.uniform(-0.5, 0)
    figure.shape(0.8 * wing, [(0.15, 0.05), (-0.25, 0.05), (sweep - 0.5, 0.8 * lift), (sweep + 0.1, lift)])
    figure.shape(wing, [(-0.3, 0.05), (-0.3, -0.08), (-0.75, -0.16), (-0.75, 0.14)])
    figure.limb(body, (-0.35, 0, 0.07), (0, 0, 0.14), (0.25, 0.03, 0.1))
    figure.limb(head, (0.38, 0.06, 0.09))
    figure.shape(beak, [(0.44, 0.1), (0.44, 0), (0.6, 0.03)])
    figure.shape(wing, [(0.2, 0.05), (-0.2, 0), (sweep - 0.3, 1.1 * lift), (sweep + 0.2, 1.2 * lift)])
    return figure


def _plumage(random: np.random.Generator) -> list[np.ndarray]:
    """Colours of body, wing, head and beak: crow, jay, pheasant, pigeon, magpie."""
    return [varied(colour, random) for colour in _PLUMAGES[random.integers(len(_PLUMAGES))]]


_PLUMAGES = (
    ((34, 34, 40), (26, 26, 32), (34, 34, 40), (40, 38, 38)),
    ((184, 148, 122), (70, 96, 150), (186, 142, 110), (50, 46, 44)),
    ((168, 84, 40), (138, 98, 58), (34, 78, 62), (206, 196, 150)),
    ((134, 142, 156), (112, 120, 136), (104, 116, 130), (170, 140, 120)),
    ((232, 232, 228), (28, 32, 48), (26, 26, 30), (34, 32, 32)),
)
