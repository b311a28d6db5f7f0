"""Patience: tests look again and again, instead of sleeping for as long as something might take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 120.0  # seconds; only what fails waits so long
Seen = TypeVar("Seen")


def watch(
    look: Callable[[], Seen], accept: Callable[[Seen], object] = bool, *, seconds: float, pause: float = 0.02
) -> Seen:
    """The first look that is accepted, or the last one when the time is over."""
    deadline = time.monotonic() + seconds
    while not accept(seen := look()) and time.monotonic() < deadline:
        time.sleep(pause)
    return seen


def until(
    look: Callable[[], Seen | None],
    what: str = "what was waited for",
    accept: Callable[[Seen], object] = bool,
    *,
    pause: float = 0.02,
) -> Seen:
    """The first look that finds something and is accepted; fails saying what never happened."""
    seen = watch(look, lambda found: found is not None and accept(found), seconds=PATIENCE, pause=pause)
    assert seen is not None, f"never happened: {what}"
    assert accept(seen), f"never happened: {what}; seen at last: {seen!r}"
    return seen
