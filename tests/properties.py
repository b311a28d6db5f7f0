"""How many examples the property tests try: 500 in `make test`, 10,000 in `make chaos`, the same ones every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("EXAMPLES", "500"))
PROPERTIES = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
