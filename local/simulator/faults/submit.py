"""Faults of a POST: refusals that make no task, and answers that hide or distort one that is made."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from starlette.responses import JSONResponse, RedirectResponse, Response

from local.simulator.answers import Json, RefusedError, error_body
from local.simulator.faults.effects import (
    ELSEWHERE,
    INTERNAL,
    LIMITED,
    ODD_JSON,
    OUT_OF_MONEY,
    UNAUTHORIZED,
    answer_from,
    called,
    cut_off,
    drop,
    edge_timeout,
    empty,
    half_json,
    last,
    late,
    limited_until,
    odd_json,
    put,
    refuse,
    unreadable,
)
from local.simulator.faults.engine import Fault, Hook
from local.simulator.wire import FinishedAnswer

if TYPE_CHECKING:
    from local.simulator.faults.effects import Errors
    from local.simulator.faults.engine import Scene
    from local.simulator.tasks import Task

_SHAPES: Errors = {
    "integer-code": (400, error_body(400, "bad field")),
    "no-type": (400, {"error": {"code": "invalid_request", "message": "bad field"}}),
    "flat": (400, {"code": "quota_not_enough", "message": "user quota is not enough"}),
    "message-only": (400, {"message": "bad field"}),
    "success-false": (400, {"success": False, "message": "bad field"}),
    "text": (400, {"error": "bad field"}),
    "nested": (400, {"error": {"error": {"code": "invalid_request", "message": "bad field"}}}),
}

_ERRORS: Errors = {
    "400-policy": (400, error_body("content_policy_violation", "the content violates the usage policy")),
    "400-references": (400, error_body("invalid_reference_images", "a reference cannot be used")),
    "403": (403, error_body("forbidden", "this key may not use this model", "permission_error")),
    "403-quota": (403, {"code": "quota_not_enough", "message": "user quota is not enough"}),
    "404": (404, error_body(404, "the model does not exist", "not_found_error")),
    "413": (413, error_body(413, "the request is too large")),
    "500-number": (500, error_body(500, "internal server error", "internal_error")),
    "503-circuit": (503, error_body("circuit_broken", "all channels unavailable", "internal_error")),
    "503-no-code": (503, {"message": "service unavailable"}),
}

_REDIRECTS = ("301", "302", "303", "307", "308")


def _echo_order(scene: Scene) -> Response:
    """The request as it came, with nothing escaped: the key, the signed links and the prompt."""
    sent = scene.sent
    links = [*(sent.get("image_urls") or sent.get("reference_images") or []), sent.get("mask_url", "")]
    words = [called(scene), f"prompt {sent.get('prompt')}", "image_urls", *links]
    return RefusedError(400, "invalid_request", " ".join(["cannot serve", *map(str, words)]).strip()).response()


def _redirect(scene: Scene) -> Response:
    return RedirectResponse(f"https://{ELSEWHERE}/v1/images/generations", int(scene.value))


def _task(scene: Scene) -> Task:
    if scene.task is None:
        raise TypeError("a fault of the accepted hook needs a task")
    return scene.task


def _other_id(scene: Scene) -> Response:
    task, body = _task(scene), scene.body
    task_id = body.pop("id")
    number = crc32(task_id.encode())
    if scene.value == "number":
        task.other_id = str(number)
    places: dict[str, Json] = {
        "task_id": {**body, "task_id": task_id},
        "data": {"success": True, "data": {**body, "id": task_id}},
        "data-task_id": {"success": True, "data": {"task_id": task_id}},
        "number": {**body, "id": number},
        "none": body,
    }
    return JSONResponse(places[scene.value])


def _finished(scene: Scene) -> Response:
    task = _task(scene)
    task.ends = task.starts
    return FinishedAnswer(task)


SUBMIT_FAULTS = (
    Fault(
        "submit-429",
        Hook.SUBMIT,
        "429 rate_limit_exceeded with Retry-After of value seconds; no task",
        LIMITED,
        value="1",
    ),
    Fault(
        "submit-429-date",
        Hook.SUBMIT,
        "429 with Retry-After as an HTTP date, value seconds ahead; no task",
        limited_until,
        value="1",
    ),
    Fault(
        "submit-503-rate",
        Hook.SUBMIT,
        "503 rate_limit_unavailable with Retry-After of value seconds; no task",
        refuse(503, "rate_limit_unavailable", "the rate limiter is not available", "rate_limit_error"),
        value="1",
    ),
    Fault(
        "submit-503-model",
        Hook.SUBMIT,
        "503 model_not_found, no available channel; no task",
        refuse(503, "model_not_found", "no available channel for this model", "invalid_request_error"),
    ),
    Fault(
        "submit-401",
        Hook.SUBMIT,
        "401 unauthorized although the key is right; no task",
        lambda _: JSONResponse(UNAUTHORIZED, 401),
    ),
    Fault("submit-402", Hook.SUBMIT, "402 insufficient_quota; no task", lambda _: JSONResponse(OUT_OF_MONEY, 402)),
    Fault(
        "submit-422",
        Hook.SUBMIT,
        "422 content_policy_violation; no task",
        refuse(422, "content_policy_violation", "the content violates the usage policy", "invalid_request_error"),
    ),
    Fault("submit-500", Hook.SUBMIT, "500 internal_error; no task", INTERNAL, counts=True),
    Fault(
        "submit-error",
        Hook.SUBMIT,
        "an error answer that is met more rarely: its HTTP status, and what tells it from others; no task",
        answer_from(_ERRORS),
        value="403",
        values=tuple(_ERRORS),
    ),
    Fault(
        "submit-redirect",
        Hook.SUBMIT,
        "HTTP status value, with another host as Location; no task",
        _redirect,
        value="307",
        values=_REDIRECTS,
    ),
    Fault("submit-drop", Hook.SUBMIT, "the connection closes without an answer; no task", drop),
    Fault(
        "submit-html-524", Hook.SUBMIT, "an HTML page with status 524 from the edge; no task", edge_timeout, counts=True
    ),
    Fault(
        "submit-shape",
        Hook.SUBMIT,
        "400 with an error body of another shape; no task",
        answer_from(_SHAPES),
        value="flat",
        values=tuple(_SHAPES),
    ),
    Fault(
        "submit-echo",
        Hook.SUBMIT,
        "400 whose message repeats the key, the prompt and the signed links of the references; no task",
        _echo_order,
    ),
    Fault("submit-500-accepted", Hook.ACCEPTED, "500 internal_error, and yet the task is made", INTERNAL),
    Fault("submit-drop-answer", Hook.ACCEPTED, "the task is made; the connection closes without an answer", drop),
    Fault("submit-html-524-accepted", Hook.ACCEPTED, "the task is made; the edge answers HTML with 524", edge_timeout),
    Fault("submit-unreadable", Hook.ACCEPTED, "the task is made; 200 with a body that is no JSON", unreadable),
    Fault("submit-empty", Hook.ACCEPTED, "the task is made; 200 with an empty body", empty),
    Fault(
        "submit-truncated",
        Hook.ACCEPTED,
        "the task is made; 200 with half the bytes of JSON that Content-Length promises",
        cut_off,
    ),
    Fault(
        "submit-half-json",
        Hook.ACCEPTED,
        "the task is made; 200 with the first half of its JSON as a whole answer",
        half_json,
    ),
    Fault(
        "submit-json",
        Hook.ACCEPTED,
        "the task is made; 200 with JSON that is odd as value says",
        odd_json,
        value="deep",
        values=ODD_JSON,
    ),
    Fault(
        "submit-big",
        Hook.ACCEPTED,
        "the usual answer with a text of value MiB in it",
        lambda scene: scene.body.update(note="x" * int(float(scene.value) * 1024 * 1024)),
        value="8",
    ),
    Fault(
        "submit-slow", Hook.ACCEPTED, "the task is made at once; its answer comes after value seconds", late, value="5"
    ),
    Fault(
        "submit-stale-socket",
        Hook.ACCEPTED,
        "the usual answer; its connection stays open, and a next request on it is reset unread",
        last,
    ),
    Fault(
        "submit-pending",
        Hook.ACCEPTED,
        "the answer's status is value instead of queued",
        put("status"),
        value="pending",
    ),
    Fault(
        "submit-finished",
        Hook.ACCEPTED,
        "the answer comes when the pictures are made, and is that of a completed task",
        _finished,
    ),
    Fault(
        "submit-success",
        Hook.ACCEPTED,
        "the usual answer with HTTP status value",
        lambda scene: JSONResponse(scene.body, int(scene.value)),
        value="202",
        values=("201", "202"),
    ),
    Fault(
        "submit-id",
        Hook.ACCEPTED,
        "the task id stands elsewhere, as value says, or nowhere; number: it is one, and a status query may use it",
        _other_id,
        value="task_id",
        values=("task_id", "data", "data-task_id", "number", "none"),
    ),
)
