"""A batch: a file of job documents, one per line, and how all of its jobs ended.

Each line that holds more than whitespace is a job; blank lines are none, and count for the line numbers. Lines end with
LF or CRLF, the last one may do without, and a UTF-8 byte order mark at the start is passed over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain, islice
from typing import Any, TypeVar

from pydantic import ConfigDict, Field

from bucketbrush.domain import layout
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import MAX_BATCH_BYTES, Frozen, Job, Line, ObjectVersion, Outcome, dropped_job_id
from bucketbrush.domain.money import usd
from bucketbrush.domain.redact import printable
from bucketbrush.domain.result import SCHEMA_VERSION, StoredObject

MAX_JOBS = 100_000
MOST_PROBLEMS = 100  # lines that the summary names; lines.jsonl has all
SUMMARY, LINES = "batch.json", "lines.jsonl"
_LEAST_DELAY, _LONGEST_DELAY = 5, 900  # seconds; SQS API reference, "SendMessage": DelaySeconds
_SETTLING_SECONDS = 86_400  # result links live so long: until then a job may still be stored
_LONGEST_MESSAGE = 1000  # characters of a line's message: lines.jsonl is read whole, and result.json has all
_IN_LETTER = 10  # lines that the letter names
_BOM = b"\xef\xbb\xbf"
_TEXT = re.compile(rb"\S")
_Item = TypeVar("_Item")


class Mark(Frozen):
    """A place between two lines: the byte and the number of the line behind it, and the jobs before it."""

    offset: int = 0
    number: int = 1
    jobs: int = 0

    def after(self, lines: list[Line]) -> "Mark":
        """The place behind these lines, the next jobs from here on."""
        if not lines:
            return self
        last = lines[-1]
        return Mark(offset=last.start + last.length + 1, number=last.number + 1, jobs=self.jobs + len(lines))


class Batch(Frozen):
    """A row of the batches table. Times are whole seconds since 1970.

    ``turn`` is the one that may be taken next, or is under way while ``owner`` holds it until ``lease_until``.
    ``jobs`` is how many there are, once they are counted. All before ``sent`` have been sent to the submit queue, and
    all at ``sent_at``; all before ``seen`` have ended.
    """

    model_config = ConfigDict(extra="ignore")

    batch_id: str
    source: ObjectVersion
    created_at: int
    requested_at: int
    results_at: str
    turn: int = 0
    owner: str = ""
    lease_until: int = 0
    jobs: int | None = None
    sent: Mark = Mark()
    sent_at: int | None = None
    seen: Mark = Mark()
    ended_at: int | None = None


class BatchCall(Frozen):
    """A message about a batch. ``turn`` 0 begins it; each turn sends the next one. ``sequencer`` is S3's."""

    source: ObjectVersion
    requested_at: int
    sequencer: str = ""
    turn: int = Field(default=0, ge=0)

    @property
    def batch_id(self) -> str:
        return dropped_job_id(self.source, self.sequencer)

    def next_turn(self) -> dict[str, Any]:
        """The body of the message for the next turn."""
        return {"batch": self.model_copy(update={"turn": self.turn + 1}).model_dump(exclude_none=True)}


class BatchMessage(Frozen):
    """What is sent about a batch: by the submit function to begin it, and by the batch function to go on."""

    batch: BatchCall


class BatchOutcome(StrEnum):
    """How a batch ended."""

    COMPLETED = "completed"  # every job is completed
    PARTIAL = "partial"  # some jobs have pictures
    FAILED = "failed"  # none has
    REJECTED = "rejected"  # no job was made of it
    UNKNOWN = "unknown"  # its file went while it was under way


class LineEnd(Frozen):
    """A line of ``lines.jsonl``: how the job of one line of the batch ended.

    Without an ``outcome`` it has not, and ``message`` says how it stands. ``result`` is the key of its result.json.
    """

    line: int
    job_id: str
    outcome: Outcome | None
    reason: str | None = None
    message: str
    result: str | None = None


class BatchSummary(Frozen):
    """``batch.json``: how a batch ended. Times are whole seconds since 1970. No prompt, no links.

    ``outcomes`` is how many jobs have each outcome, ``missing`` for none. ``estimated_usd`` and ``billed_usd`` are sums
    over the jobs that have such an amount. ``problems`` are the first lines whose job is not completed, and ``lines``
    is the key of the file with all.
    """

    # One that another version has written is told all the same.
    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA_VERSION
    batch_id: str
    outcome: BatchOutcome
    reason: str | None = None
    message: str
    folder: str | None = None
    source: ObjectVersion
    jobs: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    estimated_usd: float = 0.0
    billed_usd: float = 0.0
    problems: tuple[LineEnd, ...] = ()
    lines: str | None = None
    requested_at: int
    created_at: int
    sent_at: int | None = None
    ended_at: int


class BatchAnnouncement(Frozen):
    """The message of SNS and the detail of EventBridge. No prompt, no links."""

    schema_version: int = SCHEMA_VERSION
    id: str
    batch_id: str
    outcome: BatchOutcome
    reason: str | None
    message: str
    folder: str | None
    source: ObjectVersion
    jobs: int
    outcomes: dict[str, int]
    estimated_usd: float
    billed_usd: float
    ended_at: int
    summary: StoredObject
    lines: StoredObject | None


class Tally:
    """What is added up while the ends of a batch's jobs pass by."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.estimated = self.billed = 0
        self.problems: list[LineEnd] = []

    def add(self, end: LineEnd, job: Job | None) -> None:
        self.outcomes[end.outcome.value if end.outcome else "missing"] += 1
        self.estimated += (job and job.estimated) or 0
        self.billed += (job and job.billed) or 0
        if end.outcome is not Outcome.COMPLETED and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(end)


# ---- The file --------------------------------------------------------------------------------------------------------


def lines(pieces: Iterable[bytes], mark: Mark) -> Iterator[Line]:
    """The jobs of a file from a place on; ``pieces`` are its bytes from there.

    No line is ever held: memory and work do not grow with a line's length, nor with the number of blank ones.
    """
    start = mark.offset
    if start == 0:
        start, pieces = _behind_bom(iter(pieces))
    scanner = _Scanner(start, mark.number)
    for piece in pieces:
        yield from scanner.feed(piece)
    yield from scanner.rest()


class _Scanner:
    """Where the line under way begins, its number, and whether it has text so far. Offsets are the file's."""

    def __init__(self, offset: int, number: int) -> None:
        self._offset = offset  # of the next piece
        self._start = offset
        self._number = number
        self._has_text = False

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines with text that end in the next piece."""
        at = 0
        while self._finds_text(piece, at):
            end = piece.find(b"\n", max(0, self._start - self._offset))
            if end < 0:
                break
            yield from self.rest(self._offset + end)
            self._number, self._start, self._has_text = self._number + 1, self._offset + end + 1, False
            at = end + 1
        self._offset += len(piece)

    def rest(self, end: int | None = None) -> Iterator[Line]:
        """The line under way if it has text; it ends here, or where the pieces do."""
        if self._has_text:
            length = (self._offset if end is None else end) - self._start
            yield Line(number=self._number, start=self._start, length=length)

    def _finds_text(self, piece: bytes, at: int) -> bool:
        """Pass over the blank lines from here, and say whether there is text behind them."""
        if not self._has_text:
            text = _TEXT.search(piece, at)
            stop = text.start() if text else len(piece)
            if passed := piece.count(b"\n", at, stop):
                self._number += passed
                self._start = self._offset + piece.rindex(b"\n", at, stop) + 1
            self._has_text = text is not None
        return self._has_text


def _behind_bom(pieces: Iterator[bytes]) -> tuple[int, Iterator[bytes]]:
    """Where a file's text begins, and the pieces from there."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(_BOM):
            break
    start = len(_BOM) if head.startswith(_BOM) else 0
    return start, chain([head[start:]], pieces)


def grouped(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of ``size``; the last one may be shorter."""
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group


def count_jobs(source: ObjectVersion, found: Iterable[Line]) -> int:
    """How many jobs the file has. Raises RecipeInvalid for none and for too many."""
    jobs = sum(1 for _ in islice(found, MAX_JOBS + 1))
    if not 0 < jobs <= MAX_JOBS:
        many = "no line with a job" if not jobs else f"more than {MAX_JOBS:,} lines with a job"
        raise RecipeInvalid(f"{source.key}: found {many}; allowed: 1 to {MAX_JOBS:,}, each a job document on one line.")
    return jobs


def demand_size(source: ObjectVersion) -> None:
    """Raises RecipeInvalid for a file that is too large."""
    if (source.size or 0) > MAX_BATCH_BYTES:
        raise RecipeInvalid(f"{source.key}: found {source.size:,} bytes; allowed: at most {MAX_BATCH_BYTES:,}.")


# ---- Waiting ---------------------------------------------------------------------------------------------------------


def next_look(batch: Batch, now: int) -> int:
    """How many seconds to wait before the next look at the jobs: a tenth of the time that they have taken so far."""
    return min(_LONGEST_DELAY, max(_LEAST_DELAY, (now - (batch.sent_at or now)) // 10))


def is_given_up(batch: Batch, now: int, queue_seconds: int, deadline_seconds: int) -> bool:
    """Whether the jobs had all the time that a job may take; one without an outcome then is missing."""
    return batch.sent_at is not None and now >= batch.sent_at + queue_seconds + deadline_seconds + _SETTLING_SECONDS


# ---- The end ---------------------------------------------------------------------------------------------------------


def line_end(line: Line, job_id: str, job: Job | None) -> LineEnd:
    """How one line's job ended. ``job`` is its row, None when there is none."""
    if job is None:
        message = "found no such job; its message may stand in the submit queue's dead letters."
        return LineEnd(line=line.number, job_id=job_id, outcome=None, message=message)
    if job.verdict is None or job.ended_at is None:
        message = f"found it {job.state.value} when the batch was given up; it ends by itself."
        return LineEnd(line=line.number, job_id=job_id, outcome=None, message=message)
    return LineEnd(
        line=line.number,
        job_id=job_id,
        outcome=job.verdict.outcome,
        reason=job.verdict.reason,
        message=_cut(job.verdict.message, _LONGEST_MESSAGE),
        result=layout.beside(job.pictures_at, "result.json"),
    )


def summarise(batch: Batch, tally: Tally, folder: str, now: int) -> BatchSummary:
    """The summary of a batch whose jobs have ended, or had their time."""
    outcomes = dict(sorted(tally.outcomes.items()))
    jobs = sum(outcomes.values())
    missing = outcomes.get("missing", 0)
    said = f"{batch.source.key}: {_said(jobs, outcomes)}."
    if missing:
        said += f" Of {missing:,} nobody knows the outcome yet; {LINES} says how each one stands."
    return BatchSummary(
        outcome=_outcome(outcomes, jobs),
        message=said,
        jobs=jobs,
        outcomes=outcomes,
        estimated_usd=usd(tally.estimated) or 0.0,
        billed_usd=usd(tally.billed) or 0.0,
        problems=tuple(tally.problems),
        lines=layout.beside(batch.results_at, LINES),
        **_facts(batch, folder, now),
    )


def summarise_unread(batch: Batch, problem: RecipeInvalid, folder: str, now: int) -> BatchSummary:
    """The summary of a batch whose file is refused, or went when lines may have been sent already."""
    jobs = batch.jobs or 0
    went = f"{problem.message} Its {jobs:,} jobs were on their way by then: each that was sent has a result of its own."
    return BatchSummary(
        outcome=BatchOutcome.UNKNOWN if jobs else BatchOutcome.REJECTED,
        reason=type(problem).__name__,
        message=went if jobs else str(problem),
        jobs=jobs,
        **_facts(batch, folder, now),
    )


def announcement_of(summary: BatchSummary, bucket: str, key: str) -> BatchAnnouncement:
    """The announcement of a summary that is stored at ``key``: the same every time."""
    shared = summary.model_dump(include=BatchAnnouncement.model_fields.keys() - {"summary", "lines"})
    return BatchAnnouncement(
        **shared,
        id=summary.batch_id,
        summary=StoredObject(bucket=bucket, key=key),
        lines=StoredObject(bucket=bucket, key=summary.lines) if summary.lines else None,
    )


def letter_of(announcement: BatchAnnouncement, problems: Iterable[LineEnd]) -> str:
    """What people read in their mail. No prompt, no links."""
    facts = {
        "Batch": announcement.batch_id,
        "File": announcement.source.uri,
        "Cost": f"{announcement.billed_usd:.6g} USD billed, about {announcement.estimated_usd:.6g} USD expected",
        "Summary": announcement.summary.uri,
        "Lines": announcement.lines.uri if announcement.lines else "none",
    }
    named = [f"  line {end.line}: {_cut(end.message, 200)}" for end in islice(problems, _IN_LETTER)]
    text = [
        f"Bucketbrush: batch {announcement.outcome.value}",
        "",
        *(f"{name + ':':<9} {value}" for name, value in facts.items()),
        "",
        announcement.message,
        *(["", "The first lines whose jobs did not complete:", *named] if named else []),
    ]
    return "".join(f"{line}\n" for line in map(printable, text))


def _facts(batch: Batch, folder: str, now: int) -> dict[str, Any]:
    names = ("batch_id", "source", "requested_at", "created_at", "sent_at")
    return {**{name: getattr(batch, name) for name in names}, "folder": folder or None, "ended_at": now}


def _outcome(outcomes: Mapping[str, int], jobs: int) -> BatchOutcome:
    if outcomes.get(Outcome.COMPLETED.value) == jobs:
        return BatchOutcome.COMPLETED
    has_pictures = any(outcome.value in outcomes for outcome in Outcome if outcome.succeeded)
    return BatchOutcome.PARTIAL if has_pictures else BatchOutcome.FAILED


def _said(jobs: int, outcomes: Mapping[str, int]) -> str:
    return f"{jobs:,} jobs: " + ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
