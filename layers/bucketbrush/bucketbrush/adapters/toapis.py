"""ToAPIs over HTTP: one POST that may cost money, an upload, and GETs that never do.

Requests follow the pages "Image editing", "GPT-Image-2-VIP", "Image task status" and "Upload Image"; what the answers
mean stands in ``answers``.
"""

import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from bucketbrush.adapters.answers import (
    MAX_ANSWER_BYTES,
    MAX_LINK_CHARACTERS,
    Answer,
    Task,
    read_submit,
    read_task,
    read_upload,
)
from bucketbrush.domain.addresses import MAX_LINK_BYTES, MAX_PORT, api_origin, is_below, is_loopback
from bucketbrush.domain.errors import (
    KeyRefused,
    KeyReplaced,
    LinkDead,
    ProviderBusy,
    ProviderUnreachable,
    ResultUnstored,
    SubmitUnanswered,
    TaskUnreadable,
)
from bucketbrush.domain.redact import redact

RESULT_HOSTS = ("toapis.com", "toapis.cn")
_CONNECT_SECONDS = 5.0
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
# Finished, paid tasks were seen answering 403 for a while; a new look at the task gives new links.
DEAD = (401, 403, 404, 410)
_LONGEST_HOST = 100
_LONGEST_FILE_NAME = 100


class ToApis:
    """A client for one API host.

    Every request opens a connection of its own: between two invocations a Lambda environment is frozen and its kept
    sockets die, and a request written to a dead socket looks like a lost answer. ``timeout`` is in seconds and holds
    for each read or write and for an answer's body as a whole; connecting gets five. ``result_hosts`` are the ends of
    host names that results are fetched from. ``read_key`` gives the key as it is now, or None; it is called once, when
    the API does not know ``api_key`` (401). Raises ValueError when ``base_url`` is no address of an API.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float,
        result_hosts: tuple[str, ...] = RESULT_HOSTS,
        read_key: Callable[[], str | None] = lambda: None,
    ) -> None:
        origin = httpx.URL(api_origin(base_url))
        self._is_local = is_loopback(origin.host)
        self._generations = origin.join("/v1/images/generations")
        self._uploads = origin.join("/v1/uploads/images")
        self._result_hosts = tuple(host.strip(" .").lower() for host in result_hosts)
        self._keys = [api_key]  # the last one is in use
        self._read_key = read_key
        self._seconds = timeout
        self._timeout = httpx.Timeout(timeout, connect=_CONNECT_SECONDS)

    def submit(self, body: dict[str, Any]) -> str:
        """Send one task and return its id. Never repeats the request.

        Raises ProviderUnreachable (never written), ProviderBusy or one below it (refused for now), ProviderRefused or
        one below it (refused for good) or SubmitUnanswered (a paid task may exist).
        """
        try:
            answer = self._ask("POST", self._generations, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ProviderUnreachable(f"submit: no connection to the API ({type(error).__name__}).") from None
        except httpx.HTTPError as error:
            raise SubmitUnanswered(
                f"submit: the connection ended without an answer ({type(error).__name__})."
            ) from None
        with self._minding_the_key("submit", answer):
            return read_submit(answer, (*self._keys, str(body.get("prompt", ""))))

    def find(self, name: str, prompt: str = "") -> Task | None:
        """The task of this id or ``client_business_id``; None when the provider knows none.

        It is asked for once more when the key was replaced. A failed task's text that echoes ``prompt`` loses it.
        Raises TaskUnreadable.
        """
        url = httpx.URL(f"{self._generations}/{quote(name, safe='')}")
        try:
            answer = self._ask("GET", url)
            if self._has_new_key(answer):
                answer = self._ask("GET", url)
        except httpx.HTTPError as error:
            raise TaskUnreadable(f"status: no answer ({type(error).__name__}).") from None
        return read_task(name, answer, (*self._keys, prompt))

    def read(self, task_id: str, prompt: str = "") -> Task:
        """One look at a task that must be there. Raises TaskUnreadable."""
        task = self.find(task_id, prompt)
        if task is None:
            raise TaskUnreadable(f"status: the provider knows no task {task_id}.")
        return task

    def upload(self, name: str, content_type: str, size: int, chunks: Iterator[bytes]) -> str:
        """Hand a picture of ``size`` bytes over, piece by piece, and return the public link to the provider's copy.

        It costs nothing and may be repeated. Raises ProviderRefused and ProviderBusy or one below them, and
        ProviderUnreachable, also when ``chunks`` are not ``size`` bytes; what they raise passes through.
        """
        boundary = secrets.token_hex(16)
        head, tail = _form(boundary, name, content_type)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            # With a length of its own the body is sent as it is, not in HTTP's chunks.
            "Content-Length": str(len(head) + size + len(tail)),
        }
        try:
            answer = self._ask("POST", self._uploads, headers=headers, content=_exactly(size, chunks, head, tail))
        except httpx.HTTPError as error:
            raise ProviderUnreachable(f"upload: the connection ended ({type(error).__name__}).") from None
        with self._minding_the_key("upload", answer):
            url = read_upload(answer, tuple(self._keys))
        try:
            self._parsed(url, "link")
        except LinkDead as problem:
            raise ProviderBusy(f"upload: {problem.message}") from None
        if len(url) > MAX_LINK_BYTES or not url.isascii():
            raise ProviderBusy(
                f"upload: link: found {len(url):,} characters; allowed: {MAX_LINK_BYTES:,}, and ASCII only."
            )
        return url

    @contextmanager
    def download(self, url: str) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """The chunks of a result picture and its announced length in bytes, if any. The API key is not sent.

        Raises LinkDead when only another link can give the picture, and ResultUnstored when another try may help, or an
        operator who adds the host to ResultHosts.
        """
        link = self._parsed(url, "result link")
        self._demand_listed(link, "result link")
        try:
            with self._followed(link) as answer:
                if answer.status_code != httpx.codes.OK:
                    kind = LinkDead if answer.status_code in DEAD else ResultUnstored
                    raise kind(f"result link: HTTP {answer.status_code}; allowed: 200.")
                length = answer.headers.get("Content-Length", "")
                yield answer.iter_raw(), int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        except httpx.HTTPError as error:
            raise ResultUnstored(f"result link: the download broke off ({type(error).__name__}).") from None

    @contextmanager
    def _followed(self, link: httpx.URL) -> Iterator[httpx.Response]:
        """The answer at the end of at most three redirects, each of which is checked as the link was."""
        for _ in range(_MOST_REDIRECTS + 1):
            with self._opened("GET", link) as answer:
                if answer.status_code not in _REDIRECTS:
                    yield answer
                    return
            link = self._parsed(answer.headers.get("Location", ""), "redirected result link", link)
            self._demand_listed(link, "redirected result link")
        raise ResultUnstored(f"result link: found more than {_MOST_REDIRECTS} redirects.")

    def _parsed(self, url: str, name: str, base: httpx.URL | None = None) -> httpx.URL:
        """The very object that is connected to, so that no two parsers can differ.

        Raises LinkDead for what nobody may follow: the task's next answer may have a better one.
        """
        if len(url) > MAX_LINK_CHARACTERS:
            raise LinkDead(f"{name}: found more than {MAX_LINK_CHARACTERS:,} characters; allowed: at most that many.")
        try:
            link = base.join(url) if base else httpx.URL(url)
            host = link.host  # made readable, which not every IDNA name can be
        except (httpx.InvalidURL, ValueError):
            raise LinkDead(f"{name}: found no address; allowed: https.") from None
        if link.scheme != "https" and not (link.scheme == "http" and self._is_local and is_loopback(host)):
            found = f"scheme {link.scheme!r:.20}" if link.scheme else "a relative link"
            raise LinkDead(f"{name}: found {found}; allowed: https.")
        if link.userinfo:
            raise LinkDead(f"{name}: found a user or password; allowed: https://host/... without one.")
        if not host or (link.port or 0) > MAX_PORT:
            raise LinkDead(f"{name}: found no host, or no such port; allowed: https://host/...")
        return link

    def _demand_listed(self, link: httpx.URL, name: str) -> None:
        host = link.raw_host.decode("ascii")
        if not (is_below(host, self._result_hosts) or (self._is_local and is_loopback(host))):
            allowed = f"{', '.join(self._result_hosts)} and names below them (parameter ResultHosts)"
            raise ResultUnstored(f"{name}: found host {redact(host)[:_LONGEST_HOST]}; allowed: {allowed}.")

    def _ask(self, method: str, url: httpx.URL, headers: dict[str, str] | None = None, **content: Any) -> Answer:
        """One request to the API and its answer, cut when it is too long. Raises httpx.HTTPError."""
        body = bytearray()
        key_headers = {"Authorization": f"Bearer {self._keys[-1]}"}
        with self._opened(method, url, headers={**key_headers, **(headers or {})}, **content) as answer:
            until = time.monotonic() + self._seconds
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    break
                # httpx bounds each read, and not a drip of them.
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer came too slowly")
            return Answer(answer.status_code, answer.headers, bytes(body))

    @contextmanager
    def _minding_the_key(self, step: str, answer: Answer) -> Iterator[None]:
        """A refusal of the key is KeyReplaced while there is another one; who repeats the POST is the caller."""
        try:
            yield
        except KeyRefused:
            if self._has_new_key(answer):
                raise KeyReplaced(f"{step}: HTTP {answer.status}; the secret holds another API key by now.") from None
            raise

    def _has_new_key(self, answer: Answer) -> bool:
        """Whether the API does not know the key (401) and there is another one by now, which is used from here on."""
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return False
        read_key, self._read_key = self._read_key, lambda: None
        key = read_key()
        if key is None or key in self._keys:
            return False
        self._keys.append(key)
        return True

    @contextmanager
    def _opened(self, method: str, url: httpx.URL, **request: Any) -> Iterator[httpx.Response]:
        with self._client(url) as client:
            try:
                answer = client.send(client.build_request(method, url, **request), stream=True)
            except (UnicodeError, httpx.InvalidURL):
                # httpx reads where a redirect leads, although it does not follow, and breaks at what is no web address.
                raise httpx.RemoteProtocolError("a redirect leads to no address") from None
            with closing(answer):
                yield answer

    def _client(self, url: httpx.URL) -> httpx.Client:
        trusted = _tls(url.scheme)
        return httpx.Client(timeout=self._timeout, headers={"Accept-Encoding": "identity"}, verify=trusted)


def _form(boundary: str, name: str, content_type: str) -> tuple[bytes, bytes]:
    """What stands before and behind the picture in multipart/form-data (RFC 7578; ToAPIs, Upload Image page)."""
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-_LONGEST_FILE_NAME:] or "picture"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\ngeneration\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{safe_name}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return head.encode("ascii"), f"\r\n--{boundary}--\r\n".encode("ascii")


def _exactly(size: int, chunks: Iterator[bytes], head: bytes, tail: bytes) -> Iterator[bytes]:
    """The form around exactly ``size`` bytes; a form that is not finished is no upload."""
    yield head
    sent = 0
    for chunk in chunks:
        sent += len(chunk)
        if sent > size:
            break
        yield chunk
    if sent != size:
        raise ProviderUnreachable(f"upload: found {sent:,} bytes of the picture; allowed: exactly {size:,}.")
    yield tail


@cache
def _tls(scheme: str) -> ssl.SSLContext:
    """Reading the certificates costs more than all the rest of a request, so it is done once per environment.

    Plain HTTP, which is for a simulator, needs none.
    """
    return httpx.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
