"""An invocation that runs while its function is updated finishes with what it was started with.

AWS ("Understanding the Lambda execution environment lifecycle"; "UpdateFunctionConfiguration"): an update is for
invocations that come after it; environments that are at work finish, and are then shut down.

The engine kills all environments of an updated function, those at work too. So a message of a queue was hidden for its
whole visibility timeout by every update that met its function at work.

Closed by taking those at work out of the pool before the others are killed, and ending each when it is given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.engine.differences import Settings

_FUNCTION = 2  # where a pool's key, account:region:function:qualifier, says which function


class Environments:
    """Those that are at work when their function is updated."""

    def __init__(self) -> None:
        self._retired: set[Any] = set()

    def retire(self, function: str) -> None:
        """Take out of the pool what is at work."""
        with lambda_runtime._lock:
            for key, pool in lambda_runtime._workers.items():
                if key.split(":")[_FUNCTION:] == [function, "$LATEST"]:
                    self._retired.update(environment for environment in pool if environment.in_use)
                    pool[:] = [environment for environment in pool if not environment.in_use]

    def end(self, environment: Any) -> None:
        """End one that has finished, if it is retired."""
        if environment in self._retired:
            self._retired.remove(environment)
            lambda_runtime.kill_workers([environment])


def close(_: Settings) -> None:
    """Let an update end only the environments that are free."""
    environments, release = Environments(), lambda_svc.release_worker

    def retiring(change: Callable[[str, dict[str, Any]], Any]) -> Callable[[str, dict[str, Any]], Any]:
        def changed(name: str, data: dict[str, Any]) -> Any:
            environments.retire(name)
            return change(name, data)

        return changed

    def release_or_end(environment: Any) -> None:
        release(environment)
        environments.end(environment)

    lambda_svc._update_code = retiring(lambda_svc._update_code)
    lambda_svc._update_config = retiring(lambda_svc._update_config)
    lambda_svc.release_worker = release_or_end
