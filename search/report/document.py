"""What a report is made of: sections of blocks, which ``rendering.py`` turns into HTML and Markdown.

All of it is plain text; what settings, classes and paths say is escaped where it is rendered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    role: Literal["plain", "note", "warning"] = "plain"
    """A note is set smaller; a warning is what one should know before one trusts a figure."""


@dataclass(frozen=True)
class Column:
    """One of a table. ``numeric``: set to the right, in figures of equal width."""

    name: str
    numeric: bool = True
    brief: bool = True
    """Whether it is in the Markdown and on paper, too."""


@dataclass(frozen=True)
class Cell:
    """What stands in a table."""

    text: str
    value: float | None = None
    """What it is sorted by; without one, the text is."""
    shade: float | None = None
    """How dark the ground is, 0 to 1."""


@dataclass(frozen=True)
class Row:
    """Of a table."""

    cells: Sequence[Cell]
    tone: Literal["plain", "strong", "quiet"] = "plain"


@dataclass(frozen=True)
class Table:
    """``stacked``: on a phone each row is a small list; else the table scrolls by itself."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    stacked: bool = False
    sortable: bool = False
    square: bool = False
    """Whether all columns but the first are equally narrow."""
    most: int | None = None
    """So many rows are in the Markdown; the others are counted there."""

    @property
    def brief(self) -> "Table":
        """Only the columns that are brief."""
        kept = [place for place, column in enumerate(self.columns) if column.brief]
        rows = [replace(row, cells=[row.cells[place] for place in kept]) for row in self.rows]
        return replace(self, columns=[self.columns[place] for place in kept], rows=rows)


@dataclass(frozen=True)
class Chart:
    """A picture drawn for the report, see ``drawn.py``."""

    kind: ClassVar[str] = "chart"
    wide: bytes
    narrow: bytes
    alt: str
    """What is to be seen, with the figures."""
    caption: str
    picture: str = ""
    """The PNG of the run's folder that shows the same, for the Markdown."""


@dataclass(frozen=True)
class Picture:
    """A PNG of the run's folder."""

    kind: ClassVar[str] = "picture"
    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]
    dense: bool = False
    """Whether many are short, so that they stand beside each other."""


@dataclass(frozen=True)
class Code:
    """Lines to be copied. ``folded``: what they are, where they are shown when asked for; the Markdown is without."""

    kind: ClassVar[str] = "code"
    text: str
    folded: str = ""


Block = Text | Table | Chart | Picture | Facts | Code


@dataclass(frozen=True)
class Section:
    """``id``: its anchor."""

    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    kicker: str
    """What it is of, and from when, above the title."""
    sentences: Sequence[str]
    """What came out, the first of them above all."""
    figures: Sequence[tuple[str, str, str]]
    """The few that matter most: name, figure, what more there is to it."""
    sections: Sequence[Section] = field(default_factory=list)


def cell(value: object, text: str | None = None) -> Cell:
    """A cell of a number or a text; nothing for None."""
    if value is None:
        return Cell(text or "")
    number = float(value) if isinstance(value, int | float) else None
    return Cell(str(value) if text is None else text, number)
