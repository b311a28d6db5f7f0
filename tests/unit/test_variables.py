"""Variables in a preset's texts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.domain import variables

VALUES = {"stem": "cat", "folder": "a/b", "date": "2026-11-21", "metadata.season": "spring"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a {stem} of {folder}", "a cat of a/b"),
        ("{date}{metadata.season}", "2026-11-21spring"),
        ("{{stem}} is {stem}", "{stem} is cat"),
        ('as JSON: {"a": {"b": 1}}', 'as JSON: {"a": {"b": 1}}'),
        ("{ stem } {} {{}} {1}", "{ stem } {} {{}} {1}"),
        ("none", "none"),
    ],
)
def test_texts_are_filled(text: str, filled: str) -> None:
    assert (variables.unknown(text), variables.missing(text, VALUES)) == ([], [])
    assert variables.filled(text, VALUES) == filled


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a {colour} {stem}", ["{colour}"]),
        ("{Stem} {stem.x} {metadata} {metadata.}", ["{Stem}", "{stem.x}", "{metadata}", "{metadata.}"]),
        ("{{colour}}", []),
        ("{" + "x" * 90 + "}", ["{" + "x" * 60 + "}"]),
    ],
)
def test_an_unknown_one_is_named(text: str, unknown: list[str]) -> None:
    assert variables.unknown(text) == unknown


def test_one_without_a_value_is_named() -> None:
    assert variables.missing("{metadata.season} {metadata.mood} {stem}", VALUES) == ["{metadata.mood}"]
    assert variables.uses_metadata("{metadata.mood}")
    assert not variables.uses_metadata("{{metadata.mood}} {stem}")


@given(st.text())
@example("{folder}")
def test_what_a_value_holds_is_never_a_variable(value: str) -> None:
    text = variables.filled("<{stem}>", {"stem": value, "folder": "another value"})
    assert text == f"<{value}>"


@given(st.text("{}ab.-_1 \"'"))
def test_any_text_is_read(text: str) -> None:
    if not variables.unknown(text):
        names = {name.strip("{}") for name in variables.missing(text, {})}
        variables.filled(text, dict.fromkeys(names, "x"))
