"""How many submits the API takes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """At first full, with `capacity` tokens; refilled continuously by `rate` tokens a second of `clock`."""

    def __init__(self, clock: Callable[[], float], rate: float, capacity: int) -> None:
        """ValueError for a bucket that would never hold a token."""
        if not 0 < rate < inf:
            raise ValueError(f"rate of a token bucket: found {rate}; allowed: a number above 0, in tokens a second")
        if capacity < 1:
            raise ValueError(f"capacity of a token bucket: found {capacity}; allowed: 1 token or more")
        self.capacity = capacity
        self._clock, self._rate = clock, rate
        self.refill()

    def refill(self) -> None:
        """As if new."""
        self._tokens, self._counted_at = float(self.capacity), self._clock()

    def take(self) -> float:
        """0.0 when a token was taken, else the seconds until there is one; then nothing has changed."""
        # Compared as times: a caller that waits as told must not be a rounding error short of a token.
        now, there_at = self._clock(), self._counted_at + (1 - self._tokens) / self._rate
        if now < there_at:
            return there_at - now
        self._tokens = min(self.capacity, self._tokens + (now - self._counted_at) * self._rate) - 1
        self._counted_at = now
        return 0.0
