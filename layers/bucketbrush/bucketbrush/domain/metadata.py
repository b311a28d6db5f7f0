"""What S3 user metadata says of a job.

S3 gives back a value that is not ASCII as RFC 2047 words (S3 User Guide, "Working with object metadata"); clients that
send bytes of UTF-8 get them back as such, which HTTP libraries read as Latin-1.
"""

from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from bucketbrush.domain.catalogue import Catalogue, Whole

PREFIX = "bb-"


def decode(value: str) -> str:
    """The text that was meant; a value that is neither RFC 2047 nor UTF-8 is itself."""
    try:
        value = value.encode("latin-1").decode()
    except UnicodeError:
        return value
    try:
        return str(make_header(decode_header(value))) if "=?" in value else value
    except (HeaderParseError, LookupError, UnicodeError):
        return value


def overrides(metadata: Mapping[str, str], model: Any, catalogue: Catalogue) -> dict[str, Any]:
    """The fields of a recipe that metadata gives: ``bb-prompt``, ``bb-output-format`` and so on.

    Metadata is text, so the digits of a field that takes a whole number are one. ``model`` is the preset's.
    """
    ours = ((name.removeprefix(PREFIX), value) for name, value in metadata.items() if name.startswith(PREFIX))
    given = {name.replace("-", "_"): value for name, value in ours}
    asked = given.get("model", model)
    found = catalogue.get(asked) if isinstance(asked, str) else None
    rules = found.fields if found else {}
    return {
        name: int(value) if isinstance(rules.get(name), Whole) and value.isascii() and value.isdecimal() else value
        for name, value in given.items()
    }
