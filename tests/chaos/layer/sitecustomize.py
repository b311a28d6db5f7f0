"""Kills the function's environment in the middle of an invocation, as its event asks for.

This file is the whole of a layer. Python imports it when the environment starts, before the function's own code. A name
such as `0042-s3b-f1a` in the event says: the submit function dies before its third request, finalize after its first.
Each of them strikes once, however often the event comes.
"""

import json
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from awslambdaric import bootstrap  # type: ignore[import-not-found]  # it lives where functions run
from botocore.httpsession import URLLib3Session

LETTER, FOLDER = os.environ["CHAOS_LETTER"], Path(os.environ["CHAOS_FOLDER"])
JOB = r"(\d{4}|sweep\d+)((?:-[stfw]\d{1,2}[ab])*)"
NAME = re.compile(rf"""(?:inbox/[^/"]+/|(?:job_id|execution|again|\bid)\\?": ?\\?"){JOB}(?=[-."\\])""")


class Invocation:
    """How many requests it has made, and at which of them it dies."""

    def __init__(self, event: str) -> None:
        found = NAME.search(event)
        self.job = found[1] if found else "nobody"
        asked = found[2].split("-")[1:] if found else []
        self.requests = 0
        self.deaths = {crash[1:]: f"{self.job}-{crash}" for crash in asked if crash[0] == LETTER}
        # Only what was killed by its timeout leaves it there.
        self.alive = FOLDER / f"{self.job}-{LETTER}-{uuid.uuid4().hex}"

    def die(self, when: str, request: str) -> None:
        name = self.deaths.get(f"{self.requests}{when}")
        if name and mark(FOLDER / name, request.partition("?")[0]):
            self.alive.unlink()
            os._exit(1)


def mark(path: Path, request: str) -> bool:
    """Whether this was the first to say so."""
    try:
        with path.open("x") as new:
            json.dump({"name": path.name, "request": request}, new)
    except FileExistsError:
        return False
    return True


now = Invocation("")


def mortal(send: Callable[..., Any]) -> Callable[..., Any]:
    """A send method at which the invocation can die: with its request never sent, or its answer thrown away."""

    def send_or_die(session: Any, request: Any, *rest: Any, **more: Any) -> Any:
        now.requests += 1
        target = request.headers.get("X-Amz-Target", b"")
        what = f"{request.method} {request.url} {target.decode() if isinstance(target, bytes) else target}".strip()
        now.die("b", what)
        answer = send(session, request, *rest, **more)
        now.die("a", what)
        return answer

    return send_or_die


def begun(handle: Callable[..., Any]) -> Callable[..., Any]:
    """The runtime client's way to run one event, which tells where an invocation begins and ends."""

    def begin(client: Any, handler: Any, invoke_id: Any, event: Any, *rest: Any, **more: Any) -> Any:
        global now
        now = Invocation(event.decode() if isinstance(event, bytes) else str(event))
        mark(now.alive, "timeout")
        try:
            return handle(client, handler, invoke_id, event, *rest, **more)
        finally:
            now.alive.unlink()

    return begin


bootstrap.handle_event_request = begun(bootstrap.handle_event_request)
URLLib3Session.send = mortal(URLLib3Session.send)  # type: ignore[method-assign]
httpx.HTTPTransport.handle_request = mortal(httpx.HTTPTransport.handle_request)  # type: ignore[method-assign]
