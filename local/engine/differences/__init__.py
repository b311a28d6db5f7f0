"""What MiniStack does differently from AWS and our template meets, one module each.

Every module says in its first lines what AWS does and where its documentation says so, and has a function
`close(settings)` that makes the engine do the same. `tests/engine` observes each of them on the stock engine too, and
fails when a module has become superfluous. The modules import MiniStack and are imported by the server process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The order matters twice: the bound on environments wraps whatever runs the functions, and the limit and the metrics of
# executions wrap what a redrive adds.
NAMES = (
    "python_runtime",
    "bounded_environments",
    "updated_functions",
    "retry_delays",
    "redrive",
    "ended_executions",
    "execution_timeout",
    "execution_names",
    "versioned_events",
    "undeliverable_events",
    "embedded_metrics",
    "invocation_metrics",
    "execution_metrics",
    "queue_metrics",
    "alarms",
    "secret_reference",
    "table_ttl",
    "reset_executions",
    "scaling_numbers",
    "resource_types",
    "queue_permissions",
    "transport",
)


@dataclass(frozen=True)
class Settings:
    """What the differences need to know of this engine."""

    lambda_python: Path
    folder: Path
    environments: int
    seed: int
