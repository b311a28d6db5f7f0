"""The demo's page shows hostile names and prompts as text."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from local.page import Entry, Shown, page
from tests.unit.pages import Reading

HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert("2")'>&amp;{}"""
# Readers of HTML may change these by themselves: line ends, and characters that no document may hold.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"))).map(str.strip)
PATHS = TEXTS.map(lambda text: f"inbox/{text}.png").filter(lambda path: not {".", ".."} & {*path.split("/")})


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
    assert read.structure == harmless.structure
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
    policies = [content for content in read.attributes("meta", "content") if content and "default-src" in content]
    assert [policy.partition("; style-src ")[0] for policy in policies] == ["default-src 'none'; img-src 'self' file:"]
    assert read.attributes("html", "lang") == ["en"]
    assert "script" not in read.texts
    assert "width=device-width, initial-scale=1" in read.attributes("meta", "content")


def test_references_stand_left_of_results_and_facts_below() -> None:
    left, right = Shown("inbox/a.png", "before", "Reference"), Shown("results/1.png", "after", "Result 1")
    html = page("t", "s", [Entry("a.png", "completed", True, (left,), (right,), {"Prompt": "make it blue"})])
    places = [html.index(text) for text in ("inbox/a.png", "results/1.png", "make it blue")]
    assert places == sorted(places)
    assert '<span class="good">completed</span>' in html
