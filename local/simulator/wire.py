"""Closing a connection in the middle of an answer, which no web framework offers, because no server should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from asyncio import Transport

    from starlette.types import Receive, Scope, Send

_open: dict[Any, Transport] = {}  # by (client, server) address: ASGI names a connection in no other way


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that lets `hang_up` find the transport of a request."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn narrows it the same way
        super().connection_made(transport)
        _open[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _open.pop((self.client, self.server), None)
        super().connection_lost(exc)


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Send what is buffered, close, and wait until the server has noticed, so that it adds no answer of its own."""
    _open[scope["client"], scope["server"]].close()
    while (await receive())["type"] != "http.disconnect":
        continue


class NoAnswer(Response):
    """The connection ends without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        """Hang up at once."""
        await hang_up(scope, receive)


class HalfAnswer(Response):
    """The first half of `content` under the headers of the whole; chunked when `sized` is false."""

    def __init__(self, content: bytes, media_type: str, *, sized: bool) -> None:
        super().__init__(content, media_type=media_type)
        if not sized:
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half, promise more, hang up."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await hang_up(scope, receive)
