"""The schedule of departures: everybody leaves once, in order, never in a crowd, and not while it is stopped."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.departures import Schedule, step_between
from bucketbrush.domain.jobs import Departure

STEP = 250
# What happens after so many milliseconds: a job takes a departure, one that was refused comes again, or a stop begins
# that lasts for so many.
EVENTS = st.lists(
    st.tuples(st.integers(0, 2000), st.one_of(st.just("take"), st.just("again"), st.integers(-500, 5000))), max_size=40
)


@pytest.mark.parametrize(
    ("rate", "step"), [(4, 250), (5, 200), (0.01, 100_000), (0.3, 3334), (16.6, 61), (33, 31), (50, 20), (1, 1000)]
)
def test_never_more_a_second_than_were_asked_for(rate: float, step: int) -> None:
    assert step_between(rate) == step


def test_an_idle_schedule_lets_a_job_leave_now() -> None:
    assert Schedule().taken(1000, STEP) == (Schedule(next_departure=1250), Departure(at=1000))
    assert Schedule(next_departure=1000).taken(1000, STEP) == (Schedule(next_departure=1250), Departure(at=1000))


def test_a_busy_one_gives_the_next_departure() -> None:
    assert Schedule(next_departure=7000).taken(1000, STEP) == (Schedule(next_departure=7250), Departure(at=7000))


def test_a_stop_moves_what_was_taken_and_what_will_be() -> None:
    schedule, departure = Schedule(next_departure=7000).taken(1000, STEP)
    stopped = schedule.stopped(2000, 5000)
    assert stopped == Schedule(next_departure=10_250, next_in_front=5000, stopped_until=5000, shift=3000)
    assert stopped.leaves_at(departure) == 10_000


def test_two_stops_at_once_are_the_longer_one() -> None:
    one = Schedule(next_departure=7000).stopped(2000, 5000)
    assert one.stopped(2100, 4000) == one
    longer = one.stopped(2100, 5500)
    assert longer == Schedule(next_departure=10_500, next_in_front=5500, stopped_until=5500, shift=3500)


def test_an_idle_schedule_is_stopped_too() -> None:
    schedule, departure = Schedule(next_departure=500).stopped(2000, 5000).taken(2100, STEP)
    assert (schedule.leaves_at(departure), schedule.next_departure) == (5000, 5250)


def test_a_job_that_was_refused_leaves_before_all_others() -> None:
    schedule, waiting = Schedule(next_departure=7000).taken(1000, STEP)
    stopped = schedule.stopped(2000, 5000)
    after, departure = stopped.made_in_front(4000, STEP)
    assert after.leaves_at(departure) == 5000
    assert after.leaves_at(waiting) == 10_250
    assert after.next_departure == 10_500
    last, second = after.made_in_front(4000, STEP)  # of two the second
    assert last.leaves_at(second) == 5250


def test_one_that_was_missed_leaves_when_the_schedule_runs_again() -> None:
    schedule, departure = Schedule().taken(1000, STEP)
    assert schedule.stopped(60_000, 90_000).leaves_at(departure) == 90_000


def test_those_in_front_leave_one_after_the_other_whoever_comes_later() -> None:
    """Proven by a crowd that was sent in vain: nobody's place may move when somebody else gets one."""
    schedule, places = Schedule(), []
    for _ in range(20):
        schedule, place = schedule.made_in_front(1000, STEP)
        places.append(place)
    assert [schedule.leaves_at(place) for place in places] == [1000 + STEP * number for number in range(20)]
    stopped = schedule.stopped(1000, 9000)
    assert [stopped.leaves_at(place) for place in places] == [9000 + STEP * number for number in range(20)]


@pytest.mark.parametrize(("now", "is_missed"), [(1000, False), (6000, False), (6001, True)])
def test_a_departure_is_missed_some_seconds_later(now: int, is_missed: bool) -> None:
    schedule, departure = Schedule().taken(1000, STEP)
    assert schedule.is_missed(departure, now) is is_missed


def test_who_missed_a_departure_before_a_stop_has_none_after_it() -> None:
    schedule, departure = Schedule().taken(1000, STEP)
    stopped = schedule.stopped(2000, 9000)
    assert stopped.is_missed(departure, 2500)
    assert not schedule.stopped(500, 9000).is_missed(departure, 9100)


@given(EVENTS)
def test_whatever_happens_nobody_leaves_twice_early_or_in_a_crowd(events: list[tuple[int, str | int]]) -> None:
    schedule, now, taken = Schedule(), 0, []
    for after, event in events:
        now += after
        if event == "take":
            schedule, departure = schedule.taken(now, STEP)
            taken.append((now, departure))
        elif event == "again":
            before = schedule
            schedule, departure = schedule.made_in_front(now, STEP)
            assert schedule.leaves_at(departure) == max(now, before.stopped_until, before.next_in_front)
            taken.append((now, departure))
        else:
            schedule = schedule.stopped(now, now + int(event))
        assert schedule.next_departure >= schedule.stopped_until
    moved = schedule.shift + schedule.inserted
    for in_front in (False, True):
        lane = [(asked, departure) for asked, departure in taken if departure.in_front is in_front]
        leaving = [departure.at + (schedule.shift if in_front else moved) for _, departure in lane]
        assert all(later - earlier >= STEP for earlier, later in pairwise(leaving))
        assert all(leaves_at >= asked for (asked, _), leaves_at in zip(lane, leaving, strict=True))
        assert not leaving or schedule.next_departure >= leaving[-1] + STEP
