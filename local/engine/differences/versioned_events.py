"""The EventBridge event of an object in a versioned bucket names the version.

AWS ("Amazon S3 User Guide: EventBridge event message structure"): `detail.object` holds `version-id` when versioning is
on, next to key, size, etag and sequencer.

The engine knows the version, and writes it into notifications of the older kind only. Closed by adding it on the way to
the event bus.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ministack.services import eventbridge, s3

if TYPE_CHECKING:
    from local.engine.differences import Settings

_version: ContextVar[str | None] = ContextVar("version", default=None)


def close(_: Settings) -> None:
    """Carry the version from the S3 side of the engine to its event bus."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*arguments: Any, version_id: str | None = None, **options: Any) -> None:
        token = _version.set(version_id)
        try:
            fire(*arguments, version_id=version_id, **options)
        finally:
            _version.reset(token)

    def dispatch_with_version(event: dict[str, Any], *arguments: Any) -> None:
        version = _version.get()
        if version and event["Source"] == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, *arguments)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version
