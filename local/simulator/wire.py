"""What no web framework offers, because no server should: closing a connection in the middle, being late, resetting."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from local.simulator.answers import Json
    from local.simulator.tasks import Task

PIECES_A_SECOND = 4  # of a slow answer: often enough that no single read takes long
FEWEST_PIECES = 10
MEBIBYTE = 1024 * 1024


@dataclass
class Connection:
    """One TCP connection of a client."""

    transport: Transport
    requests: int = 0
    stale: bool = False  # looks alive, but the next request on it will be reset

    def reset(self) -> None:
        """Drop it with an RST, as a middlebox does that has forgotten an idle connection."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that hands its connection to the application, as `scope["state"]["connection"]`."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn narrows it the same way
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": Connection(transport)}


def connection_of(scope: Scope) -> Connection:
    """The connection that a request came on."""
    found: Connection = scope["state"]["connection"]
    return found


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Send what is buffered, close, and wait until the server has noticed, so that it adds no answer of its own."""
    connection_of(scope).transport.close()
    await _until_gone(receive)


async def reset(scope: Scope, receive: Receive) -> None:
    """Reset the connection and wait until the server has noticed."""
    connection_of(scope).reset()
    await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
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


class LateAnswer(JSONResponse):
    """The right answer, some seconds late."""

    def __init__(self, content: Json, seconds: float) -> None:
        super().__init__(content)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer; a client that has gone by then misses nothing."""
        await asyncio.sleep(self._seconds)
        await super().__call__(scope, receive, send)


class FinishedAnswer(Response):
    """The answer of a task that has ended, as soon as it has."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the pictures, or for the failure."""
        while self._task.urls is None and self._task.failure is None:
            await asyncio.sleep(0.01)
        await JSONResponse(self._task.body(math.inf))(scope, receive, send)


class LastAnswer(JSONResponse):
    """The right answer and the last one on its connection, which stays open and looks alive all the same."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and lay the trap first: the client may be quick."""
        connection_of(scope).stale = True
        await super().__call__(scope, receive, send)


class SlowAnswer(StreamingResponse):
    """The content in pieces, evenly over some seconds."""

    def __init__(self, content: bytes, media_type: str, seconds: float) -> None:
        length = {"Content-Length": str(len(content))}
        super().__init__(_slowly(content, seconds), media_type=media_type, headers=length)


async def _slowly(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    pieces = max(FEWEST_PIECES, int(PIECES_A_SECOND * seconds))
    size = len(content) // pieces + 1
    for start in range(0, len(content), size):
        await asyncio.sleep(seconds / pieces)
        yield content[start : start + size]


class OversizeAnswer(StreamingResponse):
    """The content and then filler, some MiB in all (infinity is allowed unless `announced`), never held in memory."""

    def __init__(self, content: bytes, media_type: str, mebibytes: float, filler: bytes, *, announced: bool) -> None:
        size = mebibytes * MEBIBYTE
        headers = {"Content-Length": str(int(size))} if announced else None
        super().__init__(_padded(content, filler, size), media_type=media_type, headers=headers)


async def _padded(content: bytes, filler: bytes, size: float) -> AsyncIterator[bytes]:
    yield content[: int(min(size, len(content)))]
    left, block = size - len(content), filler * (MEBIBYTE // 4)
    while left > 0:
        await asyncio.sleep(0)  # let the server see that the client has gone: nothing else here would wait then
        piece = block[: int(min(left, len(block)))]
        yield piece
        left -= len(piece)
