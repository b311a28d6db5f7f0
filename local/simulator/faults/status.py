"""Faults of a task's life and of the answers to status queries."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from local.simulator.answers import Json, RefusedError, error_body, failed
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
    usual,
)
from local.simulator.faults.engine import Fault, Hook
from local.simulator.wire import OversizeAnswer, SlowAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.simulator.faults.effects import Errors
    from local.simulator.faults.engine import Effect, Scene
    from local.simulator.tasks import Task

_UPSTREAM = "call upstream API failed: upstream returned status 500"
_MODERATED = "call upstream API failed: upstream returned status 422: the request was rejected by the safety system"
# In Chinese: "call upstream failed: the content did not pass the safety review".
_MODERATED_ZH = "\u8c03\u7528\u4e0a\u6e38\u5931\u8d25\uff1a\u5185\u5bb9\u672a\u901a\u8fc7\u5b89\u5168\u5ba1\u6838"

# By value: what stands in a failed body in place of its error (None: the field is missing).
_FAILURES: dict[str, Json] = {
    "text": {"error": _UPSTREAM},
    "nested": {"error": {"error": {"code": "generation_failed", "message": _UPSTREAM}}},
    "fail_reason": {"error": None, "fail_reason": _UPSTREAM},
    "number": {"error": {"code": 500, "message": _UPSTREAM}},
    "nothing": {"error": None},
    "policy-violation": {"error": {"code": "content_policy_violation", "message": "the prompt was refused"}},
    "policy": {"error": {"code": "content_policy", "message": "the prompt was refused"}},
    "privacy": {
        "error": {"code": "InputImageSensitiveContentDetected.PrivacyInformation", "message": "a real person was found"}
    },
    "policy-zh": {"error": {"code": "generation_failed", "message": _MODERATED_ZH}},
}

_ERRORS: Errors = {
    "401": (401, UNAUTHORIZED),
    "402": (402, OUT_OF_MONEY),
    "403": (403, error_body("forbidden", "this key may not see this task", "permission_error")),
    "503": (503, error_body("internal_error", "service unavailable", "internal_error")),
}


def _task(scene: Scene) -> Task:
    if scene.task is None:
        raise TypeError("a fault of this hook needs a task")
    return scene.task


def _set_task(attribute: str, value: float | None = None) -> Effect:
    """Put a number, or the fault's value, into the task."""
    return lambda scene: setattr(scene.task, attribute, scene.value if value is None else value)


def _fail_with_echo(scene: Scene) -> None:
    order = _task(scene).order
    links = " ".join([*order.references, order.mask or ""]).strip()
    _task(scene).failure = f"upstream could not fetch {links} for the prompt {order.prompt}"


def _fail_as(looks: Callable[[str], Json]) -> Effect:
    """The task fails, and its body looks as the value says."""

    def effect(scene: Scene) -> None:
        task = _task(scene)
        task.failure, task.failed_as = _UPSTREAM, looks(scene.value)

    return effect


def _fewer(scene: Scene) -> None:
    task = _task(scene)
    task.pictures = max(1, task.pictures - int(scene.value))


def _echo_query(scene: Scene) -> Response:
    return RefusedError(500, "internal_error", f"panic while serving {called(scene)}", "internal_error").response()


def _unfinish(scene: Scene) -> None:
    """Take out what only a finished task shows."""
    for key in ("result", "completed_at", "expires_at", "usage"):
        scene.body.pop(key, None)


def _undeliverable(scene: Scene) -> None:
    _unfinish(scene)
    scene.body.update(status="in_progress", progress=100, billing={"status": "pending"})


def _wait_as(scene: Scene) -> None:
    _unfinish(scene)
    scene.body.update(status=scene.value, billing={"status": "pending"})


def _flap(scene: Scene) -> None:
    task = _task(scene)
    task.flaps += 1
    if task.flaps % 2 == 0 and task.flaps <= 2 * int(scene.value):
        _undeliverable(scene)


def _failed_for_now(scene: Scene) -> None:
    task = _task(scene)
    _unfinish(scene)
    scene.body.update(failed(task.id, task.order.model, task.created_at, "call upstream API failed"))


def _take_out(*keys: str) -> Effect:
    def effect(scene: Scene) -> None:
        for key in keys:
            scene.body.pop(key, None)

    return effect


def _odd_progress(scene: Scene) -> None:
    odd = {"text": "half done", "too-much": 250, "negative": -1, "null": None}
    scene.body.pop("progress")
    if scene.value in odd:
        scene.body["progress"] = odd[scene.value]


def _urls(scene: Scene) -> list[str]:
    return [picture["url"] for picture in scene.body["result"]["data"]]


def _top_level_url(scene: Scene) -> None:
    scene.body.update(object="image.generation", url=_urls(scene)[0])
    del scene.body["result"]


def _links_as(scene: Scene) -> None:
    """Move the links to where the value says."""
    urls, body = _urls(scene), scene.body
    objects = body.pop("result")["data"]
    places: dict[str, Json] = {
        "result-texts": {"result": {"type": "image", "data": urls}},
        "data": {"data": objects},
        "data-texts": {"data": urls},
        "twice": {"result": {"type": "image", "data": objects * 2}, "url": urls[0]},
    }
    body.update(places[scene.value])


_CREDITS_A_USD = 200  # the rate of every settled billing here


def _bill(scene: Scene) -> None:
    billing = scene.body.get("billing", {})
    if billing.get("status") == "settled":  # not one that another fault keeps pending
        billing.update(cost_usd=scene.value, credits=f"{(_CREDITS_A_USD * Decimal(scene.value)).normalize():f}")


_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def _odd_link(scene: Scene) -> None:
    """Only the first link: what becomes of the other pictures?"""
    picture = scene.body["result"]["data"][0]
    parts = urlsplit(picture["url"])
    links = {
        "relative": parts.path,
        "file": "file:///etc/hosts",
        "data": f"data:image/png;base64,{_PIXEL}",
        "userinfo": parts._replace(netloc=f"user:pass@{parts.netloc}").geturl(),
        "http": f"http://files.toapis.com{parts.path}",
    }
    picture["url"] = links[scene.value]


def _foreign_link(scene: Scene) -> None:
    for picture in scene.body["result"]["data"]:
        picture["url"] = f"https://{scene.value}{urlsplit(picture['url']).path}"


TASK_FAULTS = (
    Fault(
        "task-failed", Hook.TASK, "the task fails with value as error.message", _set_task("failure"), value=_UPSTREAM
    ),
    Fault("task-moderated", Hook.TASK, "the task fails with a policy text", _set_task("failure"), value=_MODERATED),
    Fault(
        "task-failed-echo",
        Hook.TASK,
        "the task fails with a text that repeats the signed links of the references and the prompt",
        _fail_with_echo,
    ),
    Fault(
        "failed-word",
        Hook.TASK,
        "the task fails, and its status word is value",
        _fail_as(lambda word: {"status": word}),
        value="error",
    ),
    Fault(
        "failed-shape",
        Hook.TASK,
        "the task fails, and says why in another shape",
        _fail_as(_FAILURES.__getitem__),
        value="text",
        values=tuple(_FAILURES),
    ),
    Fault("hang", Hook.TASK, "the task stays in progress for ever", _set_task("ends", inf)),
    Fault("fewer-pictures", Hook.TASK, "value pictures fewer than n, at least one", _fewer, value="1"),
)

STATUS_FAULTS = (
    Fault("status-500", Hook.STATUS, "500 internal_error", INTERNAL, times=3, counts=True),
    Fault(
        "status-error",
        Hook.STATUS,
        "an error answer with HTTP status value",
        answer_from(_ERRORS),
        value="401",
        values=tuple(_ERRORS),
    ),
    Fault("status-drop", Hook.STATUS, "the connection closes without an answer", drop, counts=True),
    Fault("status-429", Hook.STATUS, "429 rate_limit_exceeded with Retry-After of value seconds", LIMITED, value="1"),
    Fault(
        "status-429-date",
        Hook.STATUS,
        "429 with Retry-After as an HTTP date, value seconds ahead",
        limited_until,
        value="1",
    ),
    Fault("status-html-524", Hook.STATUS, "an HTML page with status 524 from the edge", edge_timeout, counts=True),
    Fault("status-unreadable", Hook.STATUS, "200 with a body that is no JSON", unreadable, counts=True),
    Fault("status-empty", Hook.STATUS, "200 with an empty body", empty, counts=True),
    Fault(
        "status-truncated",
        Hook.STATUS,
        "200 with half the bytes of JSON that Content-Length promises",
        cut_off,
        counts=True,
    ),
    Fault(
        "status-half-json",
        Hook.STATUS,
        "200 with the first half of its JSON as a whole answer",
        half_json,
        counts=True,
    ),
    Fault(
        "status-json",
        Hook.STATUS,
        "200 with JSON that is odd as value says",
        odd_json,
        value="deep",
        values=ODD_JSON,
    ),
    Fault("status-slow", Hook.STATUS, "the answer, as it is now, comes after value seconds", late, value="5"),
    Fault(
        "status-drip",
        Hook.STATUS,
        "the answer, as it is now, comes in pieces over value seconds",
        lambda scene: SlowAnswer(usual(scene), "application/json", float(scene.value)),
        value="5",
    ),
    Fault(
        "status-endless",
        Hook.STATUS,
        "the answer, then blanks up to value MiB (inf: without end), chunked without Content-Length",
        lambda scene: OversizeAnswer(usual(scene), "application/json", float(scene.value), b" ", announced=False),
        value="300",
    ),
    Fault(
        "status-stale-socket",
        Hook.STATUS,
        "the usual answer; its connection stays open, and a next request on it is reset unread",
        last,
        counts=True,
    ),
    Fault(
        "status-echo", Hook.STATUS, "500 whose message repeats the request's URL and the key", _echo_query, counts=True
    ),
    Fault(
        "late-lookup",
        Hook.STATUS,
        "404 although the task exists",
        refuse(404, 404, "the task does not exist", "not_found_error"),
        times=2,
        counts=True,
    ),
    Fault(
        "unknown-status",
        Hook.STATUS,
        "a status word that no page knows: value",
        put("status"),
        times=3,
        value="reviewing",
    ),
    Fault(
        "done-word",
        Hook.STATUS,
        "a finished task's status word is value instead of completed",
        put("status"),
        times=None,
        value="succeeded",
        only="completed",
    ),
    Fault(
        "waiting-word",
        Hook.STATUS,
        "the task's status word is value for ever, and no pictures are shown",
        _wait_as,
        times=None,
        value="cancelled",
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
        "nested-body",
        Hook.STATUS,
        "the usual body as `data` of another one",
        lambda scene: JSONResponse({"success": True, "message": "", "data": scene.body}),
        times=None,
    ),
    Fault(
        "odd-progress",
        Hook.STATUS,
        "progress is as value says",
        _odd_progress,
        times=None,
        value="missing",
        values=("missing", "null", "text", "too-much", "negative"),
    ),
    Fault(
        "other-body-id",
        Hook.STATUS,
        "the body's id is value, not the task's",
        put("id"),
        times=None,
        value="img_0123456789abcdef0123456789abcdef",
    ),
    Fault("no-billing", Hook.STATUS, "billing and usage are missing", _take_out("billing", "usage"), times=None),
    Fault(
        "billing-pending",
        Hook.STATUS,
        "a finished task's billing is still pending",
        lambda scene: scene.body.update(billing={"status": "pending"}),
        times=None,
        counts=True,
        only="completed",
    ),
    Fault(
        "billing-amount",
        Hook.STATUS,
        "a finished task's billing is settled at value USD, and at 200 credits for each",
        _bill,
        times=None,
        value="0.02",
        only="completed",
    ),
    Fault("no-expiry", Hook.STATUS, "expires_at is missing", _take_out("expires_at"), times=None),
    Fault(
        "result-type",
        Hook.STATUS,
        "result.type is value",
        lambda scene: scene.body["result"].update(type=scene.value),
        times=None,
        value="video",
        only="completed",
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
        "links-as",
        Hook.STATUS,
        "the links are texts, stand in data[] at the top level, or come twice",
        _links_as,
        times=None,
        value="data",
        only="completed",
        values=("result-texts", "data", "data-texts", "twice"),
    ),
    Fault(
        "odd-link",
        Hook.STATUS,
        "the first link is of a kind that nobody should follow; http: to files.toapis.com, without TLS",
        _odd_link,
        times=None,
        value="relative",
        only="completed",
        values=("relative", "file", "data", "userinfo", "http"),
    ),
    Fault(
        "foreign-link",
        Hook.STATUS,
        "the links lead to the host value",
        _foreign_link,
        times=None,
        value=ELSEWHERE,
        only="completed",
    ),
    Fault(
        "empty-data",
        Hook.STATUS,
        "completed with an empty result.data",
        lambda scene: scene.body["result"].update(data=[]),
        times=None,
        only="completed",
    ),
    Fault(
        "unknown-400",
        Hook.UNKNOWN,
        "an unknown task is answered with 400 task_not_exist",
        lambda _: JSONResponse({"message": "task_not_exist"}, 400),
    ),
)
