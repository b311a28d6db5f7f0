"""A page as a browser would read it."""

from __future__ import annotations

from html.parser import HTMLParser


class Reading(HTMLParser):
    """The elements of a page with their attributes, and the texts of each kind of element, inner ones included."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[tuple[str, int]] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in ("meta", "img"):
            texts = self.texts.setdefault(tag, [])
            self._open.append((tag, len(texts)))
            texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, number in self._open:
            self.texts[tag][number] += data

    @property
    def structure(self) -> list[tuple[str, list[str]]]:
        """What a harmless and a hostile page have in common."""
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes.get(name) for found, attributes in self.elements if found == tag]
