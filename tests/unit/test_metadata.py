"""S3 user metadata as text, and as fields of a recipe."""

from __future__ import annotations

from base64 import b64encode
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain import metadata
from tests.models import OURS

VIP = "gpt-image-2-vip"


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ("a plain text", "a plain text"),
        ("=?UTF-8?B?w6TDtsO8?=", "äöü"),
        ("=?UTF-8?Q?a_=C3=A4?=", "a ä"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("äöü".encode().decode("latin-1"), "äöü"),
        ("naïve", "naïve"),  # neither: what was sent as Latin-1 is that
        ("猫", "猫"),
        ("=?UTF-8?B?broken", "=?UTF-8?B?broken"),
        ("=?no-such-charset?B?w6Q=?=", "=?no-such-charset?B?w6Q=?="),
        ("=?UTF-8?B?/w==?=", "=?UTF-8?B?/w==?="),
        ("1 =? 2", "1 =? 2"),
    ],
)
def test_a_value_is_what_was_meant(given_: str, meant: str) -> None:
    assert metadata.decode(given_) == meant


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "=?" not in text))
def test_utf_8_and_rfc_2047_come_back(text: str) -> None:
    assert metadata.decode(text.encode().decode("latin-1")) == text
    word = f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="
    assert metadata.decode(word) == text


@given(st.text())
def test_any_value_is_read(text: str) -> None:
    assert isinstance(metadata.decode(text), str)


def test_pythons_own_encoding_is_read() -> None:
    text = "Ein Plakat aus den Fünfzigern, mit einer Möwe und sehr viel blauem Himmel über dem alten Hafen"
    assert metadata.decode(Header(text, "utf-8", maxlinelen=10_000).encode()) == text


def test_fields_are_told_from_other_metadata() -> None:
    given_ = {"bb-prompt": "a boat", "bb-output-format": "png", "season": "spring", "bb-n": "4", "bb-size": "1:1"}
    assert metadata.overrides(given_, VIP, OURS) == {
        "prompt": "a boat",
        "output_format": "png",
        "n": 4,
        "size": "1:1",
    }


@pytest.mark.parametrize("value", ["four", "-1", "1.5", "", "٤"])
def test_what_is_no_number_stays_text_for_the_rules_to_name(value: str) -> None:
    assert metadata.overrides({"bb-n": value}, VIP, OURS) == {"n": value}


def test_the_rules_are_those_of_the_model_that_is_asked_for() -> None:
    assert metadata.overrides({"bb-model": VIP, "bb-n": "2"}, "another", OURS) == {"model": VIP, "n": 2}
    assert metadata.overrides({"bb-model": "another", "bb-n": "2"}, VIP, OURS) == {"model": "another", "n": "2"}
    assert metadata.overrides({"bb-n": "2"}, None, OURS) == {"n": "2"}
