"""Makes a stranger's text fit for logs and messages."""

import json
import re
from collections.abc import Iterable

# Also what is left of a signed link that came without its scheme, or percent-encoded.
_URL = re.compile(r"(?:https?|s3)://\S+|X-Amz-\S+", re.IGNORECASE)
_KEY = re.compile(r"\b(?:sk-|Bearer\s+)[\w.~+/-]{6,}", re.IGNORECASE)
_LONGEST = 500
_LONGEST_READ = 4000
_SHORTEST_SECRET = 8
_PIECE = 16


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without URLs, things that look like keys, the given secrets, and control characters; 500 characters.

    The provider's error texts may echo what we sent: our signed URLs, our key, the prompt.
    """
    plain = _plain(text)[:_LONGEST_READ]
    for secret in secrets:
        plain = _without_echo(plain, {_plain(secret), _plain(json.dumps(secret)[1:-1])})
    plain = _KEY.sub("[key removed]", _URL.sub("[link removed]", plain))
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."


def printable(text: str) -> str:
    """The text with a question mark for what is no letter that could be printed: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _without_echo(text: str, spellings: Iterable[str]) -> str:
    """The text without the secret, and without longer pieces of it: an echo may be cut anywhere."""
    covered: set[int] = set()
    for secret in spellings:
        piece = min(len(secret), _PIECE)
        if piece >= _SHORTEST_SECRET:
            found = (at for at in range(len(text) - piece + 1) if text[at : at + piece] in secret)
            covered.update(at + offset for at in found for offset in range(piece))
    left = "".join("\0" if at in covered else letter for at, letter in enumerate(text))
    return re.sub("\0+", "[removed]", left)


def _plain(text: str) -> str:
    """One line with single spaces: an echo may have lost a prompt's line breaks."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
