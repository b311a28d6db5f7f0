"""A key that the API knows no more: read anew once, used for what may be repeated, and told to whoever sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.errors import (
    AccountEmpty,
    BucketbrushError,
    KeyRefused,
    KeyReplaced,
    Money,
    SubmitUnanswered,
    TaskUnreadable,
)
from tests.contract.scripted import Answer, Scripted
from tests.samples import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.simulator import Simulator

OLD, NEW = "tok-0123456789abcdef", "tok-fedcba9876543210"  # only who knows them can tell that they are keys
BODY = {"model": "gpt-image-2-vip", "prompt": "fault:task-failed", "client_business_id": "cat-1"}


def submit(api: ToApis) -> str:
    return api.submit(BODY)


def upload(api: ToApis) -> str:
    content = picture()
    return api.upload("cat.png", "image/png", len(content), iter([content]))


POSTS = [submit, upload]


class Secret:
    """A secret that is read anew, and how often it was."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.reads = 0

    def read(self) -> str | None:
        self.reads += 1
        return self.key

    def client(self, url: str) -> ToApis:
        """A client that has the old key still."""
        return ToApis(url, OLD, 5, read_key=self.read)


@pytest.fixture
def rotated(simulator: Simulator) -> Iterator[str]:
    """The address of a provider that takes the new key only."""
    before = simulator.api_key
    simulator.change_key(NEW)
    yield simulator.base_url
    simulator.change_key(before)


def refusal(status: int, code: Any = "unauthorized", message: str = "no") -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "type": "authentication_error"}})


def test_a_look_goes_on_with_the_new_key(rotated: str) -> None:
    task_id = ToApis(rotated, NEW, 5).submit(BODY)
    secret = Secret(NEW)
    assert secret.client(rotated).read(task_id).task_id == task_id
    assert secret.client(rotated).find("no-such-task") is None
    assert secret.reads == 2  # once for each client


@pytest.mark.parametrize("post", POSTS)
def test_a_post_is_left_to_who_sends_and_the_next_one_has_the_new_key(
    rotated: str, simulator: Simulator, post: Callable[[ToApis], str]
) -> None:
    secret = Secret(NEW)
    api = secret.client(rotated)
    with pytest.raises(KeyReplaced, match=f"{post.__name__}: HTTP 401; the secret holds another") as caught:
        post(api)
    assert (caught.value.money, caught.value.retryable) == (Money.NOT_MOVED, True)
    assert (simulator.tasks(), simulator.uploads()) == ([], [])
    assert post(api)
    assert secret.reads == 1


@pytest.mark.parametrize("post", POSTS)
def test_a_post_goes_out_once_whatever_the_secret_holds(script: Scripted, post: Callable[[ToApis], str]) -> None:
    script.answer = refusal(401)
    with pytest.raises(KeyReplaced):
        post(Secret(NEW).client(script.url))
    assert [asked.method for asked in script.asked] == ["POST"]


@pytest.mark.parametrize("key", [OLD, None])
@pytest.mark.parametrize("post", POSTS)
def test_without_another_key_it_is_refused(script: Scripted, post: Callable[[ToApis], str], key: str | None) -> None:
    script.answer = refusal(401)
    secret = Secret(key)
    api = secret.client(script.url)
    for _ in range(2):
        with pytest.raises(KeyRefused, match=f"{post.__name__}: HTTP 401, unauthorized: no"):
            post(api)
    with pytest.raises(TaskUnreadable) as caught:
        api.read("tsk_1")
    assert caught.value.refused_as is KeyRefused
    assert (secret.reads, len(script.asked)) == (1, 3)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(403), KeyRefused),
        (refusal(401, "insufficient_quota"), AccountEmpty),
        (refusal(401, 409), SubmitUnanswered),
        (refusal(402), AccountEmpty),
        (Answer(500), SubmitUnanswered),
    ],
)
def test_what_another_key_does_not_help_with_stays(
    script: Scripted, answer: Answer, kind: type[BucketbrushError]
) -> None:
    script.answer = answer
    secret = Secret(NEW)
    with pytest.raises(kind) as caught:
        submit(secret.client(script.url))
    assert (type(caught.value), secret.reads) == (kind, 0)


def test_a_new_key_that_is_refused_too_is_refused(script: Scripted) -> None:
    script.answer = refusal(401)
    secret = Secret(NEW)
    api = secret.client(script.url)
    with pytest.raises(KeyReplaced):
        submit(api)
    with pytest.raises(KeyRefused):
        submit(api)
    sent = [asked.headers["authorization"] for asked in script.asked]
    assert (sent, secret.reads) == ([f"Bearer {OLD}", f"Bearer {NEW}"], 1)


def test_neither_key_is_told(script: Scripted) -> None:
    script.answer = refusal(401, message=f"known: {NEW}, sent: {OLD}")
    api = Secret(NEW).client(script.url)
    with pytest.raises(TaskUnreadable):
        api.find("tsk_1")
    assert len(script.asked) == 2
    for post in POSTS:
        with pytest.raises(KeyRefused, match=r"known: \[removed\], sent: \[removed\]"):
            post(api)
