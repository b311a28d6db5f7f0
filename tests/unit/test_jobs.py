"""One object version is one job, named by what it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketbrush.domain.errors import JobBusy
from bucketbrush.domain.jobs import (
    JOB_ID,
    Invocation,
    Job,
    ObjectVersion,
    Outcome,
    attempt_job_id,
    dropped_job_id,
    slug,
)
from bucketbrush.domain.life import State

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
DROP = ObjectVersion(bucket="inbox-bucket", key="inbox/cat.png", version_id="v1", etag="e1", size=9)


@given(bucket=TEXT, key=TEXT, version=st.none() | TEXT, etag=st.none() | TEXT, sequencer=st.text(max_size=20))
def test_any_object_has_an_id_that_every_service_takes(
    bucket: str, key: str, version: str | None, etag: str | None, sequencer: str
) -> None:
    source = ObjectVersion(bucket=bucket, key=key, version_id=version, etag=etag)
    job_id = dropped_job_id(source, sequencer)
    assert JOB_ID.fullmatch(job_id)
    assert job_id == dropped_job_id(source.model_copy(), sequencer)


@given(first=TEXT, second=TEXT)
def test_another_key_is_another_job(first: str, second: str) -> None:
    ids = {dropped_job_id(DROP.model_copy(update={"key": key}), "1") for key in (first, second)}
    assert len(ids) == len({first, second})


UNVERSIONED = DROP.model_copy(update={"version_id": None})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((DROP, "1"), (DROP, "2"), True),  # the version says it all
        ((DROP, "1"), (DROP.model_copy(update={"etag": "e2", "size": 1}), "1"), True),
        ((DROP, "1"), (DROP.model_copy(update={"version_id": "v2"}), "1"), False),
        ((DROP, "1"), (DROP.model_copy(update={"bucket": "other"}), "1"), False),
        ((UNVERSIONED, "1"), (UNVERSIONED, "1"), True),
        ((UNVERSIONED, "1"), (UNVERSIONED, "2"), False),
        ((UNVERSIONED, "1"), (UNVERSIONED.model_copy(update={"etag": "e2"}), "1"), False),
        ((DROP, "1"), (UNVERSIONED, "1"), False),
    ],
)
def test_what_makes_a_version(one: tuple[ObjectVersion, str], other: tuple[ObjectVersion, str], same: bool) -> None:
    assert (dropped_job_id(*one) == dropped_job_id(*other)) is same


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("inbox/poster/My Cat.PNG", "my-cat"),
        ("inbox/Crème brûlée (2).jpg", "creme-brulee-2"),
        ("inbox/a.b.c.png", "a-b-c"),
        ("inbox/.png", "png"),
        ("inbox/猫.png", "file"),
        ("inbox/---.png", "file"),
        ("x" * 42 + "-tail.png", "x" * 42),  # cut where a hyphen would be last
        ("x" * 60 + ".png", "x" * 43),
    ],
)
def test_slugs_are_readable(name: str, readable: str) -> None:
    assert slug(name) == readable
    assert dropped_job_id(DROP.model_copy(update={"key": name}), "").startswith(f"{readable}-")


def test_values_do_not_change_and_know_their_fields() -> None:
    with pytest.raises(ValidationError):
        DROP.key = "inbox/dog.png"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        ObjectVersion(bucket="b", key="k", prompt="p")  # type: ignore[call-arg]


def test_a_row_of_a_newer_version_can_be_read() -> None:
    row = {"job_id": "cat-1", "state": "waiting", "created_at": 1, "a_later_field": True}
    assert Job.model_validate(row).state is State.WAITING


@given(key=TEXT, version=TEXT, attempt=st.integers(1, 9998))
def test_any_attempt_has_an_id_that_every_service_takes(key: str, version: str, attempt: int) -> None:
    first = dropped_job_id(ObjectVersion(bucket="b", key=key, version_id=version), "")
    job = Job(job_id=first, state=State.ENDED, created_at=1, attempt=attempt)
    assert JOB_ID.fullmatch(attempt_job_id(job))


def test_attempts_are_numbered_from_the_first_job_on() -> None:
    ids = ["cat-1"]
    for _ in range(3):
        again_of = "cat-1" if len(ids) > 1 else None
        job = Job(job_id=ids[-1], state=State.ENDED, created_at=1, again_of=again_of, attempt=len(ids))
        ids.append(attempt_job_id(job))
    assert ids == ["cat-1", "cat-1-2", "cat-1-3", "cat-1-4"]


@given(key=TEXT, attempt=st.integers(1, 9998))
def test_no_attempt_has_a_name_that_a_file_could_have(key: str, attempt: int) -> None:
    first = dropped_job_id(DROP.model_copy(update={"key": key}), "")
    next_one = attempt_job_id(Job(job_id=first, state=State.ENDED, created_at=1, attempt=attempt))
    assert [bool(re.search("-[0-9a-f]{20}$", job_id)) for job_id in (first, next_one)] == [True, False]


def test_a_lease_outlives_its_invocation_because_clocks_differ() -> None:
    assert Invocation(id="request-1", ends_at=1060).lease_until == 1065


@pytest.mark.parametrize(("lease_until", "left"), [(0, None), (1000, None), (1001, 1), (1065, 65)])
def test_a_job_is_free_when_its_lease_is_over(lease_until: int, left: int | None) -> None:
    job = Job(job_id="cat-1", state=State.ACCEPTED, created_at=1, owner="other", lease_until=lease_until)
    if left is None:
        job.demand_free(1000)
    else:
        with pytest.raises(JobBusy, match=f"job cat-1: another invocation works on it for {left} s more"):
            job.demand_free(1000)


def test_only_stored_pictures_are_a_success() -> None:
    assert [outcome for outcome in Outcome if outcome.succeeded] == [Outcome.COMPLETED, Outcome.PARTIAL]
