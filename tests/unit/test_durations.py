"""What is believed of the next task: what was measured of such ones, the newest most, and never anything absurd."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.durations import (
    BUCKETS,
    HALF_LIFE,
    PRIOR,
    Duration,
    Histogram,
    Shape,
    believed,
    edge,
    levels,
    measured,
    parts,
    read_histogram,
)
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.polling import LONGEST, MOST_LOOKS, SHORTEST, poll_plan
from bucketbrush.domain.result import TaskFacts, make_result
from tests.properties import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bucketbrush.domain.result import Result

CAT = ObjectVersion(bucket="inbox-bucket", key="inbox/cat.png", version_id="v1")
LOOKED, SEEN = 1030, 1050  # a job of these tests was submitted at 1000
# The row of a day's work, and all that may stand in one: numbers at the limits and beyond, and what is no number.
ROW: dict[str, Any] = {"jobs": 3, "landmark": 0, "b40": 1.0, "b44": 2.03}
NUMBERS = st.one_of(
    st.integers(-3, 3000), st.floats(0, 80), st.floats(), st.integers(), st.decimals(), st.just(10**400)
)
ANYTHING = st.one_of(NUMBERS, st.text(max_size=5), st.none(), st.booleans(), st.lists(st.integers(), max_size=2))
NAMES = st.one_of(st.integers(0, BUCKETS + 10).map("b{}".format), st.sampled_from(["name", "b", "b-1", "b1000", "bx"]))
BUCKET, WEIGHT = st.integers(0, BUCKETS - 1), st.one_of(st.floats(0, 1), st.floats(1e-12, 1), st.just(140.0))
ROWS = st.one_of(
    st.builds(
        lambda weights, **head: {**weights, **head},
        st.dictionaries(BUCKET.map("b{}".format), WEIGHT, max_size=BUCKETS),
        jobs=st.integers(0, 3000),
        landmark=st.integers(0, 3000),
    ),
    st.dictionaries(st.one_of(NAMES, st.sampled_from(["jobs", "landmark"])), ANYTHING, max_size=20),
)


def job(**changes: Any) -> Job:
    recipe = {"model": "gpt-image-2-vip", "prompt": "paint it", "resolution": "2K", "quality": "high", "n": 2}
    made = Job(job_id="cat-1", state=State.WAITING, created_at=990, submitted_at=1000, task_id="tsk_1", recipe=recipe)
    return made.model_copy(update={"looked_at": LOOKED, "seen_at": SEEN, **changes})


def ended(
    of: Job, created_at: int | None = None, completed_at: int | None = None, outcome: Outcome = Outcome.COMPLETED
) -> Result:
    """The result of a job whose end is told 10 seconds after it was seen."""
    verdict = Verdict(outcome=outcome, message="It ended.")
    return make_result(of, verdict, SEEN + 10, task=TaskFacts(created_at=created_at, completed_at=completed_at))


def after(durations: Iterable[float], histogram: Histogram | None = None) -> Histogram:
    """A histogram when so many more jobs have taken so many seconds."""
    histogram = histogram or Histogram()
    for seconds in durations:
        histogram = histogram.added(parts(Duration(seconds, seconds), PRIOR))
    return histogram


def mass(shape: Shape, low: float, high: float) -> float:
    """The probability of the buckets that lie between, in seconds."""
    return sum(part for bucket, part in enumerate(shape) if low < edge(bucket) <= high)


def median(shape: Shape) -> float:
    below = 0.0
    for bucket, part in enumerate(shape):
        below += part
        if below >= 0.5:
            return edge(bucket)
    raise AssertionError("found a shape that sums to less than a half")


def lognormal(count: int, seconds: float, sigma: float) -> list[float]:
    """The quantiles of a lognormal, in an order that is no order."""
    middles = [seconds * math.exp(sigma * _deviation((number + 0.5) / count)) for number in range(count)]
    return [middles[number * 77 % count] for number in range(count)]


def _deviation(probability: float) -> float:
    """The normal quantile, by halving."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2)) < probability else (low, middle)
    return low


# ---- The histogram -----------------------------------------------------------------------------------------------


def test_a_job_counts_half_as_much_as_one_that_came_a_half_life_later() -> None:
    aged = after([20, *[80] * (HALF_LIFE - 1), 320]).aged
    first, _, last = (aged[bucket] for bucket in sorted(aged))
    assert last == pytest.approx(2 * first)
    assert last == pytest.approx(2 ** (-1 / HALF_LIFE))  # of the next one's


def test_all_jobs_of_all_times_weigh_no_more_than_the_last_few() -> None:
    total = sum(after([30] * 1500).aged.values())
    assert total == pytest.approx(sum(2 ** (-age / HALF_LIFE) for age in range(1, 1501)))
    assert total < 1.5 * HALF_LIFE


def test_it_matters_not_in_which_order_the_buckets_of_a_job_are_added_to() -> None:
    one = Histogram().added({40: 0.25, 41: 0.75}).added({41: 0.5, 42: 0.5})
    assert one == Histogram().added({41: 0.75, 40: 0.25}).added({42: 0.5, 41: 0.5})
    assert one.jobs == 2
    assert sum(one.aged.values()) == pytest.approx(2 ** (-1 / HALF_LIFE) + 2 ** (-2 / HALF_LIFE))


def test_moving_the_landmark_changes_nothing_that_is_believed() -> None:
    histogram = after(lognormal(1000, 40, 0.5))
    moved = histogram.moved()
    assert (histogram.is_full, moved.is_full) == (True, False)
    assert (moved.jobs, moved.landmark, moved.newest) == (1000, 1000, 1)
    assert moved.aged == pytest.approx(histogram.aged)
    assert believed([moved]) == pytest.approx(believed([histogram]))
    both = [believed([after([30] * 20, one)]) for one in (moved, histogram)]
    assert both[0] == pytest.approx(both[1])


def test_what_is_long_past_is_forgotten_before_it_is_no_number_for_dynamodb() -> None:
    """A number of DynamoDB's is at least 1E-130 (Developer Guide, "Data types")."""
    histogram = after([20] * 10)
    for _ in range(3):
        histogram = after([300] * 1000, histogram).moved()
        assert min(histogram.weights.values()) >= 1e-9
    assert len(histogram.weights) == 1


# ---- Its row -----------------------------------------------------------------------------------------------------


def test_a_row_is_read() -> None:
    row = {**ROW, "name": "gpt-image-2-vip", "b1000": "not ours"}
    assert read_histogram(row) == Histogram(jobs=3, landmark=0, weights={40: 1.0, 44: 2.03})


@pytest.mark.parametrize(
    "changes",
    [
        {"b40": -0.5},
        {"b40": float("nan")},
        {"b40": float("inf")},
        {"b40": 10**400},
        {"b40": "many"},
        {"b40": None},
        {"b40": 1e6},
        {"b40": 150.0},
        {f"b{BUCKETS}": 1.0},
        {"jobs": -1},
        {"jobs": 2.5},
        {"jobs": "many"},
        {"jobs": None},
        {"jobs": float("nan")},
        {"jobs": 2001},  # and nobody has moved the landmark
        {"landmark": 4},
        {"landmark": -1},
        {"landmark": "first"},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_is_none(changes: dict[str, Any]) -> None:
    assert read_histogram(ROW) is not None
    assert read_histogram({**ROW, **changes}) is None


def test_a_row_that_does_not_say_how_many_is_none() -> None:
    assert read_histogram({name: value for name, value in ROW.items() if name != "jobs"}) is None
    assert read_histogram({}) is None


# ---- What is believed --------------------------------------------------------------------------------------------


def test_without_a_job_the_prior_is_believed() -> None:
    assert believed([]) == PRIOR
    assert believed([Histogram(), Histogram()]) == PRIOR
    assert sum(PRIOR) == pytest.approx(1)
    assert median(PRIOR) == pytest.approx(40, rel=0.1)


@PROPERTIES
@given(st.lists(ROWS, max_size=2))
def test_whatever_stands_in_the_rows_a_distribution_is_believed(rows: list[dict[str, Any]]) -> None:
    shape = believed([histogram for histogram in map(read_histogram, rows) if histogram])
    assert len(shape) == BUCKETS
    assert all(part >= 0 for part in shape)  # which NaN is not
    assert sum(shape) == pytest.approx(1)
    plan = poll_plan(shape, 0.2, 900)
    assert 1 <= len(plan) <= MOST_LOOKS
    assert all(SHORTEST <= wait <= LONGEST for wait in plan)
    assert sum(plan) <= 900


def test_tasks_of_the_first_bucket_are_tasks_too() -> None:
    """Half of what is smoothed lies before them."""
    shape = believed([after([1, 130] * 100)])
    assert sum(shape) == pytest.approx(1)
    assert mass(shape, 90, 180) == pytest.approx(0.6, abs=0.15)
    assert sum(poll_plan(shape, 0.2, 3600)) < 600


@pytest.mark.parametrize("seconds", [15, 40, 300])
def test_two_hundred_jobs_of_one_peak_are_believed(seconds: int) -> None:
    shape = believed([after(lognormal(200, seconds, 0.25))])
    assert median(shape) == pytest.approx(seconds, rel=0.1)
    assert mass(shape, seconds / 2, seconds * 2) > 0.96
    assert mass(shape, seconds / 1.3, seconds * 1.35) == pytest.approx(0.7, abs=0.08)  # of such a lognormal 0.73


def test_two_peaks_stay_two() -> None:
    quick, slow = lognormal(100, 25, 0.2), lognormal(100, 180, 0.2)
    shape = believed([after(seconds for pair in zip(quick, slow, strict=True) for seconds in pair)])
    assert mass(shape, 15, 40) == pytest.approx(0.5, abs=0.07)
    assert mass(shape, 110, 300) == pytest.approx(0.5, abs=0.07)
    assert mass(shape, 50, 90) < 0.05


def test_a_gap_between_a_few_jobs_is_chance_and_between_many_it_is_none() -> None:
    gaps = [mass(believed([after([20, 75, 24, 90] * times)]), 32, 56) for times in (1, 50)]
    assert gaps[0] > 0.1
    assert gaps[1] < gaps[0] / 3


def test_the_fewer_jobs_the_more_the_parent_is_believed() -> None:
    """For one job the parent counts as one more."""
    parent = after(lognormal(200, 40, 0.25))
    far = [mass(believed([after([300] * jobs), parent]), 20, 80) for jobs in (0, 1, 5, 50)]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0.96
    assert far[1] == pytest.approx(0.5, abs=0.05)
    assert far[3] < 0.05


def test_an_unknown_class_is_believed_to_be_like_its_parent() -> None:
    parent = after(lognormal(100, 120, 0.25))
    assert believed([Histogram(), parent]) == believed([parent])
    two = after([100, 150])
    assert mass(believed([two, parent]), 60, 240) > mass(believed([two]), 60, 240) + 0.1


def test_after_a_hundred_jobs_a_drift_is_believed() -> None:
    before = after(lognormal(200, 40, 0.25))
    shape = believed([after(lognormal(100, 80, 0.25), before)])
    assert mass(shape, 57, 160) > 0.65
    assert mass(shape, 20, 57) == pytest.approx(0.25, abs=0.08)  # two half-lives
    assert median(shape) == pytest.approx(75, rel=0.1)


# ---- A job's parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [PRIOR, (1 / BUCKETS,) * BUCKETS, (*[0.0] * (BUCKETS - 1), 1.0)])
@pytest.mark.parametrize("seconds", [0, 1, 2, 17, 300, 82_800, 10**9])
def test_a_duration_that_is_known_lies_in_one_bucket_whatever_is_believed(seconds: int, shape: Shape) -> None:
    ((bucket, part),) = parts(Duration(seconds, seconds), shape).items()
    assert part == 1
    assert bucket == BUCKETS - 1 or edge(bucket) >= seconds
    assert bucket == 0 or edge(bucket - 1) < seconds


@PROPERTIES
@given(st.integers(0, 100_000), st.integers(1, 100_000), st.sampled_from(["prior", "flat", "elsewhere"]))
def test_one_that_is_not_lies_where_it_may_have_been(least: int, more: int, kind: str) -> None:
    flat = (1 / BUCKETS,) * BUCKETS
    elsewhere = (*[0.0] * (BUCKETS - 1), 1.0)
    most = least + more
    found = parts(Duration(least, most), {"prior": PRIOR, "flat": flat, "elsewhere": elsewhere}[kind])
    assert sum(found.values()) == pytest.approx(1, abs=2e-4)
    assert all(part > 0 for part in found.values())
    assert all(edge(bucket) > least for bucket in found)
    assert all(bucket == 0 or edge(bucket - 1) < most for bucket in found)


def test_where_it_may_have_been_is_judged_by_the_shape() -> None:
    shape = believed([after(lognormal(200, 40, 0.1))])
    found = parts(Duration(20, 200), shape)
    assert sum(part for bucket, part in found.items() if 30 < edge(bucket) < 55) > 0.9
    unjudged = parts(Duration(20, 200), (1 / BUCKETS,) * BUCKETS)
    assert sum(part for bucket, part in unjudged.items() if 30 < edge(bucket) < 55) < 0.4


def test_a_bucket_counts_as_far_as_it_lies_within_the_limits() -> None:
    low, high = edge(49), edge(50)
    found = parts(Duration(low + (high - low) * 0.75, edge(51)), (1 / BUCKETS,) * BUCKETS)
    assert found == {50: pytest.approx(0.2), 51: pytest.approx(0.8)}


def test_jobs_that_were_only_seen_between_looks_are_learned() -> None:
    """The looks are ten seconds apart, and each job is spread by what is believed until then."""
    histogram = Histogram()
    for seconds in lognormal(200, 60, 0.3):
        look = 10 * int(seconds // 10)
        histogram = histogram.added(parts(Duration(look, look + 10), believed([histogram])))
    assert median(believed([histogram])) == pytest.approx(60, rel=0.1)
    assert mass(believed([histogram]), 30, 120) > 0.95


# ---- What is measured --------------------------------------------------------------------------------------------


def test_what_the_provider_says_is_believed_between_our_looks() -> None:
    one = job()
    assert measured(one, ended(one, 1001, 1041)) == Duration(40, 40)
    unseen = job(looked_at=None, seen_at=None)  # the last look was finalize's own
    assert measured(unseen, ended(unseen, 1001, 1003)) == Duration(2, 2)


@pytest.mark.parametrize(
    ("created_at", "completed_at"),
    [
        (None, None),
        (1001, None),
        (None, 1041),
        (1041, 1001),  # done before it began
        (1001, 1020),  # done when we saw it going on
        (1001, 1061),  # done after we had seen it done
        (0, 1_790_000_000),  # two clocks
        (1, 10**15),  # milliseconds
    ],
)
def test_what_cannot_be_is_left_to_our_looks(created_at: int | None, completed_at: int | None) -> None:
    one = job()
    assert measured(one, ended(one, created_at, completed_at)) == Duration(30, 50)


def test_clocks_may_differ_by_five_seconds() -> None:
    one = job()
    assert [measured(one, ended(one, 1000, 1000 + said)) for said in (24, 25, 55, 56)] == [
        Duration(30, 50),
        Duration(25, 25),
        Duration(55, 55),
        Duration(30, 50),
    ]


TIMES = st.none() | st.integers(-(10**13), 10**13) | st.integers(950, 1100)


@PROPERTIES
@given(st.tuples(*[TIMES] * 6))
def test_whatever_the_clocks_say_what_is_measured_can_be(times: tuple[int | None, ...]) -> None:
    submitted_at, answered_at, looked_at, seen_at, created_at, completed_at = times
    changes = {"submitted_at": submitted_at, "answered_at": answered_at, "looked_at": looked_at, "seen_at": seen_at}
    one = job(**changes)
    found = measured(one, ended(one, created_at, completed_at))
    assert found is None or 0 <= found.least <= found.most
    if found:
        assert sum(parts(found, PRIOR).values()) == pytest.approx(1, abs=1e-3)


def test_a_task_may_begin_while_its_request_is_answered() -> None:
    """The plan is walked from the answer, 12 seconds after the request here."""
    early = job(answered_at=1012, looked_at=1034, seen_at=1041)
    assert measured(early, ended(early, 1012, 1036)) == Duration(24, 24)
    assert measured(early, ended(early, 1001, 1036)) == Duration(35, 35)
    assert measured(early, ended(early)) == Duration(22, 29)


def test_the_first_look_may_see_it_done() -> None:
    one = job(looked_at=None)
    assert measured(one, ended(one)) == Duration(0, 50)


@pytest.mark.parametrize(
    "changes",
    [
        {"seen_at": None},
        {"submitted_at": None},
        {"looked_at": 1050},
        {"looked_at": 1080},
        {"looked_at": 900, "seen_at": 950},
        {"looked_at": 900},
        {"looked_at": None, "seen_at": 900},
    ],
    ids=str,
)
def test_looks_that_say_nothing_and_clocks_that_jumped_teach_nothing(changes: dict[str, Any]) -> None:
    one = job(**changes)
    assert measured(one, ended(one)) is None


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.succeeded])
def test_a_job_without_pictures_teaches_nothing(outcome: Outcome) -> None:
    one = job()
    assert measured(one, ended(one, 1001, 1041, outcome)) is None


def test_a_part_of_the_pictures_teaches_as_much_as_all() -> None:
    one = job()
    assert measured(one, ended(one, 1001, 1041, Outcome.PARTIAL)) == Duration(40, 40)


# ---- The levels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["gpt-image-2-vip 2K high n=2 text", "gpt-image-2-vip 2K", "gpt-image-2-vip"]),
        ({"references": (CAT,)}, ["gpt-image-2-vip 2K high n=2 references", "gpt-image-2-vip 2K", "gpt-image-2-vip"]),
        ({"recipe": {"model": "m", "prompt": "p"}}, ["m - - n=1 text", "m -", "m"]),
        # A model may take free text in any field.
        ({"recipe": {"model": "m", "resolution": "as in my dream", "quality": 7}}, ["m - - n=1 text", "m -", "m"]),
    ],
)
def test_a_job_teaches_about_its_class_its_resolution_and_its_model(
    changes: dict[str, Any], names: Sequence[str]
) -> None:
    assert levels(job(**changes)) == tuple(names)
