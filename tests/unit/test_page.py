"""The demo's page shows hostile names and prompts as text."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from local.page import Entry, Shown, page

HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert("2")'>&amp;{}"""
# Readers of HTML may change these by themselves: line ends, and characters that no document may hold.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"))).map(str.strip)
PATHS = TEXTS.map(lambda text: f"inbox/{text}")


class Reading(HTMLParser):
    """What a browser would find: elements with their attributes, and the texts of some."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes.get(name) for found, attributes in self.elements if found == tag]


def entry(text: str, path: str = "inbox/cat.png") -> Entry:
    picture = Shown(path, text, text)
    return Entry(text, text, good=False, references=(picture,), results=(picture,), facts={text: text})


@given(text=TEXTS, path=PATHS)
@example(text=HOSTILE, path=f"inbox/{HOSTILE}")
@example(text="javascript:alert(1)", path="javascript:alert(1)//x.png")
@example(text="ok", path="//elsewhere.example/x?y#z")
def test_every_text_stays_text(text: str, path: str) -> None:
    read = Reading(page(text, text, [entry(text, path)]))
    harmless = Reading(page("a", "a", [entry("a")]))
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(found) for _, found in read.elements] == [sorted(found) for _, found in harmless.elements]
    assert read.texts["title"] == [text]
    assert read.texts["dt"] == read.texts["dd"] == [text]
    assert read.attributes("img", "alt") == [text, text]


@given(path=PATHS)
@example(path="javascript:alert(1)//x.png")
@example(path="//elsewhere.example/x?y#z")
@example(path="inbox/100 % cat #1?.png")
def test_a_picture_is_loaded_from_beside_the_page_and_nowhere_else(path: str) -> None:
    source = Reading(page("a", "a", [entry("a", path)])).attributes("img", "src")[0]
    assert source is not None
    there = urlsplit(urljoin("http://page.example/demo/index.html", source))
    assert (there.netloc, there.query, there.fragment) == ("page.example", "", "")
    assert unquote(urlsplit(source).path) == f"./{path}"


def test_the_page_allows_itself_no_script_and_no_other_host() -> None:
    read = Reading(page("a", "a", [entry("a")]))
    policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
    assert policy in read.attributes("meta", "content")
    assert read.attributes("html", "lang") == ["en"]
    assert "script" not in read.texts
    assert "width=device-width, initial-scale=1" in read.attributes("meta", "content")


def test_references_stand_left_of_results_and_facts_below() -> None:
    left, right = Shown("inbox/a.png", "before", "Reference"), Shown("results/1.png", "after", "Result 1")
    html = page("t", "s", [Entry("a.png", "completed", True, (left,), (right,), {"Prompt": "make it blue"})])
    places = [html.index(text) for text in ("inbox/a.png", "results/1.png", "make it blue")]
    assert places == sorted(places)
    assert '<span class="good">completed</span>' in html
