"""What a job is: its identity, its states and its outcomes."""

import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from bucketbrush.domain.errors import JobBusy

JOB_ID = re.compile(r"[a-z0-9-]{1,64}")
_SLUG_LENGTH = 43
_HASH_LENGTH = 20


class Frozen(BaseModel):
    """A value: it cannot be changed, and a field that it does not know is an error."""

    # Inputs hold prompts, and an error's text ends up in logs and in the execution's history.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ObjectVersion(Frozen):
    """One version of one S3 object. ``version_id`` is None in a bucket without versioning."""

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    size: int | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class State(StrEnum):
    """Where a job stands in the ledger."""

    ACCEPTED = "accepted"  # known to us, nothing sent
    SUBMITTING = "submitting"  # the one POST may have been written: it is never sent again
    WAITING = "waiting"  # the provider's task id is known: from here on only GETs
    DECIDED = "decided"  # it ended before there was a task; the outcome is still to be told
    ENDED = "ended"  # result.json is written and announced

    @property
    def before_task(self) -> bool:
        """Whether no task is known and no end decided, so that a submit may still work on the job."""
        return self in (State.ACCEPTED, State.SUBMITTING)


class Outcome(StrEnum):
    """How a job ended; exactly one per job."""

    COMPLETED = "completed"  # every picture that was asked for is stored
    PARTIAL = "partial"  # some are
    FAILED = "failed"  # the provider says so; it refunds
    REJECTED = "rejected"  # never sent
    UNKNOWN = "unknown"  # may have been paid, found by nobody

    @property
    def succeeded(self) -> bool:
        return self in (Outcome.COMPLETED, Outcome.PARTIAL)


class Verdict(Frozen):
    """An outcome and the sentence that explains it to the user."""

    outcome: Outcome
    message: str


class Job(Frozen):
    """A row of the ledger. Times are whole seconds since 1970.

    ``recipe`` and ``references`` are fixed by the first intent to submit; ``task_id`` is written once.
    """

    model_config = ConfigDict(extra="ignore")

    job_id: str
    state: State
    created_at: int
    source: ObjectVersion | None = None
    preset: str | None = None
    recipe: dict[str, Any] | None = None
    references: tuple[ObjectVersion, ...] = ()
    owner: str = ""
    lease_until: int = 0
    submitting_at: int | None = None
    hold_seconds: int | None = None
    task_id: str | None = None
    submitted_at: int | None = None
    plan: tuple[int, ...] = ()
    polls: int = 0
    provider_status: str | None = None
    progress: int | None = None
    verdict: Verdict | None = None
    ended_at: int | None = None

    def demand_free(self, now: int) -> None:
        """Raises JobBusy while another invocation's lease is alive."""
        if self.lease_until > now:
            left = self.lease_until - now
            raise JobBusy(f"job {self.job_id}: another invocation works on it for {left} s more.")


def slug(name: str) -> str:
    """The readable part of a job id: the file's name without its suffix, in ``[a-z0-9-]``."""
    stem = name.rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] or stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_LENGTH].rstrip("-") or "file"


def dropped_job_id(source: ObjectVersion, sequencer: str) -> str:
    """The id of the job that one dropped object version is: the same event always gives the same id.

    Without versioning an overwrite is told from a repeated event by ETag and sequencer (S3 User Guide, "Event message
    structure": the sequencer orders the events of one key).
    """
    version = [source.version_id] if source.version_id else [source.etag or "", sequencer]
    identity = "\n".join([source.bucket, source.key, *version])
    return f"{slug(source.key)}-{hashlib.sha256(identity.encode()).hexdigest()[:_HASH_LENGTH]}"
