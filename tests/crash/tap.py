"""Every HTTP request of an invocation passes here: it is noted, and the invocation can die at it.

This is the lowest point that boto3 and httpx have, so a side effect that is new in the code is covered by itself.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.retries.standard import ExponentialBackoff

from bucketbrush import store
from bucketbrush.adapters import objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.template.stack import Json


class Killed(BaseException):
    """The process is gone. No code of ours may stop it."""


class How(StrEnum):
    """What happens at a side effect."""

    BEFORE = "killed before"
    AFTER = "killed after"  # the request has reached the service, the answer is thrown away
    LOST = "answer lost at"  # the same, and the process lives


@dataclass
class Effect:
    """One request. ``second`` is the simulated time; nothing here that is printed holds a secret.

    ``row`` is the job's row that it has written.
    """

    number: int
    second: float
    invocation: str
    what: str
    body: str = field(repr=False)
    status: str = "not sent"
    row: Json = field(default_factory=dict, repr=False)


@dataclass
class Invocation:
    """One run of a function's handler."""

    name: str
    dead: bool = False


@dataclass(frozen=True)
class _Request:
    """What the two libraries have in common."""

    what: str
    body: str
    send: Callable[[], Any]
    drop: Callable[[Any], None]  # the answer
    lost: Exception


@dataclass
class Tap:
    """The requests of one run, numbered from 1.

    ``kills`` and ``intruders`` say by number what happens at a request, and what runs to its end just before it;
    ``sent`` is told of each one that has reached its service.
    """

    second: Callable[[], float]
    sent: Callable[[Effect], None]
    kills: Mapping[int, How] = field(default_factory=dict)
    intruders: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    _running: list[Invocation] = field(default_factory=list)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While it is, requests inside an invocation are ours; others pass unseen."""
        aws, other = URLLib3Session.send, httpx.HTTPTransport.handle_request

        def send(session: URLLib3Session, request: Any) -> Any:
            return self._meet(_aws(request, lambda: aws(session, request)))

        def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> Any:
            return self._meet(_http(request, lambda: other(transport, request)))

        with ExitStack() as patches:
            patches.enter_context(patch.object(URLLib3Session, "send", send))
            patches.enter_context(patch.object(httpx.HTTPTransport, "handle_request", handle_request))
            patches.enter_context(patch.object(ExponentialBackoff, "delay_amount", lambda *_: 0))
            # Requests are known by their numbers, so pictures and their parts are stored one after the other.
            patches.enter_context(patch.object(store, "SIDE_BY_SIDE", 1))
            patches.enter_context(patch.object(objects, "_BUFFERS", 1))
            yield

    @contextmanager
    def invocation(self, name: str) -> Iterator[None]:
        """What happens inside is one invocation's."""
        invocation = Invocation(name)
        self._running.append(invocation)
        try:
            yield
        finally:
            self._running.pop()
        assert not invocation.dead, f"{name} went on after it was killed: something swallowed Killed"

    def _meet(self, request: _Request) -> Any:
        if not self._running:
            return request.send()
        invocation = self._running[-1]
        if invocation.dead:
            raise Killed
        effect = Effect(len(self.effects) + 1, self.second(), invocation.name, request.what, request.body)
        self.effects.append(effect)
        how = self.kills.get(effect.number)
        if effect.number in self.intruders:
            self._aside(self.intruders[effect.number])
        if how is How.BEFORE:
            invocation.dead = True
            raise Killed
        try:
            answer = request.send()
        except Exception as error:
            effect.status = type(error).__name__
            self._aside(lambda: self.sent(effect))
            if how is How.AFTER:
                invocation.dead = True
                raise Killed from None
            raise
        effect.status = str(answer.status_code)
        self._aside(lambda: self.sent(effect))
        if how is None:
            return answer
        request.drop(answer)
        invocation.dead = how is How.AFTER
        raise Killed if invocation.dead else request.lost

    def _aside(self, act: Callable[[], None]) -> None:
        """Do what does not belong to the invocation that runs."""
        running, self._running = self._running, []
        try:
            act()
        finally:
            self._running = running


def _aws(request: Any, send: Callable[[], Any]) -> _Request:
    address, headers, body = urlsplit(request.url), request.headers, _text(request.body)
    service = re.search(r"/([a-z0-9-]+)/aws4_request", _text(headers.get("Authorization", "")))
    action = _text(headers.get("X-Amz-Target", "")).rpartition(".")[2] or re.search(r"\bAction=(\w+)", body)
    operation = action if isinstance(action, str) else action[1] if action else f"{request.method} {address.path}"
    return _Request(
        f"{service[1] if service else '?'} {operation}",
        body,
        send,
        drop=lambda answer: answer.raw.close(),
        lost=ReadTimeoutError(endpoint_url=address.netloc),
    )


def _http(request: httpx.Request, send: Callable[[], Any]) -> _Request:
    return _Request(
        f"toapis {request.method} {request.url.path}",
        _text(request.read()),
        send,
        drop=lambda answer: answer.close(),
        lost=httpx.ReadTimeout("lost", request=request),
    )


def _text(found: Any) -> str:
    return found.decode(errors="replace") if isinstance(found, bytes | bytearray) else str(found or "")
