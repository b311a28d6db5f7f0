"""The side-by-side page of a demo: one HTML file without a script, beside the pictures that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STYLE = """
:root { color-scheme: light dark; --paper: #f6f4ef; --card: #fff; --ink: #24211d; --quiet: #6d675e; --line: #e2ddd3;
  --good: #1c7a4a; --bad: #b3362b; }
@media (prefers-color-scheme: dark) { :root { --paper: #171614; --card: #211f1c; --ink: #eeeae3; --quiet: #a49d92;
  --line: #38342f; --good: #6fcf9a; --bad: #ff8d80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: clamp(1rem, 4vw, 3rem); background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: clamp(1.5rem, 4vw, 2.2rem); line-height: 1.2; }
header p { margin: .4rem 0 2rem; color: var(--quiet); }
article { margin: 0 0 2rem; padding: clamp(1rem, 2.5vw, 1.75rem); background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem; }
h2 { margin: 0 0 1rem; font-size: 1.15rem; display: flex; flex-wrap: wrap; gap: .25rem .75rem;
  justify-content: space-between; }
.good { color: var(--good); } .bad { color: var(--bad); }
.sides { display: grid; gap: 1.25rem; align-items: start; }
@media (min-width: 44rem) { .sides { grid-template-columns: 1fr 1fr; } }
.side { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; border-radius: .5rem; background: var(--line); }
figcaption { margin-top: .35rem; color: var(--quiet); font-size: .875rem; }
dl { margin: 1.25rem 0 0; display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem;
  font-size: .9375rem; }
dt { color: var(--quiet); } dd { margin: 0; }
"""


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
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
</header>
<main>
{"".join(map(_article, entries))}</main>
</body>
</html>
"""


def _article(entry: Entry) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in entry.facts.items())
    tone = "good" if entry.good else "bad"
    return f"""<article>
<h2><span>{escape(entry.title)}</span> <span class="{tone}">{escape(entry.outcome)}</span></h2>
<div class="sides">
<div class="side">
{_figures(entry.references)}</div>
<div class="side">
{_figures(entry.results)}</div>
</div>
<dl>
{facts}</dl>
</article>
"""


def _figures(pictures: Iterable[Shown]) -> str:
    return "".join(
        f'<figure><img src="{_source(picture.path)}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>\n"
        for picture in pictures
    )


def _source(path: str) -> str:
    """A path as a relative URL: never another scheme or host, whatever the file is called."""
    return escape("./" + quote(path, safe="/"))
