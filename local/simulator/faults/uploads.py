"""Faults of an upload. Its request has no prompt, so they are armed by the control endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from local.simulator.faults.effects import (
    INTERNAL,
    LIMITED,
    ODD_JSON,
    OUT_OF_MONEY,
    UNAUTHORIZED,
    drop,
    edge_timeout,
    late,
    odd_json,
)
from local.simulator.faults.engine import Fault, Hook
from local.simulator.uploads import TOO_LARGE, UNSUPPORTED, not_uploaded

if TYPE_CHECKING:
    from local.simulator.faults.engine import Scene


def _no_url(scene: Scene) -> None:
    del scene.body["data"]["url"]


UPLOAD_FAULTS = (
    Fault("upload-400", Hook.UPLOAD, "400: the type is not supported", lambda _: not_uploaded(UNSUPPORTED)),
    Fault("upload-too-large", Hook.UPLOAD, "400: larger than 10MB", lambda _: not_uploaded(TOO_LARGE)),
    Fault(
        "upload-success-false",
        Hook.UPLOAD,
        "200 with success false",
        lambda _: not_uploaded("the image could not be stored", 200),
    ),
    Fault("upload-500", Hook.UPLOAD, "500 internal_error", INTERNAL),
    Fault("upload-429", Hook.UPLOAD, "429 rate_limit_exceeded with Retry-After of value seconds", LIMITED, value="1"),
    Fault(
        "upload-401",
        Hook.UPLOAD,
        "401 unauthorized although the key is right",
        lambda _: JSONResponse(UNAUTHORIZED, 401),
    ),
    Fault("upload-402", Hook.UPLOAD, "402 insufficient_quota", lambda _: JSONResponse(OUT_OF_MONEY, 402)),
    Fault("upload-drop", Hook.UPLOAD, "the connection closes without an answer", drop),
    Fault("upload-html", Hook.UPLOAD, "an HTML page with status 524 from the edge", edge_timeout),
    Fault("upload-slow", Hook.UPLOADED, "stored; the answer comes after value seconds", late, value="5"),
    Fault("upload-no-url", Hook.UPLOADED, "stored; the answer has no url", _no_url),
    Fault(
        "upload-json",
        Hook.UPLOADED,
        "stored; 200 with JSON that is odd as value says",
        odd_json,
        value="deep",
        values=ODD_JSON,
    ),
)
