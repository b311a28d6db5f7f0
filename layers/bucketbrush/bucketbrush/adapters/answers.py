"""What the provider's answers mean: pure functions from status, headers and bytes.

Pages of different ages and the live service disagree about the shapes, so answers are read tolerantly, and whatever
the bytes are, the end is a value or one of the documented errors. An answer to a submit is unpaid only when it is a
clear refusal; all else is looked up:

    2xx with a task id                                the task
    2xx without one, 5xx, 3xx, 408, 409, 425, 499     SubmitUnanswered
    301, 307, 308                                     ProviderRefused   (it was sent elsewhere before it was taken)
    503 rate_limit_unavailable                        RateLimited
    503 circuit_broken                                ProviderBusy
    503 model_not_found                               ProviderRefused
    4xx that says there is no money, 402              AccountEmpty
    429                                               RateLimited
    4xx that objects to the content, 422              ContentRefused
    401, 403                                          KeyRefused
    any other 4xx                                     ProviderRefused

A number as error code counts as a second status beside 4xx. ``success: false``, or an error beside an id, makes a 2xx
one without a task. An upload costs nothing, so there SubmitUnanswered becomes ProviderBusy. A look at a task gives the
task, none (404, or one client's 400), or TaskUnreadable.
"""

import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from bucketbrush.domain.errors import (
    AccountEmpty,
    ContentRefused,
    KeyRefused,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    SubmitUnanswered,
    TaskFailed,
    TaskUnreadable,
)
from bucketbrush.domain.money import micros
from bucketbrush.domain.redact import redact

MAX_ANSWER_BYTES = 1024 * 1024
MAX_LINK_CHARACTERS = 8192
_MOST_LINKS = 100
_LONGEST_WAIT = 3600
_LONGEST_DATE = 40
_LONGEST_WORD = 40
_CREDITS_PER_USD = 200
_LARGEST_BILL = 1_000_000
_AMOUNT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?")
_DEEPEST_ERROR = 3
_DEEPEST_LINK = 4
_NAME = re.compile(r"[!-~]{1,100}")
_WORD = re.compile(rf"[\w.:-]{{1,{_LONGEST_WORD}}}", re.ASCII)
_SENTENCE_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f")  # most error texts are Chinese
# The seconds from 2001 to 2286: what is no such number is no time, milliseconds among them.
_SECONDS = range(10**9, 10**10)
# It becomes a part of paths, rows and logs; a dot or two would be another path (RFC 3986, 5.2.4).
_TASK_ID = re.compile(r"(?!\.{1,2}\Z)[!-~]{1,256}")
# A request may have been taken before these: timeouts, and a conflict with what may be our own task.
UNCLEAR = (408, 409, 425, 499)
_SERVER_FAULT = 500
# Sent elsewhere before it was taken; 303, and in practice 302, is what comes after something was taken.
MOVED = (301, 307, 308)
# What the documented 503 codes mean; with any other a task may have been made.
_LIMITED_CODES = {"rate_limit_unavailable"}
_BUSY_CODES = {"circuit_broken"}
_REFUSING_CODES = {"model_not_found"}
_UNKNOWN_TASK = re.compile(r"task_not_(?:exist|found)")
_NO_MONEY = re.compile(
    r"insufficient[ _](?:user[ _])?(?:quota|balance|credits?)|quota[ _](?:is[ _])?not[ _]enough|(?:余额|额度|配额)不足",
    re.IGNORECASE,
)
# Codes of the status pages and of other models of the same API; they need no words beside them.
_CONTENT_CODE = re.compile(
    r"content_(?:policy|filter|moderation)|moderation_blocked|PrivacyInformation\Z", re.IGNORECASE
)
# Most refusals of content arrive as a task that failed with generation_failed: only the words tell them.
_CONTENT_WORDS = re.compile(
    r"polic(?:y|ies)|safety|moderat|(?<!case[- ])sensitive|prohibited|content[ _]filter|status(?: code)?[ :=]*422\b"
    r"|违规|违反|审核|敏感|安全",
    re.IGNORECASE,
)
# Trouble of the service that looks at content, which says nothing of this content.
_TROUBLE_WORDS = re.compile(
    r"time[d ]?[- ]?out|unavailable|overload|unreachable|connect|rate limit|too many|\b5\d\d\b"
    r"|超时|繁忙|不可用|连接|频繁|限流|重试",
    re.IGNORECASE,
)


class TaskState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


# Image task status page, and what clients of the same API met or prepare for. Every other word, known or not, means
# keep waiting: cancelled and expired too, which no page documents as an end, because a job that is called over may be
# run again and paid twice. The deadline ends such a job.
ENDS = {
    **dict.fromkeys(("completed", "complete", "succeeded", "success", "finished"), TaskState.DONE),
    **dict.fromkeys(("failed", "failure", "error"), TaskState.FAILED),
}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. ``headers`` are found by their names in lower case; ``body`` is as it came, perhaps cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_client_error(self) -> bool:
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True)
class Bill:
    """What a task's ``billing`` says; ``amount`` in millionths of a US dollar, None when there is none to be read."""

    status: str
    amount: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the amount is still to come, whatever the task's own status."""
        return self.status == "pending"

    @property
    def is_kept(self) -> bool:
        """Whether money was kept; an amount that is missing is not 0."""
        return self.status == "settled" and self.amount != 0


@dataclass(frozen=True)
class Task:
    """What a status answer says. ``status`` is the provider's own word; ``progress`` 0-100 is a hint at best.

    ``urls`` are in the order of the pictures and as they came. Times are in seconds since 1970. A failed task has a
    ``problem``: ContentRefused when the prompt or a picture is to be changed before it can succeed. ``model`` is the
    one that it names.
    """

    task_id: str
    state: TaskState
    status: str
    progress: int | None
    urls: tuple[str, ...]
    problem: ContentRefused | TaskFailed | None
    created_at: int | None
    completed_at: int | None
    bill: Bill | None = None
    model: str | None = None


@dataclass(frozen=True)
class _Said:
    """An error as the provider tells it, in any shape. ``text`` is redacted, ``codes`` are its code and its type."""

    codes: tuple[str, ...]
    number: int | None
    text: str

    def has(self, words: re.Pattern[str]) -> bool:
        return any(map(words.search, (*self.codes, self.text)))


def read_submit(answer: Answer, secrets: tuple[str, ...]) -> str:
    """The id of the task that a submit made (both model pages, "Response").

    Raises ProviderBusy, ProviderRefused or one below it, and SubmitUnanswered. No message holds one of ``secrets``.
    """
    content = _content(answer)
    said = _said(content, secrets)
    if not answer.is_success:
        raise _problem("submit", answer, said, _kind(answer, said))
    task_id = next((found for found in _ids(content) if redact(found, secrets) == found), None)
    if task_id is None or content.get("success") is False or _is_error(content, said):
        raise SubmitUnanswered(f"submit: HTTP {answer.status} without a task id, {said.text}")
    return task_id


def read_task(name: str, answer: Answer, secrets: tuple[str, ...]) -> Task | None:
    """The task that was asked for by ``name``; None when the provider knows none.

    Raises TaskUnreadable, which holds no text of the provider's but a code: who asks may not know all secrets.
    """
    content = _content(answer)
    if answer.is_success and (body := _task_body(content)):
        return _task(name, body, secrets)
    said = _said(content, secrets)
    # A page of the edge says nothing of the task, whatever its status is.
    is_unknown = content and (answer.status == HTTPStatus.NOT_FOUND or said.has(_UNKNOWN_TASK))
    if is_unknown and (answer.is_success or answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)):
        return None
    code = next((code for code in said.codes if _WORD.fullmatch(code)), "no error code")
    kind = _kind(answer, said)
    refused_as = kind if issubclass(kind, ProviderRefused) else None
    message = f"status: HTTP {answer.status}, {redact(code, secrets)}."
    raise TaskUnreadable(message, refused_as, _retry_after(answer.headers))


def read_upload(answer: Answer, secrets: tuple[str, ...]) -> str:
    """The link to an uploaded picture (Upload Image page), unchecked; ``success: false`` refuses with any status.

    Raises ProviderBusy, also when the answer cannot be read, and ProviderRefused or one below it.
    """
    content = _content(answer)
    said = _said(content, secrets)
    if not answer.is_success:
        kind = _kind(answer, said)
        raise _problem("upload", answer, said, ProviderBusy if kind is SubmitUnanswered else kind)
    if content.get("success") is False:
        raise _problem("upload", answer, said, _client_fault(answer.status, said))
    data = content.get("data")
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str):
        raise ProviderBusy(f"upload: HTTP {answer.status} without a link; allowed: data.url.")
    return url


def _content(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object; empty for HTML pages of the edge, broken or endless JSON and everything else."""
    try:
        content = json.loads(_plain_body(answer))
    except (ValueError, RecursionError, zlib.error):
        return {}
    return content if isinstance(content, dict) else {}


def _plain_body(answer: Answer) -> bytes:
    """The body without its compression, which nobody asked for (RFC 9110, 8.4.1). Raises ValueError when too long."""
    body = answer.body
    if answer.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate"):
        body = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise ValueError("too long")
    return body


def _ids(content: dict[str, Any]) -> Iterator[str]:
    """What may be the task's id, the likeliest first. A whole number is one too."""
    data = content.get("data")
    if isinstance(data, list):
        data = next(iter(data), None)
    for place in (content, data if isinstance(data, dict) else {}):
        for name in ("id", "task_id"):
            value: Any = place.get(name)
            task_id = str(value) if _is_whole(value) and value > 0 else _text(value)
            if _TASK_ID.fullmatch(task_id):
                yield task_id


def _task_body(content: dict[str, Any]) -> dict[str, Any] | None:
    """Where the task stands: under ``data`` when what is around it names no task of its own.

    An envelope has a status for itself (``{"status": "failed", "message": "busy"}``); a task has an id or links.
    """
    if content.get("success") is False:
        return None
    is_named = _names_task(content)
    places = (content, content.get("data")) if is_named else (content.get("data"), content)
    bodies = (body for body in places if isinstance(body, dict) and isinstance(body.get("status"), str))
    return next((body for body in bodies if is_named or _is_task(body, content)), None)


def _is_task(body: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether a status is a task's own; that nested one waits can be believed without more."""
    waits = body is not content and body["status"].strip().lower() not in ENDS
    return waits or _names_task(body) or any(_links_of(body))


def _names_task(body: dict[str, Any]) -> bool:
    return "id" in body or "task_id" in body


def _task(name: str, body: dict[str, Any], secrets: tuple[str, ...]) -> Task:
    status: str = body["status"]
    urls = tuple(dict.fromkeys(_links_of(body)))
    state = ENDS.get(status.strip().lower(), TaskState.WAITING)
    return Task(
        task_id=name,
        state=state,
        status=redact(status, secrets)[:_LONGEST_WORD],
        progress=_progress(body.get("progress")),
        urls=urls[:_MOST_LINKS],
        problem=_task_problem(_said(body, secrets)) if state is TaskState.FAILED else None,
        created_at=_seconds(body.get("created_at")),
        completed_at=_seconds(body.get("completed_at")),
        bill=_bill(body.get("billing")),
        model=_name(body.get("model"), secrets),
    )


def _links_of(body: dict[str, Any]) -> Iterator[str]:
    """Links in the order of the pictures, from the first place that has some: ``result`` before older shapes."""
    result, data = body.get("result"), body.get("data")
    inner = result.get("data") if isinstance(result, dict) else None
    nested = data.get("result") if isinstance(data, dict) else None
    for place in (_no_word(inner), _no_word(result), body.get("url"), _no_word(data), nested):
        if found := list(_flat(place)):
            yield from found
            return


def _no_word(place: Any) -> Any:
    """A text in the place of an object or list is a link only if it looks like one."""
    return None if isinstance(place, str) and "://" not in place else place


def _flat(place: Any, depth: int = _DEEPEST_LINK) -> Iterator[str]:
    """Texts, ``url`` or ``data`` of objects, and lists of these."""
    if isinstance(place, str) and place.strip():
        # One that is too long stays, cut: left out, it would move the numbers of the pictures behind it.
        yield place.strip()[: MAX_LINK_CHARACTERS + 1]
    elif isinstance(place, dict) and depth:
        yield from _flat(place.get("url") or _no_word(place.get("data")), depth - 1)
    elif isinstance(place, list) and depth:
        for item in place:
            yield from _flat(item, depth - 1)


def _said(content: dict[str, Any], secrets: tuple[str, ...]) -> _Said:
    """The innermost of the shapes in use: ``error{}``, ``error.error{}``, ``error: text``, or the top level."""
    error = content.get("error")
    for _ in range(_DEEPEST_ERROR):
        if not (isinstance(error, dict) and isinstance(error.get("error"), dict | str)):
            break
        error = error["error"]
    body = error if isinstance(error, dict) and error else content
    code = body.get("code")
    code = str(code) if _is_whole(code) else _text(code)
    message = _text(error) or _text(body.get("message")) or _text(content.get("fail_reason"))
    text = redact(": ".join(filter(None, (code, message))), secrets) or "no error text"
    is_number = re.fullmatch(r"[1-5][0-9]{2}", code)
    return _Said(
        codes=tuple(filter(None, ("" if is_number else code, _text(body.get("type"))))),
        number=int(code) if is_number else None,
        text=text if text.endswith(_SENTENCE_ENDS) else f"{text}.",
    )


def _problem(
    step: str, answer: Answer, said: _Said, kind: type[ProviderBusy | ProviderRefused | SubmitUnanswered]
) -> ProviderBusy | ProviderRefused | SubmitUnanswered:
    message = f"{step}: HTTP {answer.status}, {said.text}"
    return kind(message, _retry_after(answer.headers)) if issubclass(kind, ProviderBusy) else kind(message)


def _kind(answer: Answer, said: _Said) -> type[ProviderBusy | ProviderRefused | SubmitUnanswered]:
    """The table above, for an answer that is no success."""
    status = answer.status
    if status in MOVED:
        return ProviderRefused
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _LIMITED_CODES.intersection(said.codes):
        return RateLimited
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _BUSY_CODES.intersection(said.codes):
        return ProviderBusy
    if status == HTTPStatus.SERVICE_UNAVAILABLE and _REFUSING_CODES.intersection(said.codes):
        return ProviderRefused
    is_unclear = {status, said.number} & {*UNCLEAR} or (said.number or 0) >= _SERVER_FAULT
    if not answer.is_client_error or (is_unclear and status != HTTPStatus.TOO_MANY_REQUESTS):
        return SubmitUnanswered
    return _client_fault(status, said)


def _client_fault(status: int, said: _Said) -> type[ProviderBusy | ProviderRefused]:
    """The table's part for clear refusals."""
    numbers = {status, said.number}
    is_key = numbers & {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if HTTPStatus.PAYMENT_REQUIRED in numbers or said.has(_NO_MONEY):
        return AccountEmpty
    if HTTPStatus.TOO_MANY_REQUESTS in numbers:
        return RateLimited
    # A key that may not do this is refused in words that could be about content.
    if HTTPStatus.UNPROCESSABLE_ENTITY in numbers or _objects(said, by_words=not is_key):
        return ContentRefused
    return KeyRefused if is_key else ProviderRefused


def _task_problem(said: _Said) -> ContentRefused | TaskFailed:
    is_refused = said.number == HTTPStatus.UNPROCESSABLE_ENTITY or _objects(said, by_words=True)
    return ContentRefused(said.text) if is_refused else TaskFailed(said.text)


def _is_error(content: dict[str, Any], said: _Said) -> bool:
    """Whether it is an error whose id is not a task's: of the request, say."""
    return not isinstance(content.get("status"), str) and bool(content.get("error") or said.has(_NO_MONEY))


def _bill(billing: Any) -> Bill | None:
    """ToAPIs, image task status page: amounts are decimals as texts; a pending bill has none; 200 credits are 1 USD."""
    if not isinstance(billing, dict):
        return None
    status = _text(billing.get("status")).strip().lower()[:_LONGEST_WORD]
    if status != "settled":
        return Bill(status, 0 if status == "refunded" else None)
    amounts = [*_amount(billing.get("cost_usd"), 1), *_amount(billing.get("credits"), _CREDITS_PER_USD)]
    return Bill(status, max(amounts, default=None))


def _amount(value: Any, per_usd: int) -> Iterator[int]:
    """Millionths of a US dollar; nothing when it is no amount, or one that no task can have."""
    text = value.strip() if isinstance(value, str) else str(value) if _number(value) is not None else ""
    if _AMOUNT.fullmatch(text) and (amount := Decimal(text) / per_usd) < _LARGEST_BILL:
        yield micros(amount)


def _objects(said: _Said, *, by_words: bool) -> bool:
    """Whether the provider objects to the prompt or a picture."""
    if any(map(_CONTENT_CODE.search, said.codes)):
        return True
    return by_words and bool(_CONTENT_WORDS.search(said.text)) and not _TROUBLE_WORDS.search(said.text)


def _name(value: Any, secrets: tuple[str, ...]) -> str | None:
    text = _text(value).strip()
    return text if _NAME.fullmatch(text) and redact(text, secrets) == text else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    is_number = _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
    return value if is_number else None


def _progress(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(min(max(number, 0), 100))


def _seconds(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and int(number) in _SECONDS else None


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """``Retry-After`` in whole seconds, 1 to 3,600 (async rate limits page), also when it is a date (RFC 9110, 10.2.3).

    A date counts from the answer's own, so that clocks need not agree; without that one it is as if there were none.
    """
    value = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,20}(?:\.[0-9]{1,9})?", value):
        seconds = math.ceil(float(value))
    else:
        try:
            until, now = (parsedate_to_datetime(date[:_LONGEST_DATE]) for date in (value, headers.get("date", "")))
            seconds = round((until - now).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 1), _LONGEST_WAIT)
