"""Which result links are followed, and where redirects may lead."""

from __future__ import annotations

import pytest

from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.errors import LinkDead, ResultUnstored, SubmitUnanswered, TaskUnreadable
from tests.contract.scripted import Answer, Scripted

KEY = "sk-live-0123456789abcdef"
PICTURE = Answer(body=b"0123456789")


@pytest.fixture
def api(script: Scripted) -> ToApis:
    return ToApis(script.url, KEY, timeout=5)


def remote(*hosts: str) -> ToApis:
    """A client of an API that is not here."""
    return ToApis("https://toapis.com", KEY, 5, hosts) if hosts else ToApis("https://toapis.com", KEY, 5)


def fetch(api: ToApis, url: str) -> bytes:
    with api.download(url) as (chunks, _):
        return b"".join(chunks)


@pytest.mark.parametrize(
    "url",
    [
        "images/1.png",
        "//files.toapis.com/1.png",
        "https:files.toapis.com/1.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "http://files.toapis.com/1.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/1.png",
        "https://user@files.toapis.com/1.png",
        "https://user:secret@files.toapis.com/1.png",
        "https://files.toapis.com:secret@evil.example/1.png",
        "https://:@files.toapis.com/1.png",
        "https://evil.example\\@files.toapis.com/1.png",
        "https://files.toapis.com:65536/1.png",
        "https://files.toapis.com/\ud800.png",
        "https://\ud800.toapis.com/1.png",
        "https://xn--a.toapis.com/1.png",
        "https://[::1/1.png",
        "https://files.toapis.com/" + "x" * 8192,
        "https://files.toapis.com/" + "x" * 70_000,
    ],
)
def test_a_link_that_can_give_no_picture(url: str) -> None:
    with pytest.raises(LinkDead, match=r"\Aresult link: found .*; allowed: ") as caught:
        fetch(remote(), url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evil.example/1.png", "evil.example"),
        ("https://EVIL.example:8443/1.png", "evil.example"),
        ("https://eviltoapis.com/1.png", "eviltoapis.com"),
        ("https://toapis.com.evil.example/1.png", "toapis.com.evil.example"),
        ("https://toapis.com#@files.evil.example", None),
        ("https://files.toapis.com./1.png", "files.toapis.com."),
        ("https://.toapis.com/1.png", ".toapis.com"),
        ("https://a..toapis.com/1.png", "a..toapis.com"),
        (f"https://{'a' * 64}.toapis.com/1.png", "aaa"),
        ("https://evil.example\\.toapis.com/1.png", "evil.example"),
        ("https://evil.example%2f.toapis.com/1.png", "evil.example%2f.toapis.com"),
        ("https://b\u00fccher.example/1.png", "xn--bcher-kva.example"),
        ("https://127.0.0.1/1.png", "127.0.0.1"),
        ("https://localhost/1.png", "localhost"),
        ("https://[::1]/1.png", "::1"),
        ("https://[2001:db8::1]/1.png", "2001:db8::1"),
        ("https://2130706433/1.png", "2130706433"),
    ],
)
def test_a_host_that_is_not_listed_waits_for_the_operator(url: str, host: str | None) -> None:
    api = remote("files.toapis.com", "toapis.cn")
    with pytest.raises(ResultUnstored, match="result link: found host ") as caught:
        fetch(api, url)
    assert (host or "toapis.com") in caught.value.message
    assert "allowed: files.toapis.com, toapis.cn and names below them (parameter ResultHosts)." in caught.value.message


@pytest.mark.parametrize("hosts", [("toapis.com",), (" .ToApis.com. ",), ("", "files.toapis.com")])
@pytest.mark.parametrize("url", ["https://files.toapis.com:1/1.png", "https://FILES.toapis\u3002com:1/1.png"])
def test_a_listed_host_is_connected_to_with_any_port(
    hosts: tuple[str, ...], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the network is the name that was checked; there the test ends."""
    asked: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], *_: object, **__: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(ResultUnstored, match="broke off"):
        fetch(remote(*hosts), url)
    assert asked == [("files.toapis.com", 1)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_api_on_loopback_may_link_there_whatever_is_listed(script: Scripted, host: str) -> None:
    script.answer = PICTURE
    api = ToApis(script.url, KEY, 5, ("toapis.com",))
    assert fetch(api, script.url.replace("127.0.0.1", host) + "/1.png") == b"0123456789"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/2.png?a=%2F", "2.png?a=%2F", "{url}/2.png?a=%2F"])
def test_a_redirect_on_the_list_is_followed_without_the_key(
    script: Scripted, api: ToApis, status: int, location: str
) -> None:
    script.by_path["/1.png"] = Answer(status, headers={"Location": location.format(url=script.url)})
    script.answer = PICTURE
    assert fetch(api, f"{script.url}/1.png") == b"0123456789"
    assert [asked.path for asked in script.asked] == ["/1.png", "/2.png?a=%2F"]
    assert KEY not in str(script.asked)


@pytest.mark.parametrize(("hops", "is_too_far"), [(3, False), (4, True)])
def test_three_redirects_are_followed_and_no_fourth(script: Scripted, api: ToApis, hops: int, is_too_far: bool) -> None:
    script.by_path = {f"/{hop}": Answer(302, headers={"Location": f"/{hop + 1}"}) for hop in range(hops)}
    script.answer = PICTURE
    if is_too_far:
        with pytest.raises(ResultUnstored, match="found more than 3 redirects"):
            fetch(api, f"{script.url}/0")
    else:
        assert fetch(api, f"{script.url}/0") == b"0123456789"
    assert len(script.asked) == 4


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (
            "https://evil.example/1.png",
            "redirected result link: found host evil.example; allowed: toapis.com, toapis.cn",
        ),
        ("//evil.example/1.png", "redirected result link: found scheme 'http'"),
        ("http://evil.example/1.png", "redirected result link: found scheme 'http'"),
        ("file:///etc/passwd", "redirected result link: found scheme 'file'"),
        ("https://user@files.toapis.com/1.png", "redirected result link: found a user or password"),
        ("https://xn--/1.png", "the download broke off"),
        ("", "more than 3 redirects"),
    ],
)
def test_a_redirect_off_the_list_is_not_followed(script: Scripted, api: ToApis, location: str, words: str) -> None:
    """It is the host's mistake of today: the next try may find another way."""
    script.answer = Answer(302, headers={"Location": location})
    with pytest.raises(ResultUnstored) as caught:
        fetch(api, f"{script.url}/1.png")
    assert isinstance(caught.value, ResultUnstored)
    assert words in caught.value.message
    assert {asked.path for asked in script.asked} == {"/1.png"}


@pytest.mark.parametrize(
    "location", ["mailto:a@b.c", "javascript:x", "user:pw@x", "https:foo", "file:x", "http://[", ""]
)
def test_a_redirect_to_no_web_address_is_a_link_to_try_later(script: Scripted, api: ToApis, location: str) -> None:
    script.answer = Answer(302, headers={"Location": location})
    with pytest.raises(ResultUnstored):
        fetch(api, f"{script.url}/1.png")
    with pytest.raises(TaskUnreadable):
        api.find("cat-1")
    with pytest.raises(SubmitUnanswered):
        api.submit({"model": "m", "prompt": "p"})


def test_a_dead_link_behind_a_redirect_is_dead(script: Scripted, api: ToApis) -> None:
    script.by_path["/1.png"] = Answer(302, headers={"Location": "/2.png"})
    script.answer = Answer(410)
    with pytest.raises(LinkDead):
        fetch(api, f"{script.url}/1.png")


def test_a_picture_may_take_longer_than_an_answer(script: Scripted) -> None:
    """How long a download may take is for the invocation to say, and not for the time that an answer has."""
    script.answer = Answer(body=b"0123456789", drips="body", length=-1)
    with ToApis(script.url, KEY, timeout=1).download(f"{script.url}/1.png") as (chunks, _):
        received = b""
        while len(received) < 150:  # at one byte every 10 ms, longer than that second
            received += next(chunks)
