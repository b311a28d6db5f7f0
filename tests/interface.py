"""docs/interface.md as its tests read it: sections, blocks, and the tables of mistakes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.engine.controller import ROOT

PAGE = (ROOT / "docs" / "interface.md").read_text()
_BLOCK = re.compile(r"^```(\w*) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_MISTAKE = re.compile(r"^\| [^|]+ \| `([^`]+)` \|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block. ``about`` is what stands behind the language: ``policy``, ``role``, ``output <name>``, or the
    name of the file that has this text.
    """

    language: str
    about: str
    text: str

    @property
    def output(self) -> str | None:
        """The name of what comes out, if the block shows that."""
        kind, _, name = self.about.partition(" ")
        return name if kind == "output" else None

    @property
    def is_file(self) -> bool:
        return self.language == "json" and self.about not in ("policy", "role") and self.output is None


def sections(page: str = PAGE) -> dict[str, str]:
    """The text of each section of a page by its heading."""
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(heading: str, page: str = PAGE) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(sections(page)[heading])]


def mistakes() -> dict[str, list[str]]:
    """The messages of each section's table of mistakes."""
    found = {
        heading: _MISTAKE.findall(text.partition("| mistake | message |")[2]) for heading, text in sections().items()
    }
    return {heading: messages for heading, messages in found.items() if messages}
