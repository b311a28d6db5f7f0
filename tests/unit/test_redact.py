"""What a stranger's text may still say in our logs and messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.redact import redact

KEY = "sk-live-0123456789abcdef"
PROMPT = 'paint "it" red\nand blue,  please'
LINK = (
    "https://b.s3.eu-west-1.amazonaws.com/inbox/my%20cat.png?versionId=v&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=ASIAEXAMPLE%2F20260101&X-Amz-Security-Token=abc%2Fdef&X-Amz-Signature=0f0f0f0f"
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("nothing to hide", "nothing to hide"),
        (f"cannot fetch {LINK} now", "cannot fetch [link removed] now"),
        (f"url={LINK}", "url=[link removed]"),
        (f"fetch{LINK}", "fetch[link removed]"),
        (LINK.upper(), "[link removed]"),
        (LINK.removeprefix("https://"), "b.s3.eu-west-1.amazonaws.com/inbox/my%20cat.png?versionId=v&[link removed]"),
        ("at s3://bucket/key.", "at [link removed]"),
        (f"key {KEY} is wrong", "key [removed] is wrong"),
        ("key sk-anotherkey123 is wrong", "key [key removed] is wrong"),
        ("Authorization: Bearer abc.def-123456", "Authorization: [key removed]"),
        (f"refused: {PROMPT}!", "refused: [removed]!"),
        ('refused: paint "it" red and blue, please!', "refused: [removed]!"),
        ('refused: paint "it" red and b...', "refused: [removed]..."),
        (f"refused: {json.dumps(PROMPT)}!", 'refused: "[removed]"!'),
        ("one\x00two\x1b[31m\r\n\tthree\u2028four", "one two [31m three four"),
        ("", ""),
    ],
)
def test_redact(text: str, left: str) -> None:
    assert redact(text, [KEY, PROMPT]) == left


def test_a_signature_is_gone_however_the_link_is_spelled() -> None:
    for link in (
        LINK,
        LINK.replace("/", "\\/"),
        LINK.replace("&", "&amp;"),
        LINK.replace("?", "%3F").replace(":", "%3A"),
    ):
        assert "0f0f" not in redact(f"failed: {link}")


@pytest.mark.parametrize("length", [499, 500, 501, 100_000])
def test_it_is_short(length: int) -> None:
    left = redact("x" * length)
    assert len(left) == min(length, 500)
    assert left.endswith("...") is (length > 500)


def test_a_secret_at_the_cut_is_gone_first() -> None:
    assert "sk-l" not in redact("x " * 247 + KEY, [KEY])


def test_short_words_are_no_secrets() -> None:
    assert redact("a cat sat", ["cat"]) == "a cat sat"


# Letters that do not stand in the marks which replace a secret.
_SECRETS = st.lists(st.text("XYZ é\n\t0123456789-", min_size=8).filter(lambda text: len(" ".join(text.split())) >= 8))


@given(parts=st.lists(st.text(max_size=20)), secrets=_SECRETS, last=st.text(max_size=20))
def test_no_given_secret_survives(parts: list[str], secrets: list[str], last: str) -> None:
    text = "".join(part + secret for part, secret in zip(parts, secrets, strict=False)) + last
    left = redact(text, secrets)
    assert [secret for secret in secrets if secret in left] == []
    assert left.isprintable()
    assert len(left) <= 500
