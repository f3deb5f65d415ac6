"""Pictures of digits that are drawn here: stand-ins where a dataset's own files are not at hand."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets import Examples

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 28
_FINE = 4
"""Pixels of an enlarged picture for one of the 8×8."""


def handwritten(count: int, random: np.random.Generator, *, test: bool = False) -> Examples:
    """White digits on black, uint8, shape (count, 1, 28, 28), all classes about equally often.

    scikit-learn's 8×8 digits, smoothly enlarged, slanted, bent and inked at random; those of ``test`` are by other
    writers than the rest (the last 447 of its file against the first 1,350). So the error on a share of the rest, where
    each of the 1,350 occurs many times, is lower than the error on ``test``.
    """
    from scipy.ndimage import map_coordinates
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    part = slice(1350, None) if test else slice(1350)
    small, labels = small[part].reshape(-1, 8, 8) / 16, labels[part]
    chosen = random.integers(len(labels), size=count)
    fields = _enlarged(small)
    centres = _centres(fields)
    places = _bent(random, count)
    pictures = np.empty((count, 1, _SIDE, _SIDE), np.uint8)
    levels, edges = random.uniform(0.3, 0.55, count), random.uniform(10, 18, count)
    for number, source in enumerate(chosen):
        where = places[number] + centres[source][:, None, None]
        ink = map_coordinates(fields[source], where, order=1)
        ink = 1 / (1 + np.exp(-edges[number] * (ink - levels[number])))
        floor = 1 / (1 + np.exp(edges[number] * levels[number]))
        pictures[number] = np.clip(265 * (ink - floor) / (1 - floor), 0, 255)
    return Examples(pictures, labels[chosen].astype(np.int64))


def _enlarged(small: np.ndarray) -> np.ndarray:
    """The 8×8 pictures, each with an empty border, as smooth fields of 0 to 1, shape (pictures, 48, 48)."""
    from scipy.ndimage import gaussian_filter1d, zoom

    bordered = np.pad(small, ((0, 0), (2, 2), (2, 2)))
    spline = zoom(np.eye(bordered.shape[1]), (_FINE, 1), order=3, grid_mode=True, mode="grid-constant")
    enlarge = gaussian_filter1d(spline, 1.2, axis=0)
    fields: np.ndarray = enlarge @ bordered @ enlarge.T
    return fields


def _centres(fields: np.ndarray) -> np.ndarray:
    """The centre of mass of each, (row, column)."""
    mass = np.clip(fields, 0, None)
    along = np.arange(fields.shape[1])
    total = mass.sum((1, 2))
    return np.stack([mass.sum(2) @ along / total, mass.sum(1) @ along / total], axis=1)


def _bent(random: np.random.Generator, count: int) -> np.ndarray:
    """Where each pixel of a picture looks in the field, from the field's centre, shape (count, 2, 28, 28).

    A random turn, slant and size, then a displacement that is smooth over the picture.
    """
    step = 8 * _FINE / 20  # the digit is 20 of 28 pixels high, as in MNIST
    turn, slant = random.normal(0, 0.1, count), random.normal(0, 0.15, count)
    height, width = random.uniform(0.85, 1.1, (2, count))
    shift = random.normal(0, 0.5, (2, count, 1, 1))
    pixel = np.arange(_SIDE) - (_SIDE - 1) / 2
    rows, columns = (grid + moved for grid, moved in zip(np.meshgrid(pixel, pixel, indexing="ij"), shift, strict=True))
    cos, sin = (f(turn)[:, None, None] for f in (np.cos, np.sin))
    down = (cos * rows - sin * columns) * height[:, None, None]
    across = (sin * rows + cos * columns) * width[:, None, None] + slant[:, None, None] * rows
    places = np.stack([down, across], axis=1)
    knots = np.linspace(pixel[0], pixel[-1], 5)
    basis = np.exp(-0.5 * ((pixel[:, None] - knots) / 5) ** 2)
    places += np.einsum("ia,ncab,jb->ncij", basis, random.normal(0, 0.6, (count, 2, 5, 5)), basis)
    return step * places


def house_numbers(count: int, random: np.random.Generator) -> Examples:
    """A digit in the middle of a coloured ground, its neighbours cut by the frame; uint8, shape (count, 3, 32, 32).

    Typefaces are Pillow's own and Matplotlib's. Classes are as frequent as in SVHN: 1 the most, then less and less.
    """
    typefaces = _typefaces()
    targets = random.choice(10, size=count, p=_SHARES).astype(np.int64)
    pictures = np.empty((count, 3, 32, 32), np.uint8)
    for number, digit in enumerate(targets):
        pictures[number] = _house_number(int(digit), typefaces, random).transpose(2, 0, 1)
    return Examples(pictures, targets)


_SHARES = np.array([68, 189, 144, 116, 102, 94, 78, 76, 69, 64]) / 1000
_CANVAS = 64
"""Side on which a picture is drawn before it is reduced to 32."""


def _typefaces() -> list[list["Image.Image"]]:
    """Each of the typefaces and weights: the ten digits as masks, cropped to their ink, some 60 pixels high."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    fonts = [(ImageFont.load_default(80), stroke) for stroke in (0, 2, 4, 6, 8)]
    fonts += [(ImageFont.truetype(folder / f"{name}.ttf", 80), stroke) for name in _FONTS for stroke in (0, 3)]
    typefaces = []
    for font, stroke in fonts:
        digits = []
        for digit in "0123456789":
            mask = Image.new("L", (160, 160))
            ImageDraw.Draw(mask).text((40, 20), digit, fill=255, font=font, stroke_width=stroke)
            digits.append(mask.crop(mask.getbbox()))
        typefaces.append(digits)
    return typefaces


_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneralBol")


def _house_number(digit: int, typefaces: list[list["Image.Image"]], random: np.random.Generator) -> np.ndarray:
    """One picture, uint8, shape (32, 32, 3)."""
    from PIL import Image, ImageFilter

    ink, shade = _inks(digit, typefaces, random)
    ground, paint = _colours(random)
    canvas = ground + _relief(random)
    canvas *= 1 - random.choice([0, 0.5]) * shade[..., None]
    canvas += ink[..., None] * (paint + _relief(random) / 2 - canvas)
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 3)))
    coarse = int(random.integers(13, 33))  # many numbers were far away from the camera
    picture = picture.resize((coarse, coarse), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BICUBIC)
    noise = random.normal(0, random.uniform(0.5, 6), (32, 32, 1)) + random.normal(0, 1.5, (32, 32, 3))
    noisy: np.ndarray = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    return noisy


def _inks(
    digit: int, typefaces: list[list["Image.Image"]], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where paint is and where its shadow is, 0 to 1, shape (64, 64): the digit and, mostly, neighbours of its kind."""
    from PIL import Image

    typeface = typefaces[random.integers(len(typefaces))]
    stretch, slant, turn = random.uniform(0.65, 1.25), random.normal(0, 0.15), random.normal(0, 0.11)
    scale = _CANVAS * random.uniform(0.55, 0.95) / typeface[digit].height
    gap = random.uniform(2, 14)
    half = typeface[digit].width / 2
    places = [(digit, 0.0)]
    for side in (-1, 1):
        if random.random() < 0.6:
            neighbour = int(random.integers(10))
            places.append((neighbour, side * (half + gap + typeface[neighbour].width / 2)))
    row = Image.new("L", (480, 120))
    for which, place in places:
        mask = typeface[which]
        row.paste(mask, (round(240 + place - mask.width / 2), round(60 - mask.height / 2)))
    middle = (_CANVAS - 1) / 2 + random.normal(0, 3, 2)

    def seen(moved: np.ndarray) -> np.ndarray:
        """The row of digits, turned, slanted and scaled, its middle at ``moved``."""
        cos, sin = np.cos(turn), np.sin(turn)
        back = np.array([[1 / stretch, slant], [0, 1]]) @ np.array([[cos, sin], [-sin, cos]]) / scale
        offset = np.array([240, 60]) - back @ moved
        coefficients = (*back[0], offset[0], *back[1], offset[1])
        turned = row.transform((_CANVAS, _CANVAS), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
        return np.asarray(turned) / 255

    return seen(middle), seen(middle + random.uniform(-4, 4, 2))


def _colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ground and paint, muted mostly, shape (3,) of 0 to 255; they differ in lightness, at times only a little."""
    contrast = random.choice([-1, 1]) * random.uniform(28, 140)
    light = random.uniform(max(20, 20 - contrast), min(235, 235 - contrast))
    tints = random.normal(0, 16, (2, 1)) * np.array([1, 0.1, -1])  # from blue to brown, as house fronts are
    tints += random.normal(0, 1, (2, 3)) * random.gamma(1, 7, (2, 1))
    return light + tints[0], light + contrast + tints[1]


def _relief(random: np.random.Generator) -> np.ndarray:
    """What light and texture add, shape (64, 64, 1): a gradient, and coarse waves in one direction."""
    row, column = np.meshgrid(*[np.linspace(-1, 1, _CANVAS)] * 2, indexing="ij")
    angle, period, phase = random.uniform(0, 2 * np.pi, 3)
    gradient = random.gamma(1.5, 10) * (np.cos(angle) * row + np.sin(angle) * column)
    direction = random.choice([row, column, row + column])
    waves = random.exponential(4) * np.sin(direction * (4 + 4 * period) + phase)
    relief: np.ndarray = (gradient + waves)[..., None]
    return relief
