"""The one tree of errors.

A class name is public: it is the ``errorType`` that Lambda reports and that the workflow's Retry and Catch match, so
renaming one is a breaking change. Every class says whether trying the same again is right, whether money may have
moved, and what the reader should do. A message names the field or object, what was found and what is allowed; it never
holds a key, a signed URL or a prompt.

    BucketbrushError
    |-- SettingsInvalid       a function's environment is wrong
    |-- EventUnreadable       an event that no way in understands
    |-- RecipeInvalid         a preset, job document or dropped file breaks a rule
    |-- CompanionAwaited      a mask or sidecar that the preset requires is not there yet
    |-- RequestConflict       a request's id, or the name of a file's job, was used for another document
    |-- ApiKeyMissing         the secret holds no usable key
    |-- HandoverUnfinished    the uploads of a job's pictures go on in its execution
    |-- PriceUnknown          there is a budget, and no price for the job
    |-- JobBusy               somebody else works on the job at this moment
    |-- BatchBusy             somebody else works on the batch at this moment
    |-- MessagesUnsent        a queue keeps refusing messages
    |-- DepartureAhead        a job's turn to be sent has not come
    |-- IntakePaused          an operator has paused the intake: nothing is sent
    |-- DeparturesFull        more jobs wait to be sent than MaxQueueSeconds has room for
    |-- BudgetExceeded        the job does not fit the month's budget
    |-- DeparturesBusy        too many jobs changed the schedule at once
    |-- BudgetBusy            too many jobs changed the month's budget at once
    |-- StepForbidden         a step that is not in the table of a job's life
    |-- AgainRefused          a job that may not run again like this
    |-- ProviderUnreachable   the request was never written
    |-- ProviderBusy          refused for now
    |   |-- RateLimited       for all jobs of the account (429, 503 rate_limit_unavailable)
    |   `-- KeyReplaced       the API key is no more (401), and there is another one by now
    |-- ProviderRefused       refused for good
    |   |-- ContentRefused    the prompt or a picture breaks the provider's rules (422, content_policy_violation)
    |   |-- AccountEmpty      no money left (402, insufficient_quota)
    |   `-- KeyRefused        the API key is wrong or may not do this (401, 403)
    |-- SubmitUnanswered      a submit was written and its answer lost
    |-- TaskFailed            the provider ended the task as failed
    |-- TaskUnreadable        the state of an accepted task cannot be read now
    |-- DurationsUnavailable  what was measured of tasks cannot be read or added to
    |-- TaskUnfinished        finalize was called before the task ended
    |-- PictureUnreadable     what a result link gives is larger than any picture
    |-- ResultUnstored        pictures were made and paid, and are not all stored yet
    |   `-- LinkDead          a result link that has to be read anew: dead (401, 403, 404, 410), or not to be followed
    |-- AnnouncementFailed    nobody could be told yet
    `-- SweepIncomplete       the sweep could not look after some jobs
"""

from enum import StrEnum
from typing import ClassVar

OF_LINE = (
    "put the line into a batch of its own (to drop this file again would pay for all of its lines), or run its job "
    'again as it is (README, "Run a job again, or stop it")'
)
AGAIN = 'drop the file again, run its job again (README, "Run a job again, or stop it"), or ask anew under another id'


class Money(StrEnum):
    """Whether a paid task may exist because of what failed."""

    NOT_MOVED = "not moved"
    MOVED = "moved"
    UNKNOWN = "unknown"


class BucketbrushError(Exception):
    """Base of all errors that this package raises on purpose."""

    retryable: ClassVar[bool] = False
    money: ClassVar[Money] = Money.NOT_MOVED
    advice: ClassVar[str]

    @property
    def message(self) -> str:
        """What was found and what is allowed, without the advice."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


class SettingsInvalid(BucketbrushError):
    advice = "Correct the stack's parameters and deploy again."


class EventUnreadable(BucketbrushError):
    advice = "Compare it with the samples in events/; a message goes to the dead-letter queue after five tries."


class RecipeInvalid(BucketbrushError):
    """One message for every broken rule of one document or file."""

    advice = f"Nothing was sent and nothing was paid: correct it and {AGAIN}."


class CompanionAwaited(BucketbrushError):
    retryable = True
    advice = "The job's execution looks for it again, for CompanionSeconds."


class RequestConflict(BucketbrushError):
    advice = (
        "This request did nothing: give each job a request_id of its own, repeat a request unchanged, and drop a file "
        "again whose job another has named."
    )


class ApiKeyMissing(BucketbrushError):
    advice = f"Put it in with `aws secretsmanager put-secret-value`. A job rejected for it was not paid: {AGAIN}."


class HandoverUnfinished(BucketbrushError):
    retryable = True
    advice = "The job's execution goes on with it by itself."


class JobBusy(BucketbrushError):
    retryable = True
    advice = "It is tried again by itself."


class BatchBusy(BucketbrushError):
    retryable = True
    advice = "It is tried again by itself."


class MessagesUnsent(BucketbrushError):
    retryable = True
    advice = "They are sent again by themselves."


class StepForbidden(BucketbrushError):
    advice = "This is a fault of Bucketbrush: nothing was written; please report it with the function's log."


class AgainRefused(BucketbrushError):
    advice = 'This message sent nothing: README, "Run a job again, or stop it", says what one holds.'


class DepartureAhead(BucketbrushError):
    retryable = True
    advice = "The job's execution waits for it."


class IntakePaused(BucketbrushError):
    retryable = True
    advice = 'Nothing is sent and nothing is lost until an operator resumes it (docs/pace.md, "Pause and resume").'


class DeparturesFull(BucketbrushError):
    advice = (
        f"Nothing was sent and nothing was paid: when fewer jobs wait, {AGAIN}. A higher SubmitsPerSecond makes room "
        "for those to come (docs/pace.md)."
    )


class DeparturesBusy(BucketbrushError):
    retryable = True
    advice = "It is tried again by itself."


class PriceUnknown(BucketbrushError):
    advice = (
        "Nothing was sent and nothing was paid: the operator puts a price into a models document or sets "
        f"AssumedPriceUsd (docs/cost.md); then {AGAIN}."
    )


class BudgetExceeded(BucketbrushError):
    advice = (
        "Nothing was sent and nothing was paid: the operator raises MonthlyBudgetUsd, or a new month (UTC) begins; "
        f"then {AGAIN}."
    )


class BudgetBusy(BucketbrushError):
    retryable = True
    advice = "It is tried again by itself."


class ProviderUnreachable(BucketbrushError):
    retryable = True
    advice = "Nothing was sent: check ApiBaseUrl and the provider's state; the job tries again by itself."


class ProviderBusy(BucketbrushError):
    """``retry_after`` is in whole seconds, None when the provider named no time."""

    retryable = True
    advice = "Nothing was paid: the job waits and tries again by itself."

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(ProviderBusy):
    """The account's submits of a second are used up: whoever comes next would be refused too."""


class KeyReplaced(ProviderBusy):
    advice = "Nothing was paid: the job is sent again with the new key by itself."


class ProviderRefused(BucketbrushError):
    advice = f"Nothing was paid: correct what the provider names and {AGAIN}."


class ContentRefused(ProviderRefused):
    """Told from other refusals by status, code or words; it also ends tasks, as ``generation_failed``."""

    advice = f"Nothing was paid: change the prompt or the picture that the provider objects to and {AGAIN}."


class AccountEmpty(ProviderRefused):
    advice = f"Nothing was paid: the operator tops up the account or raises the key's limit there; then {AGAIN}."


class KeyRefused(ProviderRefused):
    advice = (
        "Nothing was paid: the operator puts in a key that the provider takes for this model, with "
        f"`aws secretsmanager put-secret-value`; then {AGAIN}."
    )


class SubmitUnanswered(BucketbrushError):
    money = Money.UNKNOWN
    advice = "It is never sent again by itself: the task is looked up by the job's id."


class TaskFailed(BucketbrushError):
    advice = f"Nothing was paid: {AGAIN}."


class TaskUnreadable(BucketbrushError):
    """``refused_as`` is what the provider's refusal to be asked would be for a submit, None when it was no refusal.

    ``retry_after`` is in seconds, None when the provider names no time.
    """

    retryable = True
    money = Money.MOVED
    advice = "The task goes on at the provider; it is read again."

    def __init__(
        self, message: str, refused_as: type[ProviderRefused] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.refused_as = refused_as
        self.retry_after = retry_after


class DurationsUnavailable(BucketbrushError):
    """What was measured of tasks cannot be read or added to."""

    retryable = True
    advice = "Looks are planned by what else is known."


class TaskUnfinished(BucketbrushError):
    retryable = True
    money = Money.MOVED
    advice = "It is looked at again by itself until its deadline; nothing is paid again."


class PictureUnreadable(BucketbrushError):
    money = Money.MOVED
    advice = "The other pictures of the task are kept."


class ResultUnstored(BucketbrushError):
    retryable = True
    money = Money.MOVED
    advice = "It is tried again by itself while the provider's links live (24 hours); nothing is paid again."


class LinkDead(ResultUnstored):
    """The link, not the picture: a new look at the task may give another one."""


class AnnouncementFailed(BucketbrushError):
    retryable = True
    advice = "It is announced again by itself."


class SweepIncomplete(BucketbrushError):
    retryable = True
    advice = "The next sweep looks after them again; the sweep's log says why it could not."
