"""The HTTP surface: the API host, the file host and the control endpoints, as Starlette applications."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.simulator import answers
from local.simulator.answers import RefusedError
from local.simulator.faults import FAULTS, Faults, Hook, for_task
from local.simulator.limits import TokenBucket
from local.simulator.painting import paint, paint_copies
from local.simulator.rules import business_id_of, check
from local.simulator.studio import Studio
from local.simulator.tasks import TaskBook
from local.simulator.uploads import NotUploadedError, UploadDesk, not_uploaded
from local.simulator.wire import connection_of, reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.simulator.files import FileStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a simulator behaves. Seconds are real; `jitter` is the fraction by which each duration varies.

    Without `paint` every picture is a copy, of the ordered pixels and with bytes of its own: for thousands of tasks.
    Submits have no limit when `submits_per_second` is None, else that rate after a burst of `submits_burst`.
    """

    queue_seconds: float = 1.0
    task_seconds: float = 4.0
    jitter: float = 0.0
    seed: int | None = None
    api_key: str = "sk-simulator"
    paint: bool = True
    submits_per_second: float | None = None
    submits_burst: int = 5


class World:
    """Everything a running simulator knows."""

    def __init__(self, settings: Settings, files: FileStore, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self.files, self.clock = settings, files, clock
        self.api_key = settings.api_key
        chance = Random(settings.seed)
        self.book = TaskBook(
            clock, settings.queue_seconds, settings.task_seconds, settings.jitter, chance, files.is_upload
        )
        self.uploads = UploadDesk(clock, files)
        self.faults = Faults(FAULTS)
        self.studio = Studio(clock, files, paint if settings.paint else paint_copies)
        rate = settings.submits_per_second
        self.limit = None if rate is None else TokenBucket(clock, rate, settings.submits_burst)
        self.submits_refused = 0  # by this limit, not by faults
        self.reused_connections = 0  # requests on a connection that had carried one before; those of control apart

    def reset(self) -> None:
        """As if just started, but for the key."""
        self.studio.clear()
        self.book.clear()
        self.uploads.records.clear()
        self.faults.clear()
        self.files.clear()
        if self.limit:
            self.limit.refill()
        self.submits_refused = 0
        self.reused_connections = 0


class Api:
    """The endpoints of the API host."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What the API host answers to."""
        return [
            Route("/v1/images/generations", self.submit, methods=["POST"]),
            Route("/v1/images/generations/{name:path}", self.status, methods=["GET"]),
            Route("/v1/uploads/images", self.upload, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Both model pages: a valid order becomes a queued task, anything else an error body and no task."""
        self._authorise(request)
        if limited := self._limited():
            with suppress(RefusedError):  # what is no JSON names no order that could be counted
                await self._received(request)
            return limited
        world, body = self._world, await self._received(request)
        own = world.faults.of_order(business_id_of(body), _prompt_of(body))
        if refusal := world.faults.strike(
            Hook.SUBMIT, own, request=request, sent=body if isinstance(body, dict) else {}
        ):
            return refusal
        task = world.book.accept(check(body))
        task.faults = for_task(own)
        world.faults.strike(Hook.TASK, task.faults, task=task)
        world.studio.begin(task)
        answer = answers.submitted(task.id, task.order.model, task.created_at)
        return world.faults.strike(Hook.ACCEPTED, own, task=task, body=answer) or JSONResponse(answer)

    async def status(self, request: Request) -> Response:
        """ToAPIs task status page: by task id or by client_business_id."""
        self._authorise(request)
        world = self._world
        task = world.book.find(request.path_params["name"])
        if task is None:
            return world.faults.strike(Hook.UNKNOWN, []) or answers.unknown_task().response()
        task.polls += 1
        now = world.clock()
        body = task.body(now)
        scene = {"task": task, "body": body, "request": request}
        return world.faults.strike(Hook.STATUS, task.faults, task.status(now), **scene) or JSONResponse(body)

    async def upload(self, request: Request) -> Response:
        """ToAPIs Upload Image page: JPEG, PNG, WebP or GIF of at most 10 MB as form field `file`."""
        self._authorise(request)
        world = self._world
        try:
            content = await world.uploads.receive(request)
            if refusal := world.faults.strike(Hook.UPLOAD, []):
                return refusal
            body = world.uploads.store(content)
        except NotUploadedError as error:
            return not_uploaded(str(error))
        return world.faults.strike(Hook.UPLOADED, [], body=body) or JSONResponse(body)

    def _limited(self) -> Response | None:
        """ToAPIs async rate limits page: a token bucket; each submit takes a token, business failures too."""
        world = self._world
        if world.limit is None or not (wait := world.limit.take()):
            return None
        world.submits_refused += 1
        answer = RefusedError(*answers.LIMITED, str(ceil(wait))).response()
        answer.headers["X-RateLimit-Limit"] = str(world.limit.capacity)
        answer.headers["X-RateLimit-Remaining"] = "0"
        answer.headers["X-RateLimit-Category"] = "async_submit"
        return answer

    async def _received(self, request: Request) -> object:
        """The body of a POST, counted for its client_business_id whatever becomes of it."""
        body = await _json(request)
        if business_id := business_id_of(body):
            self._world.book.posts[business_id] += 1
        return body

    def _authorise(self, request: Request) -> None:
        """Both model pages, section "Authorizations": `Authorization: Bearer YOUR_API_KEY`."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(key.encode(), self._world.api_key.encode()):
            raise RefusedError(401, "unauthorized", "invalid API key", "authentication_error")


class Files:
    """The file host. It wants no key, and says so when it gets one."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What the file host answers to."""
        return [Route("/{path:path}", self.download, methods=["GET"])]

    async def download(self, request: Request) -> Response:
        """One picture."""
        world = self._world
        if "authorization" in request.headers:
            world.files.keys_received += 1
            return PlainTextResponse("this host needs no key: do not send it one", 400)
        file = world.files.get(request.url.path)
        if file is None:
            return PlainTextResponse("not found", 404)
        answer = None
        if task := world.book.find(file.task_id) if file.task_id else None:
            task.downloads += 1
            answer = world.faults.strike(Hook.FILE, task.faults, task=task, file=file, request=request)
        return answer or FileResponse(file.path, media_type=file.media_type)


class Control:
    """Endpoints for tests and for people, outside the API's own paths."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What stands under `/_simulator`."""
        return [
            Route("/_simulator/health", self.health, methods=["GET"]),
            Route("/_simulator/tasks", self.tasks, methods=["GET"]),
            Route("/_simulator/uploads", self.uploads, methods=["GET"]),
            Route("/_simulator/reset", self.reset, methods=["POST"]),
            Route("/_simulator/key", self.change_key, methods=["PUT"]),
            Route("/_simulator/faults", self.list_faults, methods=["GET"]),
            Route("/_simulator/faults", self.arm, methods=["POST"]),
            Route("/_simulator/faults", self.disarm, methods=["DELETE"]),
        ]

    async def health(self, _: Request) -> Response:
        """Counts; `keys_sent_to_files` should stay 0, and `reused_connections` with a client that keeps none."""
        world = self._world
        return JSONResponse(
            {
                "status": "ok",
                "tasks": len(world.book.tasks),
                "submits_refused": world.submits_refused,
                "keys_sent_to_files": world.files.keys_received,
                "reused_connections": world.reused_connections,
            }
        )

    async def tasks(self, _: Request) -> Response:
        """Every task in order of arrival."""
        return JSONResponse({"tasks": self._world.book.records()})

    async def uploads(self, _: Request) -> Response:
        """Every upload whose file was read, in order of arrival."""
        return JSONResponse({"uploads": self._world.uploads.records})

    async def reset(self, _: Request) -> Response:
        """Forget tasks, uploads, faults and files; submits have their whole burst again."""
        self._world.reset()
        return JSONResponse({"status": "ok"})

    async def change_key(self, request: Request) -> Response:
        """`{"api_key": "..."}`: the one that is taken from now on; the one before gets 401."""
        body = await _json(request)
        api_key = body.get("api_key") if isinstance(body, dict) else None
        if not (isinstance(api_key, str) and api_key):
            raise RefusedError(400, "invalid_request", "api_key must be a text that is not empty")
        self._world.api_key = api_key
        return JSONResponse({"status": "ok"})

    async def list_faults(self, _: Request) -> Response:
        """Every fault there is, and those armed now."""
        known = [
            {
                "name": fault.name,
                "hook": fault.hook,
                "description": fault.description,
                "times": fault.times,
                "value": fault.value,
                "values": fault.values,
            }
            for fault in FAULTS.values()
        ]
        armed = [{"name": it.fault.name, "left": it.left, "value": it.value} for it in self._world.faults.armed]
        return JSONResponse({"faults": known, "armed": armed})

    async def arm(self, request: Request) -> Response:
        """`{"name": ..., "times": n or null for always, "value": ...}`; what is left out has the fault's default."""
        body = await _json(request)
        fault = FAULTS.get(str(body.get("name"))) if isinstance(body, dict) else None
        if fault is None or not isinstance(body, dict):
            raise RefusedError(400, "invalid_request", f"name must be one of {', '.join(FAULTS)}")
        times, value = body.get("times", fault.times), body.get("value")
        if not (times is None or (type(times) is int and times > 0)):
            raise RefusedError(400, "invalid_request", "times must be a whole number above 0, or null for always")
        self._world.faults.arm(fault, times, None if value is None else str(value))
        return JSONResponse({"status": "ok"})

    async def disarm(self, _: Request) -> Response:
        """Forget all armed faults; those in prompts included."""
        self._world.faults.clear()
        return JSONResponse({"status": "ok"})


def simulator_app(world: World, files_port: int) -> ASGIApp:
    """One ASGI application for both hosts; a request belongs to the file host when it came in on `files_port`."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with world.studio:
            yield

    errors = {RefusedError: _refused, HTTPException: _no_such_endpoint}
    api = Starlette(
        routes=[*Api(world).routes(), *Control(world).routes()], lifespan=lifespan, exception_handlers=errors
    )
    files = Starlette(routes=Files(world).routes())

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        to_files = scope["type"] == "http" and scope["server"][1] == files_port
        await (files if to_files else api)(scope, receive, send)

    return _logged(_counted(by_port, world))


def _counted(app: ASGIApp, world: World) -> ASGIApp:
    """Notices connections that are used again, and resets those that a fault has made stale."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_simulator/"):
            await app(scope, receive, send)
            return
        connection = connection_of(scope)
        connection.requests += 1
        world.reused_connections += connection.requests > 1
        await (reset(scope, receive) if connection.stale else app(scope, receive, send))

    return counted


def _logged(app: ASGIApp) -> ASGIApp:
    """One line per request: method, path without its query, status, milliseconds."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began, status = time.monotonic(), "no answer"

        async def watch(message: Message) -> None:
            nonlocal status
            status = str(message.get("status", status))
            await send(message)

        try:
            await app(scope, receive, watch)
        finally:
            path = scope["raw_path"].decode("ascii")
            _log.info("%s %s %s %.0f ms", scope["method"], path, status, 1000 * (time.monotonic() - began))

    return logged


async def _json(request: Request) -> object:
    try:
        found: object = await request.json()
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits, a tower of [
        raise RefusedError(400, "invalid_request", "the body must be JSON") from error
    return found


def _prompt_of(body: object) -> str:
    """The prompt of an unchecked body."""
    prompt = body.get("prompt") if isinstance(body, dict) else None
    return prompt if isinstance(prompt, str) else ""


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return error.response()


async def _no_such_endpoint(_: Request, error: Exception) -> Response:
    """404 and 405 in the API's shape."""
    if not isinstance(error, HTTPException):
        raise error
    kind = "not_found_error" if error.status_code == 404 else "invalid_request_error"
    answer = RefusedError(error.status_code, error.status_code, error.detail, kind).response()
    answer.headers.update(error.headers or {})
    return answer
