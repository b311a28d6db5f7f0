"""The adapters in memory, with the conditions that the real ones hold, and a world made of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bucketbrush.adapters.toapis import Task, TaskState
from bucketbrush.domain.errors import JobBusy
from bucketbrush.domain.jobs import Job, ObjectVersion, State, dropped_job_id
from bucketbrush.domain.pictures import PictureFormat, sniff
from bucketbrush.domain.result import Picture
from bucketbrush.finalize import Finalize
from bucketbrush.intake import Drop, Intake
from bucketbrush.settings import FinalizeSettings, SubmitSettings
from bucketbrush.status import Status
from bucketbrush.submit import Invocation, Submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bucketbrush.adapters.toapis import ToApis
    from bucketbrush.domain.result import Announcement

INBOX = "inbox-bucket"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PROMPT = "paint a starry sky behind the cat"
API_KEY = "sk-test-0123456789abcdef"
LINK = "https://inbox-bucket.s3.amazonaws.com/inbox/cat.png?X-Amz-Signature=0f0f0f0f"
LEASE_SECONDS = 65

_SHARED: dict[str, Any] = {
    "jobs_table": "jobs",
    "api_base_url": "https://toapis.example",
    "api_key_secret_arn": "arn:secret",
    "provider_timeout_seconds": 25,
    "keep_days": 400,
}
SUBMIT_SETTINGS = SubmitSettings(
    **_SHARED,
    inbox_bucket=INBOX,
    jobs_machine_arn="arn:machine",
    signer_role_arn="arn:role",
    poll_plan_seconds=(20, 10),
    refused_wait_seconds=10,
    lookup_wait_seconds=20,
    lookup_seconds=300,
)
FINALIZE_SETTINGS = FinalizeSettings(**_SHARED, results_bucket="results-bucket", topic_arn="arn:t")


class FakeLedger:
    """Creates when absent, changes when unseen by others, notes on waiting jobs only."""

    def __init__(self) -> None:
        self.rows: dict[str, Job] = {}

    def create(self, job: Job) -> Job | None:
        return None if self.rows.setdefault(job.job_id, job) is job else self.rows[job.job_id]

    def get(self, job_id: str) -> Job | None:
        return self.rows.get(job_id)

    def change(self, job: Job, **changes: Any) -> Job:
        row = self.rows[job.job_id]
        if (row.state, row.owner, row.lease_until) != (job.state, job.owner, job.lease_until):
            raise JobBusy(f"job {job.job_id}: changed meanwhile.")
        self.rows[job.job_id] = row.model_copy(update=changes)
        return job.model_copy(update=changes)

    def note(self, job_id: str, **facts: Any) -> None:
        row = self.rows.get(job_id)
        if row and row.state is State.WAITING:
            self.rows[job_id] = row.model_copy(update=facts)


class FakeObjects:
    """A bucket: what was written last is the current version, numbered by key."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.versions: dict[str, list[bytes]] = {}
        self.writes: list[str] = []

    def put(self, key: str, content: bytes) -> ObjectVersion:
        self.versions.setdefault(key, []).append(content)
        self.writes.append(key)
        version = self.current(key)
        assert version is not None
        return version

    def read(self, key: str, most: int) -> bytes | None:
        return self.versions[key][-1][:most] if key in self.versions else None

    def head(self, version: ObjectVersion) -> bytes | None:
        contents = self.versions.get(version.key, [])
        index = int(version.version_id or "0")
        return contents[index][:16] if index < len(contents) else None

    def current(self, key: str) -> ObjectVersion | None:
        if key not in self.versions:
            return None
        contents = self.versions[key]
        return ObjectVersion(
            bucket=self.bucket, key=key, version_id=str(len(contents) - 1), etag="e", size=len(contents[-1])
        )

    def write_once(self, key: str, document: dict[str, Any]) -> bool:
        if key in self.versions:
            return False
        self.put(key, json.dumps(document).encode())
        return True

    def store_picture(self, stem: str, chunks: Iterator[bytes], announced: int | None) -> Picture:
        content = b"".join(chunks)
        assert (announced, sniff(content)) == (len(content), PictureFormat.PNG)
        key = f"{stem}.png"
        if key not in self.versions:
            self.put(key, content)
        return Picture(key=key, bytes=len(content), format=PictureFormat.PNG, sha256="0" * 64)


class FakePresigner:
    def __init__(self) -> None:
        self.links: list[ObjectVersion] = []

    def link(self, version: ObjectVersion) -> str:
        self.links.append(version)
        return LINK


class FakeApi:
    """A provider that is told what to answer: an error is raised, anything else returned; the last answer repeats."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.finds: list[str] = []
        self.reads: list[tuple[str, str]] = []
        self.submits: list[Any] = ["tsk_1"]
        self.found: Any = None
        self.task: Any = None
        self.pictures: dict[str, Any] = {}
        self.during_submit: Callable[[], object] = lambda: None

    def submit(self, body: dict[str, Any]) -> str:
        self.bodies.append(body)
        self.during_submit()
        return str(_answer(self.submits.pop(0) if len(self.submits) > 1 else self.submits[0]))

    def find(self, name: str) -> Task | None:
        self.finds.append(name)
        return cast("Task | None", _answer(self.found))

    def read(self, task_id: str, prompt: str = "") -> Task:
        self.reads.append((task_id, prompt))
        return cast("Task", _answer(self.task))

    @contextmanager
    def download(self, url: str) -> Iterator[tuple[Iterator[bytes], int | None]]:
        content = self.pictures[url]
        if isinstance(content, list):
            content = content.pop(0) if len(content) > 1 else content[0]
        picture = _answer(content)
        yield iter([picture]), len(picture)


def _answer(scripted: Any) -> Any:
    if isinstance(scripted, Exception):
        raise scripted
    return scripted


class FakeAnnouncements:
    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, announcement: Announcement) -> None:
        self.told.append(announcement.model_dump_json())


class FakeExecutions:
    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, job_id: str) -> None:
        self.started.append(job_id)


def task(state: TaskState = TaskState.DONE, *urls: str, error: str = "no error text") -> Task:
    status = {TaskState.DONE: "completed", TaskState.FAILED: "failed"}.get(state, "in_progress")
    return Task("tsk_1", state, status, 50, urls, error, 110, 190)


@dataclass
class World:
    """Every use case on one set of fakes, at a time that only the test moves."""

    time: float = 1000.0
    ledger: FakeLedger = field(default_factory=FakeLedger)
    inbox: FakeObjects = field(default_factory=lambda: FakeObjects(INBOX))
    results: FakeObjects = field(default_factory=lambda: FakeObjects("results-bucket"))
    presigner: FakePresigner = field(default_factory=FakePresigner)
    api: FakeApi = field(default_factory=FakeApi)
    announcements: FakeAnnouncements = field(default_factory=FakeAnnouncements)
    executions: FakeExecutions = field(default_factory=FakeExecutions)
    no_key: Exception | None = None
    invocations: int = 0

    def connect(self) -> ToApis:
        if self.no_key:
            raise self.no_key
        return cast("ToApis", self.api)

    @property
    def submit(self) -> Submit:
        fakes: Any = {"ledger": self.ledger, "inbox": self.inbox, "presigner": self.presigner}
        return Submit(settings=SUBMIT_SETTINGS, connect=self.connect, now=lambda: self.time, **fakes)

    @property
    def intake(self) -> Intake:
        executions: Any = self.executions
        return Intake(self.submit, executions)

    @property
    def status(self) -> Status:
        ledger: Any = self.ledger
        return Status(ledger, self.connect)

    @property
    def finalize(self) -> Finalize:
        fakes: Any = {"ledger": self.ledger, "results": self.results, "announcements": self.announcements}
        return Finalize(settings=FINALIZE_SETTINGS, connect=self.connect, now=lambda: self.time, **fakes)

    def invocation(self) -> Invocation:
        """A new invocation with a lease from now on."""
        self.invocations += 1
        return Invocation(f"request-{self.invocations}", int(self.time) + LEASE_SECONDS)

    def drop(self, key: str = "inbox/cat.png", content: bytes = PNG) -> Drop:
        """A file in the inbox and what S3 says of it."""
        return Drop(self.inbox.put(key, content), "00617F08299329D189")

    def preset(self, name: str = "default", **fields: Any) -> None:
        """A preset in the inbox."""
        document = {"model": "gpt-image-2-vip", "prompt": PROMPT, **fields}
        self.inbox.put(f"presets/{name}.json", json.dumps(document).encode())

    def row(self, drop: Drop) -> Job:
        """The ledger's row of a drop's job."""
        return self.ledger.rows[dropped_job_id(drop.source, drop.sequencer)]
