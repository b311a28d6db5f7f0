"""Which outcome a job has, and the sentences that tell the user what happened, whether money moved and what to do."""

from bucketbrush.domain.errors import AGAIN, BucketbrushError
from bucketbrush.domain.jobs import Job, Outcome, State, Verdict


def explained(outcome: Outcome, problem: BucketbrushError) -> Verdict:
    """An outcome that an error is the whole reason of."""
    return Verdict(outcome=outcome, message=str(problem))


def failed(error: str) -> Verdict:
    """The task ended as failed (ToAPIs, image task status page: failed tasks are refunded)."""
    return Verdict(
        outcome=Outcome.FAILED,
        message=f"The provider ended the task as failed: {error} It refunds failed tasks: to pay only for what is made "
        f"then, {AGAIN}.",
    )


def unknown(job_id: str, reason: str) -> Verdict:
    return Verdict(
        outcome=Outcome.UNKNOWN,
        message=f"{reason} The task may have been paid and is never sent again by itself: look for client_business_id "
        f"{job_id} in the provider's task list, and only if it is not there {AGAIN}.",
    )


def without_task(job: Job, fault: str | None) -> Verdict:
    """The workflow gave up before there was a task: nothing was sent, or nobody knows."""
    reason = f"The submit function ended with {fault or 'no answer'}."
    if job.state is State.SUBMITTING:
        return unknown(job.job_id, reason)
    message = f"{reason} Nothing was sent and nothing was paid: its log says why; when it is mended, {AGAIN}."
    return Verdict(outcome=Outcome.REJECTED, message=message)


def stored(job: Job, count: int, problems: list[str]) -> Verdict:
    """``count`` pictures are stored; ``problems`` says why others could not be."""
    asked = int((job.recipe or {}).get("n", 1))
    if count >= asked and not problems:
        return Verdict(outcome=Outcome.COMPLETED, message=f"Stored {count} of {asked} pictures.")
    missing = "; ".join(problems) or "the provider delivered no more."
    return Verdict(outcome=Outcome.PARTIAL, message=f"Stored {count} of {asked} pictures: {missing} The task is paid.")
