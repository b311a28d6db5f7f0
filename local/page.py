"""The side-by-side page of a demo, in the style of the pages beside results: its jobs one below the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucketbrush.domain.page import document, facts, figure, text, user_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Shown:
    """A picture on the page. ``path`` leads from the page to the file, with slashes."""

    path: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Entry:
    """A job on the page: its references on the left, its results on the right, and facts by name below."""

    title: str
    outcome: str
    good: bool
    references: tuple[Shown, ...]
    results: tuple[Shown, ...]
    facts: Mapping[str, str]


def page(title: str, summary: str, entries: Iterable[Entry]) -> str:
    """The whole page. Every text may hold anything: all of it is escaped."""
    header = f'<h1>{text(title)}</h1>\n<p class="quiet">{text(summary)}</p>\n'
    return document(title, header, "".join(map(_article, entries)), "<p>Made by <code>make demo</code>.</p>\n")


def _article(entry: Entry) -> str:
    tone = "good" if entry.good else "bad"
    return f"""<article>
<h2>{user_text(entry.title)} <span class="{tone}">{text(entry.outcome)}</span></h2>
<div class="sides">
<div class="side">
{_figures(entry.references)}</div>
<div class="side results">
{_figures(entry.results)}</div>
</div>
{facts((name, text(value)) for name, value in entry.facts.items())}</article>
"""


def _figures(pictures: Iterable[Shown]) -> str:
    return "".join(figure(picture.path, picture.alt, text(picture.caption)) for picture in pictures)
