"""``index.html``: what a job was given and what it made, side by side, as one document beside the files that it shows.

It holds no script, and its policy lets a browser load nothing but pictures of the page's own place. File names, prompts
and messages are strangers' texts: each is escaped, and isolated where it could turn the direction of what is around it.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import chain, repeat
from typing import Any
from urllib.parse import quote

from bucketbrush.domain.jobs import ObjectVersion, Outcome
from bucketbrush.domain.money import said
from bucketbrush.domain.pictures import Pixels
from bucketbrush.domain.result import Picture, Result

_YEAR_10000 = 253_402_300_800  # seconds since 1970; no calendar of ours goes on
# Controls and surrogates, which no text of a document may hold (HTML standard, "Text").
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

STYLE = """
:root { color-scheme: light dark; --paper: #f6f4ef; --card: #fff; --ink: #24211d; --quiet: #645e55; --line: #ddd7cb;
  --good: #1a7145; --fair: #80560a; --bad: #ab3026; --link: #1d5a9e; }
@media (prefers-color-scheme: dark) { :root { --paper: #161513; --card: #201e1b; --ink: #eeeae3; --quiet: #aaa398;
  --line: #3a3631; --good: #6fcf9a; --fair: #e6b65c; --bad: #ff8d80; --link: #8fbcf5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: clamp(1rem, 4vw, 3rem); background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2, p, dl, dd, figure { margin: 0; }
h1 { font-size: clamp(1.5rem, 4vw, 2.25rem); line-height: 1.2; letter-spacing: -.015em; }
h2 { margin-bottom: .85rem; font-size: 1.1rem; line-height: 1.3; display: flex; flex-wrap: wrap; gap: .25rem .75rem;
  justify-content: space-between; }
.quiet { color: var(--quiet); font-weight: 400; }
header { margin-bottom: clamp(1.5rem, 4vw, 2.5rem); display: grid; gap: .6rem; }
header > p { max-width: 48rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 3px; }
.good { color: var(--good); } .fair { color: var(--fair); } .bad { color: var(--bad); }
.outcome { justify-self: start; padding: .1rem .8rem; border: 1px solid; border-radius: 2rem; font-weight: 600; }
article, .card { padding: clamp(1rem, 2.5vw, 1.6rem); background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; }
article { margin-bottom: 2rem; }
article dl { margin-top: 1.25rem; }
.cards { margin-top: clamp(1.5rem, 4vw, 2.5rem); columns: 26rem; column-gap: 1.25rem; }
.card { margin-bottom: 1.25rem; break-inside: avoid; }
.sides { display: grid; gap: 2rem; align-items: start; }
.side { display: grid; gap: 1.1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(var(--least, 8.5rem), 100%), 1fr)); }
.results { --least: 17rem; }
@media (min-width: 48rem) {
  .sides { grid-template-columns: minmax(0, 1fr) minmax(0, 2fr); }
  .sides:has(> :last-child figure:only-child) { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .sides > :only-child { grid-column: 1 / -1; } }
figure a { display: block; border-radius: .6rem; }
img { display: block; width: 100%; height: auto; max-height: 90vh; object-fit: contain; border-radius: .6rem;
  background: var(--line); box-shadow: 0 0 0 1px var(--line); }
img:not([width]) { aspect-ratio: auto 4 / 3; }
.mask img { background: repeating-conic-gradient(#8d8d8d 0 25%, #c9c9c9 0 50%) 0 0 / 1.5rem 1.5rem; }
.none { padding: 1.25rem; border: 1px dashed var(--quiet); border-radius: .6rem; color: var(--quiet); }
figcaption { margin-top: .4rem; font-size: .875rem; line-height: 1.4; }
figcaption .quiet { display: block; }
dl { display: grid; grid-template-columns: fit-content(36%) minmax(0, 1fr); gap: .35rem 1rem; font-size: .9375rem; }
dt { color: var(--quiet); }
.recipe dd { white-space: pre-wrap; unicode-bidi: plaintext; }
.card .quiet { display: block; font-size: .875rem; }
.times .quiet { display: inline-block; }
.times time { margin-inline-end: .5rem; }
.card .quiet code { word-break: break-all; }
time { font-variant-numeric: tabular-nums; }
code { font: .9em ui-monospace, monospace; }
footer { margin-top: 2rem; color: var(--quiet); font-size: .875rem; }
"""
_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# Chromium takes 'self' for the files beside a page that was opened as a file; as that has no origin, CSP does not
# promise it, and file: asks for it.
_POLICY = (
    f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Shown:
    """The names of the copies beside the page, of the references in their order; None where there is no copy."""

    references: tuple[str | None, ...]
    mask: str | None = None


def render(result: Result, shown: Shown) -> str:
    """The whole document."""
    name = _last(result.source.key) if result.source else result.job_id
    line = f", line {result.line.number:,}" if result.line else ""
    return document(
        f"{name}{line}: {result.outcome}",
        f"<h1>{user_text(name)}{line}</h1>\n{_ending(result)}",
        f'<div class="sides">\n{_given(result, shown)}{_made(result)}</div>\n'
        '<div class="cards">\n'
        f"{_card('Recipe', _recipe(result))}"
        f"{_card('Times', facts(_times(result)))}"
        f"{_card('Task and cost', facts(_task(result)))}"
        f"{_card('Origin', facts(_origin(result)))}"
        "</div>\n",
        '<p>All that is known of this job, for programs: <a href="./result.json">result.json</a></p>\n',
    )


def document(title: str, header: str, main: str, footer: str) -> str:
    """An HTML document in our style; all but ``title`` is HTML."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
{header}</header>
<main>
{main}</main>
<footer>
{footer}</footer>
</body>
</html>
"""


def figure(path: str | None, alt: str, caption: str, pixels: Pixels | None = None) -> str:
    """A picture that leads to its file; ``path`` leads there from the page, with slashes. ``caption`` is HTML.

    Without a path, or with one that could lead out of the page's folder, it says that there is no copy.
    """
    if not path or path.endswith("/") or {".", ".."} & {*path.split("/")}:
        picture = '<p class="none">No copy of this picture lies beside this page.</p>'
    else:
        # Never another scheme or host, whatever the file is called.
        address = text("./" + quote(path.encode(errors="replace"), safe="/"))
        size = f' width="{pixels.width}" height="{pixels.height}"' if pixels else ""
        picture = f'<a href="{address}"><img src="{address}" alt="{text(alt)}"{size}></a>'
    return f"<figure>{picture}\n<figcaption>{caption}</figcaption></figure>\n"


def facts(rows: Iterable[tuple[str, str | None]]) -> str:
    """A list of names and what is known of each, which is HTML; what is not known is left out."""
    known = (f'<dt>{user_text(name)}</dt><dd dir="auto">{value}</dd>\n' for name, value in rows if value is not None)
    return f"<dl>\n{''.join(known)}</dl>\n"


def text(value: object) -> str:
    """Any text as HTML, for elements and quoted attributes.

    Line ends become line feeds, as browsers make them; what no document may hold becomes U+FFFD.
    """
    lines = str(value).replace("\r\n", "\n").replace("\r", "\n")
    return escape(_UNWRITABLE.sub("\ufffd", lines))


def user_text(value: object) -> str:
    """Text that may run from right to left, without an effect on what is around it."""
    return f"<bdi>{text(value)}</bdi>"


def _ending(result: Result) -> str:
    tone = {Outcome.COMPLETED: "good", Outcome.PARTIAL: "fair"}.get(result.outcome, "bad")
    cost = None if result.billed_usd is None else _usd(result.billed_usd)
    glance = [_count(len(result.pictures), "picture"), _lasting(result.ended_at - _began(result)), cost]
    return (
        f'<p class="outcome {tone}">{text(result.outcome)}</p>\n'
        f'<p dir="auto">{text(result.message)}</p>\n'
        f'<p class="quiet">{" &middot; ".join(filter(None, glance))}</p>\n'
    )


def _given(result: Result, shown: Shown) -> str:
    """The references and the mask; nothing for a job without."""
    total = len(result.references)
    names = chain(shown.references, repeat(None))
    figures = [
        _given_figure(_numbered("Reference", number, total), version, name)
        for number, (version, name) in enumerate(zip(result.references, names, strict=False), 1)
    ]
    if result.mask:
        figures.append(f'<div class="mask">\n{_given_figure("Mask", result.mask, shown.mask)}</div>\n')
    return _side("given", "References and mask" if result.mask else "References", "", figures) if figures else ""


def _given_figure(what: str, version: ObjectVersion, name: str | None) -> str:
    size = "" if version.size is None else f", {_size(version.size)}"
    caption = f'{user_text(_last(version.key))} <span class="quiet">{what}{size}</span>'
    return figure(name, f"{what}: {_last(version.key)}", caption)


def _made(result: Result) -> str:
    total, asked = len(result.pictures), (result.recipe or {}).get("n")
    figures = [_made_figure(_numbered("Result", number, total), one) for number, one in enumerate(result.pictures, 1)]
    lacking = f"{total} of {asked}" if isinstance(asked, int) and 0 < total < asked else ""
    none = '<p class="none">This job has no pictures.</p>\n'
    return _side("results", "Results", lacking, figures or [none])


def _made_figure(what: str, picture: Picture) -> str:
    name = _last(picture.key)
    pixels = picture.pixels
    size = f"{pixels.width} &times; {pixels.height} pixels, " if pixels else ""
    caption = f'{user_text(name)} <span class="quiet">{size}{picture.format.name}, {_size(picture.bytes)}</span>'
    return figure(name, f"{what}: {name}", caption, pixels)


def _side(name: str, title: str, note: str, figures: Iterable[str]) -> str:
    heading = f"<span>{title}</span>" + (f' <span class="quiet">{note}</span>' if note else "")
    return (
        f'<section class="{name}" aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n'
        f'<div class="side">\n{"".join(figures)}</div>\n</section>\n'
    )


def _card(title: str, content: str) -> str:
    name = title.partition(" ")[0].lower()
    return (
        f'<section class="card {name}" aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{content}</section>\n'
    )


def _recipe(result: Result) -> str:
    if not result.recipe:
        return '<p class="quiet">The job ended before it had a recipe.</p>\n'
    return facts((name, text(_written(value))) for name, value in result.recipe.items())


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _times(result: Result) -> Iterator[tuple[str, str | None]]:
    moments = {
        "Requested": result.requested_at,
        "Accepted": result.created_at,
        "Sent": result.submitting_at,
        "Task accepted": result.submitted_at,
        "Task created": result.task_created_at,
        "Task completed": result.task_completed_at,
        "Ended": result.ended_at,
    }
    for name, seconds in moments.items():
        yield name, None if seconds is None else _moment(seconds, seconds - _began(result))
    late = result.lateness_seconds
    yield "Seen done", None if late is None else f"{_lasting(late)} after its completion"


def _began(result: Result) -> int:
    return result.created_at if result.requested_at is None else result.requested_at


def _task(result: Result) -> Iterator[tuple[str, str | None]]:
    yield "Task", _code(result.task_id)
    yield "Attempt", f"{result.attempt}{f', again of {_code(result.again_of)}' if result.again_of is not None else ''}"
    yield "Sent again", _count(result.resends, "time") if result.resends else None
    yield "Model asked", _code(result.model)
    yield "Model that answered", _code(result.model_answered)
    yield "Polls", f"{result.polls:,}"
    yield "Billed", None if result.billed_usd is None else _usd(result.billed_usd)
    yield "Estimated", None if result.estimated_usd is None else _usd(result.estimated_usd)
    yield "Money", text(result.money)
    yield "Reason", _code(result.reason)


def _origin(result: Result) -> Iterator[tuple[str, str | None]]:
    yield "Job", _code(result.job_id)
    yield "Source", _version(result.source)
    yield "Batch", _code(result.batch)
    yield "Line", f"{result.line.number:,}" if result.line else None
    yield "Preset", None if result.preset is None else user_text(result.preset)
    yield "Preset's file", _version(result.preset_version)
    yield "Sidecar", _version(result.sidecar)
    for number, reference in enumerate(result.references, 1):
        if result.source is None or reference.uri != result.source.uri:
            yield _numbered("Reference", number, len(result.references)), _version(reference)
    yield "Mask", _version(result.mask)


def _version(version: ObjectVersion | None) -> str | None:
    if version is None:
        return None
    known = {"version": version.version_id, "ETag": version.etag, "checksum": version.checksum}
    details = [f"{name} {_code(value)}" for name, value in known.items() if value is not None]
    return f"{_code(version.uri)}" + "".join(f'<span class="quiet">{detail}</span>' for detail in details)


def _code(value: str | None) -> str | None:
    return None if value is None else f"<code>{user_text(value)}</code>"


def _moment(seconds: int, since: int) -> str:
    """A time in UTC, and how long it came after the first."""
    if not 0 <= seconds < _YEAR_10000:
        return f"{seconds:,} s since 1970"
    moment = datetime.fromtimestamp(seconds, UTC)
    after = f' <span class="quiet">{_lasting(since)} later</span>' if since else ""
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>{after}'


def _lasting(seconds: int) -> str:
    """A duration in its two largest units."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    parts = [(seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((place for place, (value, _) in enumerate(parts) if value), 2)
    return sign + " ".join(f"{value:,} {unit}" for value, unit in parts[first : first + 2])


def _numbered(what: str, number: int, total: int) -> str:
    return what if total == 1 else f"{what} {number} of {total}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f}&nbsp;{name}"
    return _count(size, "byte")


def _usd(amount: float) -> str:
    return said(round(amount * 1_000_000))


def _last(key: str) -> str:
    """The file's name in a key."""
    return key.rpartition("/")[2] or key
