"""What faults of several hooks have in common: refusals, and answers that are late, cut off or strange."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from local.simulator import answers
from local.simulator.answers import Json, RefusedError, error_body
from local.simulator.wire import HalfAnswer, LastAnswer, LateAnswer, NoAnswer

if TYPE_CHECKING:
    from local.simulator.faults.engine import Effect, Scene

Errors = Mapping[str, tuple[int, Json]]  # by a fault's value: HTTP status and body

ELSEWHERE = "files.example.org"  # a host that is none of the API's


def refuse(status: int, code: str | int, message: str, kind: str) -> Effect:
    """An error answer in the API's shape; the fault's value, if any, is its Retry-After."""
    return lambda scene: RefusedError(status, code, message, kind, scene.value).response()


INTERNAL = refuse(500, "internal_error", "internal server error", "internal_error")
LIMITED = refuse(*answers.LIMITED)
UNAUTHORIZED = error_body("unauthorized", "invalid API key", "authentication_error")
OUT_OF_MONEY = error_body("insufficient_quota", "the balance is not sufficient", "insufficient_quota")


def answer_from(errors: Errors) -> Effect:
    """The error that the fault's value names."""
    return lambda scene: JSONResponse(errors[scene.value][1], errors[scene.value][0])


def limited_until(scene: Scene) -> Response:
    """429 until a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=float(scene.value)), usegmt=True)
    return RefusedError(*answers.LIMITED, date).response()


def drop(_: Scene) -> Response:
    """No answer at all."""
    return NoAnswer()


def edge_timeout(_: Scene) -> Response:
    """What the edge says for the API."""
    return HTMLResponse("<!DOCTYPE html><title>524: A timeout occurred</title>", 524)


def unreadable(_: Scene) -> Response:
    """200 with text."""
    return PlainTextResponse("upstream connect error")


def empty(_: Scene) -> Response:
    """200 with nothing."""
    return Response(media_type="application/json")


def cut_off(scene: Scene) -> Response:
    """Half of what Content-Length promises."""
    return HalfAnswer(usual(scene), "application/json", sized=True)


def half_json(scene: Scene) -> Response:
    """Half as if it were all."""
    whole = usual(scene)
    return Response(whole[: len(whole) // 2], media_type="application/json")


def late(scene: Scene) -> Response:
    """The usual answer after value seconds."""
    return LateAnswer(scene.body, float(scene.value))


def last(scene: Scene) -> Response:
    """The usual answer on a connection that is dead from then on."""
    return LastAnswer(scene.body)


def put(key: str) -> Effect:
    """Put the fault's value into the body."""
    return lambda scene: scene.body.__setitem__(key, scene.value)


def called(scene: Scene) -> str:
    """The request line and the key."""
    request = scene.request
    return f"{request.method} {request.url} Authorization: {request.headers['authorization']}" if request else ""


def usual(scene: Scene) -> bytes:
    """The bytes of the usual answer."""
    return bytes(JSONResponse(scene.body).body)


# By value: raw JSON in the place of one field, with everything else as usual.
_IN_A_FIELD = {
    "bad-utf8": ("note", b'"\xff\xfe\xc3"'),
    "lone-surrogate": ("note", rb'"\ud800"'),
    "deep": ("note", b"[" * 100_000 + b"]" * 100_000),
    "huge-integer": ("progress", b"9" * 5_000),
    "huge-float": ("progress", b"1e999"),
    "nan": ("created_at", b"NaN"),
}
_WHOLE = {
    "null": b"null",
    "array": b'[{"error": "bad field"}]',
    "text": b'"ok"',
    "number": b"200",
    "html": b"<!DOCTYPE html><title>Checking your browser</title>",
}
ODD_JSON = (*_IN_A_FIELD, *_WHOLE)


def odd_json(scene: Scene) -> Response:
    """200 with a body that is odd in the way that the value names."""
    if content := _WHOLE.get(scene.value):
        return Response(content, media_type="text/html" if scene.value == "html" else "application/json")
    field, raw = _IN_A_FIELD[scene.value]
    content = json.dumps({**scene.body, field: "@raw@"}).encode().replace(b'"@raw@"', raw)
    return Response(content, media_type="application/json")
