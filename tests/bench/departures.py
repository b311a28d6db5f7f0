"""The pace of a crowd: pictures dropped at once, against an API that refuses what is beyond its rate."""

from __future__ import annotations

import operator
import time
from bisect import bisect_right
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from local.engine.controller import Engine
from local.simulator.process import Simulator
from local.stack import running_stack
from tests.bench.figures import most_within, percentiles, rank_correlation
from tests.bench.measured import Goal, Measured
from tests.samples import picture, plain
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.simulator.tasks import TaskRecord
    from local.stack import Stack
    from tests.bench.measured import Say

REFUSED, ORDER, THROUGHPUT = "refused share of submits", "rank correlation of drops and submits", "throughput / rate"
LATE, COMPLETED, PAID_TWICE = "POST after its departure, ms", "completed", "paid twice"
_PRESET = {"model": "gpt-image-2-vip", "prompt": "a poster"}
_HANDS = 8  # that drop at the same time
_PARTS = 10  # of the jobs, each of which is waited for and told
_TASK_SECONDS = 0.2


@dataclass(frozen=True)
class Crowd:
    """How many pictures are dropped, and the submits per second of the stack and of the provider."""

    jobs: int
    rate: float
    provider_rate: float
    provider_burst: int = 5

    @property
    def keys(self) -> list[str]:
        return [f"inbox/{number:04}.png" for number in range(self.jobs)]


@dataclass
class Drive:
    """One run. ``shifts`` is since when, in seconds since 1970, departures were later by so many milliseconds."""

    stack: Stack
    crowd: Crowd
    say: Say
    shifts: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    def __call__(self) -> dict[str, Any]:
        """The figures, when all jobs have ended."""
        self.stack.put_preset("default", _PRESET)
        self.say(f"dropping {self.crowd.jobs} pictures")
        content = picture()
        with ThreadPoolExecutor(_HANDS) as hands:
            list(hands.map(lambda key: self.stack.drop(key, content), self.crowd.keys))
        self._reach("sent", self._sent)
        self._reach("ended", lambda: sum(row["state"] == "ended" for row in self._rows()))
        tasks, refused = self.stack.simulator.tasks(), self.stack.simulator.health()["submits_refused"]
        rows = {row["job_id"]: row for row in self._rows()}
        submits = [_Submit.of(task, rows[task["client_business_id"] or ""]) for task in tasks]
        times, first = [submit.at for submit in submits], min(submit.departure for submit in submits)
        return {
            "jobs": self.crowd.jobs,
            "refused submits": refused,
            REFUSED: round(refused / (len(tasks) + refused), 4),
            ORDER: round(rank_correlation([self.crowd.keys.index(submit.key) for submit in submits]), 4),
            THROUGHPUT: round((len(tasks) - 1) / (times[-1] - first / 1000) / self.crowd.rate, 4),
            "most submits within a second": most_within(times, 1.0),
            LATE: percentiles([self._late(submit) for submit in submits]),
            "departures stopped, ms": self.shifts[-1][1],
            COMPLETED: sum(row["verdict"]["outcome"] == "completed" for row in rows.values()),
            PAID_TWICE: sum(count > 1 for count in Counter(task["client_business_id"] for task in tasks).values()),
        }

    def _reach(self, what: str, count: Callable[[], int]) -> None:
        """Wait until all jobs are so far, and say how it goes on."""
        found = 0
        while found < self.crowd.jobs:
            next_part = min(self.crowd.jobs, found + max(1, self.crowd.jobs // _PARTS))
            found = until(count, f"{next_part} jobs {what}", partial(operator.le, next_part), pause=0.25)
            self.say(f"{found} {what}")

    def _sent(self) -> int:
        name = {"name": {"S": "departures"}}
        row = self.stack.engine.client("dynamodb").get_item(TableName=self.stack.outputs["LimitsTable"], Key=name)
        found = plain({"M": row.get("Item", {})})
        shift = found.get("shift", 0) + found.get("inserted", 0)
        if shift != self.shifts[-1][1]:
            self.shifts.append((time.time(), shift))
        return int(self.stack.simulator.health()["tasks"])

    def _rows(self) -> list[dict[str, Any]]:
        return [plain({"M": row}) for row in self.stack.rows()]

    def _late(self, submit: _Submit) -> int:
        """Milliseconds from its departure, as the schedule stood then, to its task."""
        shift = self.shifts[bisect_right(self.shifts, submit.at, key=lambda since: since[0]) - 1][1]
        return round(submit.at * 1000 - submit.departure - shift)


@dataclass(frozen=True)
class _Submit:
    """A task's drop, its job's departure in milliseconds of the schedule, and when it came, in seconds since 1970."""

    key: str
    departure: int
    at: float

    @classmethod
    def of(cls, task: TaskRecord, row: Mapping[str, Any]) -> _Submit:
        since_1970 = time.time() - time.monotonic()  # the simulator's clock is this machine's
        return cls(row["source"]["key"], row["departure"]["at"], task["at"] + since_1970)


def measure(crowd: Crowd, say: Say) -> dict[str, Any]:
    """Drop the crowd into the stack as it is deployed here, and see how it gets to the provider."""
    simulator = Simulator(
        queue_seconds=0.0,
        task_seconds=_TASK_SECONDS,
        paint=False,
        submits_per_second=crowd.provider_rate,
        submits_burst=crowd.provider_burst,
    )
    with running_stack(Engine(), simulator, {"SubmitsPerSecond": f"{crowd.rate:g}"}, say) as stack:
        return Drive(stack, crowd, say)()


def bench(say: Say) -> Measured:
    """The section: an account as the provider gives it, and the rate that is deployed unless another is chosen."""
    crowd = Crowd(jobs=300, rate=4, provider_rate=5)
    goals = {
        REFUSED: Goal(most=0.01),
        ORDER: Goal(least=0.99),
        THROUGHPUT: Goal(least=0.95),
        COMPLETED: Goal(least=crowd.jobs),
        PAID_TWICE: Goal(most=0),
    }
    return Measured(measure(crowd, say), goals)
