"""The rows of docs/provider-faults.md: what each fault of the API comes to."""

from __future__ import annotations

import re

from local.engine.controller import ROOT

PAGE = (ROOT / "docs" / "provider-faults.md").read_text()
# The fault as a prompt asks for it, the job's outcome, and how many tasks there are.
ROWS: list[tuple[str, str, str]] = re.findall(r"^\| `([\w=.:/-]+)` \|.+\| `(\w+)` \| (\d) \|$", PAGE, re.MULTILINE)
OUTCOMES = {fault: outcome for fault, outcome, _ in ROWS}
# Their outcome is clear at once: none of their pictures is waited for.
_CLEAR = ("fewer-pictures", "file-oversize-announced")


def asked(fault: str) -> int:
    """How many pictures to order, to see that outcome: several where some are lost and others are not."""
    return 3 if OUTCOMES[fault] == "partial" else 1


def preset(fault: str) -> str:
    """The fault as the name of a preset."""
    return re.sub(r"[^a-z0-9]+", "-", fault.lower())


def stands_still(fault: str) -> str | None:
    """The state that its job leaves only when a deadline passes or links die, if there is one."""
    if fault.partition("=")[0] in _CLEAR:
        return None
    return {"expired": "waiting", "lost": "unstored", "partial": "unstored"}.get(OUTCOMES[fault])
