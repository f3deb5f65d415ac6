"""Examples without labels, read from a file of one's own for a model that is there already."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.decoding import BrokenPictureError, Fit, decode
from datasets.errors import UserError
from datasets.tables import number_of, rows_of

_PICTURE = 3
_ROWS = 1000


@dataclass(frozen=True)
class Form:
    """What a model takes. ``shape``: of one example; ``dtype``: uint8 (0 to 255) or float32.

    Float pictures are of 0 to 1. ``fit``: how a picture that is not square is made so, see ``decoding.decode``.
    """

    shape: tuple[int, ...]
    dtype: str
    fit: Fit = "crop"


@dataclass(frozen=True)
class Unlabelled:
    """Some examples of a file: ``inputs``, shape (examples, ...), and in which ``places`` of it they stand.

    A place is the number of a line, from 1, or of an example of an array, from 0; empty for what is a file's all.
    """

    path: Path
    inputs: np.ndarray
    places: list[int]


def read(path: Path, form: Form) -> Iterator[Unlabelled]:
    """What a file holds: a picture; points, a row each; or an array of examples (.npy), one or several.

    A picture is made what the model takes: so large, grey or in colour, of its type. Points may have a header; a label
    is not to be there.

    Raises:
        UserError: a file that is absent, none of that, or of another shape.
    """
    if path.suffix.lower() == ".npy":
        inputs = _array(path, form)
        if inputs.shape == form.shape:
            yield Unlabelled(path, inputs[None], [])
            return
        for start in range(0, len(inputs), _ROWS):
            part = inputs[start : start + _ROWS]
            yield Unlabelled(path, part, list(range(start, start + len(part))))
    elif len(form.shape) == _PICTURE:
        yield Unlabelled(path, _picture(path, form)[None], [])
    else:
        yield _points(path, form)


def _content(path: Path) -> bytes:
    try:
        if path.is_fifo():  # it would be waited for
            raise UserError(f"{path} is a pipe; a file is expected")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _picture(path: Path, form: Form) -> np.ndarray:
    from PIL import Image

    channels, height, width = form.shape
    if channels not in (1, 3) or height != width:
        raise UserError(f"{path}: the model takes {_said(form.shape)}, no square pictures; give arrays (.npy)")
    try:
        pixels = decode(_content(path), height, form.fit)
    except BrokenPictureError as error:
        raise UserError(f"{path}: {error}") from None
    if channels == 1:
        pixels = np.asarray(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).convert("L"))[None]
    return pixels if form.dtype == "uint8" else pixels.astype(np.float32) / 255


def _points(path: Path, form: Form) -> Unlabelled:
    if len(form.shape) != 1:
        raise UserError(f"{path}: the model takes {_said(form.shape)}; give arrays (.npy)")
    (features,) = form.shape
    rows = rows_of(str(path), _content(path), least=1)
    first, cells = rows[0]
    if len(cells) != features:
        raise UserError(
            f"{path}: line {first}: {len(cells)} columns, where the model takes {features} numbers and no label"
        )
    if len(rows) > 1 and not any(_number(cell) is not None for cell in cells):
        rows = rows[1:]
    values = []
    for line, cells in rows:
        for cell in cells:
            number = _number(cell)
            with np.errstate(over="ignore"):
                if number is None or not np.isfinite(np.float32(number)):
                    raise UserError(f"{path}: line {line}: {cell!r} is not a finite 32-bit number")
            values.append(number)
    return Unlabelled(path, np.array(values, np.float32).reshape(-1, features), [line for line, _ in rows])


def _number(cell: str) -> float | None:
    try:
        return number_of(cell)
    except ValueError:
        return None


def _array(path: Path, form: Form) -> np.ndarray:
    """Of a floating type where the model takes floats, of whole numbers of 0 to 255 where it takes uint8."""
    import io

    try:
        found = np.load(io.BytesIO(_content(path)), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array as numpy.save writes it: {' '.join(str(error).split())}") from None
    if found.shape != form.shape and found.shape[1:] != form.shape:
        raise UserError(f"{path}: an array of {_said(found.shape)}; the model takes {_said(('n', *form.shape))}")
    whole = form.dtype == "uint8"
    if found.dtype.kind not in ("iu" if whole else "f"):
        wanted = "whole numbers of 0 to 255" if whole else "float32"
        raise UserError(f"{path}: an array of {found.dtype}; the model takes {wanted}")
    if whole and found.size and not (found.min() >= 0 and found.max() <= 255):
        raise UserError(f"{path}: numbers of {found.min()} to {found.max()}; the model takes 0 to 255")
    with np.errstate(over="ignore"):
        inputs = found.astype(form.dtype)
    if not np.isfinite(inputs).all():
        raise UserError(f"{path}: not all of its numbers are finite ones of 32 bits")
    result: np.ndarray = inputs
    return result


def _said(shape: tuple[int | str, ...]) -> str:
    return "×".join(map(str, shape)) or "no dimension"
