"""Variables in a preset's texts: ``{stem}``, ``{folder}``, ``{date}`` and ``{metadata.x}``.

A name in single braces is a variable, one in double braces is that name in braces; other braces are text.
"""

import re
from collections.abc import Iterator, Mapping

_METADATA = "metadata."
_NAMES = ("stem", "folder", "date")
_PLACE = re.compile(r"\{(\{)?([A-Za-z_][A-Za-z0-9_.-]*)\}(?(1)\})")
_LONGEST_NAME = 60
ALLOWED = ", ".join(f"{{{name}}}" for name in (*_NAMES, f"{_METADATA}x")) + "; {{name}} is {name} as text"


def unknown(text: str) -> list[str]:
    """The variables that nothing can ever fill, in braces."""
    return [_said(name) for name in _names(text) if name not in _NAMES and not _is_metadata(name)]


def missing(text: str, values: Mapping[str, str]) -> list[str]:
    """The variables that these values do not fill, in braces."""
    return [_said(name) for name in _names(text) if name not in values]


def uses_metadata(text: str) -> bool:
    return any(map(_is_metadata, _names(text)))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced, each of which must have a value."""
    return _PLACE.sub(lambda found: f"{{{found[2]}}}" if found[1] else values[found[2]], text)


def of_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The variables that metadata gives."""
    return {f"{_METADATA}{name}": value for name, value in metadata.items()}


def _names(text: str) -> Iterator[str]:
    return (found[2] for found in _PLACE.finditer(text) if not found[1])


def _is_metadata(name: str) -> bool:
    return name.startswith(_METADATA) and name != _METADATA


def _said(name: str) -> str:
    return f"{{{name[:_LONGEST_NAME]}}}"
