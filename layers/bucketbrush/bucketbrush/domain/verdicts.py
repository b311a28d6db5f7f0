"""Which outcome a job has, and the sentences that tell the user what happened, whether money moved and what to do."""

from collections.abc import Sequence

from bucketbrush.domain.deadlines import LINK_SECONDS
from bucketbrush.domain.errors import (
    AGAIN,
    OF_LINE,
    BucketbrushError,
    ContentRefused,
    Money,
    ResultUnstored,
    SubmitUnanswered,
    TaskFailed,
)
from bucketbrush.domain.jobs import Job, Outcome, Verdict
from bucketbrush.domain.life import STOPPED, State

_HOURS = LINK_SECONDS // 3600
_NOT_SENT = "Nothing was sent and nothing was paid"


def explained(outcome: Outcome, problem: BucketbrushError) -> Verdict:
    """An outcome before there was a task that an error is the whole reason of."""
    return Verdict(outcome=outcome, reason=_name(problem), money=Money.NOT_MOVED, message=str(problem))


def said_of(job: Job, verdict: Verdict) -> Verdict:
    """The verdict in words that fit the job: a line of a batch is not dropped again alone."""
    if job.line is None:
        return verdict
    return verdict.model_copy(update={"message": verdict.message.replace(AGAIN, OF_LINE)})


def failed(problem: ContentRefused | TaskFailed, *, is_kept: bool, stopped: bool) -> Verdict:
    """The task ended as failed, perhaps after its execution was stopped.

    Failed tasks are refunded (ToAPIs, image task status page); when its billing says otherwise, nobody knows.
    """
    start = "Its execution was stopped; the task had failed:" if stopped else "The provider ended the task as failed:"
    end = (
        "It may have been paid: its billing says settled, although failed tasks are refunded. Ask there, and only if "
        f"nothing was kept {AGAIN}."
        if is_kept
        else f"It refunds failed tasks. {problem.advice}"
    )
    return Verdict(
        outcome=Outcome.CANCELLED if stopped else Outcome.FAILED,
        reason=None if stopped else _name(problem),
        money=Money.UNKNOWN if is_kept else Money.NOT_MOVED,
        message=f"{start} {problem.message} {end}",
    )


def unknown(job: Job, reason: str) -> Verdict:
    sent = "was sent twice, as UnknownPolicy says," if job.resends else "is never sent again by itself"
    message = (
        f"{reason} The task may have been paid and {sent}: look for client_business_id {job.job_id} in the "
        f"provider's console, and only if it is not there {AGAIN}."
    )
    name = SubmitUnanswered.__name__
    return Verdict(outcome=Outcome.UNKNOWN, reason=name, money=Money.UNKNOWN, message=message)


def never_sent(job: Job, waited: int, limit: int) -> Verdict:
    """The job waited ``waited`` seconds to be sent; ``limit`` is MaxQueueSeconds."""
    why = f" ({job.hold_reason})" if job.hold_reason else ""
    message = f"It could not be sent for {waited:,} s{why}; MaxQueueSeconds allows {limit:,}. {_NOT_SENT}: {AGAIN}."
    return Verdict(outcome=Outcome.EXPIRED, reason=job.hold_reason, money=Money.NOT_MOVED, message=message)


def without_task(job: Job, fault: str | None) -> Verdict:
    """The workflow ended before there was a task: nothing was sent, or nobody knows."""
    stopped = fault == STOPPED
    reason = (
        "Its execution was stopped."
        if stopped
        else f"Its execution ended before there was a task ({fault or 'no reason known'})."
    )
    if job.state is State.SUBMITTING:
        verdict = unknown(job, f"{reason} Its request may have been sent, and its task is not known.")
        return verdict.model_copy(update={"outcome": Outcome.CANCELLED, "reason": None}) if stopped else verdict
    if stopped:
        return Verdict(outcome=Outcome.CANCELLED, money=Money.NOT_MOVED, message=f"{reason} {_NOT_SENT}: {AGAIN}.")
    message = f"{reason} {_NOT_SENT}: its history or the submit function's log says why; {AGAIN}."
    return Verdict(outcome=Outcome.REJECTED, reason=fault, money=Money.NOT_MOVED, message=message)


def expired(job: Job, seen: BucketbrushError, limit: int) -> Verdict:
    """Not even the last look, ``limit`` seconds after the task was accepted, saw its end: ``seen`` is what it saw."""
    message = (
        f"No end was seen {limit:,} s after the task was accepted. {seen.message} {_left_behind(job)} Before you run "
        "the job again, which pays again, look there."
    )
    return Verdict(outcome=Outcome.EXPIRED, reason=_name(seen), money=Money.MOVED, message=message)


def cancelled(job: Job, seen: BucketbrushError) -> Verdict:
    """The execution was stopped while the task was under way; ``seen`` is what the last look found."""
    message = f"Its execution was stopped. {seen.message} {_left_behind(job)}"
    return Verdict(outcome=Outcome.CANCELLED, money=Money.MOVED, message=message)


def stored(job: Job, count: int, problems: Sequence[str], *, stopped: bool = False) -> Verdict:
    """The end of a task that is made: ``count`` pictures are stored, ``problems`` says why others never will be."""
    missing = "" if count >= job.asked else " ".join(problems) or "The provider delivered no more."
    parts = [f"Stored {count} of {job.asked} pictures.", missing]
    outcome = Outcome.COMPLETED if not missing else Outcome.PARTIAL if count else Outcome.LOST
    if stopped:
        outcome, parts = Outcome.CANCELLED, ["Its execution was stopped; pictures that were made are kept.", *parts]
    reason = ResultUnstored.__name__ if outcome in (Outcome.PARTIAL, Outcome.LOST) else None
    if outcome is not Outcome.COMPLETED:
        parts.append(f"The task {job.task_id} is paid.")
    if missing:
        parts.append(
            f"Running it again pays again. The provider keeps pictures for {_HOURS} hours after they were made: "
            "ask for the task there, later its support."
        )
    return Verdict(outcome=outcome, reason=reason, money=Money.MOVED, message=" ".join(filter(None, parts)))


def _name(problem: BucketbrushError) -> str:
    return type(problem).__name__


def _left_behind(job: Job) -> str:
    return (
        f"The task {job.task_id} goes on at the provider, which offers no way to cancel it: it is paid when it "
        f"completes, and its pictures can be fetched there for {_HOURS} hours."
    )
