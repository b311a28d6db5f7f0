"""The file of a batch and what its jobs' ends come to: rules without a clock and without AWS."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.domain import batches
from bucketbrush.domain.batches import (
    MAX_BATCH_BYTES,
    MAX_JOBS,
    MOST_PROBLEMS,
    Batch,
    BatchCall,
    BatchOutcome,
    BatchSummary,
    Mark,
    Tally,
    announcement_of,
    count_jobs,
    demand_size,
    grouped,
    is_given_up,
    letter_of,
    line_end,
    lines,
    next_look,
    summarise,
    summarise_unread,
)
from bucketbrush.domain.errors import Money, RecipeInvalid
from bucketbrush.domain.jobs import Job, Line, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from tests.properties import PROPERTIES

BOM = b"\xef\xbb\xbf"
SOURCE = ObjectVersion(bucket="inbox", key="inbox/summer/cats.jobs.jsonl", version_id="v1", etag="e", size=100)
BATCH = Batch(
    batch_id="cats-0",
    source=SOURCE,
    requested_at=900,
    created_at=1000,
    results_at="results/summer/cats/cats-0/{index}.{ext}",
    jobs=3,
    sent=Mark(offset=30, number=4, jobs=3),
    sent_at=1100,
)
# Whitespace that ends no line, line ends, text, and what a byte order mark is made of.
CONTENTS = st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"\t", b"\f", b"{}", b"x", BOM, b"\xef", b"\x00"])).map(
    b"".join
)


def plain(content: bytes) -> list[Line]:
    """The jobs of a file that fits into memory."""
    start = len(BOM) if content.startswith(BOM) else 0
    found = []
    for number, text in enumerate(content[start:].split(b"\n"), 1):
        if text.strip():
            found.append(Line(number=number, start=start, length=len(text)))
        start += len(text) + 1
    return found


def pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    """The content in pieces of these sizes, and the rest; some may be empty."""
    places = [min(place, len(content)) for place in accumulate(cuts, initial=0)] + [len(content)]
    return [content[start:end] for start, end in pairwise(places)]


# ---- The file ----------------------------------------------------------------------------------------------------


@PROPERTIES
@given(CONTENTS, st.lists(st.integers(0, 5)))
@example(BOM + b"\n{}", [1, 1, 1, 1])
@example(BOM, [2])
@example(b"\xef\xbb", [1])
def test_every_line_with_text_is_a_job_however_the_bytes_come(content: bytes, cuts: list[int]) -> None:
    assert list(lines(pieces(content, cuts), Mark())) == plain(content)


@PROPERTIES
@given(CONTENTS, st.lists(st.integers(0, 5)), st.integers(0, 30))
def test_from_any_mark_the_same_jobs_follow(content: bytes, cuts: list[int], passed: int) -> None:
    found = plain(content)
    mark = Mark().after(found[:passed])
    assert mark.jobs == len(found[:passed])
    rest = content[mark.offset :] if mark.offset else content
    assert list(lines(pieces(rest, cuts), mark)) == found[passed:]


def test_a_line_is_its_bytes_without_its_end() -> None:
    content = BOM + b'{"a": 1}\r\n \t \n\n  {"b": 2}\n{"c": 3}'
    assert [(line.number, content[line.start : line.start + line.length]) for line in lines([content], Mark())] == [
        (1, b'{"a": 1}\r'),
        (4, b'  {"b": 2}'),
        (5, b'{"c": 3}'),
    ]


def test_no_line_is_held_and_blank_ones_are_passed_over_at_once() -> None:
    """A gigabyte in one line, and a billion of blank ones, of which each would be a step."""
    piece = b"x" * 1_000_000
    assert [line.length for line in lines((piece for _ in range(1000)), Mark())] == [1_000_000_000]
    blank = b"\n" * 1_000_000
    (line,) = lines((blank if number < 100 else b"{}" for number in range(101)), Mark())
    assert line == Line(number=100_000_001, start=100_000_000, length=2)


@PROPERTIES
@given(st.lists(st.integers()), st.integers(1, 5))
def test_groups_are_all_items_in_order(items: list[int], size: int) -> None:
    groups = list(grouped(items, size))
    assert [item for group in groups for item in group] == items
    assert all(len(group) == size for group in groups[:-1])


@pytest.mark.parametrize("jobs", [1, MAX_JOBS])
def test_a_batch_has_one_job_to_a_hundred_thousand(jobs: int) -> None:
    assert count_jobs(SOURCE, iter([Line(number=1, start=0, length=2)] * jobs)) == jobs


@pytest.mark.parametrize(("jobs", "found"), [(0, "no line with a job"), (MAX_JOBS + 1, "more than 100,000 lines")])
def test_fewer_and_more_are_rejected_with_the_numbers(jobs: int, found: str) -> None:
    with pytest.raises(RecipeInvalid, match=rf"inbox/summer/cats\.jobs\.jsonl: found {found}.*1 to 100,000"):
        count_jobs(SOURCE, iter([Line(number=1, start=0, length=2)] * jobs))


def test_a_file_has_at_most_a_gigabyte() -> None:
    demand_size(SOURCE.model_copy(update={"size": MAX_BATCH_BYTES}))
    with pytest.raises(RecipeInvalid, match=r"found 1,000,000,001 bytes; allowed: at most 1,000,000,000"):
        demand_size(SOURCE.model_copy(update={"size": MAX_BATCH_BYTES + 1}))


# ---- Turns ---------------------------------------------------------------------------------------------------------


def test_the_next_turn_is_the_same_call_with_another_number() -> None:
    call = BatchCall(source=SOURCE, requested_at=900, sequencer="0F", turn=4)
    following = BatchCall.model_validate(call.next_turn()["batch"])
    assert following == call.model_copy(update={"turn": 5})
    assert following.batch_id == call.batch_id


def test_a_batch_is_its_files_version() -> None:
    call = BatchCall(source=SOURCE, requested_at=900)
    assert call.batch_id.startswith("cats-")
    other = call.model_copy(update={"source": SOURCE.model_copy(update={"version_id": "v2"})})
    assert other.batch_id != call.batch_id


@pytest.mark.parametrize(("age", "seconds"), [(0, 5), (50, 5), (100, 10), (8999, 899), (9000, 900), (10**6, 900)])
def test_looks_become_rarer_up_to_the_longest_delay_of_a_message(age: int, seconds: int) -> None:
    assert next_look(BATCH, 1100 + age) == seconds


def test_jobs_have_the_time_to_be_sent_to_be_made_and_to_be_stored() -> None:
    last = 1100 + 86_400 + 21_600 + 86_400
    assert not is_given_up(BATCH, last - 1, 86_400, 21_600)
    assert is_given_up(BATCH, last, 86_400, 21_600)
    assert not is_given_up(BATCH.model_copy(update={"sent_at": None}), 10**9, 1, 1)


# ---- The end -------------------------------------------------------------------------------------------------------


def job(number: int, outcome: Outcome | None, **fields: Any) -> Job:
    verdict = outcome and Verdict(outcome=outcome, reason="TaskFailed", money=Money.MOVED, message=f"said of {number}")
    return Job(
        job_id=f"cats-{number}",
        state=State.ENDED if outcome else State.WAITING,
        created_at=1000,
        results_at=f"results/cats-{number}/{{index}}.{{ext}}",
        verdict=verdict,
        ended_at=2000 if outcome else None,
        **fields,
    )


def summary(*jobs: Job | None) -> BatchSummary:
    tally = Tally()
    for number, found in enumerate(jobs, 1):
        tally.add(line_end(Line(number=number, start=0, length=2), f"cats-{number}", found), found)
    return summarise(BATCH, tally, "summer", 3000)


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ([Outcome.COMPLETED, Outcome.COMPLETED], BatchOutcome.COMPLETED),
        ([Outcome.COMPLETED, Outcome.REJECTED], BatchOutcome.PARTIAL),
        ([Outcome.PARTIAL, Outcome.PARTIAL], BatchOutcome.PARTIAL),
        ([Outcome.COMPLETED, None], BatchOutcome.PARTIAL),
        ([Outcome.REJECTED, Outcome.EXPIRED], BatchOutcome.FAILED),
        ([None, None], BatchOutcome.FAILED),
    ],
)
def test_the_outcome_of_a_batch_comes_of_its_jobs(ends: list[Outcome | None], outcome: BatchOutcome) -> None:
    found = summary(*(job(number, end) for number, end in enumerate(ends, 1)))
    assert found.outcome is outcome
    assert found.outcomes == Counter(end.value if end else "missing" for end in ends)


def test_a_summary_counts_adds_up_and_names_what_did_not_complete() -> None:
    found = summary(
        job(1, Outcome.COMPLETED, estimated=20_000, billed=15_000),
        job(2, Outcome.FAILED, estimated=20_000, billed=0),
        None,
        job(4, None, estimated=20_000),
    )
    assert (found.jobs, found.estimated_usd, found.billed_usd) == (4, 0.06, 0.015)
    assert found.message == (
        "inbox/summer/cats.jobs.jsonl: 4 jobs: 1 completed, 1 failed, 2 missing. Of 2 nobody knows the outcome yet; "
        "lines.jsonl says how each one stands."
    )
    assert found.lines == "results/summer/cats/cats-0/lines.jsonl"
    assert [(end.line, end.outcome, end.result) for end in found.problems] == [
        (2, Outcome.FAILED, "results/cats-2/result.json"),
        (3, None, None),
        (4, None, None),
    ]
    assert "dead letters" in found.problems[1].message
    assert "waiting" in found.problems[2].message


def test_a_summary_names_a_hundred_lines_and_cuts_what_is_said_of_them() -> None:
    rejected = Verdict(outcome=Outcome.REJECTED, message="x" * 16_000)
    found = summary(
        *(job(number, Outcome.REJECTED).model_copy(update={"verdict": rejected}) for number in range(1, 200))
    )
    assert [end.line for end in found.problems] == list(range(1, MOST_PROBLEMS + 1))
    assert len(found.model_dump_json()) < 262_144


def test_what_is_said_of_a_line_fits_where_all_lines_are_read_at_once() -> None:
    rejected = Verdict(outcome=Outcome.REJECTED, message="x" * 16_000)
    end = line_end(
        Line(number=1, start=0, length=2), "cats-1", job(1, Outcome.REJECTED).model_copy(update={"verdict": rejected})
    )
    assert len(end.model_dump_json()) < 1500


def test_a_file_that_is_refused_is_rejected_and_one_that_went_is_unknown() -> None:
    problem = RecipeInvalid("inbox/a.jobs.jsonl: found that this version was deleted.")
    refused = summarise_unread(BATCH.model_copy(update={"jobs": None}), problem, "", 3000)
    assert (refused.outcome, refused.reason, refused.folder) == (BatchOutcome.REJECTED, "RecipeInvalid", None)
    assert refused.message == str(problem)
    went = summarise_unread(BATCH, problem, "summer", 3000)
    assert (went.outcome, went.jobs, went.lines) == (BatchOutcome.UNKNOWN, 3, None)
    assert "Its 3 jobs were on their way" in went.message
    assert "nothing was paid" not in went.message


def test_an_announcement_says_what_the_summary_says_and_where_it_lies() -> None:
    told = announcement_of(found := summary(job(1, Outcome.COMPLETED)), "results", "results/batch.json")
    shared = batches.BatchAnnouncement.model_fields.keys() & BatchSummary.model_fields.keys() - {"lines"}
    assert {name: getattr(told, name) for name in shared} == {name: getattr(found, name) for name in shared}
    assert (told.id, told.summary.uri) == ("cats-0", "s3://results/results/batch.json")
    assert told.lines is not None
    assert told.lines.uri == "s3://results/results/summer/cats/cats-0/lines.jsonl"


def test_a_letter_is_for_people() -> None:
    found = summary(job(1, Outcome.COMPLETED, billed=15_000), *(job(number, Outcome.FAILED) for number in range(2, 30)))
    letter = letter_of(announcement_of(found, "results", "results/batch.json"), found.problems)
    assert letter.startswith("Bucketbrush: batch partial\n")
    assert "29 jobs: 1 completed, 28 failed." in letter
    assert "0.015 USD billed" in letter
    assert "  line 2: said of 2\n" in letter
    assert "  line 11: said of 11\n" in letter
    assert "line 12" not in letter
    hostile = found.model_copy(update={"message": "a\x1b[31mb\u202ec"})
    assert "a?[31mb?c\n" in letter_of(announcement_of(hostile, "results", "k"), [])
