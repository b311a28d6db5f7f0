"""Makes a stranger's text fit for logs and messages."""

import re
from collections.abc import Iterable

# Also what is left of a signed link that came without its scheme, or percent-encoded.
_URL = re.compile(r"(?:https?|s3)://\S+|X-Amz-\S+", re.IGNORECASE)
_KEY = re.compile(r"\b(?:sk-|Bearer\s+)[\w.~+/-]{6,}", re.IGNORECASE)
_LONGEST = 500
_SHORTEST_SECRET = 8


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without URLs, things that look like keys, the given secrets, and control characters; 500 characters.

    The provider's error texts may echo what we sent: our signed URLs, our key, the prompt.
    """
    plain = _plain(text)
    for secret in map(_plain, secrets):
        if len(secret) >= _SHORTEST_SECRET:
            plain = plain.replace(secret, "[removed]")
    plain = _KEY.sub("[key removed]", _URL.sub("[link removed]", plain))
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."


def _plain(text: str) -> str:
    """One line with single spaces: an echo may have lost a prompt's line breaks."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
