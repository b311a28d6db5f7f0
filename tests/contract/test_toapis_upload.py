"""An upload costs nothing: it is streamed with its length, and every failure says that nothing was paid."""

from __future__ import annotations

import email
import socket
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.errors import (
    AccountEmpty,
    BucketbrushError,
    ContentRefused,
    KeyRefused,
    Money,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RateLimited,
)
from tests.contract.scripted import Answer, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-live-0123456789abcdef"
LINK = "https://files.toapis.com/uploads/1/1768381061_c55c1bbb.png"
MEBIBYTE = 1024 * 1024


def uploaded(url: Any = LINK) -> Answer:
    """The answer of the Upload Image page."""
    data = {"id": "upload_1", "url": url, "mime_type": "image/png", "size": 6}
    return Answer(body={"success": True, "message": "", "data": data})


def refused(status: int, message: str, **more: Any) -> Answer:
    return Answer(status, {"success": False, "message": message, **more})


@pytest.fixture
def api(script: Scripted) -> ToApis:
    return ToApis(f"{script.url}/v1", KEY, timeout=5)


def upload(api: ToApis, name: str = "cat.png") -> str:
    return api.upload(name, "image/png", 6, iter([b"abc", b"", b"def"]))


def parts(asked: Any) -> dict[str, Any]:
    """The form's parts by their names, as another parser sees them."""
    text = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode() + asked.body
    form = email.message_from_bytes(text)
    assert not form.defects
    return {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}


def test_the_picture_goes_out_in_a_form_of_known_length(script: Scripted, api: ToApis) -> None:
    script.answer = uploaded()
    assert upload(api) == LINK
    (asked,) = script.asked
    assert (asked.method, asked.path) == ("POST", "/v1/uploads/images")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert "transfer-encoding" not in asked.headers
    assert int(asked.headers["content-length"]) == len(asked.body)
    form = parts(asked)
    assert form["purpose"].get_payload() == "generation"
    assert (form["file"].get_payload(), form["file"].get_content_type()) == ("abcdef", "image/png")
    assert form["file"].get_filename() == "cat.png"


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("caf\u00e9 au lait.png", "caf_au_lait.png"),
        ('a"b\r\nX-Evil: 1.png', "a_b_X-Evil_1.png"),
        ("\u732b.jpg", "_.jpg"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("x" * 300 + ".png", "x" * 96 + ".png"),
        ("", "picture"),
    ],
)
def test_a_file_name_is_plain_ascii(script: Scripted, api: ToApis, name: str, sent: str) -> None:
    script.answer = uploaded()
    upload(api, name)
    assert parts(script.asked[0])["file"].get_filename() == sent
    assert "x-evil" not in script.asked[0].headers


def test_a_large_picture_is_never_held_as_a_whole(script: Scripted, api: ToApis) -> None:
    """Each piece is on its way before the next one is made."""
    alive: list[memoryview] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(9):
            buffer = bytearray(MEBIBYTE)
            alive.append(memoryview(buffer))
            yield bytes(buffer)
            alive.pop().release()
            assert not alive

    script.answer = uploaded()
    assert api.upload("big.png", "image/png", 9 * MEBIBYTE, pieces()) == LINK
    assert len(script.asked[0].body) > 9 * MEBIBYTE


@pytest.mark.parametrize(("chunks", "found"), [([b"abc"], 3), ([b"abc", b"defg", b"h"], 7), ([], 0)])
def test_a_picture_of_another_size_is_not_finished(
    script: Scripted, api: ToApis, chunks: list[bytes], found: int
) -> None:
    script.answer = uploaded()
    with pytest.raises(ProviderUnreachable, match=f"found {found} bytes of the picture; allowed: exactly 6"):
        api.upload("cat.png", "image/png", 6, iter(chunks))
    assert not [asked for asked in script.asked if asked.body.endswith(b"--\r\n")]


def test_a_fault_of_the_reader_passes_through(api: ToApis) -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        api.upload("cat.png", "image/png", 6, broken())


@pytest.mark.parametrize("url", ["{loopback}/uploads/1.png", LINK, "https://elsewhere.example/1.png?a=%2F&b=+"])
def test_the_link_comes_as_it_was_given(script: Scripted, api: ToApis, url: str) -> None:
    url = url.format(loopback=script.url)
    script.answer = uploaded(url)
    assert upload(api) == url


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (refused(400, "unsupported type"), ProviderRefused, "HTTP 400, unsupported type."),
        (refused(400, "larger than 10MB"), ProviderRefused, "larger than 10MB"),
        (refused(200, "larger than 10MB"), ProviderRefused, "HTTP 200, larger than 10MB"),
        (refused(200, "no", code="insufficient_quota"), AccountEmpty, "insufficient_quota: no"),
        (refused(200, "no", code=401), KeyRefused, "401: no"),
        (refused(400, "the image violates our content policy"), ContentRefused, "content policy"),
        (Answer(401, b""), KeyRefused, "HTTP 401"),
        (Answer(402, b""), AccountEmpty, "HTTP 402"),
        (Answer(413, b"<html>"), ProviderRefused, "HTTP 413"),
        (Answer(307, headers={"Location": "https://evil.example/"}), ProviderRefused, "HTTP 307"),
        (Answer(429, b"", {"Retry-After": "7"}), RateLimited, "HTTP 429"),
        (Answer(500, b""), ProviderBusy, "HTTP 500"),
        (Answer(503, b"", {"Retry-After": "7"}), ProviderBusy, "HTTP 503"),
        (Answer(524, b"<html>"), ProviderBusy, "HTTP 524"),
        (Answer(408, b""), ProviderBusy, "HTTP 408"),
        (Answer(303, headers={"Location": "/elsewhere"}), ProviderBusy, "HTTP 303"),
        (Answer(200, b"<html>"), ProviderBusy, "without a link; allowed: data.url"),
        (Answer(200, b" " * MEBIBYTE + b"{}"), ProviderBusy, "without a link"),
        (Answer(200, {"success": True, "data": None}), ProviderBusy, "without a link"),
        (uploaded(7), ProviderBusy, "without a link"),
        (uploaded(""), ProviderBusy, "link: found a relative link"),
        (uploaded("http://files.toapis.com/1.png"), ProviderBusy, "link: found scheme 'http'; allowed: https"),
        (uploaded("https://u:p@files.toapis.com/1.png"), ProviderBusy, "link: found a user or password"),
        (uploaded("https://files.toapis.com/" + "x" * 2024), ProviderBusy, "found 2,049 characters; allowed: 2,048"),
        (uploaded("https://files.toapis.com/\u732b.png"), ProviderBusy, "ASCII only"),
        (Answer(302, headers={"Location": "https://xn--/"}), ProviderUnreachable, "the connection ended"),
        (Answer(None), ProviderUnreachable, "the connection ended"),
        (Answer(200, b"{", length=100), ProviderUnreachable, "the connection ended"),
        (Answer(200, b"{}", drips="body", length=-1), ProviderUnreachable, "ReadTimeout"),
    ],
)
def test_what_an_answer_to_an_upload_means(
    script: Scripted, answer: Answer, kind: type[BucketbrushError], words: str
) -> None:
    script.answer = answer
    with pytest.raises(BucketbrushError) as caught:
        upload(ToApis(script.url, KEY, timeout=0.3 if answer.drips else 5))
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert kind.money is Money.NOT_MOVED
    assert len(script.asked) == 1
    if isinstance(caught.value, ProviderBusy):
        assert caught.value.retry_after == (7 if "Retry-After" in answer.headers else None)


def test_a_refused_connection_is_nothing_to_pay_for() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        with pytest.raises(ProviderUnreachable, match="ConnectError"):
            upload(ToApis(f"http://127.0.0.1:{unused.getsockname()[1]}", KEY, timeout=5))


def test_an_answer_that_echoes_the_key_loses_it(script: Scripted, api: ToApis) -> None:
    script.answer = refused(401, f"bad key {KEY}")
    with pytest.raises(KeyRefused, match="bad key") as caught:
        upload(api)
    assert KEY not in str(caught.value)
