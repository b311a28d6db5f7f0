"""Batches turn by turn, and what is left of one whose every step may be its last."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush import batch as use_case
from bucketbrush.batch import LookAfterBatch
from bucketbrush.domain import batches as rules
from bucketbrush.domain.batches import Batch, BatchAnnouncement, BatchCall
from bucketbrush.domain.errors import AnnouncementFailed, BatchBusy, Money
from bucketbrush.domain.jobs import Invocation, Job, ObjectVersion, Outcome, Verdict, line_job_id
from bucketbrush.domain.life import State
from bucketbrush.intake import BatchLine
from bucketbrush.messages import LineCall, parse_message
from bucketbrush.settings import BatchSettings
from tests.unit.fakes import FakeObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

KEY = "inbox/summer/cats.jobs.jsonl"
PROMPT = "quokkamoss at dawn"
FILE = "\n".join(
    ["", *(json.dumps({"prompt": f"{PROMPT} {number}"}) for number in range(11)), " ", '{"last": 1}']
).encode()
NUMBERS = [*range(2, 13), 14]  # of the lines with jobs
VISIBILITY_SECONDS = 1800
SETTINGS = BatchSettings(
    jobs_table="jobs",
    jobs_machine_arn="arn:machine",
    limits_table="limits",
    keep_days=400,
    batches_table="batches",
    batch_queue_url="turns",
    submit_queue_url="submits",
    inbox_bucket="inbox",
    inbox_prefix="inbox/",
    results_bucket="results",
    results_key="results/{folder}/{stem}/{job_id}/{index}.{ext}",
    topic_arn="arn:t",
    max_queue_seconds=86_400,
    deadline_seconds=21_600,
)


class Killed(BaseException):
    """The invocation is over at this very moment."""


class FakeBatches:
    """One table, written under the conditions of the real one only."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.rows: dict[str, Batch] = {}
        self._step = step

    def create(self, batch: Batch) -> Batch:
        self._step()
        found = self.rows.setdefault(batch.batch_id, batch)
        self._step()
        return found

    def get(self, batch_id: str) -> Batch | None:
        return self.rows.get(batch_id)

    def change(self, batch: Batch, **changes: Any) -> Batch:
        self._step()
        row = self.rows[batch.batch_id]
        if (row.turn, row.owner, row.lease_until) != (batch.turn, batch.owner, batch.lease_until):
            raise BatchBusy("batch: changed meanwhile.")
        self.rows[batch.batch_id] = batch.model_copy(update=changes)
        self._step()
        return self.rows[batch.batch_id]


class FakeJobs:
    """The ledger's rows by id; ``get_many`` gives them in no order that could be relied on."""

    def __init__(self) -> None:
        self.rows: dict[str, Job] = {}
        self.consistent: list[bool] = []

    def get_many(self, job_ids: Sequence[str], *, is_consistent: bool = False) -> Iterable[Job]:
        assert 0 < len(job_ids) <= 100
        self.consistent.append(is_consistent)
        return [self.rows[job_id] for job_id in reversed(job_ids) if job_id in self.rows]


class FakeReports:
    """A bucket of files that are written once; a file is there when its last piece is."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.files: dict[str, bytes] = {}
        self._step = step

    def write_once(self, key: str, _content_type: str, pieces: Iterable[bytes]) -> bool:
        content = b"".join(pieces)
        self._step()
        if key in self.files:
            return False
        self.files[key] = content
        self._step()
        return True

    def read(self, key: str) -> bytes:
        return self.files[key]


class FakeAnnouncements:
    def __init__(self, step: Callable[[], None]) -> None:
        self.told: list[tuple[BatchAnnouncement, str]] = []
        self.problem: Exception | None = None
        self._step = step

    def tell(self, announcement: BatchAnnouncement, letter: str) -> None:
        self._step()
        if self.problem:
            raise self.problem
        self.told.append((announcement, letter))
        self._step()


@dataclass
class Turns:
    """The batch queue: when a message may be taken, and its body."""

    world: World
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def send(self, body: dict[str, Any], delay_seconds: int = 0) -> None:
        assert 0 <= delay_seconds <= 900
        self.world.step()
        self.messages.append((self.world.time + delay_seconds, json.loads(json.dumps(body))))
        self.world.step()


@dataclass
class World:
    """The use case on fakes. Of ``steps`` effects the last one kills; those before and behind an effect are two."""

    steps: int | None = None
    time: float = 1000.0
    content: bytes = FILE
    lines: list[BatchLine] = field(default_factory=list)
    invocations: int = 0
    seconds: int = 900

    def __post_init__(self) -> None:
        self.jobs = FakeJobs()
        self.inbox = FakeObjects("inbox")
        self.batches, self.reports = FakeBatches(self.step), FakeReports(self.step)
        self.announcements = FakeAnnouncements(self.step)
        self.turns = Turns(self)
        source = self.inbox.put(KEY, self.content)
        self.call = BatchCall(source=source, requested_at=900)
        self.during_send: Callable[[], object] = lambda: None

    @property
    def source(self) -> ObjectVersion:
        return self.call.source

    def step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps == 0:
                raise Killed

    def send_batch(self, bodies: Sequence[dict[str, Any]]) -> None:
        """The submit queue: each message is one that the submit function understands, and holds no prompt."""
        for body in bodies:
            self.step()
            assert PROMPT not in json.dumps(body)
            line = parse_message(json.dumps(body))
            assert isinstance(line, BatchLine)
            self.lines.append(line)
        self.during_send()

    def look_after(self, call: BatchCall | None = None) -> None:
        """One invocation."""
        self.invocations += 1
        invocation = Invocation(id=f"request-{self.invocations}", ends_at=int(self.time) + self.seconds)
        fakes: Any = {
            "batches": self.batches,
            "ledger": self.jobs,
            "inbox": self.inbox,
            "reports": self.reports,
            "turns": self.turns,
            "submits": self,
            "announcements": self.announcements,
        }
        LookAfterBatch(settings=SETTINGS, now=lambda: self.time, **fakes)(call or self.call, invocation)

    def deliver(self) -> None:
        """The next message of the batch queue to one invocation; when that dies it is delivered again."""
        self.turns.messages.sort(key=lambda message: message[0])
        due, body = self.turns.messages.pop(0)
        self.time = max(self.time, due)
        call = BatchCall.model_validate(body["batch"])
        try:
            self.look_after(call)
        except (Killed, BatchBusy, AnnouncementFailed):
            self.turns.messages.append((self.time + VISIBILITY_SECONDS, body))

    def end(self, *numbers: int, outcome: Outcome = Outcome.COMPLETED) -> None:
        """These lines' jobs end, if they were sent."""
        for line in self.lines:
            job_id = line_job_id(line.source, line.batch, line.line.number)
            if not numbers or line.line.number in numbers:
                self.jobs.rows.setdefault(job_id, ended(job_id, outcome))

    @property
    def row(self) -> Batch:
        (row,) = self.batches.rows.values()
        return row

    @property
    def sent(self) -> Counter[int]:
        return Counter(line.line.number for line in self.lines)

    def report(self, name: str) -> bytes:
        (content,) = [content for key, content in self.reports.files.items() if key.endswith(f"/{name}")]
        return content


def ended(job_id: str, outcome: Outcome) -> Job:
    verdict = Verdict(outcome=outcome, money=Money.MOVED, message=f"{job_id} is {outcome}.")
    return Job(job_id=job_id, state=State.ENDED, created_at=1, verdict=verdict, ended_at=2, estimated=20, billed=10)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_SENT_AT_ONCE": 5, "_SEEN_AT_ONCE": 4, "_PIECE_BYTES": 64}.items():
        monkeypatch.setattr(use_case, name, value)


# ---- Turn by turn --------------------------------------------------------------------------------------------------


def test_every_line_is_sent_with_its_place_in_the_file() -> None:
    world = World()
    world.look_after()
    assert [line.line.number for line in world.lines] == NUMBERS
    for line in world.lines:
        text = FILE[line.line.start : line.line.start + line.line.length]
        assert isinstance(json.loads(text), dict)
        assert (line.source, line.batch, line.at) == (world.source, world.call.batch_id, 900)
    assert (world.row.jobs, world.row.sent.jobs, world.row.sent_at) == (12, 12, 1000)
    ((due, message),) = world.turns.messages
    assert (due, message["batch"]["turn"]) == (1005, 1)


def test_a_line_in_the_queue_is_one_that_submit_reads() -> None:
    world = World()
    world.look_after()
    body = {"line": {**world.lines[0].line.model_dump(), "source": world.source, "batch": "b", "requested_at": 900}}
    assert LineCall.model_validate(body)


def test_a_batch_ends_when_its_last_job_has_ended() -> None:
    world = World()
    world.look_after()
    world.end(2, 3, 4, 5, 6, 8)
    world.deliver()
    assert (world.row.seen.jobs, world.announcements.told) == (5, [])
    world.end(7, outcome=Outcome.REJECTED)
    world.end()
    world.deliver()

    assert world.turns.messages == []
    ((announcement, letter),) = world.announcements.told
    assert announcement.outcomes == {"completed": 11, "rejected": 1}
    summary = json.loads(world.report("batch.json"))
    assert summary["outcome"] == "partial"
    assert (summary["estimated_usd"], summary["billed_usd"]) == (0.00024, 0.00012)
    assert [(end["line"], end["outcome"]) for end in summary["problems"]] == [(7, "rejected")]
    lines = [json.loads(line) for line in world.report("lines.jsonl").splitlines()]
    assert [line["line"] for line in lines] == NUMBERS
    assert [line["outcome"] for line in lines] == ["completed"] * 5 + ["rejected"] + ["completed"] * 6
    assert {key.rpartition("/")[0] for key in world.reports.files} == {f"results/summer/cats/{world.call.batch_id}"}
    assert "line 7" in letter
    told = json.dumps([summary, lines, letter, announcement.model_dump(mode="json"), world.row.model_dump(mode="json")])
    assert PROMPT not in told


def test_looks_are_made_again_and_again_ever_more_rarely() -> None:
    world = World()
    world.look_after()
    delays = []
    for _ in range(120):
        before = world.time
        world.deliver()
        delays.append(world.time - before)
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (5, 900)
    assert world.announcements.told == []


def test_lines_without_an_outcome_are_missing_when_all_had_their_time() -> None:
    world = World()
    world.look_after()
    world.end(*(set(NUMBERS) - {3, 9}))
    lost = line_job_id(world.source, world.call.batch_id, 9)
    world.jobs.rows[lost] = Job(job_id=lost, state=State.UNSTORED, created_at=1)
    while not world.announcements.told:
        world.deliver()
    assert 0 <= world.time - (1000 + 86_400 + 21_600 + 86_400) < 900
    summary = json.loads(world.report("batch.json"))
    assert summary["outcomes"] == {"completed": 10, "missing": 2}
    assert [(end["line"], end["outcome"]) for end in summary["problems"]] == [(3, None), (9, None)]
    assert world.turns.messages == []


def test_the_last_pass_reads_what_is_true_now() -> None:
    """A row that is read a little late would be missing in the summary for good."""
    world = World()
    world.look_after()
    world.end(*NUMBERS)
    while not world.announcements.told:
        world.deliver()
    assert world.jobs.consistent[-1]
    assert not world.jobs.consistent[0]


def test_the_summary_says_what_the_lines_that_stand_say() -> None:
    """An earlier try wrote the lines when the batch was given up, and died; meanwhile the last jobs have ended."""
    world = World()
    world.look_after()
    world.end(*(set(NUMBERS) - {3, 9}))
    reports = world.reports
    world.announcements.problem = AnnouncementFailed("nobody listens.")
    while not world.reports.files:
        world.deliver()
    (summary,) = [key for key in reports.files if key.endswith("batch.json")]
    del reports.files[summary]
    world.end(3, 9)
    world.announcements.problem = None
    while not world.announcements.told:
        world.deliver()
    assert json.loads(world.report("batch.json"))["outcomes"] == {"completed": 10, "missing": 2}
    lines = [json.loads(line) for line in world.report("lines.jsonl").splitlines()]
    assert [line["line"] for line in lines if line["outcome"] is None] == [3, 9]


@pytest.mark.parametrize("content", [b"", b"\n \r\n\n"])
def test_a_file_without_jobs_is_rejected_and_nothing_is_sent(content: bytes) -> None:
    world = World(content=content)
    world.look_after()
    assert (world.lines, world.turns.messages) == ([], [])
    ((announcement, _),) = world.announcements.told
    assert (announcement.outcome, announcement.reason) == ("rejected", "RecipeInvalid")
    assert "found no line with a job" in announcement.message
    assert announcement.lines is None


def test_a_file_with_too_many_jobs_is_rejected_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_JOBS", 11)
    world = World()
    world.look_after()
    assert world.lines == []
    assert "found more than 11 lines with a job" in world.announcements.told[0][0].message


def test_a_file_that_goes_while_its_lines_are_sent_is_unknown() -> None:
    world = World()
    world.during_send = lambda: world.inbox.versions.clear()
    world.look_after()
    ((announcement, _),) = world.announcements.told
    assert announcement.outcome == "unknown"
    assert "Its 12 jobs were on their way by then" in announcement.message
    assert world.turns.messages == []


def test_an_invocation_that_is_nearly_over_leaves_the_rest_to_the_next() -> None:
    world = World()

    def much_time_passes() -> None:
        world.time += 880

    world.during_send = much_time_passes
    world.look_after()
    assert (world.row.sent.jobs, world.row.sent_at) == (5, None)
    ((due, _),) = world.turns.messages
    assert due == world.time
    while world.row.sent_at is None:
        world.deliver()
    assert world.sent == Counter(NUMBERS)


# ---- Twice -----------------------------------------------------------------------------------------------------------


def test_the_same_event_again_does_nothing() -> None:
    world = World()
    world.look_after()
    world.look_after()
    assert world.sent == Counter(NUMBERS)
    assert len(world.turns.messages) == 1
    world.end()
    world.deliver()
    before = dict(world.reports.files)
    world.look_after()
    assert len(world.announcements.told) == 1
    assert (world.reports.files, world.turns.messages) == (before, [])


def test_two_at_once_are_one() -> None:
    world = World()
    busy: list[BatchBusy] = []

    def the_other() -> None:
        world.during_send = lambda: None
        with pytest.raises(BatchBusy) as problem:
            world.look_after()
        busy.append(problem.value)

    world.during_send = the_other
    world.look_after()
    assert len(busy) == 1
    assert world.sent == Counter(NUMBERS)
    assert len(world.turns.messages) == 1


def test_who_was_taken_for_dead_writes_nothing() -> None:
    world = World(seconds=100)

    def another_goes_on() -> None:
        world.during_send = lambda: None
        world.time += 200
        world.look_after()

    world.during_send = another_goes_on
    with pytest.raises(BatchBusy):
        world.look_after()
    assert world.row.sent_at == 1200
    assert len(world.turns.messages) == 1


def test_a_chain_that_is_doubled_dies_out() -> None:
    world = World()
    world.look_after()
    world.turns.messages *= 3
    for _ in range(12):
        world.deliver()
    assert len(world.turns.messages) == 1
    world.end()
    while world.turns.messages:
        world.deliver()
    assert len(world.announcements.told) == 1


def test_a_summary_that_could_not_be_told_is_told_later_as_it_stands() -> None:
    world = World()
    world.announcements.problem = AnnouncementFailed("event bus: no.")
    world.look_after()
    world.end()
    world.deliver()
    written = world.report("batch.json")
    assert world.announcements.told == []
    world.announcements.problem = None
    world.deliver()
    assert world.report("batch.json") == written
    assert world.announcements.told[0][0].ended_at == json.loads(written)["ended_at"]


def live(world: World) -> None:
    """A batch from its first message to its last one; its jobs end in two halves."""
    world.turns.messages.append((world.time, {"batch": world.call.model_dump()}))
    for turn in range(30):
        if not world.turns.messages:
            return
        world.deliver()
        if turn == 1:
            world.end(*NUMBERS[:6])
        if turn > 2:
            world.end()
    raise AssertionError(f"never ended: {world.turns.messages}")


def test_wherever_it_is_killed_it_goes_on_and_ends_once() -> None:
    for steps in count(1):
        world = World(steps=steps)
        live(world)

        assert set(world.sent) == set(NUMBERS), steps
        assert max(world.sent.values()) <= 2, steps
        assert world.row.ended_at is not None, steps
        assert len(world.reports.files) == 2, steps
        assert json.loads(world.report("batch.json"))["outcomes"] == {"completed": 12}, steps
        assert len(world.report("lines.jsonl").splitlines()) == 12, steps
        told = {(announcement.model_dump_json(), letter) for announcement, letter in world.announcements.told}
        assert len(told) == 1, steps
        if world.steps:  # there were fewer moments than that
            assert world.invocations == 5
            break


def test_a_refusal_that_is_killed_is_told_all_the_same() -> None:
    for steps in range(1, 20):
        world = World(steps=steps, content=b"\n")
        live(world)
        assert {announcement.outcome for announcement, _ in world.announcements.told} == {"rejected"}
        assert world.lines == []
