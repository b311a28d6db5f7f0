"""Times are over at the second, and a provider's clock is believed within what can be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain import deadlines
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.domain.verdicts import LINK_SECONDS

DAY = 86_400
JOB = Job(job_id="cat-1", state=State.WAITING, created_at=100, submitted_at=200)
UNSUBMITTED = JOB.model_copy(update={"submitted_at": None})
TIMES = st.integers(0, 10**10)


@pytest.mark.parametrize(
    ("job", "now", "over"),
    [(JOB, 259, False), (JOB, 260, True), (JOB, 261, True), (UNSUBMITTED, 159, False), (UNSUBMITTED, 160, True)],
)
def test_a_task_has_its_time_from_its_acceptance(job: Job, now: int, over: bool) -> None:
    assert deadlines.is_overdue(job, now, 60) is over
    assert deadlines.is_late(job, now, 60) is over


@pytest.mark.parametrize("now", [259, 260, 10**9])
def test_a_job_is_late_once(now: int) -> None:
    assert not deadlines.is_late(JOB.model_copy(update={"late_at": 230}), now, 60)


def test_links_live_for_a_day() -> None:
    assert LINK_SECONDS == DAY
    assert [deadlines.are_links_dead(1000, 1000 + age) for age in (0, DAY - 1, DAY, DAY + 1)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("completed_at", "made_at"),
    [
        (300, 300),
        (200, 200),
        (500, 500),
        (None, 500),  # the provider does not say
        (501, 500),  # in the future
        (300_000, 500),  # in milliseconds
        (199, 200),  # before it was accepted
        (0, 200),
        (-(10**11), 200),
    ],
)
def test_pictures_were_made_between_acceptance_and_now(completed_at: int | None, made_at: int) -> None:
    assert deadlines.made_at(JOB, completed_at, 500) == made_at


def test_a_job_without_acceptance_was_made_after_it_was_created() -> None:
    assert deadlines.made_at(UNSUBMITTED, 0, 500) == 100


def test_what_was_noted_first_counts() -> None:
    noted = JOB.model_copy(update={"made_at": 250})
    assert [deadlines.made_at(noted, completed_at, 500) for completed_at in (None, 0, 400)] == [250, 250, 250]


@given(completed_at=st.none() | st.integers(), submitted_at=TIMES, now=TIMES)
def test_no_clock_gives_links_a_longer_or_shorter_life_than_can_be(
    completed_at: int | None, submitted_at: int, now: int
) -> None:
    job = JOB.model_copy(update={"submitted_at": submitted_at, "created_at": 0})
    made_at = deadlines.made_at(job, completed_at, now)
    assert min(submitted_at, now) <= made_at <= now


@pytest.mark.parametrize(
    ("changes", "now", "wait"),
    [
        ({}, 100, 900),
        ({}, 1000, 900),
        ({}, 1001, 901),
        ({}, 10_100, 3600),
        ({"made_at": 300}, 10_100, 900),
        ({}, 50, 900),  # clocks differ
    ],
)
def test_the_sweep_looks_ever_more_rarely_unless_pictures_are_at_stake(
    changes: dict[str, Any], now: int, wait: int
) -> None:
    assert deadlines.next_check(JOB.model_copy(update=changes), now, 900) == now + wait


def test_three_days_cost_few_looks() -> None:
    checks = [JOB.created_at + 900]
    while checks[-1] < 3 * DAY:
        checks.append(deadlines.next_check(JOB, checks[-1], 900))
    assert len(checks) < 80
