"""Retry honours MaxDelaySeconds and JitterStrategy.

AWS ("Handling errors in Step Functions workflows", Retrier fields): the delay is IntervalSeconds times BackoffRate to
the power of the retries so far, at most MaxDelaySeconds; JitterStrategy FULL draws it evenly between zero and that.

The engine ignores both fields. Closed by handing it a retrier whose interval is the finished delay. The engine scales
that delay like a Wait. It also cuts every delay to 60 seconds before scaling, which stays as it is.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ministack.services import stepfunctions

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(settings: Settings) -> None:
    """Compute each delay as AWS does, with chance from `settings.seed`."""
    find = stepfunctions._find_matching_retrier
    chance = random.Random(settings.seed)

    def find_with_delay(
        retriers: list[dict[str, Any]], error: str, counts: dict[int, int]
    ) -> tuple[dict[str, Any] | None, int]:
        retrier, index = find(retriers, error, counts)
        if retrier is None:
            return None, index
        delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
        delay = min(delay, retrier.get("MaxDelaySeconds", delay))
        if retrier.get("JitterStrategy") == "FULL":
            delay = chance.uniform(0, delay)
        return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index

    stepfunctions._find_matching_retrier = find_with_delay
