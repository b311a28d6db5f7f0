"""Knowledge: what jobs teach is used and kept, and whatever stands in its way costs no job anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from bucketbrush.domain.durations import PRIOR, Histogram, Shape, believed, levels
from bucketbrush.domain.errors import DurationsUnavailable
from bucketbrush.domain.jobs import Job, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.result import Result, TaskFacts, make_result
from bucketbrush.knowledge import Knowledge
from tests.unit.fakes import PROMPT, FakeDurations, emitted

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

    from bucketbrush.adapters.durations import Durations

RECIPE = {"model": "gpt-image-2-vip", "prompt": PROMPT, "resolution": "2K", "n": 1}
JOB = Job(job_id="cat-1", state=State.WAITING, created_at=990, submitted_at=1000, seen_at=1050, recipe=RECIPE)
CLASS, RESOLUTION, MODEL = levels(JOB)
FORTY = {43: 1.0}  # where 40 s belong
SLOW, QUICK = (Histogram(jobs=9, weights={bucket: 5.0}) for bucket in (60, 30))


class Watched(FakeDurations):
    """What its rows were ``seen`` as by who adds to them; those in ``stuck`` cannot be added to."""

    def __init__(self, *stuck: str) -> None:
        super().__init__()
        self.stuck = stuck
        self.seen: dict[str, Histogram | None] = {}

    def add(self, name: str, seen: Histogram | None, parts: Mapping[int, float]) -> None:
        if name in self.stuck:
            raise DurationsUnavailable(f"durations {name}: too many jobs change the row at this moment.")
        self.seen[name] = seen
        super().add(name, seen, parts)


def result(outcome: Outcome = Outcome.COMPLETED, task: TaskFacts | None = None) -> Result:
    """Of a task that took 40 s, unless it says something else."""
    verdict = Verdict(outcome=outcome, message="It ended.")
    return make_result(JOB, verdict, 1060, task=task or TaskFacts(created_at=1001, completed_at=1041))


def shape(durations: FakeDurations) -> Shape:
    return Knowledge(cast("Durations", durations)).shape(JOB)


def learn(durations: FakeDurations, of: Result) -> dict[str, Any]:
    """The rows afterwards."""
    Knowledge(cast("Durations", durations)).learn(JOB, of)
    return durations.rows


@pytest.fixture
def durations() -> FakeDurations:
    return FakeDurations()


# ---- What is believed --------------------------------------------------------------------------------------------


def test_nothing_known_is_the_prior(durations: FakeDurations, capsys: pytest.CaptureFixture[str]) -> None:
    assert shape(durations) == PRIOR
    assert capsys.readouterr().out == ""


def test_the_narrowest_level_counts_most(durations: FakeDurations) -> None:
    durations.rows = {CLASS: QUICK, MODEL: SLOW}
    assert shape(durations) == believed([QUICK, SLOW])
    assert shape(durations) != believed([SLOW, QUICK])


def test_a_damaged_row_is_passed_over_and_counted(
    durations: FakeDurations, capsys: pytest.CaptureFixture[str], logs: io.StringIO
) -> None:
    durations.rows = {CLASS: None, RESOLUTION: None, MODEL: SLOW}
    assert shape(durations) == believed([SLOW])
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == 2
    for level in (CLASS, RESOLUTION):
        assert f"durations {level}: found a row that is no histogram." in logs.getvalue()


def test_a_table_that_does_not_answer_is_the_prior_and_counted(
    durations: FakeDurations, capsys: pytest.CaptureFixture[str], logs: io.StringIO
) -> None:
    durations.rows, durations.is_gone = {MODEL: SLOW}, True
    assert shape(durations) == PRIOR
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == 1
    assert "the table answers ResourceNotFoundException" in logs.getvalue()


# ---- What is learned ---------------------------------------------------------------------------------------------


def test_a_job_teaches_all_levels(durations: FakeDurations, capsys: pytest.CaptureFixture[str]) -> None:
    durations.rows = {MODEL: SLOW}
    one = Histogram().added(FORTY)
    assert learn(durations, result()) == {CLASS: one, RESOLUTION: one, MODEL: SLOW.added(FORTY)}
    assert capsys.readouterr().out == ""


def test_what_was_learned_is_believed_of_the_next_job(durations: FakeDurations) -> None:
    before = shape(durations)[43]
    learn(durations, result())
    assert shape(durations)[43] > before


def test_a_job_that_was_only_seen_between_looks_is_spread_by_what_is_believed(durations: FakeDurations) -> None:
    durations.rows = {MODEL: QUICK}
    added = learn(durations, result(task=TaskFacts()))[CLASS]
    assert isinstance(added, Histogram)
    assert sum(added.weights.values()) == pytest.approx(1, abs=1e-3)
    assert added.weights[30] > 0.1 > added.weights[43]
    assert max(added.weights) == 45  # 50 s, when it was seen


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.EXPIRED, Outcome.CANCELLED, Outcome.LOST])
def test_a_job_without_pictures_teaches_nothing(durations: FakeDurations, outcome: Outcome) -> None:
    assert learn(durations, result(outcome)) == {}


@pytest.mark.parametrize(
    ("created_at", "completed_at", "times"), [(1001, 1041, 0), (1041, 1001, 1), (0, 10**12, 1), (1001, None, 0)]
)
def test_times_that_cannot_be_are_counted(
    durations: FakeDurations, created_at: int, completed_at: int | None, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = learn(durations, result(task=TaskFacts(created_at=created_at, completed_at=completed_at)))
    assert [histogram.jobs for histogram in rows.values()] == [1, 1, 1]
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == times


def test_times_of_a_task_that_failed_are_nobodys_business(
    durations: FakeDurations, capsys: pytest.CaptureFixture[str]
) -> None:
    learn(durations, result(Outcome.FAILED, TaskFacts(created_at=1041, completed_at=1001)))
    assert capsys.readouterr().out == ""


def test_a_damaged_level_is_written_anew(capsys: pytest.CaptureFixture[str]) -> None:
    durations = Watched()
    durations.rows = {CLASS: None, MODEL: SLOW}
    assert learn(durations, result())[CLASS] == Histogram().added(FORTY)
    assert durations.seen == {CLASS: None, RESOLUTION: Histogram(), MODEL: SLOW}
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == 1
    shape(durations)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("stuck", [CLASS, RESOLUTION, MODEL])
def test_a_level_that_cannot_be_added_to_keeps_no_other_from_it(stuck: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = learn(Watched(stuck), result())
    assert rows == dict.fromkeys({CLASS, RESOLUTION, MODEL} - {stuck}, Histogram().added(FORTY))
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == 1


def test_a_table_that_does_not_answer_costs_nothing_but_the_lesson(
    durations: FakeDurations, capsys: pytest.CaptureFixture[str], logs: io.StringIO
) -> None:
    durations.is_gone = True
    assert learn(durations, result()) == {}
    assert emitted(capsys.readouterr().out, "DurationsUnavailable")
    assert PROMPT not in logs.getvalue()
