"""Which addresses may be the API's, and which hosts may hold results."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.addresses import LOOPBACK, api_origin, is_below, is_host, is_loopback


@pytest.mark.parametrize("suffix", ["", "/", "//", "/v1", "/v1/", "/V1//"])
@pytest.mark.parametrize(
    ("base", "origin"),
    [
        ("https://toapis.com", "https://toapis.com"),
        ("https://toapis.cn", "https://toapis.cn"),
        ("HTTPS://ToApis.COM:8443", "https://toapis.com:8443"),
        ("https://localhost", "https://localhost"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        ("http://[::1]:8123", "http://[::1]:8123"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
    ],
)
def test_an_api_is_named_with_and_without_its_version(base: str, suffix: str, origin: str) -> None:
    assert api_origin(base + suffix) == origin


@pytest.mark.parametrize(
    "address",
    [
        "",
        "toapis.com",
        "//toapis.com",
        "ftp://toapis.com",
        "file:///etc/passwd",
        "http://toapis.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:80@evil.example",
        "http://127.0.0.1:secret@evil.example",
        "https://user:secret@toapis.com",
        "https://toapis.com@evil.example",
        "http://localhost#@evil.example",
        "http://localhost?@evil.example",
        "http://localhost\\@evil.example",
        "http://127.0.0.1\n.evil.example",
        "https://toapis.com\n",
        " https://toapis.com",
        "https://toapis.com?key=secret",
        "https://toapis.com/v1?key=secret",
        "https://toapis.com#v1",
        "https://toapis.com/v2",
        "https://toapis.com/v1/images",
        "https://toapis.com/v1/v1",
        "https://toapis.com/../v1",
        "https://toapis.com./v1",
        "https://.toapis.com",
        "https://toapis..com",
        "https://-toapis.com",
        f"https://{'a' * 64}.com",
        f"https://{'a.' * 126}com",
        "https://b\u00fccher.example",
        "https://toapis.com:0",
        "https://toapis.com:65536",
        "https://toapis.com:",
        "https://toapis.com:80a",
        "https://[::1",
        "https://[2001:db8::1]",
        "http://127.1",
        "http://2130706433",
        "http://0.0.0.0",
        "http://127.0.0.2",
    ],
)
def test_another_address_is_refused_and_not_quoted(address: str) -> None:
    with pytest.raises(ValueError, match="allowed: https://host") as caught:
        api_origin(address)
    assert [part for part in ("secret", "evil") if part in str(caught.value)] == []


@given(
    scheme=st.sampled_from(["https://", "http://", "HTTP://"]),
    rest=st.text(st.sampled_from("a1.:/@[]#?\\v%-_ \n\t\u0130\u212a\uff0e"), max_size=30),
    start=st.sampled_from(["", "localhost", "127.0.0.1", "[::1]", "toapis.com"]),
)
def test_what_connects_reads_the_same_as_what_was_checked(scheme: str, start: str, rest: str) -> None:
    try:
        origin = api_origin(scheme + start + rest)
    except ValueError:
        return
    link = httpx.URL(origin)
    assert str(link) == origin.removesuffix(":443" if link.scheme == "https" else ":80")
    assert (link.userinfo, link.path, link.query, link.fragment) == (b"", "/", b"", "")
    assert link.scheme == "https" or link.host in LOOPBACK


@pytest.mark.parametrize(
    ("host", "is_there"),
    [
        ("toapis.com", True),
        ("files.toapis.com", True),
        ("a.b-c.toapis.com", True),
        ("toapis.cn", True),
        ("xtoapis.com", False),
        ("toapis.com.evil.example", False),
        ("files.toapis.com.", False),
        (".toapis.com", False),
        ("a..toapis.com", False),
        ("-.toapis.com", False),
        ("a\\.toapis.com", False),
        ("a%2e.toapis.com", False),
        ("FILES.toapis.com", False),
        (f"{'a' * 63}.toapis.com", True),
        (f"{'a' * 64}.toapis.com", False),
        (f"{'a.' * 122}toapis.com", False),
        ("", False),
        (".", False),
    ],
)
def test_a_host_is_below_a_suffix_at_the_boundary_of_a_label(host: str, is_there: bool) -> None:
    assert is_below(host, ("", "toapis.com", "toapis.cn")) is is_there


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_loopback_has_three_names(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.evil.example")
    assert not is_loopback("0.0.0.0")
    assert is_host(host) is (":" not in host)
