"""The row of departures: the rules of ``domain.departures``, whoever writes at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucketbrush.adapters import departures as adapter
from bucketbrush.adapters.departures import NAME, Departures
from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.errors import DeparturesBusy, DeparturesFull
from bucketbrush.domain.jobs import Departure
from tests.contract.aws import Wire, at_once, client, limits

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["limits"]
STEP = 250
NOW = 1_790_000_000_000
FAR = NOW + 86_400_000
CROWD = 20
KEY: Any = {"name": {"S": NAME}}
REFUSED = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
# After so many milliseconds one of two environments takes a departure, or one in front, or stops them for so long.
OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.integers(0, 1),
        st.one_of(st.just("take"), st.just("take in front"), st.integers(-500, 5000)),
    ),
    max_size=25,
)


def departures_of(limits: str, wire: Wire | None = None) -> Departures:
    """The row in the hands of an environment that has not seen it yet."""
    return Departures(wire.client if wire else client("dynamodb"), limits, STEP)


@pytest.fixture
def departures(limits: str) -> Departures:
    """The row in the hands of one environment."""
    return departures_of(limits)


def update(limits: str, expression: str, **values: Any) -> None:
    """What an operator does by the CLI."""
    given = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    client("dynamodb").update_item(TableName=limits, Key=KEY, UpdateExpression=expression, **given)


# ---- The rules ---------------------------------------------------------------------------------------------------


def test_without_a_row_nothing_is_ahead(departures: Departures) -> None:
    assert departures.read() == Schedule()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_the_row_follows_the_rules(limits: str, operations: list[tuple[int, int, str | int]]) -> None:
    client("dynamodb").delete_item(TableName=limits, Key=KEY)
    environments = [departures_of(limits), departures_of(limits)]
    schedule, now = Schedule(), NOW
    for after, number, operation in operations:
        now += after
        row = environments[number]
        if operation == "take":
            expected = schedule.taken(now, STEP)
            assert row.take(now, FAR) == expected
        elif operation == "take in front":
            expected = schedule.made_in_front(now, STEP)
            assert row.make_in_front(now) == expected
        else:
            stopped = schedule.stopped(now, now + int(operation))
            assert row.stop(now, now + int(operation)) == stopped
            expected = (stopped, Departure(at=0))
        schedule = expected[0]
        assert row.read() == schedule


def test_a_departure_costs_one_write_when_the_row_is_as_it_was_left(limits: str) -> None:
    wire = Wire()
    departures = departures_of(limits, wire)
    for number, now in enumerate([NOW, NOW + 60_000, *[NOW + 120_000] * 5, NOW + 120_100, NOW + 180_000], start=1):
        departures.take(now, FAR)
        assert wire.sent == ["UpdateItem"] * number


def test_another_environment_finds_the_row_ahead_with_two_writes(departures: Departures, limits: str) -> None:
    departures.take(NOW, FAR)
    wire = Wire()
    other = departures_of(limits, wire)
    assert other.take(NOW, FAR)[1].at == NOW + STEP
    assert wire.sent == ["UpdateItem"] * 2
    assert other.take(NOW, FAR)[1].at == NOW + 2 * STEP
    assert wire.sent == ["UpdateItem"] * 3


def test_a_stop_within_a_stop_writes_nothing(departures: Departures, limits: str) -> None:
    stopped = departures.stop(NOW, NOW + 5000)
    wire = Wire()
    assert departures_of(limits, wire).stop(NOW + 100, NOW + 4000) == stopped
    assert wire.sent == ["GetItem"]


# ---- Crowds ------------------------------------------------------------------------------------------------------


def test_a_crowd_leaves_one_after_the_other(departures: Departures, limits: str) -> None:
    several = [departures, departures_of(limits)]
    taken = at_once([lambda n=n: several[n % 2].take(NOW, FAR) for n in range(CROWD)])
    assert sorted(departure.at for _, departure in taken) == [NOW + number * STEP for number in range(CROWD)]
    assert departures.read() == Schedule(next_departure=NOW + CROWD * STEP)


def test_stops_in_a_crowd_lose_no_departure_and_bring_none_together(departures: Departures, limits: str) -> None:
    def stop(number: int) -> None:
        departures_of(limits).stop(NOW, NOW + 1000 * number)

    def take() -> Departure:
        return departures_of(limits).take(NOW, FAR)[1]

    done = at_once([*[take] * 12, *[lambda n=n: stop(n) for n in range(1, 7)]])
    schedule = departures.read()
    leaving = sorted(schedule.leaves_at(departure) for departure in done if departure is not None)
    assert len(leaving) == 12
    assert (schedule.stopped_until, schedule.shift) == (NOW + 6000, 6000)
    assert leaving[0] == NOW + 6000
    assert {later - earlier for earlier, later in pairwise(leaving)} == {STEP}
    assert schedule.next_departure == leaving[-1] + STEP


# ---- Full --------------------------------------------------------------------------------------------------------


def test_a_row_that_is_full_gives_nothing(departures: Departures, limits: str) -> None:
    last = NOW + 3 * STEP
    assert [departures.take(NOW, last)[1].at for _ in range(4)] == [NOW, NOW + STEP, NOW + 2 * STEP, last]
    full = departures.read()
    for row in (departures, departures_of(limits)):
        with pytest.raises(DeparturesFull, match="found the next free one in 1 s; allowed: within"):
            row.take(NOW, last)
    assert departures.read() == full
    assert departures.take(NOW, last + STEP)[1].at == last + STEP


def test_what_is_left_of_the_queue_is_told(departures: Departures) -> None:
    departures.stop(NOW, NOW + 7_200_000)
    with pytest.raises(DeparturesFull) as caught:
        departures.take(NOW, NOW + 3_600_000)
    assert caught.value.message == (
        "departures: found the next free one in 7,200 s; allowed: within 3,600 s, which is left of MaxQueueSeconds."
    )


# ---- Paused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "paused_at"),
    [({"N": "1793491200"}, 1_793_491_200_000), ({"N": "7.5"}, 7500), ({"BOOL": True}, 0), ({"S": "until monday"}, 0)],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_an_operator_pauses_and_resumes(
    departures: Departures, limits: str, value: dict[str, Any], paused_at: int, is_new: bool
) -> None:
    before = Schedule() if is_new else departures.take(NOW, FAR)[0]
    update(limits, "SET paused = :yes", yes=value)
    paused = before.model_copy(update={"paused_at": paused_at})
    assert departures.read() == paused
    taken, departure = departures.take(NOW, FAR)
    assert (taken, departure) == paused.taken(NOW, STEP)
    assert taken.paused_at == paused_at
    assert departures.stop(NOW, NOW + 1000).paused_at == paused_at
    assert departures.make_in_front(NOW)[0].paused_at == paused_at
    seen = departures.read()
    update(limits, "REMOVE paused")
    assert departures.read() == seen.model_copy(update={"paused_at": None})


@pytest.mark.parametrize("value", [{"BOOL": False}, {"NULL": True}], ids=str)
def test_a_value_that_says_no_pauses_nothing(departures: Departures, limits: str, value: dict[str, Any]) -> None:
    update(limits, "SET paused = :no", no=value)
    assert departures.read() == Schedule()


# ---- Intruders ---------------------------------------------------------------------------------------------------


def intruded(limits: str, intrude: Callable[[Departures], Any]) -> Departures:
    """The row in the hands of one whose first write comes too late."""
    waiting = [departures_of(limits)]

    def meddle(operation: str) -> None:
        if operation == "UpdateItem" and waiting:
            intrude(waiting.pop())

    return departures_of(limits, Wire(meddle))


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    ("intrude", "meanwhile"),
    [
        (lambda row: row.take(NOW, FAR), lambda schedule: schedule.taken(NOW, STEP)[0]),
        (lambda row: row.make_in_front(NOW), lambda schedule: schedule.made_in_front(NOW, STEP)[0]),
        (lambda row: row.stop(NOW, NOW + 300), lambda schedule: schedule.stopped(NOW, NOW + 300)),
    ],
    ids=["take", "take in front", "stop"],
)
def test_who_writes_between_read_and_write_is_not_overwritten(
    departures: Departures,
    limits: str,
    intrude: Callable[[Departures], Any],
    meanwhile: Callable[[Schedule], Schedule],
    is_new: bool,
) -> None:
    before = Schedule() if is_new else departures.stop(NOW - 500, NOW - 100)
    expected = meanwhile(before).stopped(NOW, NOW + 5000)
    assert intruded(limits, intrude).stop(NOW, NOW + 5000) == expected
    assert departures.read() == expected
    expected, departure = meanwhile(expected).made_in_front(NOW + 100, STEP)
    assert intruded(limits, intrude).make_in_front(NOW + 100) == (expected, departure)
    assert departures.read() == expected


def test_a_longer_stop_meanwhile_is_enough(departures: Departures, limits: str) -> None:
    stopped = intruded(limits, lambda row: row.stop(NOW, NOW + 9000)).stop(NOW, NOW + 5000)
    assert stopped == departures.read() == Schedule().stopped(NOW, NOW + 9000)


CALLS: dict[str, Callable[[Departures], Any]] = {
    "take": lambda row: row.take(NOW, FAR),
    "take in front": lambda row: row.make_in_front(NOW),
    "stop": lambda row: row.stop(NOW, NOW + 5000),
}


@pytest.mark.parametrize("call", CALLS)
def test_who_always_comes_too_late_gives_up(departures: Departures, limits: str, call: str) -> None:
    def meddle(operation: str) -> dict[str, Any] | None:
        refused = {**REFUSED, "Item": {**KEY, "next_departure": {"N": str(NOW + len(wire.sent))}}}
        return refused if operation == "UpdateItem" else None

    wire = Wire(meddle)
    with pytest.raises(DeparturesBusy, match="departures: too many jobs"):
        CALLS[call](departures_of(limits, wire))
    assert wire.sent.count("UpdateItem") == adapter._TRIES
    assert departures.read() == Schedule()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ResourceNotFoundException"])
def test_another_fault_is_itself(limits: str, call: str, code: str) -> None:
    fault = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}
    wire = Wire(lambda operation: fault if operation == "UpdateItem" else None)
    with pytest.raises(ClientError, match=code):
        CALLS[call](departures_of(limits, wire))
    assert wire.sent.count("UpdateItem") == 1
