"""Tasks and their life: queued, in_progress, then completed or failed, by a clock that is handed in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from local.simulator import answers

if TYPE_CHECKING:
    from random import Random

    from local.simulator.faults import Armed
    from local.simulator.rules import Order

Clock = Callable[[], float]  # seconds on a monotonic scale

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class ReferenceRecord(TypedDict):
    """A reference or a mask: what it was, never its link. `bytes` and `sha256` are None until it is downloaded."""

    kind: str  # "uploaded" to this API, or "linked" from elsewhere
    bytes: int | None
    sha256: str | None


class TaskRecord(TypedDict):
    """One task as `/_simulator/tasks` shows it."""

    id: str
    at: float  # seconds on the clock that upload records use too
    client_business_id: str | None
    model: str
    status: str
    posts: int  # POSTs that carried this client_business_id, refused ones too
    polls: int  # status queries of this task
    downloads: int  # requests for its pictures, refused and broken ones too
    prompt: str
    size: str
    resolution: str
    quality: str
    n: int
    output_format: str
    references: list[ReferenceRecord]  # in the order of the request
    mask: ReferenceRecord | None


@dataclass
class Task:
    """An accepted order. `accepted`, `starts` and `ends` are clock seconds; `urls` is None until they are made.

    `received` are size and SHA-256 of the references and the mask so far, in the order of `Order.links`.
    """

    id: str
    order: Order
    created_at: int  # Unix seconds
    accepted: float
    starts: float
    ends: float
    faults: list[Armed] = field(default_factory=list)
    urls: list[str] | None = None
    failure: str | None = None
    other_id: str | None = None  # one that a fault has told
    failed_as: answers.Json = field(default_factory=dict)  # what a fault puts into the failed body; None: takes out
    received: list[tuple[int, str]] = field(default_factory=list)
    pictures: int = 0
    polls: int = 0
    downloads: int = 0
    flaps: int = 0  # status queries that the fault `flapping` has seen

    def status(self, now: float) -> str:
        """A task that is painted too early waits for its time; one that is late stays in progress."""
        if now < self.starts:
            return "queued"
        if now < self.ends or (self.urls is None and self.failure is None):
            return "in_progress"
        return "completed" if self.failure is None else "failed"

    def body(self, now: float) -> answers.Json:
        """The status answer at clock time `now`."""
        status, model, urls = self.status(now), self.order.model, self.urls
        if status == "failed":
            body = answers.failed(self.id, model, self.created_at, self.failure or "") | self.failed_as
            body = {key: value for key, value in body.items() if value is not None}
        elif status == "completed" and urls is not None:
            done_at = self.created_at + round(self.ends - self.accepted)
            body = answers.completed(self.id, model, self.created_at, done_at, urls)
        else:
            body = answers.waiting(self.id, model, status, self._progress(now), self.created_at)
        # ToAPIs task status page: client_business_id comes back only when it was sent.
        echo = {"client_business_id": self.order.business_id} if self.order.business_id else {}
        return {"id": body.pop("id"), **echo, **body}

    def _progress(self, now: float) -> int:
        """Percent, 0 to 99: only a delivered task is at 100."""
        if now < self.starts:
            return 0
        return min(99, int(100 * (now - self.starts) / max(self.ends - self.starts, 1e-9)))


@dataclass
class TaskBook:
    """All tasks of a run. An order whose client_business_id is already known makes one more task, and costs again."""

    clock: Clock
    queue_seconds: float
    task_seconds: float
    jitter: float
    chance: Random
    is_upload: Callable[[str], bool]  # whether a link is that of an upload
    tasks: dict[str, Task] = field(default_factory=dict)
    posts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, Task] = field(default_factory=dict)  # by client_business_id

    def accept(self, order: Order) -> Task:
        """A new queued task; queue and task time each vary by the jitter, a fraction."""
        now = self.clock()
        starts = now + self._varied(self.queue_seconds)
        ends = starts + self._varied(self.task_seconds)
        task = Task(self._new_id(), order, int(time.time()), now, starts, ends, pictures=order.n)
        self.tasks[task.id] = task
        if order.business_id:
            self._first.setdefault(order.business_id, task)
        return task

    def find(self, name: str) -> Task | None:
        """By task id, or by client_business_id; of several with one business id the first (the docs leave it open)."""
        told = (task for task in self.tasks.values() if task.other_id == name)
        return self.tasks.get(name) or self._first.get(name) or next(told, None)

    def records(self) -> list[TaskRecord]:
        """Every task in the order of arrival."""
        return [self._record(task) for task in self.tasks.values()]

    def clear(self) -> None:
        """Forget every task."""
        self.tasks.clear()
        self.posts.clear()
        self._first.clear()

    def _record(self, task: Task) -> TaskRecord:
        order, seen = task.order, self._seen(task)
        return {
            "id": task.id,
            "at": task.accepted,
            "client_business_id": order.business_id,
            "model": order.model,
            "status": task.status(self.clock()),
            "posts": self.posts[order.business_id] if order.business_id else 1,
            "polls": task.polls,
            "downloads": task.downloads,
            "prompt": order.prompt,
            "size": order.size,
            "resolution": order.resolution,
            "quality": order.quality,
            "n": order.n,
            "output_format": order.output_format,
            "references": seen[: len(order.references)],
            "mask": seen[-1] if order.mask else None,
        }

    def _seen(self, task: Task) -> list[ReferenceRecord]:
        received = [*task.received, *[(None, None)] * len(task.order.links)]
        return [
            {"kind": "uploaded" if self.is_upload(url) else "linked", "bytes": size, "sha256": digest}
            for url, (size, digest) in zip(task.order.links, received, strict=False)
        ]

    def _varied(self, seconds: float) -> float:
        return seconds * self.chance.uniform(1 - self.jitter, 1 + self.jitter)

    def _new_id(self) -> str:
        """`tsk_img_` and a ULID: 48 bits of milliseconds, 80 bits of chance, in 26 Crockford characters."""
        number = (int(time.time() * 1000) << 80) | self.chance.getrandbits(80)
        return "tsk_img_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
