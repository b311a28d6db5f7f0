"""What is computed from measurements."""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def rank_correlation(ranks: Sequence[int]) -> float:
    """Spearman's, of an order with 0, 1, 2, ...; ``ranks`` holds each of these once."""
    count = len(ranks)
    return 1 - 6 * sum((rank - place) ** 2 for place, rank in enumerate(ranks)) / (count * (count**2 - 1))


def most_within(times: Sequence[float], seconds: float) -> int:
    """The largest number that came within so many seconds, of times in ascending order."""
    return max(bisect_right(times, time + seconds) - place for place, time in enumerate(times))


def percentiles(values: Sequence[int]) -> dict[str, int]:
    """The smallest, the middle one, the one of which 5 % are above, and the largest."""
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "p50": ordered[len(ordered) // 2],
        "p95": ordered[len(ordered) * 95 // 100],
        "max": ordered[-1],
    }


def rss() -> int:
    """How many bytes of memory this process has at this moment."""
    return _memory("VmRSS")


def peak_rss() -> int:
    """The most that this process has had since it began to run this program; getrusage's may be its parent's."""
    return _memory("VmHWM")


def _memory(name: str) -> int:
    (found,) = re.findall(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found) * 1024
