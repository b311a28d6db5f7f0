"""The rows of durations: every job is counted once, whoever adds at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.durations import Durations
from bucketbrush.domain.durations import HALF_LIFE, Histogram
from bucketbrush.domain.errors import DurationsUnavailable
from tests.contract.aws import Wire, at_once, client, durations_table, name, scripted_client
from tests.contract.scripted import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.scripted import Scripted

CROWD = 40
FULL = 1000  # jobs since the landmark
REFUSED = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
SIXTY = {47: 1.0}
SPREAD = {46: 0.25, 47: 0.75}


@pytest.fixture(scope="module")
def rows() -> str:
    """A new durations table."""
    return durations_table()


@pytest.fixture
def durations(rows: str) -> Durations:
    return Durations(client("dynamodb"), rows)


@pytest.fixture
def level() -> str:
    """The name of a row that is not there yet."""
    return name("gpt-image-2-vip 2K")


def known(durations: Durations, level: str) -> Histogram:
    histogram = durations.read([level])[level]
    assert histogram is not None
    return histogram


def put(rows: str, level: str, **attributes: Any) -> None:
    """A row as it may stand in the table; what is no attribute value is a number."""
    given = {key: it if isinstance(it, dict) else {"N": str(it)} for key, it in attributes.items()}
    client("dynamodb").put_item(TableName=rows, Item={"name": {"S": level}, **given})


def full(rows: str, level: str, jobs: int = FULL) -> Histogram:
    """A row in which every job took a minute, and to which the next one cannot be just added."""
    weight = sum(2 ** (number / HALF_LIFE) for number in range(jobs))
    put(rows, level, jobs=jobs, landmark=0, b47=weight)
    return Histogram(jobs=jobs, weights={47: weight})


# ---- One after the other -----------------------------------------------------------------------------------------


def test_the_first_job_makes_the_row(durations: Durations, level: str) -> None:
    durations.add(level, Histogram(), SPREAD)
    assert known(durations, level) == Histogram().added(SPREAD)


def test_rows_are_read_in_the_order_of_the_names_and_one_that_is_not_there_is_empty(
    durations: Durations, level: str
) -> None:
    """A table answers in any order (DynamoDB API Reference, "BatchGetItem")."""
    others = [name("gpt-image-2-vip") for _ in range(8)]
    for other in others:
        durations.add(other, Histogram(), SIXTY)
    for names in ([level, *others], [*reversed(others), level]):
        assert [*durations.read(names).items()] == [
            (one, Histogram() if one == level else Histogram().added(SIXTY)) for one in names
        ]


def test_each_job_weighs_what_its_number_is_worth(rows: str, level: str) -> None:
    wire = Wire()
    durations, expected = Durations(wire.client, rows), Histogram()
    for parts in (SIXTY, SPREAD, {12: 1.0}, SIXTY, {0: 0.5, 139: 0.5}):
        durations.add(level, expected, parts)
        expected = expected.added(parts)
    assert wire.sent == ["UpdateItem"] * 5
    found = known(durations, level)
    assert (found.jobs, found.landmark) == (expected.jobs, expected.landmark)
    assert found.weights == pytest.approx(expected.weights)


def test_at_a_full_row_the_landmark_moves(durations: Durations, rows: str, level: str) -> None:
    seen = full(rows, level)
    durations.add(level, known(durations, level), SPREAD)
    found, expected = known(durations, level), seen.moved().added(SPREAD)
    assert (found.jobs, found.landmark) == (FULL + 1, FULL)
    assert found.weights == pytest.approx(expected.weights)
    durations.add(level, found, SIXTY)
    assert known(durations, level).aged == pytest.approx(expected.added(SIXTY).aged)


# ---- Crowds ------------------------------------------------------------------------------------------------------


def test_a_crowd_loses_no_count(durations: Durations, level: str) -> None:
    done = at_once([lambda n=n: durations.add(level, Histogram(), {40 + n % 4: 1.0}) for n in range(CROWD)])
    assert done == [None] * CROWD
    found = known(durations, level)
    assert (found.jobs, found.landmark) == (CROWD, 0)
    assert found.weights == dict.fromkeys(range(40, 44), CROWD / 4)


def test_a_crowd_at_a_full_row_moves_the_landmark_once(durations: Durations, rows: str, level: str) -> None:
    seen = full(rows, level)
    assert at_once([lambda: durations.add(level, seen, {20: 1.0}) for _ in range(CROWD)]) == [None] * CROWD
    found = known(durations, level)
    assert (found.jobs, found.landmark) == (FULL + CROWD, FULL)
    # Those that came after the mover have seen more jobs or fewer, and weigh so.
    assert CROWD <= found.weights[20] <= CROWD * 2 ** (CROWD / HALF_LIFE)
    assert found.weights[47] == pytest.approx(seen.moved().weights[47])


def test_what_another_adds_while_the_landmark_moves_stays(durations: Durations, rows: str, level: str) -> None:
    seen = full(rows, level)
    durations.add(level, Histogram(jobs=FULL - 1, weights=seen.weights), {20: 1.0})  # by one that saw it before
    wire = Wire()
    Durations(wire.client, rows).add(level, seen, SIXTY)
    assert wire.sent == ["PutItem"] * 2
    found = known(durations, level)
    assert (found.jobs, found.landmark) == (FULL + 2, FULL + 1)
    assert found.weights[20] == pytest.approx(2 ** (-2 / HALF_LIFE))


def test_one_that_saw_the_row_before_the_landmark_moved_weighs_anew(
    durations: Durations, rows: str, level: str
) -> None:
    seen = full(rows, level)
    durations.add(level, seen, SIXTY)
    moved = known(durations, level)
    wire = Wire()
    Durations(wire.client, rows).add(level, Histogram(jobs=FULL - 1, weights=seen.weights), {20: 1.0})
    assert wire.sent == ["UpdateItem"] * 2
    found = known(durations, level)
    assert (found.jobs, found.landmark) == (FULL + 2, FULL)
    assert found.weights[20] == pytest.approx(moved.newest)


def test_in_too_large_a_crowd_a_job_gives_up(rows: str, level: str) -> None:
    full(rows, level)
    standing = client("dynamodb").get_item(TableName=rows, Key={"name": {"S": level}})["Item"]
    wire = Wire(lambda _: {**REFUSED, "Item": standing})
    with pytest.raises(DurationsUnavailable, match=f"durations {level}: too many jobs change the row"):
        Durations(wire.client, rows).add(level, Histogram(), SIXTY)
    assert wire.sent == ["UpdateItem", "PutItem", "PutItem"]


# ---- Damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"jobs": 5, "landmark": 9},
        {"jobs": 5, "landmark": 0, "b47": -1},
        {"jobs": 5, "landmark": 0, "b140": 1},
        {"jobs": 5, "landmark": 0, "b47": "1E+30"},
        {"jobs": {"S": "5"}, "b47": 1},
        {"jobs": 5, "landmark": 0, "b47": {"S": "1"}},  # DynamoDB adds to no string
        {"jobs": 5, "landmark": {"NULL": True}, "b47": 1},
        {"jobs": {"L": []}, "landmark": {"M": {}}, "b47": {"BOOL": True}},
    ],
    ids=str,
)
def test_a_damaged_row_is_none_and_written_anew(
    durations: Durations, rows: str, level: str, attributes: dict[str, Any]
) -> None:
    put(rows, level, **attributes)
    assert durations.read([level]) == {level: None}
    durations.add(level, None, SPREAD)
    assert known(durations, level) == Histogram().added(SPREAD)


def test_one_that_was_damaged_after_it_was_seen_is_written_anew(durations: Durations, rows: str, level: str) -> None:
    put(rows, level, jobs={"S": "many"}, landmark=7)
    durations.add(level, Histogram(), SIXTY)
    assert known(durations, level) == Histogram().added(SIXTY)


def test_a_full_row_that_was_deleted_meanwhile_begins_anew(durations: Durations, level: str) -> None:
    durations.add(level, Histogram(jobs=FULL, weights={47: 1.0}), SIXTY)
    assert known(durations, level) == Histogram().added(SIXTY)


# ---- Errors ------------------------------------------------------------------------------------------------------


CALLS: list[Callable[[Durations], object]] = [
    lambda durations: durations.read(["gpt-image-2-vip"]),
    lambda durations: durations.add("gpt-image-2-vip", Histogram(), SIXTY),
    lambda durations: durations.add("gpt-image-2-vip", None, SIXTY),
    lambda durations: durations.add("gpt-image-2-vip", Histogram(jobs=FULL), SIXTY),
]


@pytest.mark.parametrize("call", CALLS, ids=["read", "add", "write anew", "move"])
def test_a_table_that_is_not_there_is_told_by_the_errors_name_alone(call: Callable[[Durations], object]) -> None:
    with pytest.raises(DurationsUnavailable) as told:
        call(Durations(client("dynamodb"), "no-such-table"))
    assert str(told.value).startswith("durations: the table answers ResourceNotFoundException.")
    assert "no-such-table" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("call", CALLS, ids=["read", "add", "write anew", "move"])
def test_a_table_that_nobody_can_reach_is_told_without_its_address(call: Callable[[Durations], object]) -> None:
    with pytest.raises(DurationsUnavailable) as told:
        call(Durations(scripted_client("dynamodb", "http://127.0.0.1:9"), "durations"))
    assert str(told.value).startswith("durations: the table answers EndpointConnectionError.")
    assert "127.0.0.1" not in str(told.value)


def test_rows_that_were_not_read_are_not_taken_for_empty_ones(script: Scripted) -> None:
    """DynamoDB API Reference, "BatchGetItem": what is throttled comes back as a key. Empty, it would be added to as by
    its first job.
    """
    left = {"durations": {"Keys": [{"name": {"S": "gpt-image-2-vip"}}]}}
    script.answer = Answer(200, {"Responses": {"durations": []}, "UnprocessedKeys": left})
    with pytest.raises(DurationsUnavailable, match="did not read all rows"):
        Durations(scripted_client("dynamodb", script.url), "durations").read(["gpt-image-2-vip"])
