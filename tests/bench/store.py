"""Storing: what pictures of all sizes take in memory, and in time against reading and writing the same bytes.

Both sides, the engine and the host of the pictures share this machine's cores: where these are busy, overlap pays
nothing, and the ratios of time tend to those of CPU time, in which the hashes of what is stored weigh.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from typing import IO, TYPE_CHECKING, Any, Self

from bucketbrush.domain.layout import RESULTS_KEY
from local.engine.controller import ROOT, Engine
from tests.bench.host import PictureHost
from tests.bench.measured import Goal, Measured
from tests.waiting import watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.measured import Say

MB = 10**6
BESIDE_SLOW = "stored before the slow one of five ends"
_COUNTS, _SIZES = (1, 5, 10), (1, 10, 50)  # pictures, MB
_ROUNDS = 5
_LEAST = 50  # MB at a time: smaller cases are repeated, and their time is that of all
_SMALL = 10_000  # bytes
_PATIENCE = 60  # seconds for the four beside a slow one
_BUCKET = "bench"
_SIDES = ("ours", "theirs")  # of ``storing``


def over_idle(count: int, size: int) -> str:
    return f"peak RSS over idle, MB: {count} of {size} MB"


def wall(count: int, size: int) -> str:
    return f"wall time / (read + put): {count} of {size} MB"


def by_size(count: int) -> str:
    return f"peak RSS over idle, 50 / 10 MB: {count} of them"


def by_count(size: int) -> str:
    return f"peak RSS over idle, n=10 / n=5: of {size} MB"


@dataclass(frozen=True)
class Cost:
    """What so many pictures have taken: the seconds that passed, and the process's peak RSS over idle in bytes."""

    seconds: float
    over_idle: int


class Storing:
    """A process of one side (``storing``)."""

    def __init__(self, side: str, environment: Mapping[str, str], small: str) -> None:
        command = [sys.executable, "-m", "tests.bench.storing", side, small]
        self._process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def begin(self, name: str, turns: list[list[str]]) -> None:
        print(json.dumps({"name": name, "turns": turns}), file=_opened(self._process.stdin), flush=True)

    def end(self) -> Cost:
        return Cost(**json.loads(_opened(self._process.stdout).readline()))


def _opened(pipe: IO[str] | None) -> IO[str]:
    assert pipe
    return pipe


class Bench:
    """An engine with what finalize's store needs, and a host of pictures."""

    def __init__(self, engine: Engine, host: PictureHost) -> None:
        self._engine, self._host, self._s3 = engine, host, engine.client("s3")
        self._s3.create_bucket(Bucket=_BUCKET)
        self._key = engine.client("secretsmanager").create_secret(Name="key", SecretString="sk-bench")["ARN"]

    def measure(self, count: int, size: int) -> dict[str, list[Cost]]:
        """Both sides by turns, so that whatever else this machine does meets both; each time in a fresh process."""
        turns = [[self._host.link(size * MB)] * count] * max(1, _LEAST // (count * size))
        costs: dict[str, list[Cost]] = {side: [] for side in _SIDES}
        for _, side in product(range(_ROUNDS), _SIDES):
            with self._storing(side) as storing:
                storing.begin(side, turns)
                costs[side].append(storing.end())
            self._purge()
        return costs

    def beside_slow(self) -> int:
        """How many of five pictures are stored while the first one drips."""
        links = [self._host.dripping_link(MB), *[self._host.link(MB)] * 4]
        with self._storing("ours") as storing:
            storing.begin("slow", [links])
            stored = watch(lambda: self._keys("slow/"), lambda keys: len(keys) >= 4, seconds=_PATIENCE)
            self._host.end_drips()
            storing.end()
        return len(stored)

    def _storing(self, side: str) -> Storing:
        return Storing(side, self._environment(), self._host.link(_SMALL))

    def _keys(self, prefix: str = "") -> list[str]:
        """At most 1,000, and no more are stored at a time."""
        found = self._s3.list_objects_v2(Bucket=_BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def _purge(self) -> None:
        """The engine keeps objects in its memory."""
        for key in self._keys():
            self._s3.delete_object(Bucket=_BUCKET, Key=key)

    def _environment(self) -> Mapping[str, str]:
        names = {"JOBS_TABLE": "jobs", "LIMITS_TABLE": "limits", "DURATIONS_TABLE": "durations", "TOPIC_ARN": "topic"}
        places = {"INBOX_PREFIX": "inbox/", "RESULTS_BUCKET": _BUCKET, "RESULTS_KEY": RESULTS_KEY}
        provider = {"API_BASE_URL": self._host.url, "API_KEY_SECRET_ARN": self._key, "RESULT_HOSTS": "toapis.com"}
        limits = {"PROVIDER_TIMEOUT_SECONDS": "25", "LOOKUP_SECONDS": "300", "DEADLINE_SECONDS": "21600"}
        others = {"SWEEP_AFTER_SECONDS": "900", "KEEP_DAYS": "400", "RESULT_PAGE": "none", "JOBS_MACHINE_ARN": "jobs"}
        path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "layers" / "bucketbrush"), str(ROOT)])}
        return {**os.environ, **self._engine.environ(), **names, **places, **provider, **limits, **others, **path}


def bench(say: Say) -> Measured:
    """The section. MB are millions of bytes."""
    figures: dict[str, Any] = {}
    rss: dict[tuple[int, int], float] = {}
    with Engine() as engine, PictureHost() as host:
        measuring = Bench(engine, host)
        figures[BESIDE_SLOW] = measuring.beside_slow()
        say(f"{figures[BESIDE_SLOW]} stored beside a slow one")
        for count, size in product(_COUNTS, _SIZES):
            costs = measuring.measure(count, size)
            ours, theirs = (statistics.median(cost.seconds for cost in costs[side]) for side in _SIDES)
            rss[count, size] = max(cost.over_idle for cost in costs["ours"]) / MB
            figures[over_idle(count, size)] = round(rss[count, size], 1)
            figures[wall(count, size)] = round(ours / theirs, 3)
            say(f"{count} of {size} MB stored in {ours:.2f} s, read and put in {theirs:.2f} s")
    figures |= {by_size(count): round(rss[count, 50] / rss[count, 10], 3) for count in _COUNTS}
    figures |= {by_count(size): round(rss[10, size] / rss[5, size], 3) for size in _SIZES}
    return Measured(figures, _goals())


def _goals() -> dict[str, Goal]:
    cases = [*product(_COUNTS, _SIZES)]
    return {
        BESIDE_SLOW: Goal(least=4),
        **{over_idle(*case): Goal(most=48) for case in cases},
        **{wall(*case): Goal(most=1.0) for case in cases},
        **{by_size(count): Goal(most=1.15) for count in _COUNTS},
        **{by_count(size): Goal(most=1.15) for size in _SIZES},
    }
