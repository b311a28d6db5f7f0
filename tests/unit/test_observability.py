"""A job's story in the logs and its figures in the metrics, from its drop to its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush import observability
from bucketbrush.adapters.answers import TaskState
from bucketbrush.domain.errors import (
    ApiKeyMissing,
    KeyRefused,
    ProviderUnreachable,
    RateLimited,
    SubmitUnanswered,
    TaskFailed,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Job, Outcome
from tests.unit.fakes import PNG, PROMPT, emitted, provider_errors, task

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from tests.unit.fakes import World

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:bucketbrush-jobs"
URL = "https://files/1"


@pytest.fixture(autouse=True)
def machine() -> None:
    observability.name_machine(MACHINE)


def in_phase(name: str, work: Callable[[], Any]) -> Any:
    """Do it as a function's handler does."""
    return observability.phase(name)(lambda _event, _context: work())({}, None)


def lived(world: World) -> Job:
    """A job of 40 seconds in the queue, 60 at the provider and 5 for its end."""
    world.preset()
    drop = world.drop()
    world.time += 40
    in_phase("submit", lambda: world.intake(drop, world.invocation()))
    job = world.row(drop)
    world.time += 60
    world.api.task = task(TaskState.DONE, URL)
    world.api.pictures[URL] = PNG
    in_phase("status", lambda: world.status(job.job_id, str(job.task_id), 1))
    world.time += 5
    in_phase("finalize", lambda: world.finalize(job.job_id, None, world.invocation()))
    return world.row(drop)


def lines(logs: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def test_every_line_of_a_jobs_story_names_it(world: World, logs: io.StringIO) -> None:
    job = lived(world)
    story = [line for line in lines(logs) if line.get("job_id") == job.job_id]
    assert [(line["phase"], line["message"]) for line in story] == [
        ("submit", "job accepted"),
        ("submit", "task accepted"),
        ("submit", "job taken in"),
        ("status", "task looked at"),
        ("finalize", "job ended"),
    ]
    execution = MACHINE.replace("stateMachine", "execution") + f":{job.job_id}"
    assert {line["execution_arn"] for line in story} == {execution}
    assert {line["service"] for line in story} == {observability.logger.service}
    assert [line.get("task_id") for line in story] == [None, *[job.task_id] * 4]
    assert PROMPT not in logs.getvalue()


def test_the_last_line_says_what_came_of_the_job(world: World, logs: io.StringIO) -> None:
    lived(world)
    end = lines(logs)[-1]
    facts = {"outcome", "money", "preset", "model", "pictures", "bytes", "estimated_usd", "polls"}
    assert facts <= end.keys()
    assert (end["submit_seconds"], end["provider_seconds"], end["job_seconds"]) == (40, 60, 105)
    assert (end["outcome"], end["pictures"], end["bytes"]) == ("completed", 1, len(PNG))


def test_metrics_of_a_jobs_life(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    lived(world)
    out = capsys.readouterr().out
    names = ("JobsAccepted", "JobsSubmitted", "SubmitSeconds", "ProviderSeconds", "JobSeconds", "Pictures")
    found = {name: [line[name] for line in emitted(out, name)] for name in (*names, "StoredBytes", "JobErrorPercent")}
    assert found == {
        "JobsAccepted": [[1]],
        "JobsSubmitted": [[1]],
        "SubmitSeconds": [[40]],
        "ProviderSeconds": [[60]],
        "JobSeconds": [[105]],
        "Pictures": [[1]],
        "StoredBytes": [[len(PNG)]],
        "JobErrorPercent": [[0]],
    }


@pytest.mark.parametrize(
    ("problem", "outcome", "percent"),
    [
        (KeyRefused("submit: HTTP 401."), Outcome.FAILED, 100),
        (ApiKeyMissing("secret: found no value."), Outcome.REJECTED, 0),
    ],
)
def test_the_error_rate_leaves_out_what_was_never_sent(
    world: World, problem: Any, outcome: Outcome, percent: int, capsys: pytest.CaptureFixture[str]
) -> None:
    world.preset()
    drop = world.drop()
    if isinstance(problem, ApiKeyMissing):
        world.no_key = problem
    else:
        world.api.submits = [problem]
    world.intake(drop, world.invocation())
    assert world.finalize(world.row(drop).job_id, None, world.invocation()).outcome is outcome
    out = capsys.readouterr().out
    assert [line["JobErrorPercent"] for line in emitted(out, "JobErrorPercent")] == [[percent]]
    assert emitted(out, "JobSeconds") == emitted(out, "Polls") == []
    assert provider_errors(out) == [type(problem).__name__]


@pytest.mark.parametrize(
    "problem",
    [
        RateLimited("submit: HTTP 429."),
        ProviderUnreachable("submit: no connection."),
        SubmitUnanswered("submit: no answer."),
    ],
)
def test_what_holds_a_job_is_counted_by_its_error(
    world: World, problem: Any, capsys: pytest.CaptureFixture[str], logs: io.StringIO
) -> None:
    world.preset()
    world.api.submits = [problem]
    world.intake(world.drop(), world.invocation())
    out, name = capsys.readouterr().out, type(problem).__name__
    assert [line["reason"] for line in emitted(out, "Holds")] == provider_errors(out) == [name]
    assert [line["error"] for line in lines(logs) if line["message"] in ("submit waits", "provider error")] == [
        name
    ] * 2


def test_a_task_that_failed_is_an_error_of_the_provider(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.preset()
    drop = world.drop()
    world.intake(drop, world.invocation())
    world.api.task = task(TaskState.FAILED, problem=TaskFailed("The task failed."))
    world.finalize(world.row(drop).job_id, None, world.invocation())
    assert provider_errors(capsys.readouterr().out) == ["TaskFailed"]


def test_what_a_handler_raises_is_logged_with_the_job(world: World, logs: io.StringIO) -> None:
    world.preset()
    drop = world.drop()
    world.intake(drop, world.invocation())
    job_id = world.row(drop).job_id
    world.api.task = TaskUnreadable("status: HTTP 503 https://files/1?X-Amz-Signature=1")
    with pytest.raises(TaskUnreadable):
        in_phase("finalize", lambda: world.finalize(job_id, None, world.invocation()))
    failed = lines(logs)[-1]
    assert (failed["message"], failed["error"], failed["job_id"]) == ("failed", "TaskUnreadable", job_id)
    assert "X-Amz" not in failed["reason"]


def test_a_job_is_not_named_in_what_comes_after_it(world: World, logs: io.StringIO) -> None:
    lived(world)
    in_phase("sweep", lambda: observability.logger.info("anything"))
    assert {"job_id", "task_id", "execution_arn"}.isdisjoint(lines(logs)[-1])
