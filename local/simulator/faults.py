"""Faults by name: everything that goes wrong at a paid image API, on request.

A fault is one entry in FAULTS: name, description, the point where it strikes, and what it does there. It is asked for
- in a prompt: `fault:<name>` or `fault:<name>=<value>`; it then sticks to that order and its task, or
- through the control endpoint, for the next n matching requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from local.simulator.answers import Json, RefusedError, failed
from local.simulator.files import OversizeAnswer, SlowAnswer, StoredFile
from local.simulator.wire import HalfAnswer, LastAnswer, LateAnswer, NoAnswer

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.simulator.tasks import Task


class Hook(StrEnum):
    """Where a fault strikes."""

    SUBMIT = "submit"  # a POST, before a task is made: there is none
    ACCEPTED = "accepted"  # a POST whose task is made: only the answer suffers
    TASK = "task"  # the life of an accepted task
    STATUS = "status"  # a status query of a known task
    UNKNOWN = "unknown"  # a status query of an unknown task
    FILE = "file"  # the download of a result


@dataclass
class Scene:
    """What a fault sees and may change: its value, and the task, answer body or file of its hook.

    `request` and `sent`, its JSON body, are there to be echoed.
    """

    value: str
    task: Task | None = None
    body: Json = field(default_factory=dict)
    file: StoredFile | None = None
    request: Request | None = None
    sent: Json = field(default_factory=dict)


Effect = Callable[[Scene], Response | None]  # an answer instead of the usual one, or None after a change in place


@dataclass(frozen=True)
class Fault:
    """`times` is how often it strikes unless told (None: always); in a prompt, `=value` sets times if `counts`."""

    name: str
    hook: Hook
    description: str
    effect: Effect
    times: int | None = 1
    value: str = ""
    counts: bool = False
    only: str | None = None  # STATUS hook: strikes only at tasks of this status


@dataclass
class Armed:
    """A fault that waits for its moment."""

    fault: Fault
    left: int | None
    value: str


class Faults:
    """What is armed now: by the control endpoint for everybody, by prompts for their own orders."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []
        # By order, so that a repeated POST does not begin the count anew.
        self._marked: dict[tuple[str | None, str], list[Armed]] = {}

    def arm(self, name: str, times: int | None, value: str | None) -> None:
        """Strike at the next `times` requests at the fault's hook; None is every one."""
        fault = FAULTS[name]
        self.armed.append(Armed(fault, times, fault.value if value is None else value))

    def clear(self) -> None:
        """Forget everything."""
        self.armed.clear()
        self._marked.clear()

    def of_order(self, business_id: str | None, prompt: str) -> list[Armed]:
        """The faults that a prompt asks for; the same list for every POST of one order."""
        asked = list(marked_faults(prompt))
        return self._marked.setdefault((business_id, prompt), asked) if asked else []

    def striking(self, hook: Hook, own: list[Armed], status: str | None = None) -> Iterator[Armed]:
        """Each fault that is due at this hook; taking one from the iterator uses up one of its times."""
        for armed in [*own, *self.armed]:
            fault = armed.fault
            if fault.hook is not hook or armed.left == 0 or fault.only not in (None, status):
                continue
            if armed.left is not None:
                armed.left -= 1
            yield armed

    def strike(self, hook: Hook, own: list[Armed], status: str | None = None, **scene: Any) -> Response | None:
        """Let the due faults work on the scene until one of them answers."""
        for armed in self.striking(hook, own, status):
            answer = armed.fault.effect(Scene(armed.value, **scene))
            if answer is not None:
                return answer
        return None


_MARKER = re.compile(r"\bfault:([a-z0-9-]+)(?:=(\d+\.\d+|[\w-]+))?")


def marked_faults(prompt: str) -> Iterator[Armed]:
    """`fault:status-500=2 fault:hang` in a prompt; an unknown name is refused, because a typing error hides a test."""
    for name, value in _MARKER.findall(prompt):
        fault = FAULTS.get(name)
        if fault is None:
            raise RefusedError(400, "invalid_request", f"no fault is named {name}; GET /_simulator/faults lists them")
        if fault.counts and value.isdecimal():
            yield Armed(fault, int(value), fault.value)
        else:
            yield Armed(fault, fault.times, value or fault.value)


def for_task(faults: list[Armed]) -> list[Armed]:
    """Copies of those faults that strike after the POST, with counts of their own: each task suffers its own faults."""
    return [replace(armed) for armed in faults if armed.fault.hook not in (Hook.SUBMIT, Hook.ACCEPTED)]


def _refuse(status: int, code: str | int, message: str, kind: str) -> Effect:
    """An error answer in the API's shape; the fault's value, if any, is its Retry-After."""
    return lambda scene: RefusedError(status, code, message, kind, scene.value).response()


def _limited_until(scene: Scene) -> Response:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=float(scene.value)), usegmt=True)
    return RefusedError(429, "rate_limit_exceeded", "too many requests", "rate_limit_error", date).response()


def _drop(_: Scene) -> Response:
    return NoAnswer()


def _edge_timeout(_: Scene) -> Response:
    return HTMLResponse("<!DOCTYPE html><title>524: A timeout occurred</title>", 524)


def _unreadable(_: Scene) -> Response:
    return PlainTextResponse("upstream connect error")


def _empty(_: Scene) -> Response:
    return Response(media_type="application/json")


def _cut_off(scene: Scene) -> Response:
    return HalfAnswer(bytes(JSONResponse(scene.body).body), "application/json", sized=True)


def _half_json(scene: Scene) -> Response:
    whole = bytes(JSONResponse(scene.body).body)
    return Response(whole[: len(whole) // 2], media_type="application/json")


def _late(scene: Scene) -> Response:
    return LateAnswer(scene.body, float(scene.value))


def _last(scene: Scene) -> Response:
    return LastAnswer(scene.body)


def _echo_order(scene: Scene) -> Response:
    """The request as it came, with nothing escaped: the key, the signed links and the prompt."""
    sent = scene.sent
    links = [*(sent.get("image_urls") or sent.get("reference_images") or []), sent.get("mask_url", "")]
    words = [_called(scene), f"prompt {sent.get('prompt')}", "image_urls", *links]
    return RefusedError(400, "invalid_request", " ".join(["cannot serve", *map(str, words)]).strip()).response()


def _echo_query(scene: Scene) -> Response:
    return RefusedError(500, "internal_error", f"panic while serving {_called(scene)}", "internal_error").response()


def _fail_with_echo(scene: Scene) -> None:
    if scene.task is not None:
        order = scene.task.order
        links = " ".join([*order.references, order.mask or ""]).strip()
        scene.task.failure = f"upstream could not fetch {links} for the prompt {order.prompt}"


def _called(scene: Scene) -> str:
    """The request line and the key."""
    request = scene.request
    return f"{request.method} {request.url} Authorization: {request.headers['authorization']}" if request else ""


_SHAPES: dict[str, Json] = {
    "integer-code": {"error": {"code": 400, "message": "bad field", "type": "invalid_request_error"}},
    "no-type": {"error": {"code": "invalid_request", "message": "bad field"}},
    "flat": {"code": "quota_not_enough", "message": "user quota is not enough"},
    "message-only": {"message": "bad field"},
    "success-false": {"success": False, "message": "bad field"},
    "text": {"error": "bad field"},
    "nested": {"error": {"error": {"code": "invalid_request", "message": "bad field"}}},
}


def _shape(scene: Scene) -> Response:
    return JSONResponse(_SHAPES[scene.value], 400)


def _set(key: str) -> Effect:
    """Put the fault's value into the body."""
    return lambda scene: scene.body.__setitem__(key, scene.value)


def _set_task(attribute: str, value: float | None = None) -> Effect:
    """Put a number, or the fault's value, into the task."""
    return lambda scene: setattr(scene.task, attribute, scene.value if value is None else value)


def _no_billing(scene: Scene) -> None:
    for key in ("billing", "usage"):
        scene.body.pop(key, None)


def _top_level_url(scene: Scene) -> None:
    urls = [picture["url"] for picture in scene.body.pop("result")["data"]]
    scene.body.update(object="image.generation", url=urls[0])


def _empty_data(scene: Scene) -> None:
    scene.body["result"]["data"] = []


def _unfinish(scene: Scene) -> None:
    """Take out what only a finished task shows."""
    for key in ("result", "completed_at", "expires_at", "usage"):
        scene.body.pop(key, None)


def _undeliverable(scene: Scene) -> None:
    _unfinish(scene)
    scene.body.update(status="in_progress", progress=100, billing={"status": "pending"})


def _flap(scene: Scene) -> None:
    if scene.task is not None:
        scene.task.flaps += 1
        if scene.task.flaps % 2 == 0 and scene.task.flaps <= 2 * int(scene.value):
            _undeliverable(scene)


def _failed_for_now(scene: Scene) -> None:
    if scene.task is not None:
        task = scene.task
        _unfinish(scene)
        scene.body.update(failed(task.id, task.order.model, task.created_at, "call upstream API failed"))


def _fewer(scene: Scene) -> None:
    if scene.task is not None:
        scene.task.pictures = max(1, scene.task.pictures - int(scene.value))


def _half(*, sized: bool) -> Effect:
    def effect(scene: Scene) -> Response:
        file = _file(scene)
        return HalfAnswer(file.path.read_bytes(), file.media_type, sized=sized)

    return effect


def _oversize(*, announced: bool) -> Effect:
    return lambda scene: OversizeAnswer(_file(scene), float(scene.value), announced=announced)


def _short(scene: Scene) -> Response:
    content = _file(scene).path.read_bytes()
    return Response(content[: len(content) // 2], media_type=_file(scene).media_type)


def _no_bytes(scene: Scene) -> Response:
    return Response(media_type=_file(scene).media_type)


def _dead_link(scene: Scene) -> Response | None:
    gone = scene.task is not None and scene.task.downloads > int(scene.value)
    return PlainTextResponse("not found", 404) if gone else None


def _other_type(scene: Scene) -> Response:
    return Response(_file(scene).path.read_bytes(), media_type=scene.value)


def _html_picture(scene: Scene) -> Response:
    return Response(b"<!DOCTYPE html><title>Checking your browser</title>", media_type=scene.value)


def _file(scene: Scene) -> StoredFile:
    if scene.file is None:
        raise TypeError("a fault of the file hook needs a file")
    return scene.file


_MODERATED = "call upstream API failed: upstream returned status 422: the request was rejected by the safety system"

_ALL = (
    Fault(
        "submit-429",
        Hook.SUBMIT,
        "429 rate_limit_exceeded with Retry-After of value seconds; no task",
        _refuse(429, "rate_limit_exceeded", "too many requests", "rate_limit_error"),
        value="1",
    ),
    Fault(
        "submit-429-date",
        Hook.SUBMIT,
        "429 with Retry-After as an HTTP date, value seconds ahead; no task",
        _limited_until,
        value="1",
    ),
    Fault(
        "submit-503-rate",
        Hook.SUBMIT,
        "503 rate_limit_unavailable with Retry-After of value seconds; no task",
        _refuse(503, "rate_limit_unavailable", "the rate limiter is not available", "rate_limit_error"),
        value="1",
    ),
    Fault(
        "submit-503-model",
        Hook.SUBMIT,
        "503 model_not_found, no available channel; no task",
        _refuse(503, "model_not_found", "no available channel for this model", "invalid_request_error"),
    ),
    Fault(
        "submit-401",
        Hook.SUBMIT,
        "401 unauthorized although the key is right; no task",
        _refuse(401, "unauthorized", "invalid API key", "authentication_error"),
    ),
    Fault(
        "submit-402",
        Hook.SUBMIT,
        "402 insufficient_quota; no task",
        _refuse(402, "insufficient_quota", "the balance is not sufficient", "insufficient_quota"),
    ),
    Fault(
        "submit-422",
        Hook.SUBMIT,
        "422 content_policy_violation; no task",
        _refuse(422, "content_policy_violation", "the content violates the usage policy", "invalid_request_error"),
    ),
    Fault(
        "submit-500",
        Hook.SUBMIT,
        "500 internal_error; no task",
        _refuse(500, "internal_error", "internal server error", "internal_error"),
        counts=True,
    ),
    Fault("submit-drop", Hook.SUBMIT, "the connection closes without an answer; no task", _drop),
    Fault(
        "submit-html-524",
        Hook.SUBMIT,
        "an HTML page with status 524 from the edge; no task",
        _edge_timeout,
        counts=True,
    ),
    Fault(
        "submit-shape",
        Hook.SUBMIT,
        f"400 with an error body of another shape, value one of {', '.join(_SHAPES)}; no task",
        _shape,
        value="flat",
    ),
    Fault(
        "submit-echo",
        Hook.SUBMIT,
        "400 whose message repeats the key, the prompt and the signed links of the references; no task",
        _echo_order,
    ),
    Fault(
        "submit-500-accepted",
        Hook.ACCEPTED,
        "500 internal_error, and yet the task is made",
        _refuse(500, "internal_error", "internal server error", "internal_error"),
    ),
    Fault("submit-drop-answer", Hook.ACCEPTED, "the task is made; the connection closes without an answer", _drop),
    Fault("submit-html-524-accepted", Hook.ACCEPTED, "the task is made; the edge answers HTML with 524", _edge_timeout),
    Fault("submit-unreadable", Hook.ACCEPTED, "the task is made; 200 with a body that is no JSON", _unreadable),
    Fault("submit-empty", Hook.ACCEPTED, "the task is made; 200 with an empty body", _empty),
    Fault(
        "submit-truncated",
        Hook.ACCEPTED,
        "the task is made; 200 with half the bytes of JSON that Content-Length promises",
        _cut_off,
    ),
    Fault(
        "submit-half-json",
        Hook.ACCEPTED,
        "the task is made; 200 with the first half of its JSON as a whole answer",
        _half_json,
    ),
    Fault(
        "submit-slow", Hook.ACCEPTED, "the task is made at once; its answer comes after value seconds", _late, value="5"
    ),
    Fault(
        "submit-stale-socket",
        Hook.ACCEPTED,
        "the usual answer; its connection stays open, and a next request on it is reset unread",
        _last,
    ),
    Fault(
        "submit-pending",
        Hook.ACCEPTED,
        "the answer's status is value instead of queued",
        _set("status"),
        value="pending",
    ),
    Fault(
        "task-failed",
        Hook.TASK,
        "the task fails with value as error.message",
        _set_task("failure"),
        value="call upstream API failed: upstream returned status 500",
    ),
    Fault("task-moderated", Hook.TASK, "the task fails with a policy text", _set_task("failure"), value=_MODERATED),
    Fault(
        "task-failed-echo",
        Hook.TASK,
        "the task fails with a text that repeats the signed links of the references and the prompt",
        _fail_with_echo,
    ),
    Fault("hang", Hook.TASK, "the task stays in progress for ever", _set_task("ends", inf)),
    Fault("fewer-pictures", Hook.TASK, "value pictures fewer than n, at least one", _fewer, value="1"),
    Fault(
        "status-500",
        Hook.STATUS,
        "500 internal_error",
        _refuse(500, "internal_error", "internal server error", "internal_error"),
        times=3,
        counts=True,
    ),
    Fault("status-drop", Hook.STATUS, "the connection closes without an answer", _drop, counts=True),
    Fault(
        "status-429",
        Hook.STATUS,
        "429 rate_limit_exceeded with Retry-After of value seconds",
        _refuse(429, "rate_limit_exceeded", "too many requests", "rate_limit_error"),
        value="1",
    ),
    Fault("status-html-524", Hook.STATUS, "an HTML page with status 524 from the edge", _edge_timeout, counts=True),
    Fault("status-unreadable", Hook.STATUS, "200 with a body that is no JSON", _unreadable, counts=True),
    Fault("status-empty", Hook.STATUS, "200 with an empty body", _empty, counts=True),
    Fault(
        "status-truncated",
        Hook.STATUS,
        "200 with half the bytes of JSON that Content-Length promises",
        _cut_off,
        counts=True,
    ),
    Fault(
        "status-half-json",
        Hook.STATUS,
        "200 with the first half of its JSON as a whole answer",
        _half_json,
        counts=True,
    ),
    Fault("status-slow", Hook.STATUS, "the answer, as it is now, comes after value seconds", _late, value="5"),
    Fault(
        "status-stale-socket",
        Hook.STATUS,
        "the usual answer; its connection stays open, and a next request on it is reset unread",
        _last,
        counts=True,
    ),
    Fault(
        "status-echo", Hook.STATUS, "500 whose message repeats the request's URL and the key", _echo_query, counts=True
    ),
    Fault(
        "late-lookup",
        Hook.STATUS,
        "404 although the task exists",
        _refuse(404, 404, "the task does not exist", "not_found_error"),
        times=2,
        counts=True,
    ),
    Fault(
        "unknown-status",
        Hook.STATUS,
        "a status word that no page knows: value",
        _set("status"),
        times=3,
        value="reviewing",
    ),
    Fault(
        "undeliverable-yet",
        Hook.STATUS,
        "a finished task shows in_progress with progress 100",
        _undeliverable,
        times=3,
        counts=True,
        only="completed",
    ),
    Fault(
        "flapping",
        Hook.STATUS,
        "a finished task shows completed at one query and in_progress at the next, value times over",
        _flap,
        times=None,
        value="3",
        only="completed",
    ),
    Fault(
        "failed-for-now",
        Hook.STATUS,
        "failed and refunded with a text, although the task goes on",
        _failed_for_now,
        counts=True,
    ),
    Fault(
        "top-level-url",
        Hook.STATUS,
        "the old shape: one url at the top level, no result",
        _top_level_url,
        times=None,
        only="completed",
    ),
    Fault(
        "other-body-id",
        Hook.STATUS,
        "the body's id is value, not the task's",
        _set("id"),
        times=None,
        value="img_0123456789abcdef0123456789abcdef",
    ),
    Fault("no-billing", Hook.STATUS, "billing and usage are missing", _no_billing, times=None),
    Fault("empty-data", Hook.STATUS, "completed with an empty result.data", _empty_data, times=None, only="completed"),
    Fault(
        "unknown-400",
        Hook.UNKNOWN,
        "an unknown task is answered with 400 task_not_exist",
        lambda _: JSONResponse({"message": "task_not_exist"}, 400),
    ),
    Fault(
        "file-404",
        Hook.FILE,
        "404 for a result that exists",
        lambda _: PlainTextResponse("not found", 404),
        times=None,
        counts=True,
    ),
    Fault(
        "file-403",
        Hook.FILE,
        "403 for a result that exists",
        lambda _: PlainTextResponse("forbidden", 403),
        times=None,
        counts=True,
    ),
    Fault(
        "links-die",
        Hook.FILE,
        "the first value downloads of a task pass; after them all its links answer 404",
        _dead_link,
        times=None,
        value="1",
    ),
    Fault("file-503", Hook.FILE, "503 from the file host", lambda _: PlainTextResponse("try again", 503), counts=True),
    Fault("file-drop", Hook.FILE, "the connection closes without an answer", _drop, counts=True),
    Fault("file-truncated", Hook.FILE, "half the bytes that Content-Length promises", _half(sized=True), counts=True),
    Fault("file-truncated-chunked", Hook.FILE, "a chunked answer without its end", _half(sized=False), counts=True),
    Fault(
        "file-lying-length",
        Hook.FILE,
        "half the bytes, and a Content-Length that says they are all",
        _short,
        counts=True,
    ),
    Fault("file-empty", Hook.FILE, "200 with no bytes", _no_bytes, counts=True),
    Fault(
        "file-oversize",
        Hook.FILE,
        "the right bytes, then zero bytes up to value MiB (inf: without end), chunked without Content-Length",
        _oversize(announced=False),
        times=None,
        value="300",
    ),
    Fault(
        "file-oversize-announced",
        Hook.FILE,
        "the right bytes, then zero bytes up to value MiB, as Content-Length says",
        _oversize(announced=True),
        times=None,
        value="300",
    ),
    Fault(
        "file-not-image",
        Hook.FILE,
        "an HTML page under the picture's name, labelled as value",
        _html_picture,
        times=None,
        value="image/png",
    ),
    Fault(
        "file-other-type", Hook.FILE, "the right bytes labelled as value", _other_type, times=None, value="text/plain"
    ),
    Fault(
        "file-slow",
        Hook.FILE,
        "the bytes come in pieces over value seconds",
        lambda scene: SlowAnswer(_file(scene), float(scene.value)),
        times=None,
        value="5",
    ),
)

FAULTS = {fault.name: fault for fault in _ALL}
