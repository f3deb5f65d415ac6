"""What drawn photographs of animals are made of: a brush, grounds, and what lens and sensor do."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Colour = Sequence[float] | np.ndarray
"""Red, green, blue, 0 to 255."""
Point = Sequence[float] | np.ndarray

_FINE = 2
"""Pixels of a figure's own drawing for one of the picture's: its edges become smooth."""
_ANGLES = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_ROUND = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


class Figure:
    """Something painted in units of its own, x to the right and y up, to be put on a picture.

    ``place`` (2, 3) takes (x, y, 1) to the picture's (column, row); ``size`` is the picture's (width, height).
    """

    def __init__(self, size: tuple[int, int], place: np.ndarray, coat: Colour) -> None:
        from PIL import Image, ImageDraw

        self._size = size
        self._place = place * _FINE
        enlarged = (size[0] * _FINE, size[1] * _FINE)
        self._paint, self._mask = Image.new("RGB", enlarged, _rgb(coat)), Image.new("L", enlarged)
        self._draw_paint, self._draw_mask = ImageDraw.Draw(self._paint), ImageDraw.Draw(self._mask)

    def shape(self, colour: Colour, points: np.ndarray | Sequence[Point], *, within: bool = False) -> None:
        """A polygon; ``within`` is paint on what there is of the figure only."""
        seen = (np.asarray(points) @ self._place[:, :2].T + self._place[:, 2]).ravel().tolist()
        self._draw_paint.polygon(seen, fill=_rgb(colour))
        if not within:
            self._draw_mask.polygon(seen, fill=255)

    def limb(self, colour: Colour, *circles: Point, within: bool = False) -> None:
        """Circles (x, y, radius), and the hulls of each and the next."""
        chain = np.asarray(circles, float)
        for x, y, radius in chain:
            self.shape(colour, radius * _ROUND + (x, y), within=within)
        for (*here, wide), (*there, narrow) in pairwise(chain):
            along = np.subtract(there, here)
            side = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
            hull = [here + wide * side, there + narrow * side, there - narrow * side, here - wide * side]
            self.shape(colour, np.array(hull), within=within)

    def oval(
        self,
        colour: Colour,
        middle: Point,
        radii: Point,
        turn: float = 0.0,
        *,
        within: bool = False,
    ) -> None:
        """An ellipse, turned by radians."""
        self.shape(colour, (_ROUND * radii) @ turned(turn).T + middle, within=within)

    def put(
        self,
        picture: np.ndarray,
        random: np.random.Generator,
        relief: float = 0.0,
        grain: float = 5.0,
        opacity: float = 1.0,
    ) -> None:
        """Paints the figure on a picture, lit from above.

        ``relief`` is how uneven its fur or bark is, in steps of colour, ``grain`` how coarse, in pixels.
        """
        from PIL import ImageFilter

        width, height = self._size
        reach = max(2, height // 30)
        left, upper, right, lower = self._mask.reduce(_FINE).getbbox() or (0, 0, 1, 1)
        left, upper = max(0, left - reach), max(0, upper - reach)
        right, lower = min(width, right + reach), min(height, lower + reach)
        size = right - left, lower - upper
        box = (_FINE * left, _FINE * upper, _FINE * right, _FINE * lower)
        paint, mask = self._paint.reduce(_FINE, box), self._mask.reduce(_FINE, box)
        blurred = np.asarray(mask.filter(ImageFilter.BoxBlur(reach)), np.float32) / 255
        above = np.pad(blurred, ((reach, reach), (0, 0)), "edge")
        light = 1 + 0.3 * (above[2 * reach :] - above[: -2 * reach])
        if relief:
            light = light + relief / 100 * mottled(size, random, size[0] / grain)
        part = picture[upper:lower, left:right]
        share = np.asarray(mask, np.float32) * (opacity / 255)
        part += share[..., None] * (np.asarray(paint, np.float32) * light[..., None] - part)


def turned(angle: float) -> np.ndarray:
    """The matrix that turns by radians, (2, 2)."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def varied(colour: Colour, random: np.random.Generator, spread: float = 0.12) -> np.ndarray:
    """A colour somewhat lighter or darker, and somewhat otherwise tinted."""
    shade, tint = np.exp(random.normal(0, spread)), random.normal(0, 30 * spread, 3)
    return np.asarray(np.asarray(colour) * shade + tint, np.float32)


def mottled(
    size: tuple[int, int], random: np.random.Generator, cells: float, octaves: int = 1, flat: float = 1.0
) -> np.ndarray:
    """Smooth noise of deviation about 1, (height, width): ``cells`` across, each octave twice as many and weaker.

    ``flat`` above 1 are patches wider than high.
    """
    from PIL import Image

    width, height = size
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across = min(width, max(2, round(cells * 2**octave)))
        down = min(height, max(2, round(across * flat * height / width)))
        coarse = Image.fromarray(random.standard_normal((down, across), np.float32))
        total += np.asarray(coarse.resize(size, Image.Resampling.BILINEAR)) * 1.4 * 0.6**octave
    return total


_WOODS = {  # far, ground, what is strewn on the ground
    "summer": ((72, 92, 58), (98, 98, 66), (120, 134, 74)),
    "autumn": ((112, 96, 74), (140, 108, 72), (182, 132, 70)),
    "snow": ((142, 146, 150), (216, 220, 228), (176, 184, 198)),
    "meadow": ((98, 122, 78), (130, 146, 80), (168, 168, 102)),
}


def woods(size: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Trees behind a ground, float32 (height, width, 3), and the row where the ground begins."""
    width, height = size
    far, near, strewn = (varied(colour, random) for colour in _WOODS[str(random.choice(list(_WOODS)))])
    edge = height * random.uniform(0.2, 0.5)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = far + random.uniform(5, 14) * mottled(size, random, 7, 3)[..., None]
    trees(size, random, int(random.integers(2, 9)), edge + 0.05 * height, 0.018).put(picture, random, 8)
    slope = edge + random.normal(0, 0.05) * height * np.linspace(-1, 1, width) + 3 * mottled(size, random, 9)[0]
    depth = (np.arange(height)[:, None] - slope).astype(np.float32)
    ground = near + np.clip(0.4 * mottled(size, random, 9, 3, flat=2.5), -0.2, 1)[..., None] * (strewn - near)
    ground += (random.uniform(2, 9) * mottled(size, random, width / 4, flat=1.5) + 0.12 * depth)[..., None]
    picture += np.clip(depth / 3, 0, 1)[..., None] * (ground - picture)
    return picture, edge


def trees(size: tuple[int, int], random: np.random.Generator, count: int, foot: float, thick: float) -> Figure:
    """Trunks that stand at about row ``foot``, about ``thick`` of the picture's width wide."""
    width, height = size
    figure = Figure(size, np.eye(2, 3), (84, 72, 62))
    for _ in range(count):
        bark = varied((206, 202, 192) if random.random() < 0.25 else (84, 72, 62), random, 0.2)
        column, low = random.uniform(0, width), foot + random.uniform(-0.05, 0.05) * height
        half, top = random.uniform(0.5, 1.5) * thick * width / 2, column + random.normal(0, 0.04) * height
        figure.shape(bark, [(column - half, low), (column + half, low), (top + 0.7 * half, -2), (top - 0.7 * half, -2)])
    return figure


def blades(size: tuple[int, int], random: np.random.Generator) -> Figure:
    """Grass in front of everything."""
    colour = varied((112, 122, 66), random, 0.2)
    figure = Figure(size, np.eye(2, 3), colour)
    width, height = size
    for column in random.uniform(0, width, random.integers(10, 45)):
        tip = column + random.normal(0, 0.06) * width, height * (1 - random.gamma(4, 0.05))
        figure.shape(varied(colour, random), [(column - 1.2, height), (column + 1.2, height), tip])
    return figure


def photograph(picture: np.ndarray, random: np.random.Generator, *, night: bool = False) -> np.ndarray:
    """What a camera makes of it, uint8: light, lens and noise. By night it is the grey of an infrared flash."""
    from PIL import Image, ImageFilter

    height, width = picture.shape[:2]
    if night:
        picture = np.repeat(picture @ np.array([[0.5], [0.3], [0.2]], np.float32), 3, axis=2)
        row, column = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        away = (row - random.normal(0, 0.2)) ** 2 + (column - random.normal(0, 0.2)) ** 2
        picture = picture * (random.uniform(0.75, 1.2) * np.exp(-random.uniform(0.3, 0.8) * away))[..., None]
    else:
        picture = picture * random.uniform(0.7, 1.15) * np.exp(random.normal(0, 0.05, 3) * (1, 0.4, 1))
        picture = picture + random.normal(0, 8) * mottled((width, height), random, 3)[..., None]
    picture = 128 + random.uniform(0.75, 1.1) * (picture - 128) + random.normal(0, 8)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(random.gamma(2, 0.3)))
    grain = random.standard_normal((height, width, 1), np.float32) * random.uniform(1, 12 if night else 7)
    seen: np.ndarray = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    return seen
