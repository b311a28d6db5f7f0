"""What a job is: its identity, its row in the ledger and its outcomes."""

import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bucketbrush.domain.errors import JobBusy, Money
from bucketbrush.domain.layout import results_at, stem
from bucketbrush.domain.life import State

JOB_ID = re.compile(r"[a-z0-9-]{1,64}")
_SLUG_LENGTH = 43
_HASH_LENGTH = 20
_ID_LENGTH = 64
_CLOCK_SECONDS = 5


class Frozen(BaseModel):
    """A value: it cannot be changed, and a field that it does not know is an error."""

    # Inputs hold prompts, and an error's text ends up in logs and in the execution's history.
    # Validators are built when they are first needed: a function imports more models than it uses.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class ObjectVersion(Frozen):
    """One version of one S3 object. ``version_id`` is None in a bucket without versioning.

    ``checksum`` is what S3 reports, such as ``crc64nvme:`` and the digest in base64; None when it reports none.
    """

    bucket: str
    key: str
    # "null" is what S3 calls a version that an overwrite replaces (User Guide, "Suspending object versioning").
    version_id: Annotated[str | None, AfterValidator(lambda given: None if given == "null" else given)] = None
    etag: str | None = None
    size: int | None = None
    checksum: str | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def identity(self) -> tuple[str, str]:
        """What tells the versions of one bucket apart; without versions it is the ETag."""
        return self.key, self.version_id or self.etag or ""


class Outcome(StrEnum):
    """How a job ended; exactly one per job."""

    COMPLETED = "completed"  # every picture that was asked for is stored
    PARTIAL = "partial"  # some are
    FAILED = "failed"  # the provider says so; it refunds
    REJECTED = "rejected"  # never sent
    UNKNOWN = "unknown"  # may have been paid, found by nobody
    EXPIRED = "expired"  # a deadline passed: to be sent, or to be made
    CANCELLED = "cancelled"  # its execution was stopped
    LOST = "lost"  # paid and made, and could not be stored while its links lived

    @property
    def succeeded(self) -> bool:
        return self in (Outcome.COMPLETED, Outcome.PARTIAL)


class Verdict(Frozen):
    """An outcome, whether a paid task exists because of the job, and the sentences that explain both to the user.

    ``reason`` names the error that decided it, ours (``domain.errors``) or the workflow's (such as ``States.Timeout``);
    None when no error did: a job that is completed or was stopped.
    """

    outcome: Outcome
    reason: str | None = None
    money: Money = Money.UNKNOWN
    message: str


class Departure(Frozen):
    """A job's place in the schedule (``domain.departures``): milliseconds since 1970, without what has moved it since.

    One ``in_front`` of all others is for a job that was sent in vain, or has missed its own.
    """

    at: int
    in_front: bool = False


class Share(Frozen):
    """What a job takes of the budget of ``month`` (such as ``2026-11``, UTC), in millionths of a US dollar.

    It is reserved when the job is sent, and spent when it has ended; unless nobody knows whether it was paid.
    """

    month: str
    reserved: int = 0
    spent: int = 0

    @property
    def committed(self) -> int:
        return self.reserved + self.spent


MAX_BATCH_BYTES = 1_000_000_000  # counted in a fraction of an invocation


class Line(Frozen):
    """A line of a batch: its number, from 1, and where its bytes lie in the file."""

    number: int
    start: int
    length: int


class Invocation(Frozen):
    """The Lambda invocation that does the work: its request id, and when it is over (seconds since 1970)."""

    id: str
    ends_at: int

    @property
    def lease_until(self) -> int:
        """A little later than its end, because clocks differ."""
        return self.ends_at + _CLOCK_SECONDS


class Job(Frozen):
    """A row of the ledger. Times are whole seconds since 1970.

    ``requested_at`` is when the file was dropped, else the time of the request. ``line`` is the one of the batch in
    ``source`` that the job is, and ``batch`` that batch's id. ``document`` is the job document of a request, as JSON,
    until the recipe is fixed, and ``request`` the document's digest. ``results_at`` is the key of its pictures, with
    ``{index}`` and ``{ext}`` left open (``layout.results_at``).
    ``recipe``, and with it ``references``, ``mask``, the source's ``checksum`` and the documents that it was made of,
    ``preset_version`` and ``sidecar``, is fixed by the first intent to submit. ``uploads`` are links
    to copies of these at the provider, by their index, the mask last; the first was made at ``uploaded_at``.
    ``next_check`` is when the sweep looks after the job; an ended one has it only while its bill is awaited.
    ``attempt`` counts the deliberate new attempts of the job ``again_of``. ``departure`` is its place among those that
    wait to be sent. ``hold_reason`` names the error that the job waits for, which it does until ``hold_until``;
    ``stalled_at`` is when something other than its departure first held it. ``submitted_at`` is when the one request
    was sent, and ``answered_at`` when its answer came, if it did. ``plan`` are the waits before each look at the task,
    in seconds, and ``polls`` counts the looks; the last one that found it going on was at ``looked_at``, and
    ``seen_at`` is when it was seen done. ``links`` is how many pictures it had when these could not be stored.
    ``estimated`` and ``billed`` are what the job costs, in millionths of a US dollar.
    """

    model_config = ConfigDict(extra="ignore")

    job_id: str
    state: State
    created_at: int
    requested_at: int | None = None
    source: ObjectVersion | None = None
    line: Line | None = None
    batch: str | None = None
    document: str | None = None
    request: str | None = None
    results_at: str | None = None
    preset: str | None = None
    checksum: str | None = None
    preset_version: ObjectVersion | None = None
    sidecar: ObjectVersion | None = None
    recipe: dict[str, Any] | None = None
    references: tuple[ObjectVersion, ...] = ()
    mask: ObjectVersion | None = None
    uploads: dict[str, str] = Field(default_factory=dict)
    uploaded_at: int | None = None
    owner: str = ""
    lease_until: int = 0
    next_check: int | None = None
    again_of: str | None = None
    attempt: int = 1
    resends: int = 0
    submitting_at: int | None = None
    departure: Departure | None = None
    estimated: int | None = None
    share: Share | None = None
    stalled_at: int | None = None
    hold_until: int | None = None
    hold_reason: str | None = None
    task_id: str | None = None
    submitted_at: int | None = None
    answered_at: int | None = None
    plan: tuple[int, ...] = (60,)  # never empty: the workflow walks it
    polls: int = 0
    provider_status: str | None = None
    progress: int | None = None
    late_at: int | None = None
    made_at: int | None = None
    looked_at: int | None = None
    seen_at: int | None = None
    links: int | None = None
    billed: int | None = None
    verdict: Verdict | None = None
    ended_at: int | None = None

    @property
    def pictures_at(self) -> str:
        """Where its pictures are stored; a row from before there was a choice does not say it."""
        return self.results_at or results_at("results/{job_id}/{index}.{ext}", self.job_id)

    @property
    def pictures(self) -> tuple[ObjectVersion, ...]:
        """What is handed over to the provider: the references, and the mask behind them."""
        return (*self.references, *([self.mask] if self.mask else []))

    @property
    def asked(self) -> int:
        """How many pictures the recipe asks for."""
        return int((self.recipe or {}).get("n", 1))

    def demand_free(self, now: int) -> None:
        """Raises JobBusy while another invocation's lease is alive."""
        if self.lease_until > now:
            left = self.lease_until - now
            raise JobBusy(f"job {self.job_id}: another invocation works on it for {left} s more.")


# What of a row has done its work when a job is held no longer; whoever has the link to an upload can read the picture.
UNHELD: dict[str, Any] = {"document": None, "hold_until": None, "hold_reason": None, "uploads": {}, "uploaded_at": None}


def attempt_job_id(job: Job) -> str:
    """The id of the next deliberate attempt at what this job was to do: a job of its own, so nothing is overwritten."""
    name, dash, identity = (job.again_of or job.job_id).rpartition("-")
    end = f"{dash}{identity}-{job.attempt + 1}"
    return name[: _ID_LENGTH - len(end)].rstrip("-") + end


def line_job_id(source: ObjectVersion, batch: str, number: int) -> str:
    """The id of the job that one line of a batch is; ``source`` is the batch's file."""
    end = f"-{number}-{_hash(batch, str(number))}"
    return slug(source.key)[: _ID_LENGTH - len(end)].rstrip("-") + end


def request_job_id(caller: str, request_id: str) -> str:
    """The id of the job that a caller asks for: the same request always gives the same id, whichever way it comes."""
    return f"{slug(request_id)}-{_hash('request', caller, request_id)}"


def slug(name: str) -> str:
    """The readable part of a job id: the file's name without its suffix, in ``[a-z0-9-]``."""
    plain = unicodedata.normalize("NFKD", stem(name)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_LENGTH].rstrip("-") or "file"


def dropped_job_id(source: ObjectVersion, sequencer: str) -> str:
    """The id of the job that one dropped object version is: the same event always gives the same id.

    Without versioning an overwrite is told from a repeated event by ETag and sequencer (S3 User Guide, "Event message
    structure": the sequencer orders the events of one key).
    """
    return f"{slug(source.key)}-{_hash(*_version(source, sequencer))}"


def _version(source: ObjectVersion, sequencer: str = "") -> tuple[str, ...]:
    version = [source.version_id] if source.version_id else [source.etag or "", sequencer]
    return source.bucket, source.key, *version


def _hash(*identity: str) -> str:
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()[:_HASH_LENGTH]
