"""Where each dropped picture stands, as the ledger and the results topic tell it, live on a console."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.types import TypeDeserializer
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from local.stack import Stack

_PACE = 0.2  # seconds between two looks


class Stage(NamedTuple):
    """Where a job stands: a word or two, how far that is in percent, and what it waits for."""

    text: str
    percent: int
    awaits: str


@dataclass(frozen=True)
class Notice:
    """An SNS message as it arrived. ``arrived_at`` is in seconds since 1970."""

    subject: str
    attributes: Mapping[str, str]
    announcement: Mapping[str, Any]
    arrived_at: float

    @property
    def key(self) -> str:
        """The key of the dropped picture that the message is about."""
        return str((self.announcement.get("source") or {}).get("key", ""))


@dataclass
class Job:
    """A dropped picture. ``dropped_at`` is in seconds since 1970; the ledger row and the SNS message come in time."""

    key: str
    dropped_at: float
    row: Mapping[str, Any] | None = None
    notice: Notice | None = None

    @property
    def stage(self) -> Stage:
        """Where it stands."""
        if self.notice and self.row and self.row["state"] == "ended":
            return Stage("done", 100, "nothing")
        return stage_of(self.row)

    @property
    def done(self) -> bool:
        """Whether it has ended and its SNS message has arrived."""
        return self.stage.text == "done"


_STATES = {
    "submitting": Stage("submitting", 10, "the API's answer to the submit"),
    "unstored": Stage("storing again", 85, "the API's file host to give the pictures"),
    "decided": Stage("telling", 90, "the finalize function to tell the outcome"),
    "ended": Stage("telling", 95, "its SNS message"),
}
_WORDS = {
    "queued": Stage("queued", 20, "the API to begin with the task"),
    "completed": Stage("storing", 80, "the finalize function to store the pictures"),
    "failed": Stage("telling", 90, "the finalize function to tell the outcome"),
}


def stage_of(row: Mapping[str, Any] | None) -> Stage:
    """What a ledger row says; no row means that nobody has picked the drop up yet."""
    if row is None:
        return Stage("dropped", 0, "the submit function to pick it up")
    if row["state"] == "waiting":
        return _waiting(row.get("provider_status", "queued"), int(row.get("progress", 0)))
    if row["state"] == "accepted" and row.get("hold_until"):
        is_early = row.get("hold_reason") == "DepartureAhead"
        return Stage("held", 5, "its departure" if is_early else "its next try, because it could not be sent yet")
    return _STATES.get(row["state"], Stage("accepted", 5, "the submit function to send it"))


def _waiting(word: str, progress: int) -> Stage:
    """The provider's own word; its 0 to 100 percent are 20 to 80 of the whole way."""
    text = f"in progress {progress} %" if word == "in_progress" else word
    percent = 20 + 60 * min(max(progress, 0), 100) // 100
    return _WORDS.get(word, Stage(text, percent, f"the task to end, which is {text}"))


def read_notice(message: Mapping[str, Any]) -> Notice:
    """A message of an SQS queue that is subscribed to a topic, with SNS's envelope around it."""
    envelope = json.loads(message["Body"])
    attributes = envelope.get("MessageAttributes") or {}
    return Notice(
        subject=envelope.get("Subject", ""),
        attributes={name: attribute["Value"] for name, attribute in attributes.items()},
        announcement=json.loads(envelope["Message"]),
        arrived_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
    )


class Mailbox:
    """An SQS queue that is subscribed to a stack's results topic."""

    def __init__(self, stack: Stack) -> None:
        self._sqs = stack.engine.client("sqs")
        self._url = self._sqs.create_queue(QueueName="bucketbrush-demo-results")["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        topic, queue = stack.outputs["TopicArn"], asked["Attributes"]["QueueArn"]
        stack.engine.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)

    def collect(self) -> list[Notice]:
        """What has arrived since the last time."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, AttributeNames=["SentTimestamp"], WaitTimeSeconds=0
        )
        messages = answer.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [read_notice(message) for message in messages]


def follow(stack: Stack, mailbox: Mailbox, jobs: Sequence[Job], console: Console, most_seconds: float) -> bool:
    """Show the jobs until all are done, which is True, or until the time is over."""
    deadline = time.monotonic() + most_seconds
    with _shown(jobs, console) as show:
        while not all(job.done for job in jobs):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PACE)
            look(stack.rows(), mailbox.collect(), jobs)
            show()
    return True


def look(items: Sequence[Mapping[str, Any]], notices: Sequence[Notice], jobs: Sequence[Job]) -> None:
    """Take over what is new; ``items`` are ledger rows as DynamoDB gives them. What is told twice is counted once."""
    read = TypeDeserializer().deserialize
    rows = [{name: read(value) for name, value in item.items()} for item in items]
    by_key = {row["source"]["key"]: row for row in rows if "source" in row}
    told = {notice.key: notice for notice in notices}
    for job in jobs:
        job.row = by_key.get(job.key, job.row)
        job.notice = job.notice or told.get(job.key)


@contextmanager
def _shown(jobs: Sequence[Job], console: Console) -> Iterator[Callable[[], None]]:
    """What to call after each look: a live table on a terminal, else one line for each change."""
    if not console.is_terminal:
        yield _line_printer(jobs, console)
        return
    table = _LiveTable(jobs)
    with Live(get_renderable=table.render, console=console, refresh_per_second=8, transient=True) as live:
        yield live.refresh


def _line_printer(jobs: Sequence[Job], console: Console) -> Callable[[], None]:
    said: dict[str, str] = {}

    def say_changes() -> None:
        for job in jobs:
            text = job.stage.text
            if said.get(job.key) != text:
                said[job.key] = text
                console.print(f"{job.key}: {text}", soft_wrap=True)

    return say_changes


class _LiveTable:
    """Spinner, key, bar, stage and seconds of each job."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._spinner = Spinner("dots")

    def render(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for job in self._jobs:
            until = job.notice.arrived_at if job.notice else time.time()
            table.add_row(
                "✓" if job.done else self._spinner,
                job.key,
                ProgressBar(total=100, completed=job.stage.percent, width=24),
                job.stage.text,
                f"{until - job.dropped_at:.1f} s",
            )
        return table
