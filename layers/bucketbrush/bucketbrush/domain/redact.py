"""Makes a stranger's text fit for logs and messages."""

import re
from collections.abc import Iterable

_URL = re.compile(r"\b(?:https?|s3)://\S+", re.IGNORECASE)
_KEY = re.compile(r"\b(?:sk-|Bearer\s+)[\w.~+/-]{6,}", re.IGNORECASE)
_LONGEST = 500
_SHORTEST_SECRET = 8


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without URLs, things that look like keys, the given secrets, and control characters; 500 characters.

    The provider's error texts may echo what we sent: our signed URLs, our key, the prompt.
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[removed]")
    text = _KEY.sub("[key removed]", _URL.sub("[link removed]", text))
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
