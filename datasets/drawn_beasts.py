"""Four-legged animals, side-on, of circles and what joins them."""

from dataclasses import dataclass

import numpy as np

from datasets.drawn_scenes import Colour, Figure, turned, varied


@dataclass(frozen=True)
class _Build:
    """A four-legged animal, side-on, its shoulder 1 above the ground; lengths are shares of that height."""

    coats: tuple[Colour, ...]
    length: float
    chest: float
    belly: float
    rump: float
    legs: tuple[float, float]
    """Half the thickness above and below."""
    neck: tuple[float, float]
    """Length, half the thickness."""
    held: tuple[float, float]
    """The least and largest angle of the neck to the ground, degrees."""
    head: float
    snout: tuple[float, float]
    """Length, half the thickness of its end."""
    ears: float
    tail: float = 0.0
    pointed: bool = True
    underside: Colour | None = None


_BUILDS = {
    "amur leopard": _Build(
        ((206, 160, 92), (222, 184, 122)), 1.3, 0.27, 0.24, 0.26, (0.11, 0.075), (0.36, 0.18), (-10, 35), 0.17,
        (0.14, 0.09), 0.07, 1.15, pointed=False, underside=(236, 222, 196),
    ),
    "amur tiger": _Build(
        ((214, 124, 44), (204, 134, 66)), 1.4, 0.31, 0.29, 0.3, (0.125, 0.085), (0.36, 0.21), (-10, 30), 0.21,
        (0.16, 0.11), 0.08, 1.0, pointed=False, underside=(240, 228, 210),
    ),
    "black bear": _Build(
        ((30, 28, 30), (40, 36, 36)), 1.0, 0.33, 0.32, 0.35, (0.15, 0.1), (0.38, 0.24), (-30, 25), 0.23,
        (0.22, 0.11), 0.11, pointed=False,
    ),
    "brown bear": _Build(
        ((104, 70, 44), (132, 94, 58), (80, 54, 38)), 1.15, 0.34, 0.32, 0.34, (0.15, 0.105), (0.4, 0.25), (-30, 15),
        0.25, (0.25, 0.13), 0.08, pointed=False,
    ),
    "dog": _Build(
        ((196, 164, 116), (48, 42, 40), (226, 220, 208), (128, 90, 58)), 0.95, 0.25, 0.19, 0.21, (0.1, 0.055),
        (0.4, 0.14), (25, 65), 0.16, (0.24, 0.075), 0.17, 0.6,
    ),
    "roe deer": _Build(
        ((168, 108, 66), (150, 112, 84)), 0.85, 0.21, 0.2, 0.22, (0.075, 0.03), (0.55, 0.085), (35, 75), 0.1,
        (0.19, 0.05), 0.2,
    ),
    "sika deer": _Build(
        ((166, 96, 48), (142, 90, 54)), 0.95, 0.24, 0.23, 0.24, (0.085, 0.036), (0.55, 0.11), (25, 65), 0.11,
        (0.22, 0.055), 0.16, underside=(212, 188, 156),
    ),
    "wild boar": _Build(
        ((74, 64, 56), (92, 80, 68), (58, 50, 46)), 1.1, 0.36, 0.31, 0.28, (0.09, 0.045), (0.3, 0.27), (-35, -5), 0.22,
        (0.46, 0.075), 0.15, 0.35,
    ),
}  # fmt: skip


def draw(name: str, size: tuple[int, int], place: np.ndarray, random: np.random.Generator, *, night: bool) -> Figure:
    """An animal, walking or standing, in a coat that its kind may have; at night its eye is bright."""
    build = _BUILDS[name]
    coat = varied(build.coats[random.integers(len(build.coats))], random)
    figure = Figure(size, place, coat)
    front, back = build.length / 2, -build.length / 2
    chest, rump = 1 - build.chest, 0.97 - build.rump
    steps = random.uniform(-0.22, 0.22, 4)
    for step, shift in zip(steps[:2], (front - 0.1, back + 0.02), strict=True):
        _leg(figure, 0.75 * coat, build, shift, step, chest if shift > 0 else rump)
    if build.tail:
        _tail(figure, name, coat, build, (back - 0.7 * build.rump, rump + 0.6 * build.rump), random)
    middle = (chest + rump) / 2 + (0.06 if name == "dog" else 0)
    figure.limb(coat, (back, rump, build.rump), (0, middle, build.belly), (front, chest, build.chest))
    if name == "brown bear":
        figure.limb(coat, (front - 0.05, 0.85, 0.22))
    if build.underside is not None:
        low = middle - build.belly
        figure.limb(0.3 * coat + 0.7 * np.array(build.underside), (back, low, 0.06), (front, low, 0.09), within=True)
    for step, shift in zip(steps[2:], (front - 0.02, back - 0.04), strict=True):
        _leg(figure, coat, build, shift, step, chest if shift > 0 else rump)
    grazing = name in _ANTLERS and random.random() < 0.2
    length, thick = build.neck
    angle = np.radians(random.uniform(-50, -30) if grazing else random.uniform(*build.held))
    root = np.array([front + 0.3 * build.chest, 0.92 - 0.4 * build.chest])
    skull = root + length * np.array([np.cos(angle), np.sin(angle)])
    figure.limb(coat, (*root, 1.5 * thick), (*skull, thick))
    _markings(figure, name, build, random)
    nod = random.uniform(-0.9, -0.6) if grazing else random.uniform(-0.5, -0.1)
    _head(figure, name, coat, build, skull, turned(nod), random, night=night)
    return figure


def _leg(figure: Figure, colour: np.ndarray, build: _Build, x: float, step: float, hip: float) -> None:
    upper, lower = build.legs
    bend = 0.08 if x > 0 else -0.1  # knees bend forwards, hocks backwards
    joint = (x + 0.6 * step + bend, 0.34, lower)
    figure.limb(
        colour, (x, hip, 1.7 * upper), (x + 0.3 * step, 0.5 * hip + 0.15, upper), joint, (x + step, lower, lower)
    )
    figure.limb(0.8 * colour, (x + step, lower, lower), (x + step + 0.06, lower, 0.9 * lower))


def _tail(
    figure: Figure, name: str, coat: np.ndarray, build: _Build, root: tuple[float, float], random: np.random.Generator
) -> None:
    along = np.linspace(0, 1, 7)
    if name == "dog":
        angle = 2.4 - random.uniform(0, 2.6) * along
    elif name == "wild boar":
        angle = np.full(7, -1.8)
    else:  # down, then up at the end
        angle = np.interp(along, [0, 0.5, 1], [3.7, 4.2, random.uniform(2.0, 3.6)])
    joints = root + np.cumsum(build.tail / 7 * np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
    thick = 0.02 if name == "wild boar" else 0.058
    figure.limb(coat, *((*joint, thick) for joint in joints))
    if name.startswith("amur"):
        for joint in joints[1 :: 1 if name == "amur tiger" else 2]:
            figure.limb(_BLACK, (*joint, 0.035), within=True)


def _markings(figure: Figure, name: str, build: _Build, random: np.random.Generator) -> None:
    """The pattern of the coat."""
    front, back, high = build.length / 2 + build.chest, -build.length / 2 - build.rump, 1.02
    if name == "amur tiger":
        for x in np.arange(back, front + 0.2, 0.115):
            end, lean = random.uniform(0.42, 0.72), random.normal(0.04, 0.05)
            middle = (x + lean + 0.03, (high + end) / 2, 0.028)
            figure.limb(_BLACK, (x, high + 0.05, 0.02), middle, (x + lean, end, 0.006), within=True)
    elif name == "amur leopard":
        for x in np.arange(back - 0.2, front + 0.2, 0.13):
            for y in np.arange(0.42, high + 0.15, 0.12):
                spot = (x + random.normal(0, 0.02) + 0.5 * (y - 0.42), y + random.normal(0, 0.02))
                figure.limb(_BLACK, (*spot, 0.05), within=True)
                figure.limb((150, 100, 50), (*spot, 0.02), within=True)
    elif name == "sika deer":
        for x in np.arange(back + 0.1, front - 0.1, 0.12):
            for y in (0.68, 0.79, 0.9):
                across, up = random.normal(0, 0.018, 2)
                figure.limb((246, 238, 222), (x + across, y + up, random.uniform(0.02, 0.034)), within=True)
        _mirror(figure, build, 0.13, (40, 30, 26))
    elif name == "roe deer":
        _mirror(figure, build, 0.11, None)
    elif name == "wild boar":
        for x in np.arange(-0.3, 0.7, 0.05):
            figure.shape((44, 38, 34), [(x - 0.05, 0.9), (x + 0.05, 0.9), (x - 0.06, random.uniform(1.0, 1.08))])
    elif name == "dog" and random.random() < 0.5:
        saddle = varied((60, 48, 40) if random.random() < 0.5 else (225, 220, 212), random)
        figure.limb(saddle, (random.uniform(-0.7, -0.3), 0.8, 0.2), (random.uniform(0.1, 0.6), 0.82, 0.18), within=True)


def _mirror(figure: Figure, build: _Build, radius: float, rim: Colour | None) -> None:
    """The white rump of deer."""
    place = (-build.length / 2 - 0.75 * build.rump, 0.97 - 0.8 * build.rump)
    if rim is not None:
        figure.oval(rim, place, (0.9 * radius + 0.03, 1.4 * radius + 0.03), within=True)
    figure.oval((244, 240, 230), place, (0.9 * radius, 1.4 * radius), within=True)


def _head(
    figure: Figure,
    name: str,
    coat: np.ndarray,
    build: _Build,
    skull: np.ndarray,
    axes: np.ndarray,
    random: np.random.Generator,
    *,
    night: bool,
) -> None:
    """``axes`` are its directions, forwards and up."""
    size = build.head

    def at(forward: float, up: float) -> np.ndarray:
        """A place of the head, whose half height is 1."""
        place: np.ndarray = skull + size * axes @ np.array([forward, up])
        return place

    if random.random() < 0.6:
        for start, end in _ANTLERS.get(name, ()):
            figure.limb((176, 154, 122), (*at(*start), 0.024), (*at(*end), 0.012))
    _ear(figure, 0.75 * coat, build, at(-0.1, 0.6), axes)
    reach, narrow = build.snout
    nose = at(reach / size, -0.2)
    figure.limb(coat, (*skull, size), (*nose, narrow))
    muzzle = _MUZZLES.get(name, build.underside)
    if muzzle is not None:
        figure.limb(muzzle, (*(nose - (0, 0.2 * narrow)), 0.85 * narrow))
    figure.limb((30, 24, 24), (*(nose + axes @ (0.7 * narrow, 0.3 * narrow)), 0.35 * narrow))
    if name == "amur tiger":
        for forward in (-0.7, -0.3, 0.1):
            figure.limb(_BLACK, (*at(forward, 0.9), 0.02), (*at(forward + 0.1, 0.2), 0.008), within=True)
    elif name == "amur leopard":
        for forward, up in random.uniform(-0.8, 0.6, (8, 2)):
            figure.limb(_BLACK, (*at(forward, up), 0.022), within=True)
    elif name == "wild boar":
        figure.shape((232, 224, 200), [at(0.9, -0.4), at(1.15, -0.4), at(1.15, 0.2)])
    elif name == "black bear":
        figure.oval((214, 198, 166), (skull[0] - 0.32, skull[1] - 0.3), (0.05, 0.13), 0.5, within=True)
    _ear(figure, coat, build, at(-0.4, 0.6), axes)
    if night:
        figure.limb((255, 255, 255), (*at(0.4, 0.3), 0.035))
    else:
        figure.limb((18, 14, 12), (*at(0.4, 0.3), 0.022))


def _ear(figure: Figure, colour: np.ndarray, build: _Build, root: np.ndarray, axes: np.ndarray) -> None:
    tall = build.ears
    if build.pointed:
        figure.shape(
            colour, [root + axes @ (0.35 * tall * x, tall * y) for x, y in ((-1, -0.3), (1, -0.1), (-1.1, 1.1))]
        )
    else:
        figure.limb(colour, (*(root + axes @ (0, 0.9 * tall)), tall))


_MUZZLES: dict[str, Colour] = {"black bear": (128, 98, 70), "dog": (84, 68, 56), "wild boar": (66, 58, 54)}
_BLACK = (32, 24, 20)
_ANTLERS: dict[str, tuple[tuple[tuple[float, float], tuple[float, float]], ...]] = {  # branches: foot and tip
    "roe deer": (((-0.2, 0.8), (-0.6, 3)), ((-0.4, 1.8), (0.1, 2.5))),
    "sika deer": (
        ((-0.2, 0.8), (-1.6, 2.6)), ((-1.6, 2.6), (-1.2, 5)), ((-0.4, 1.2), (0.7, 2.2)), ((-1.5, 3), (-0.1, 3.7)),
        ((-0.1, 0.8), (-0.6, 2.8)), ((-0.6, 2.8), (-0.2, 4.6)),
    ),
}  # fmt: skip
