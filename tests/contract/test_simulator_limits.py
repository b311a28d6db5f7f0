"""The simulator's limit of submits: the token bucket on a simulated clock, and its answers over HTTP."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Simulator, SimulatorError
from local.simulator.limits import TokenBucket
from tests.contract.conftest import SimulatorApi
from tests.properties import PROPERTIES
from tests.samples import picture
from tests.waiting import until

TOKEN_SECONDS = 1000  # until the empty bucket of `limited` holds a token again: longer than any test


class Clock:
    """Seconds that pass when told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


def seconds_until_allowed(taken: list[float], now: float, rate: float, capacity: int) -> float:
    """By what a bucket promises: of any stretch of time no more is taken than a full one and its refill."""
    waits = [(len(taken) - first + 1 - capacity) / rate - (now - at) for first, at in enumerate(taken)]
    return max([0.0, *waits])


@pytest.mark.properties
@PROPERTIES
@given(
    rate=st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]),
    capacity=st.integers(1, 6),
    gaps=st.lists(st.integers(0, 256).map(lambda count: count / 64), max_size=60),  # binary fractions: no rounding
)
def test_a_bucket_gives_what_it_promises_and_never_more(rate, capacity, gaps):
    clock = Clock()
    bucket = TokenBucket(clock, rate, capacity)
    taken: list[float] = []
    for gap in gaps:
        clock.now += gap
        wait = bucket.take()
        assert wait == seconds_until_allowed(taken, clock.now, rate, capacity)
        taken += [] if wait else [clock.now]


@pytest.mark.properties
@PROPERTIES
@given(rate=st.floats(0.001, 1000), capacity=st.integers(1, 100), now=st.floats(0, 1e6))
def test_who_waits_as_told_gets_a_token(rate, capacity, now):
    clock = Clock(now)
    bucket = TokenBucket(clock, rate, capacity)
    assert [bucket.take() for _ in range(capacity)] == [0.0] * capacity
    for _ in range(10):
        refused = 0
        while wait := bucket.take():
            refused += 1
            assert refused <= 2  # the clock may be rounded down to just before the time: then the rest is told
            clock.now += wait

    assert clock.now - now == pytest.approx(10 / rate, rel=1e-3)


def test_a_refilled_bucket_is_as_new():
    bucket = TokenBucket(Clock(), rate=1, capacity=2)
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 1.0]

    bucket.refill()

    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("rate", "capacity", "told"),
    [
        (0, 1, "rate of a token bucket: found 0; allowed: a number above 0"),
        (-1, 1, "found -1;"),
        (float("nan"), 1, "found nan;"),
        (1, 0, "capacity of a token bucket: found 0; allowed: 1 token or more"),
    ],
)
def test_a_bucket_that_never_holds_a_token_is_refused(rate, capacity, told):
    with pytest.raises(ValueError, match=told):
        TokenBucket(Clock(), rate, capacity)


@pytest.fixture(scope="module")
def limited_process():
    """One simulator that takes three submits and then next to none."""
    with Simulator(
        queue_seconds=0.05, task_seconds=0.1, submits_per_second=1 / TOKEN_SECONDS, submits_burst=3
    ) as simulator:
        yield simulator


@pytest.fixture
def limited(limited_process):
    """That simulator, as if just started."""
    limited_process.reset()
    return limited_process


@pytest.fixture
def limited_api(limited):
    """A client of `limited`."""
    headers = {"Authorization": f"Bearer {limited.api_key}"}
    with (
        httpx.Client(base_url=limited.base_url, headers=headers) as client,
        httpx.Client(base_url=limited.base_url) as anyone,
    ):
        yield SimulatorApi(client, anyone)


def test_submits_beyond_the_burst_are_refused_and_make_no_task(limited, limited_api):
    answers = [limited_api.submit() for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [task["id"] for task in limited.tasks()] == [answer.json()["id"] for answer in answers[:3]]
    assert limited.health()["submits_refused"] == 2


def test_a_refusal_says_what_the_limit_is_and_when_to_come_again(limited_api):
    refused = [limited_api.submit() for _ in range(4)][-1]

    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert 0 < int(refused.headers["Retry-After"]) <= TOKEN_SECONDS
    limits = {name: value for name, value in refused.headers.items() if name.startswith("x-ratelimit-")}
    assert limits == {"x-ratelimit-limit": "3", "x-ratelimit-remaining": "0", "x-ratelimit-category": "async_submit"}


def test_the_bucket_is_refilled_while_time_passes(limited_api):
    seconds = [int(limited_api.submit().headers.get("Retry-After", 0)) for _ in range(4)][-1]

    until(
        lambda: limited_api.submit().headers["Retry-After"],
        "a token is nearer, though others were refused meanwhile",
        lambda text: int(text) < seconds,
    )


def test_a_reset_refills(limited, limited_api):
    assert [limited_api.submit().status_code for _ in range(4)] == [200, 200, 200, 429]

    limited.reset()

    assert limited.health()["submits_refused"] == 0
    assert [limited_api.submit().status_code for _ in range(4)] == [200, 200, 200, 429]


def test_business_failures_take_a_token_and_a_wrong_key_takes_none(limited, limited_api):
    body = {"model": "gpt-image-2-vip", "prompt": "x"}
    assert limited_api.anyone.post("/v1/images/generations", json=body).status_code == 401

    answers = [
        limited_api.submit(model="no-such-model"),
        limited_api.submit(prompt="fault:submit-500"),
        limited_api.client.post("/v1/images/generations", content=b"no JSON"),
        limited_api.submit(),
    ]

    assert [answer.status_code for answer in answers] == [400, 500, 400, 429]
    assert limited.tasks() == []


def test_the_limit_comes_before_every_other_refusal_but_that_of_the_key(limited, limited_api):
    for _ in range(3):
        limited_api.accepted()
    limited.fault("submit-500")

    assert limited_api.submit(prompt="fault:submit-402").status_code == 429
    assert limited_api.submit(model="no-such-model").status_code == 429
    assert limited_api.client.post("/v1/images/generations", content=b"no JSON").status_code == 429
    assert limited_api.anyone.post("/v1/images/generations", json={}).status_code == 401
    assert limited.health()["submits_refused"] == 3
    armed = limited_api.anyone.get("/_simulator/faults").json()["armed"]
    assert [(fault["name"], fault["left"]) for fault in armed] == [("submit-500", 1)]


def test_refused_posts_count_for_their_business_id(limited, limited_api):
    for _ in range(5):
        limited_api.submit(client_business_id="job-1")
    limited_api.submit(metadata={"client_business_id": "job-1"})

    assert [task["posts"] for task in limited.tasks()] == [6, 6, 6]


def test_only_submits_are_limited(limited_api):
    task_id = limited_api.accepted()
    assert [limited_api.submit().status_code for _ in range(3)] == [200, 200, 429]

    assert limited_api.finished(task_id)["status"] == "completed"
    assert limited_api.client.post("/v1/uploads/images", files={"file": picture()}).status_code == 200


def test_there_is_no_limit_unless_one_is_set(simulator, simulator_api):
    assert {simulator_api.submit().status_code for _ in range(20)} == {200}
    assert simulator.health()["submits_refused"] == 0


@pytest.mark.parametrize("options", [{"submits_per_second": 0}, {"submits_per_second": 1, "submits_burst": 0}])
def test_a_limit_that_lets_nothing_pass_is_refused_at_the_start(options):
    with pytest.raises(SimulatorError, match=r"token bucket: found 0(\.0)?; allowed"):
        Simulator(**options).start()
