"""A process that stores pictures, as finalize does or one by one: `python -m tests.bench.storing`."""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import sys
import time
from typing import TYPE_CHECKING

import boto3
import httpx

from bucketbrush import USUAL_THRESHOLD
from bucketbrush.adapters.answers import Task, TaskState
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.store import Links
from bucketbrush.wiring.finalize import build_finalize
from tests.bench.figures import peak_rss, rss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_INVOCATION_SECONDS = 840


class Ours:
    """Finalize's own store, built from nothing but its environment."""

    def __init__(self) -> None:
        finalize = build_finalize()
        self._store, self._provider = finalize.store, finalize.connect()

    def __call__(self, links: Sequence[str], name: str) -> None:
        job = Job(job_id="bench", state=State.WAITING, created_at=0, results_at=f"{name}/{{index}}.{{ext}}")
        task = Task("bench", TaskState.DONE, "completed", 100, tuple(links), None, None, None)
        until = time.time() + _INVOCATION_SECONDS
        stored = self._store.fetch(job, Links(self._provider, task, ""), {}, {}, until)
        if len(stored.pictures) != len(links):
            raise RuntimeError(f"{len(links)} pictures were to be stored; found {len(stored.pictures)}: {stored.later}")


class Theirs:
    """The same bytes read by one httpx stream and dropped, and as many put by boto3's transfer manager, in turn."""

    def __init__(self) -> None:
        self._s3 = boto3.client("s3")
        self._http = httpx.Client()

    def __call__(self, links: Sequence[str], name: str) -> None:
        sizes = [self._read(link) for link in links]
        for number, size in enumerate(sizes):
            self._s3.upload_fileobj(_Zeros(size), os.environ["RESULTS_BUCKET"], f"{name}/{number}")

    def _read(self, link: str) -> int:
        with self._http.stream("GET", link) as answer:
            return sum(len(chunk) for chunk in answer.iter_raw())


class _Zeros(io.RawIOBase):
    """A file of so many bytes that takes no memory but for what is read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken = self._left if size < 0 else min(size, self._left)
        self._left -= taken
        return bytes(taken)


SIDES: Mapping[str, Callable[[], Callable[[Sequence[str], str], None]]] = {"ours": Ours, "theirs": Theirs}


def main() -> None:
    """Answer each line of standard input, a name and lists of links, with seconds, and bytes of peak RSS over idle.

    A process is idle when everything is imported and built, and a small picture has been stored.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.storing", description="Store pictures by their links.")
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("small", help="link to the small picture")
    given = parser.parse_args()
    store = SIDES[given.side]()
    store([given.small], f"{given.side}/idle")
    idle = rss()
    gc.set_threshold(*USUAL_THRESHOLD)  # as when the first event is handled
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.monotonic()
        for number, links in enumerate(asked["turns"]):
            store(links, f"{asked['name']}/{number}")
        answer = {"seconds": time.monotonic() - began, "over_idle": peak_rss() - idle}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
