"""The adapters in memory, with the conditions that the real ones hold, and a world made of them."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from bucketbrush.adapters.answers import Bill, Task, TaskState
from bucketbrush.adapters.objects import NO_TAGS, Facts
from bucketbrush.bill import LookForBill
from bucketbrush.depart import Depart
from bucketbrush.display import Display
from bucketbrush.documents import Documents
from bucketbrush.domain.companions import Put
from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.durations import Histogram
from bucketbrush.domain.errors import (
    BudgetBusy,
    BudgetExceeded,
    ContentRefused,
    DeparturesBusy,
    DeparturesFull,
    DurationsUnavailable,
    JobBusy,
    RecipeInvalid,
    ResultUnstored,
    TaskFailed,
)
from bucketbrush.domain.jobs import Departure, Invocation, Job, ObjectVersion, dropped_job_id
from bucketbrush.domain.layout import RESULTS_KEY
from bucketbrush.domain.life import WRITE_ONCE, Actor, State, demand_once, demand_step
from bucketbrush.domain.money import Budget, budget_change
from bucketbrush.domain.pictures import is_whole, pixels, sniff
from bucketbrush.domain.result import Picture
from bucketbrush.finalize import Finalize
from bucketbrush.handover import HandOver
from bucketbrush.intake import Again, Drop, Intake
from bucketbrush.knowledge import Knowledge
from bucketbrush.prepare import Prepare
from bucketbrush.settings import (
    FinalizeSettings,
    ReferenceHandover,
    ResultPage,
    StatusSettings,
    SubmitSettings,
    SweepSettings,
    UnknownPolicy,
)
from bucketbrush.status import Status
from bucketbrush.store import Store
from bucketbrush.submit import Submit
from bucketbrush.sweep import Sweep
from tests.models import OURS
from tests.samples import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bucketbrush.adapters.durations import Durations
    from bucketbrush.adapters.objects import Tags
    from bucketbrush.adapters.toapis import ToApis
    from bucketbrush.domain.result import Announcement, LateNotice, SubmittedNotice

INBOX = "inbox-bucket"
PNG, JPEG = picture(), picture("JPEG")
PROMPT = "paint a starry sky behind the cat"
API_KEY = "sk-test-0123456789abcdef"
LINK = "https://inbox-bucket.s3.amazonaws.com/{key}?X-Amz-Signature=0f0f0f0f"
INVOCATION_SECONDS = 60
LEASE_SECONDS = 65
SWEEP_AFTER_SECONDS = 900
DEADLINE_SECONDS = 3600

CHECKSUM = "crc64nvme:AAAAAAAAAAA="
STEP = 250  # milliseconds between two departures

_FUNCTION: dict[str, Any] = {
    "jobs_table": "jobs",
    "jobs_machine_arn": "arn:machine",
    "limits_table": "limits",
    "keep_days": 400,
}
_PROVIDER: dict[str, Any] = {
    **_FUNCTION,
    "api_base_url": "https://toapis.example",
    "api_key_secret_arn": "arn:secret",
    "provider_timeout_seconds": 25,
}
SUBMIT_SETTINGS = SubmitSettings(
    **_PROVIDER,
    inbox_bucket=INBOX,
    inbox_prefix="inbox/",
    presets_prefix="presets/",
    references_prefix="references/",
    results_bucket="results-bucket",
    results_key=RESULTS_KEY,
    companion_seconds=60,
    batch_queue_url="https://queue/batches",
    signer_role_arn="arn:role",
    durations_table="durations",
    lateness_price=0.2,
    deadline_seconds=DEADLINE_SECONDS,
    refused_wait_seconds=10,
    lookup_wait_seconds=20,
    lookup_seconds=300,
    max_queue_seconds=86_400,
    unknown_policy=UnknownPolicy.HOLD,
    reference_handover=ReferenceHandover.AUTO,
    sweep_after_seconds=SWEEP_AFTER_SECONDS,
    submits_per_second=4.0,
    monthly_budget_usd=Decimal(0),
    assumed_price_usd=Decimal("0.02"),
)
STATUS_SETTINGS = StatusSettings(**_PROVIDER, deadline_seconds=DEADLINE_SECONDS, late_seconds=600)
FINALIZE_SETTINGS = FinalizeSettings(
    **_PROVIDER,
    result_hosts=("toapis.com",),
    inbox_prefix="inbox/",
    result_page=ResultPage.WITH_REFERENCES,
    results_bucket="results-bucket",
    results_key=RESULTS_KEY,
    durations_table="durations",
    lookup_seconds=300,
    topic_arn="arn:t",
    deadline_seconds=DEADLINE_SECONDS,
    sweep_after_seconds=SWEEP_AFTER_SECONDS,
)
SWEEP_SETTINGS = SweepSettings(
    **_FUNCTION,
    submits_per_second=4,
    finalize_function="finalize",
    deadline_seconds=DEADLINE_SECONDS,
    sweep_after_seconds=SWEEP_AFTER_SECONDS,
    monthly_budget_usd=Decimal(0),
)


class FakeLedger:
    """One table in the hands of one function: rows are written under the conditions of the real ledger only.

    ``budgets`` are those of the months, written together with the jobs' shares.
    """

    def __init__(
        self,
        actor: Actor = Actor.SUBMIT,
        rows: dict[str, Job] | None = None,
        budgets: FakeBudgets | None = None,
    ) -> None:
        self.actor = actor
        self.rows = {} if rows is None else rows
        self.budgets = budgets or FakeBudgets()

    def of(self, actor: Actor) -> FakeLedger:
        """The same rows in the hands of another function."""
        return FakeLedger(actor, self.rows, self.budgets)

    def put(self, job: Job) -> None:
        """A row that stands there already, however it came to be; the first one stays."""
        self.rows.setdefault(job.job_id, job)

    def create(self, job: Job) -> Job | None:
        demand_step(None, job.state, self.actor)
        found = self.rows.setdefault(job.job_id, job)
        return None if found == job else found

    def get(self, job_id: str) -> Job | None:
        return self.rows.get(job_id)

    def change(self, job: Job, *, limit: int | None = None, **changes: Any) -> Job:
        changed = job.model_copy(update=changes)
        demand_step(job.state, changed.state, self.actor)
        demand_once(_row(job), _row(changed))
        row = self.rows.get(job.job_id)
        if row is None or _lease(row) != _lease(job) or not _is_first(row, job, changed):
            if row == changed:
                return changed
            raise JobBusy(f"job {job.job_id}: changed meanwhile.")
        budget = budget_change(job.share, changed.share)
        if budget and row.share != job.share:
            if row == changed:
                return changed
            raise JobBusy(f"job {job.job_id}: its share changed meanwhile.")
        self.budgets.add(budget, limit)
        self.rows[job.job_id] = row.model_copy(update=changes)
        return changed

    def note(self, job_id: str, **facts: Any) -> Job | None:
        demand_step(State.WAITING, State.WAITING, self.actor)
        row = self.rows.get(job_id)
        if row is None or row.state is not State.WAITING:
            return None
        self.rows[job_id] = row.model_copy(update=facts)
        return self.rows[job_id]

    def due(self, now: int) -> list[str]:
        checks = sorted((row.next_check, row.job_id) for row in self.rows.values() if row.next_check is not None)
        return [job_id for check, job_id in checks if check <= now]

    def postpone(self, job: Job, next_check: int) -> bool:
        row = self.rows.get(job.job_id)
        if row is None or row.next_check != job.next_check or row.state is not job.state:
            return False
        self.rows[job.job_id] = row.model_copy(update={"next_check": next_check})
        return True


def _row(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude_none=True)


def _lease(job: Job) -> tuple[State, str, int]:
    return job.state, job.owner, job.lease_until


def _is_first(row: Job, job: Job, changed: Job) -> bool:
    """Whether what is written once and about to be written is not there yet."""
    before, after, there = _row(job), _row(changed), _row(row)
    return not any(name in there for name in WRITE_ONCE if before.get(name) != after.get(name))


class FakeBudgets:
    """The months' budgets. ``conflicts`` is how many changes to come fail for the crowd."""

    def __init__(self) -> None:
        self.months: dict[str, Budget] = {}
        self.conflicts = 0

    def read(self, month: str) -> Budget:
        return self.months.get(month, Budget(month=month))

    def add(self, change: Budget | None, limit: int | None) -> None:
        if change is None:
            return
        if self.conflicts:
            self.conflicts -= 1
            raise BudgetBusy(f"budget {change.month}: a crowd.")
        held = self.read(change.month)
        if limit is not None and held.committed + change.committed > limit:
            raise BudgetExceeded(f"budget {change.month}: found {held.committed}; allowed: {limit}.")
        committed, spent = held.committed + change.committed, held.spent + change.spent
        self.months[change.month] = Budget(month=change.month, committed=committed, spent=spent)


class FakeDurations:
    """The rows; None stands for one that is damaged. When ``is_gone`` the table does not answer."""

    def __init__(self) -> None:
        self.rows: dict[str, Histogram | None] = {}
        self.is_gone = False

    def read(self, names: Sequence[str]) -> dict[str, Histogram | None]:
        self._answer()
        return {name: self.rows.get(name, Histogram()) for name in names}

    def add(self, name: str, seen: Histogram | None, parts: Mapping[int, float]) -> None:
        self._answer()
        self.rows[name] = (seen or Histogram()).added(parts)

    def _answer(self) -> None:
        if self.is_gone:
            raise DurationsUnavailable("durations: the table answers ResourceNotFoundException.")


class FakeDepartures:
    """The schedule, and how often it was asked for anything. When it is crowded it cannot be stopped."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.step = STEP
        self.asked = 0
        self.is_crowded = False

    def read(self) -> Schedule:
        self.asked += 1
        return self.schedule

    def waiting(self, now: int) -> int:
        return self.read().waiting(now, self.step)

    def take(self, now: int, last: int) -> tuple[Schedule, Departure]:
        self.asked += 1
        if self.schedule.next_departure > last:
            raise DeparturesFull("departures: found all taken.")
        self.schedule, departure = self.schedule.taken(now, self.step)
        return self.schedule, departure

    def make_in_front(self, now: int) -> tuple[Schedule, Departure]:
        self.asked += 1
        self.schedule, departure = self.schedule.made_in_front(now, self.step)
        return self.schedule, departure

    def stop(self, now: int, until: int) -> Schedule:
        self.asked += 1
        if self.is_crowded:
            raise DeparturesBusy("departures: a crowd.")
        self.schedule = self.schedule.stopped(now, until)
        return self.schedule


class FakeObjects:
    """A bucket: what was written last is the current version, numbered by key.

    Copies come from ``inbox``. ``problems`` are what writing to these keys raises, pictures left aside.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.versions: dict[str, list[bytes]] = {}
        self.writes: list[str] = []
        self.happened: dict[str, list[Put]] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.unsaid = 0
        self.now: Callable[[], float] = lambda: 0.0
        self.tags: dict[str, dict[str, str | None]] = {}
        self.content_types: dict[str, str] = {}
        self.problems: dict[str, Exception] = {}
        self.inbox = self

    def put(self, key: str, content: bytes) -> ObjectVersion:
        self.versions.setdefault(key, []).append(content)
        self.writes.append(key)
        version = self.current(key)
        assert version is not None
        self.happened.setdefault(key, []).append(Put(int(self.now()), version))
        return version

    def delete(self, key: str) -> None:
        """Delete the current version; the others stay."""
        self.happened[key].append(Put(int(self.now()), None))

    def read_current(self, key: str, most: int) -> tuple[ObjectVersion, bytes] | None:
        version, text = self.current(key), self.read(key, most)
        return None if version is None or text is None else (version, text)

    def facts(self, version: ObjectVersion) -> Facts:
        return Facts(self.metadata.get(version.key, {}), self.unsaid, CHECKSUM)

    def history(self, key: str) -> dict[str, list[Put]]:
        return {name: puts for name, puts in self.happened.items() if name.startswith(key)}

    def read(self, key: str, most: int) -> bytes | None:
        return self.versions[key][-1][:most] if key in self.versions else None

    def read_range(self, version: ObjectVersion, start: int, length: int) -> bytes:
        contents = self.versions.get(version.key, [])
        index = int(version.version_id or "0")
        if index >= len(contents):
            raise RecipeInvalid(f"{version.uri}: found that this version was deleted.")
        return contents[index][start : start + length]

    def chunks(self, version: ObjectVersion) -> Iterator[bytes]:
        content = self.versions[version.key][int(version.version_id or "0")]
        return (content[at : at + 65_536] for at in range(0, len(content), 65_536))

    def current(self, key: str) -> ObjectVersion | None:
        if key not in self.versions:
            return None
        contents = self.versions[key]
        return ObjectVersion(
            bucket=self.bucket, key=key, version_id=str(len(contents) - 1), etag="e", size=len(contents[-1])
        )

    def write_once(self, key: str, document: dict[str, Any], tags: Tags = NO_TAGS) -> bool:
        return self._put_once(key, json.dumps(document).encode(), "application/json", tags)

    def write_page(self, key: str, html: str, tags: Tags = NO_TAGS) -> None:
        _answer(self.problems.get(key))
        self.put(key, html.encode())
        self.tags[key] = {**tags}

    def _put_once(self, key: str, content: bytes, content_type: str, tags: Tags) -> bool:
        _answer(self.problems.get(key))
        if key in self.versions:
            return False
        self.put(key, content)
        self.tags[key], self.content_types[key] = {**tags}, content_type
        return True

    def copy_once(self, version: ObjectVersion, key: str, content_type: str, tags: Tags = NO_TAGS) -> bool:
        return self._put_once(key, b"".join(self.inbox.chunks(version)), content_type, tags)

    def keys(self, prefix: str) -> frozenset[str]:
        return frozenset(key for key in self.versions if key.startswith(prefix))

    def picture(self, key: str) -> Picture:
        content = self.versions[key][-1]
        kind = sniff(content)
        assert kind is not None
        sha256 = hashlib.sha256(content).hexdigest()
        return Picture(key=key, bytes=len(content), format=kind, pixels=pixels(kind, content), sha256=sha256)

    def store_picture(self, stem: str, chunks: Iterator[bytes], announced: int | None, tags: Tags = NO_TAGS) -> Picture:
        content = b"".join(chunks)
        kind = sniff(content)
        if kind is None or announced not in (None, len(content)) or not is_whole(kind, content):
            raise ResultUnstored("result: found no whole picture.")
        key = f"{stem}.{kind}"
        if key not in self.versions:
            self.put(key, content)
            self.tags[key] = {**tags}
        return self.picture(key)


class FakePresigner:
    """Links are LINK with the version's key; those to the keys in ``too_long`` are longer than the provider takes."""

    def __init__(self) -> None:
        self.links: list[ObjectVersion] = []
        self.too_long: set[str] = set()

    def link(self, version: ObjectVersion) -> str:
        if version.key in self.too_long:
            raise RecipeInvalid(f"{version.uri}: found a signed link of 2,049 bytes; allowed: 2,048.")
        self.links.append(version)
        return LINK.format(key=version.key)


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
        self.downloads: list[str] = []
        self.during_submit: Callable[[], object] = lambda: None
        self.during_read: Callable[[], object] = lambda: None
        self.uploads: list[Any] = []
        self.uploaded: list[tuple[str, str, bytes]] = []
        self.passing: Callable[[float], object] = lambda _: None
        self.upload_seconds = self.chunk_seconds = 0

    def upload(self, name: str, content_type: str, size: int, chunks: Iterator[bytes]) -> str:
        """The next of ``uploads``, else a link by number. It takes ``upload_seconds``, each piece ``chunk_seconds``."""
        answer = _answer(self.uploads.pop(0)) if self.uploads else ""
        content = b""
        for chunk in chunks:
            content += chunk
            self.passing(self.chunk_seconds)
        assert len(content) == size
        self.passing(self.upload_seconds)
        self.uploaded.append((name, content_type, content))
        return str(answer or f"https://files.toapis.com/uploads/{len(self.uploaded)}.png")

    def submit(self, body: dict[str, Any]) -> str:
        self.bodies.append(body)
        self.during_submit()
        return str(_answer(self.submits.pop(0) if len(self.submits) > 1 else self.submits[0]))

    def find(self, name: str) -> Task | None:
        self.finds.append(name)
        return cast("Task | None", _answer(self.found))

    def read(self, task_id: str, prompt: str = "") -> Task:
        self.reads.append((task_id, prompt))
        during, self.during_read = self.during_read, lambda: None
        during()
        return cast("Task", _answer(_next(self.task)))

    @contextmanager
    def download(self, url: str) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """A picture is its bytes, an error, a list of such for one try after the other, or a function of chunks."""
        self.downloads.append(url)
        picture = _answer(_next(self.pictures[url]))
        yield (picture(), None) if callable(picture) else (iter([picture]), len(picture))


def _next(scripted: Any) -> Any:
    """The next of a list, whose last one repeats; what is no list is itself every time."""
    if not isinstance(scripted, list):
        return scripted
    return scripted.pop(0) if len(scripted) > 1 else scripted[0]


def _answer(scripted: Any) -> Any:
    if isinstance(scripted, Exception):
        raise scripted
    return scripted


class FakeAnnouncements:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.problem: Exception | None = None

    def tell(self, announcement: Announcement) -> None:
        self.told.append(announcement.model_dump_json())
        _answer(self.problem)


class FakeBus:
    def __init__(self) -> None:
        self.late: list[LateNotice] = []
        self.submitted: list[SubmittedNotice] = []
        self.problem: Exception | None = None

    def tell_submitted(self, notice: SubmittedNotice) -> None:
        _answer(self.problem)
        self.submitted.append(notice)

    def tell_late(self, notice: LateNotice) -> None:
        _answer(self.problem)
        self.late.append(notice)


class FakeExecutions:
    """A status that is an error is raised."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.statuses: dict[str, Any] = {}
        self.asked: list[str] = []
        self.during_status: Callable[[], object] = lambda: None

    def start(self, job_id: str) -> str:
        self.started.append(job_id)
        self.statuses.setdefault(job_id, "RUNNING")
        return f"arn:execution:{job_id}"

    def status(self, job_id: str) -> str | None:
        self.asked.append(job_id)
        self.during_status()
        return cast("str | None", _answer(self.statuses.get(job_id)))


class FakeQueue:
    """A queue that keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, body: dict[str, Any]) -> None:
        self.sent.append(body)


class FakeFinalizer:
    def __init__(self) -> None:
        self.started: list[tuple[str, str | None]] = []
        self.bills: list[str] = []

    def start(self, job_id: str, fault: str | None) -> None:
        self.started.append((job_id, fault))

    def look_for_bill(self, job_id: str) -> None:
        self.bills.append(job_id)


def task(
    state: TaskState = TaskState.DONE,
    *urls: str,
    problem: ContentRefused | TaskFailed | None = None,
    completed_at: int | None = 990,
    bill: Bill | None = None,
    model: str | None = None,
) -> Task:
    status = {TaskState.DONE: "completed", TaskState.FAILED: "failed"}.get(state, "in_progress")
    if state is TaskState.FAILED and problem is None:
        problem = TaskFailed("no error text.")
    return Task("tsk_1", state, status, 50, urls, problem, 960, completed_at, bill, model)


@dataclass
class World:
    """Every use case on one set of fakes, at a time that only the test moves."""

    time: float = 1000.0
    ledger: FakeLedger = field(default_factory=FakeLedger)
    departures: FakeDepartures = field(default_factory=FakeDepartures)
    durations: FakeDurations = field(default_factory=FakeDurations)
    inbox: FakeObjects = field(default_factory=lambda: FakeObjects(INBOX))
    results: FakeObjects = field(default_factory=lambda: FakeObjects("results-bucket"))
    presigner: FakePresigner = field(default_factory=FakePresigner)
    api: FakeApi = field(default_factory=FakeApi)
    announcements: FakeAnnouncements = field(default_factory=FakeAnnouncements)
    bus: FakeBus = field(default_factory=FakeBus)
    executions: FakeExecutions = field(default_factory=FakeExecutions)
    finalizer: FakeFinalizer = field(default_factory=FakeFinalizer)
    batches: FakeQueue = field(default_factory=FakeQueue)
    submit_settings: SubmitSettings = SUBMIT_SETTINGS
    finalize_settings: FinalizeSettings = FINALIZE_SETTINGS
    sweep_settings: SweepSettings = SWEEP_SETTINGS
    no_key: Exception | None = None
    invocations: int = 0
    chance: float = 0.0

    def __post_init__(self) -> None:
        self.api.passing = self._pass
        self.inbox.now = lambda: self.time
        self.results.inbox = self.inbox

    def _pass(self, seconds: float) -> None:
        self.time += seconds

    def connect(self) -> ToApis:
        if self.no_key:
            raise self.no_key
        return cast("ToApis", self.api)

    @property
    def submit(self) -> Submit:
        inbox: Any = self.inbox
        presigner: Any = self.presigner
        ledger: Any = self.ledger.of(Actor.SUBMIT)
        settings = self.submit_settings
        handover = HandOver(settings.reference_handover, presigner, inbox, 35, lambda: self.time)
        documents = Documents(
            inbox, settings.inbox, OURS, handover.most_bytes, settings.companion_seconds, lambda: self.time
        )
        departures: Any = self.departures
        depart = Depart(
            departures, lambda: self.time, self._pass, settings.max_queue_seconds, settings.refused_wait_seconds
        )
        return Submit(
            settings=settings,
            ledger=ledger,
            prepare=Prepare(documents),
            depart=depart,
            handover=handover,
            knowledge=self.knowledge,
            connect=self.connect,
            now=lambda: self.time,
            jitter=lambda: 0.5,
        )

    @property
    def knowledge(self) -> Knowledge:
        return Knowledge(cast("Durations", self.durations))

    @property
    def intake(self) -> Intake:
        fakes: Any = {"executions": self.executions, "batches": self.batches, "bus": self.bus}
        return Intake(self.submit, **fakes)

    @property
    def status(self) -> Status:
        fakes: Any = {"ledger": self.ledger.of(Actor.STATUS), "bus": self.bus}
        clock: Any = {"now": lambda: self.time, "jitter": lambda: self.chance}
        return Status(settings=STATUS_SETTINGS, connect=self.connect, **clock, **fakes)

    @property
    def finalize(self) -> Finalize:
        results: Any = self.results
        fakes: Any = {"ledger": self.ledger.of(Actor.FINALIZE), "announcements": self.announcements}
        settings = self.finalize_settings
        return Finalize(
            settings=settings,
            results=results,
            store=Store(results, lambda: self.time),
            display=Display(settings.result_page, results, lambda: self.time),
            knowledge=self.knowledge,
            connect=self.connect,
            now=lambda: self.time,
            **fakes,
        )

    @property
    def look_for_bill(self) -> LookForBill:
        ledger: Any = self.ledger.of(Actor.FINALIZE)
        return LookForBill(ledger, self.connect, lambda: self.time)

    @property
    def sweep(self) -> Sweep:
        fakes: Any = {
            "ledger": self.ledger.of(Actor.SWEEP),
            "executions": self.executions,
            "finalizer": self.finalizer,
            "budgets": self.ledger.budgets,
            "departures": self.departures,
        }
        return Sweep(settings=self.sweep_settings, now=lambda: self.time, **fakes)

    def invocation(self, seconds: int = INVOCATION_SECONDS) -> Invocation:
        """A new invocation that begins now."""
        self.invocations += 1
        return Invocation(id=f"request-{self.invocations}", ends_at=int(self.time) + seconds)

    def again(self, job_id: str, attempt: int | None = None) -> None:
        """A message to run a job again comes in."""
        self.intake(Again(job_id, attempt), self.invocation())

    def drop(self, key: str = "inbox/cat.png", content: bytes | None = None) -> Drop:
        """A file in the inbox, a picture of what its name says, and what S3 says of it."""
        made = (JPEG if key.lower().endswith((".jpg", ".jpeg")) else PNG) if content is None else content
        return Drop(self.inbox.put(key, made), "00617F08299329D189", int(self.time))

    def preset(self, name: str = "default", **fields: Any) -> None:
        """A preset in the inbox."""
        document = {"model": "gpt-image-2-vip", "prompt": PROMPT, **fields}
        self.inbox.put(f"presets/{name}.json", json.dumps(document).encode())

    def held(self, job: Job) -> int | None:
        """For how many seconds from now the job is held."""
        return None if job.hold_until is None else job.hold_until - int(self.time)

    def row(self, drop: Drop) -> Job:
        """The ledger's row of a drop's job."""
        return self.ledger.rows[dropped_job_id(drop.source, drop.sequencer)]


def looked_at(drop: Drop) -> ObjectVersion:
    """The dropped version with what S3 says of it."""
    return drop.source.model_copy(update={"checksum": CHECKSUM})


def emitted(out: str, name: str) -> list[dict[str, Any]]:
    """The lines of one metric in what was printed (EMF)."""
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [line for line in lines if name in line]


def provider_errors(out: str) -> list[str]:
    """The classes of the provider's errors in the metrics that were printed."""
    return [line["error"] for line in emitted(out, "ProviderErrors")]
