"""ToAPIs over HTTP: one POST that may cost money, and GETs that never do.

Requests follow the pages "Image editing", "GPT-Image-2-VIP" and "Image task status"; answers are read tolerantly,
because pages of different ages and the live service disagree about them.
"""

import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from bucketbrush.domain.errors import (
    PictureUnreadable,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    ResultUnstored,
    SubmitUnanswered,
    TaskUnreadable,
)
from bucketbrush.domain.redact import redact

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_WAIT = 3600
_CONNECT_SECONDS = 5.0
_LONGEST_WORD = 40
_SENTENCE_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f")  # most error texts are Chinese
# A request may have been taken before these: timeouts, and a conflict with what may be our own task.
_UNCLEAR = (408, 409, 425, 499)
# Sent elsewhere before it was taken; 303 is what comes after something was taken.
_MOVED = (301, 302, 307, 308)
# What the documented 503 codes mean; with any other a task may have been made.
_BUSY_CODES = ("rate_limit_unavailable", "circuit_broken")
_REFUSING_CODES = ("model_not_found",)


class TaskState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


# Image task status page: completed and failed are the ends. Every other word, known or not, means keep waiting.
_ENDS = {"completed": TaskState.DONE, "failed": TaskState.FAILED}


@dataclass(frozen=True)
class Task:
    """What a status answer says. ``status`` is the provider's own word; ``progress`` 0-100 is a hint at best."""

    task_id: str
    state: TaskState
    status: str
    progress: int | None
    urls: tuple[str, ...]
    error: str
    created_at: int | None
    completed_at: int | None


class ToApis:
    """A client for one API host.

    Every request opens a connection of its own: between two invocations a Lambda environment is frozen and its kept
    sockets die, and a request written to a dead socket looks like a lost answer. ``timeout`` is in seconds and holds
    for each read or write; connecting gets five.
    """

    def __init__(self, base_url: str, api_key: str, timeout: float) -> None:
        origin = base_url.rstrip("/").removesuffix("/v1")
        self._generations = f"{origin}/v1/images/generations"
        self._loopback = urlsplit(origin).hostname in LOOPBACK
        self._api_key = api_key
        self._authorization = {"Authorization": f"Bearer {api_key}"}
        self._timeout = httpx.Timeout(timeout, connect=_CONNECT_SECONDS)

    def submit(self, body: dict[str, Any]) -> str:
        """Send one task and return its id. Never repeats the request.

        Raises ProviderUnreachable (never written), ProviderBusy (refused for now), ProviderRefused (refused for good)
        or SubmitUnanswered (a paid task may exist).
        """
        secrets = (self._api_key, str(body.get("prompt", "")))
        try:
            with self._client(self._authorization) as client:
                answer = client.post(self._generations, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ProviderUnreachable(f"submit: no connection to the API ({type(error).__name__}).") from None
        except httpx.HTTPError as error:
            raise SubmitUnanswered(
                f"submit: the connection ended without an answer ({type(error).__name__})."
            ) from None
        content = _json(answer)
        if answer.is_success:
            if task_id := _task_id(content):
                return task_id
            raise SubmitUnanswered(f"submit: HTTP {answer.status_code} without a task id.")
        raise _refusal(answer, content, secrets)

    def find(self, name: str, prompt: str = "") -> Task | None:
        """The task of this id or ``client_business_id``; None when the provider knows none (404, or one client's 400).

        A failed task's text that echoes ``prompt`` loses it. Raises TaskUnreadable, which holds no text of the
        provider's, because who asks for the status does not know the prompt.
        """
        try:
            with self._client(self._authorization) as client:
                answer = client.get(f"{self._generations}/{quote(name, safe='')}")
        except httpx.HTTPError as error:
            raise TaskUnreadable(f"status: no answer ({type(error).__name__}).") from None
        content, secrets = _json(answer), (self._api_key, prompt)
        if answer.is_success and isinstance(content.get("status"), str):
            return _task(name, content, secrets)
        if answer.status_code == httpx.codes.NOT_FOUND or content.get("message") == "task_not_exist":
            return None
        code = redact(_error_code(content), secrets)[:_LONGEST_WORD] or "no error code"
        raise TaskUnreadable(f"status: HTTP {answer.status_code}, {code}.")

    def read(self, task_id: str, prompt: str = "") -> Task:
        """One look at a task that must be there. Raises TaskUnreadable."""
        task = self.find(task_id, prompt)
        if task is None:
            raise TaskUnreadable(f"status: the provider knows no task {task_id}.")
        return task

    @contextmanager
    def download(self, url: str) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """The chunks of a result picture and its announced length in bytes, if any. The API key is not sent.

        Raises PictureUnreadable when the link can give no picture and ResultUnstored when another try may help.
        """
        try:
            link = httpx.URL(url)
        except httpx.InvalidURL:
            raise PictureUnreadable("result link: found no address; allowed: https.") from None
        if not link.host or (link.scheme != "https" and not (self._loopback and link.host in LOOPBACK)):
            raise PictureUnreadable(f"result link: found scheme {link.scheme!r:.20}; allowed: https.")
        try:
            with (
                self._client({"Accept-Encoding": "identity"}) as client,
                client.stream("GET", url) as answer,
            ):
                # Finished, paid tasks were seen answering 403 for a while; the next try reads the task for new links.
                if answer.status_code != httpx.codes.OK:
                    raise ResultUnstored(f"result link: HTTP {answer.status_code}; allowed: 200.")
                length = answer.headers.get("Content-Length", "")
                yield answer.iter_raw(), int(length) if length.isdecimal() else None
        except httpx.HTTPError as error:
            raise ResultUnstored(f"result link: the download broke off ({type(error).__name__}).") from None

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        return httpx.Client(timeout=self._timeout, headers=headers, verify=_tls())


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates costs more than all the rest of a request, so it is done once per environment."""
    return httpx.create_ssl_context()


def _json(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; empty for HTML pages of the edge, broken JSON and everything else."""
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _refusal(
    answer: httpx.Response, content: dict[str, Any], secrets: Iterable[str]
) -> ProviderBusy | ProviderRefused | SubmitUnanswered:
    """What an error answer to a submit means. Only a clear refusal counts as unpaid; the rest is looked up."""
    status, code = answer.status_code, _error_code(content)
    said = f"submit: HTTP {status}, {_error_text(content, secrets)}"
    unavailable = status == httpx.codes.SERVICE_UNAVAILABLE
    if status == httpx.codes.TOO_MANY_REQUESTS or (unavailable and code in _BUSY_CODES):
        return ProviderBusy(said, _retry_after(answer))
    if (
        (unavailable and code in _REFUSING_CODES)
        or (answer.is_client_error and status not in _UNCLEAR)
        or status in _MOVED
    ):
        return ProviderRefused(said)
    return SubmitUnanswered(said)


def _task_id(content: dict[str, Any]) -> str | None:
    data = content.get("data")
    places = [content, data if isinstance(data, dict) else {}]
    ids = (place.get(name) for place in places for name in ("id", "task_id"))
    return next((found for found in ids if isinstance(found, str) and found), None)


def _task(task_id: str, content: dict[str, Any], secrets: Iterable[str]) -> Task:
    status = content["status"]
    return Task(
        task_id=task_id,
        state=_ENDS.get(status.lower(), TaskState.WAITING),
        status=redact(status)[:_LONGEST_WORD],
        progress=_whole(content.get("progress")),
        urls=tuple(dict.fromkeys(_urls(content))),
        error=_error_text(content, secrets),
        created_at=_whole(content.get("created_at")),
        completed_at=_whole(content.get("completed_at")),
    )


def _urls(content: dict[str, Any]) -> Iterator[str]:
    """Links in the order of the pictures: ``result.data[].url``, else the older top-level ``url``, else ``data[]``."""
    result = content.get("result")
    nested = result.get("data") if isinstance(result, dict) else None
    for place in (nested, [content], content.get("data")):
        items = place if isinstance(place, list) else []
        links = [item.get("url") if isinstance(item, dict) else item for item in items]
        if found := [link for link in links if isinstance(link, str) and link]:
            yield from found
            return


def _error_body(content: dict[str, Any]) -> dict[str, Any]:
    """The innermost error object of the shapes in use: ``error{}``, ``error.error{}``, ``error: text``, top level."""
    error = content.get("error")
    for _ in range(3):
        if not (isinstance(error, dict) and isinstance(error.get("error"), dict | str)):
            break
        error = error["error"]
    return error if isinstance(error, dict) else {**content, "message": error or content.get("message")}


def _error_code(content: dict[str, Any]) -> str:
    body = _error_body(content)
    return next((value for value in (body.get("code"), body.get("type")) if isinstance(value, str)), "")


def _error_text(content: dict[str, Any], secrets: Iterable[str]) -> str:
    body = _error_body(content)
    words = [body.get("code"), body.get("message") or content.get("fail_reason")]
    text = redact(": ".join(str(word) for word in words if isinstance(word, str | int)), secrets) or "no error text"
    return text if text.endswith(_SENTENCE_ENDS) else f"{text}."


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e12 else None


def _retry_after(answer: httpx.Response) -> int | None:
    """``Retry-After`` in whole seconds, 1 to 3,600 (async rate limits page), also when it is a date (RFC 9110, 10.2.3).

    A date counts from the answer's own, so that clocks need not agree; without that one it is as if there were none.
    """
    value = answer.headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}", value):
        seconds = int(value)
    else:
        try:
            seconds = round(
                (parsedate_to_datetime(value) - parsedate_to_datetime(answer.headers["Date"])).total_seconds()
            )
        except (KeyError, ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 1), _LONGEST_WAIT)
