"""docs/scale.md says what is computed, and what is computed is what the code does."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.adapters.durations import _key, _numbers
from bucketbrush.domain.deadlines import next_check
from bucketbrush.domain.durations import BUCKETS
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from tests.bench import page, quotas, scale
from tests.bench.prices import Meter
from tests.bench.quotas import AWS, DAY, DEFAULT, ELSEWHERE, SVIP, VIP, Name, Settings, limits, open_at_most
from tests.bench.traffic import Traffic, spread
from tests.properties import PROPERTIES
from tests.template.stack import load

if TYPE_CHECKING:
    from tests.bench.quotas import Limit

TEXT = scale.PAGE.read_text()
ALL = limits(DEFAULT)
RATES, PARTS = st.floats(1e-5, 1e4), st.floats(0, 1)


def rounded(number: float, digits: int) -> str:
    return f"{float(f'{number:.{digits}g}'):,.0f}"


def run(settings: Settings, arrivals: list[float], **more: Any) -> Traffic:
    traffic = Traffic(settings, limits(settings), seed=1, **more)
    traffic.run(arrivals)
    return traffic


# ---- The page -------------------------------------------------------------------------------------------------------


def test_the_tables_of_the_page_are_what_is_computed() -> None:
    assert page.written(TEXT, scale.tables()) == TEXT


def test_the_page_says_what_is_simulated() -> None:
    push = scale.PUSHES[0]
    found = [str(scale.over_the_day(100_000, DEFAULT)), str(scale.at_once(DEFAULT)), push.row(push.simulated())]
    assert [row for row in found if f"{row}\n" not in TEXT] == []


def test_the_numbers_in_its_sentences_are_those_of_its_tables() -> None:
    elsewhere = min(limit.full_at for limit in ELSEWHERE.values() if not limit.needs)
    crowd = open_at_most(2_880_000, SVIP._replace(maximum_concurrency=100))
    slower, safe = (SVIP._replace(submits_per_second=pace).pace for pace in (33.3, 26))
    said = (
        f"Up to {DEFAULT.pace * DAY:,.0f} jobs a day",
        f"each one in {quotas.OWN_SECONDS:.2f} s",
        f"for {quotas.SENT_SECONDS:.2f} s instead of {quotas.OWN_SECONDS:.2f} s",
        f"would have {rounded(crowd, 3)} open executions",
        f"33.3 would be {slower:.1f} a second and 33.4 is {SVIP.pace:.1f}",
        f"is {rounded(safe * DAY, 4)} jobs a day",
        f"full at {rounded(elsewhere, 2)} jobs a day",
        f"falls behind at {rounded(AWS[Name.CHECKS].full_at, 3)} jobs a day",
    )
    flat = " ".join(TEXT.split())
    assert [sentence for sentence in said if sentence not in flat] == []


def test_every_parameter_that_it_names_is_there() -> None:
    assert set(re.findall(r"`([A-Z]\w+)`", TEXT)) <= set(load()["Parameters"])


# ---- The arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_limit_is_full_when_it_says_so(name: Name) -> None:
    limit = ALL[name]
    assert limit.used(limit.full_at / DAY, waiting=1) == pytest.approx(1)


@pytest.mark.properties
@PROPERTIES
@given(limit=st.sampled_from([*ALL.values()]), rate=RATES, waiting=PARTS)
def test_twice_the_jobs_use_twice_as_much_and_never_more_than_if_all_wait(
    limit: Limit, rate: float, waiting: float
) -> None:
    used = limit.used(rate, waiting)
    assert limit.used(2 * rate, waiting) == pytest.approx(2 * used)
    if limit is not ALL[Name.INTAKE]:  # where one that waits makes room sooner
        assert used <= limit.used(rate, waiting=1) * (1 + 1e-9)
    assert limit.used_by_crowd(rate, rate) == pytest.approx(limit.used(rate, waiting=1))


@pytest.mark.properties
@PROPERTIES
@given(jobs=st.integers(1, 10**7), settings=st.sampled_from([DEFAULT, VIP, SVIP]))
def test_no_more_executions_are_open_than_there_are_jobs_and_more_jobs_have_more(jobs: int, settings: Settings) -> None:
    found = open_at_most(jobs, settings)
    assert 0 < found <= jobs
    assert found <= open_at_most(jobs + 1, settings)


def test_transitions_are_added_up_by_hand() -> None:
    limit = AWS[Name.TRANSITIONS]
    assert limit.used(rate=10, waiting=0) == pytest.approx(10 * (5 + 3 * 2.3) / 5_000)
    assert limit.used(rate=10, waiting=0.5) == pytest.approx(10 * (5 + 3 * 2.3 + 1.5) / 5_000)
    assert limit.used_by_crowd(intake=20, pace=10) == pytest.approx((20 * 3 + 10 * (5 + 3 * 2.3)) / 5_000)


def test_stacks_stay_within_their_account() -> None:
    for settings in (DEFAULT, VIP, SVIP):
        assert settings.pace <= settings.account.submits_per_minute / 60 * (1 + 1e-9)
        assert settings.intake > settings.pace


# ---- What a job uses ------------------------------------------------------------------------------------------------


def test_writes_are_at_most_what_the_page_counts_with() -> None:
    counted, _ = page.usage()
    uses = (AWS[name].use.sent for name in (Name.JOBS, Name.INDEX, Name.SCHEDULE))
    looks = page.LOOKS * quotas.ROW
    assert counted[Meter.WRITES] <= sum(uses) - looks + 3 * quotas.DURATIONS_ROW <= 1.5 * counted[Meter.WRITES]


def test_a_row_of_durations_is_no_larger_than_it_is_counted_with() -> None:
    name = "gpt-image-1.5-official 4k high n=10 references"
    row = {**_key(name), **_numbers({"jobs": 10**7, "landmark": 10**7, **{f"b{n}": 1 / 3 for n in range(BUCKETS)}})}
    # A number has a byte for two digits, and one more (DynamoDB Developer Guide, "Item sizes and formats").
    size = sum(len(key) + len(next(iter(value.values()))) // 2 + 1 for key, value in row.items())
    assert math.ceil(size / 1024) <= quotas.DURATIONS_ROW


def test_the_sweep_looks_as_often_as_it_is_counted_with() -> None:
    job, now, looks = Job(job_id="hangs", state=State.WAITING, created_at=0), 0, 0
    while (now := next_check(job, now, quotas._SWEEP_AFTER)) < quotas.DEADLINE_SECONDS:
        looks += 1
    assert abs(looks - AWS[Name.CHECKS].use.later) <= 1


# ---- The simulation -------------------------------------------------------------------------------------------------


def test_a_job_that_is_sent_at_once_makes_the_transitions_of_the_workflow() -> None:
    traffic = run(DEFAULT, [0.0])
    looks = traffic.total[Name.REQUESTS] - 2
    assert looks >= 1
    assert traffic.total[Name.TRANSITIONS] == 5 + 3 * looks
    assert (traffic.total[Name.READS], traffic.total[Name.STARTS], traffic.ended) == (looks + 1, 1, 1)


def test_a_job_that_waits_makes_three_more() -> None:
    traffic = run(DEFAULT, [0.0, 0.0])
    looks = traffic.total[Name.REQUESTS] - 5  # one submit twice
    assert traffic.total[Name.TRANSITIONS] == 2 * 5 + 3 * looks + 3
    assert traffic.total[Name.INDEX] == AWS[Name.INDEX].use.sent + AWS[Name.INDEX].use.waiting


def test_no_more_drops_are_taken_in_than_maximum_concurrency_and_none_leaves_before_its_turn() -> None:
    traffic = run(DEFAULT, [0.0] * 300)
    assert traffic.most_at_once[Name.INTAKE] == DEFAULT.maximum_concurrency
    assert traffic.peaks[Name.PACE] <= DEFAULT.pace * 1.02
    assert (traffic.ended, traffic.refused.total()) == (300, 0)


@pytest.mark.parametrize(("most", "refused"), [(3, 0), (2, 1)])
def test_a_limit_refuses_what_is_beyond_it_and_is_named(most: int, refused: int) -> None:
    found = {Name.OPEN: AWS[Name.OPEN]._replace(most=most)}
    traffic = Traffic(DEFAULT, found, seed=1)
    traffic.run([0.0] * 3)
    assert (traffic.refused[Name.OPEN], traffic.first) == (refused, Name.OPEN if refused else None)
    assert traffic.ended == 3


def test_changes_of_the_month_that_meet_are_tried_again() -> None:
    needs = AWS[Name.MONTH].needs
    traffic = run(SVIP, [0.0, 0.001, 0.002], needs=needs)
    assert (traffic.total[Name.MONTH], traffic.refused[Name.MONTH]) == (2 * 3, 0)
    assert Name.MONTH not in run(SVIP, [0.0]).total


def test_arrivals_are_as_many_as_they_should_be_and_within_their_time() -> None:
    found = spread(1000, rate=2.0, seed=1)
    assert (len(found), found) == (1000, sorted(found))
    assert 0 <= found[0] <= found[-1] <= 500
    assert found != spread(1000, rate=2.0, seed=2)
