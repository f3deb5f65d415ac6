"""A report as one HTML file that loads nothing, and as Markdown beside the folder's pictures."""

import base64
import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from search.report.document import Chart, Document, Picture, Table

_TEMPLATES = Path(__file__).parent
_PAGE = 7_500_000
"""Bytes of a whole page, about."""
_CELL = 100
"""Bytes of a table's cell, about."""
_AS_TEXT = 4 / 3
"""How much longer pictures are as text."""
_LARGE = 400_000
"""Bytes of a picture that is embedded as it is."""
_SIDE = 1600
"""Pixels of those that are not."""
_MARKS = re.compile(r"([\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)|^[-+#=]|(?<=^\d)[.)](?!\S))")
"""What Markdown, or HTML in it, would read as more than text."""


def html(document: Document, folder: Path) -> str:
    """One page with all that it shows inside; whatever it is opened with is told to load nothing else."""
    script = Markup((_TEMPLATES / "sorting.js").read_text(encoding="utf-8"))  # noqa: S704
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = _environment(autoescape=True)
    pictures = _Pictures(folder, int((_PAGE - _bytes_without_pictures(document)) / _AS_TEXT))
    environment.globals |= {"uri": _uri, "picture": pictures.embedded, "size": _size}
    return environment.get_template("report.html.j2").render(document=document, script=script, digest=digest)


def markdown(document: Document, folder: Path) -> str:
    """The same in short; charts are the folder's pictures, linked, or else what is to be seen in them."""
    environment = _environment(autoescape=False, finalize=_plain)
    environment.globals["has"] = lambda name: bool(name) and (folder / name).is_file()
    text = environment.get_template("report.md.j2").render(document=document)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment(**more: Any) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(  # noqa: S701 (Markdown is escaped by _plain)
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, **more
    )
    environment.filters["indented"] = lambda text: Markup("\n".join(f"    {line}" for line in text.splitlines()))  # noqa: S704
    return environment


def _plain(value: Any) -> Any:
    """A text as Markdown that shows just that, on one line."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKS.sub(r"\\\1", " ".join(value.split()))


def _uri(content: bytes, kind: str = "svg+xml") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _size(chart: Chart, *, narrow: bool) -> tuple[int, int]:
    """Width and height of a chart, in its own units."""
    root = ElementTree.fromstring(chart.narrow if narrow else chart.wide)  # noqa: S314 (ours)
    _, _, width, height = (round(float(value)) for value in root.attrib["viewBox"].split())
    return width, height


def _bytes_without_pictures(document: Document) -> float:
    blocks = [block for section in document.sections for block in section.blocks]
    charts = sum(len(block.wide) + len(block.narrow) for block in blocks if isinstance(block, Chart))
    cells = sum(len(block.rows) * len(block.columns) for block in blocks if isinstance(block, Table))
    return charts * _AS_TEXT + cells * _CELL


class _Pictures:
    """Those of a folder, made smaller where they would make the page too large."""

    def __init__(self, folder: Path, room: int) -> None:
        """``room``: bytes of all together."""
        self._folder, self._left = folder, room

    def embedded(self, picture: Picture) -> tuple[str, int, int] | None:
        """Its address, width and height; None where it can't be read, or there is no room left."""
        from PIL import Image

        try:
            content = (self._folder / picture.name).read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                kind, width, height = "png", *image.size
                if len(content) > _LARGE:
                    image.thumbnail((_SIDE, 4 * _SIDE))
                    smaller = io.BytesIO()
                    image.convert("RGB").save(smaller, "WEBP", quality=82)
                    content, kind = smaller.getvalue(), "webp"
        except (OSError, ValueError, Image.DecompressionBombError):
            return None
        if len(content) > self._left:
            return None
        self._left -= len(content)
        return _uri(content, kind), width, height
