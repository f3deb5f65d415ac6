"""What a page of HTML loads and has."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Page(HTMLParser):
    """Reads one."""

    html: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._inside = ""
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles.append(data)
        elif self._inside != "script":
            self.text += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def loads(self) -> list[str]:
        """Addresses that are neither inside the page nor places of it."""
        names = ("src", "srcset", "href", "data", "action", "poster", "background", "xlink:href", "formaction")
        found = [value or "" for _, attributes in self.tags for name, value in attributes.items() if name in names]
        inline = [value or "" for _, attributes in self.tags for name, value in attributes.items() if name == "style"]
        found += ["a style loads" for style in [*self.styles, *inline] if "url(" in style or "@import" in style]
        return [address for address in found if not address.startswith(("data:", "#"))]
