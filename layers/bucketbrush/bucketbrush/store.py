"""Store: a task's pictures, a few side by side, each streamed from its link into the results bucket."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock

from bucketbrush.adapters.answers import Task
from bucketbrush.adapters.objects import SIDE_BY_SIDE, Objects, Tags
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import layout
from bucketbrush.domain.errors import BucketbrushError, LinkDead, PictureUnreadable, ResultUnstored, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.result import Picture

_PATIENCE = 60  # seconds that a picture may take while others wait for their first try


@dataclass
class Links:
    """The links of a task's pictures; once, when one of them is dead, all are read anew."""

    provider: ToApis
    task: Task
    prompt: str
    _are_fresh: bool = False
    _lock: Lock = field(default_factory=Lock)

    def refresh(self) -> None:
        """Who comes while they are read waits for them."""
        with self._lock:
            if self._are_fresh:
                return
            self._are_fresh = True
            with suppress(TaskUnreadable):
                fresh = self.provider.read(self.task.task_id, prompt=self.prompt).urls
                if len(fresh) >= len(self.task.urls):  # in a shorter list the pictures have other numbers
                    self.task = replace(self.task, urls=fresh)


@dataclass
class Stored:
    """The pictures that are stored, by their number, why some never will be, and why some are not yet."""

    pictures: dict[int, Picture]
    never: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Store:
    """``now`` is in seconds since 1970."""

    results: Objects
    now: Callable[[], float]

    def kept(self, job: Job, there: Iterable[str]) -> dict[int, Picture]:
        """The pictures that an earlier try has stored; ``there`` are the keys beside them."""
        numbers = {key: layout.picture_number(job.pictures_at, key) for key in there}
        return {number: self.results.picture(key) for key, number in numbers.items() if number is not None}

    def fetch(self, job: Job, links: Links, kept: dict[int, Picture], tags: Tags, until: float) -> Stored:
        """Store what is not kept, in the time until ``until``, as ``_Fetch`` shares it."""
        total = len(links.task.urls)
        if kept and total < (job.links or 0):
            # Pictures are numbered by their links: in a shorter list the numbers are others.
            return Stored(kept, later=[f"Task {links.task.task_id} lists {total} links now, and {job.links} before."])
        if not total:
            return Stored({**kept}, later=[f"Task {links.task.task_id} completed without a single link."])
        missing = [number for number in range(1, total + 1) if number not in kept]
        fetch = _Fetch(self.results, self.now, job.pictures_at, links, tags, until, deque(missing))
        fetch()
        return Stored({**kept, **fetch.stored}, _told(fetch.never), _told(fetch.later))


@dataclass
class _Fetch:
    """Pictures on their way, by SIDE_BY_SIDE workers. In ``first`` and ``second`` are those that wait for such a try.

    A picture whose first try fails gets its second when all others have begun their first. Each try has a share: the
    time that is left, divided by the rounds that the workers need for it and for those who wait. While nobody waits it
    may go on until ``until``; else its share ends it, and _PATIENCE when somebody waits for a first try. So those that
    drip, however many, make room for the others, and what is only slow has most of the time in its second try.
    """

    results: Objects
    now: Callable[[], float]
    pictures_at: str
    links: Links
    tags: Tags
    until: float
    first: deque[int]
    second: deque[int] = field(default_factory=deque)
    stored: dict[int, Picture] = field(default_factory=dict)
    never: dict[int, PictureUnreadable] = field(default_factory=dict)
    later: dict[int, ResultUnstored] = field(default_factory=dict)
    is_over: bool = False  # for a fault that is none of a picture's

    def __call__(self) -> None:
        """Try until nobody waits; the caller is one of the workers. No thread is left when it returns or raises."""
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            others = [pool.submit(self._work) for _ in range(min(SIDE_BY_SIDE, len(self.first)) - 1)]
            self._work()
        for other in others:
            other.result()

    def _work(self) -> None:
        try:
            while not self.is_over:
                if number := _next(self.first):
                    self._try(number, is_first=True)
                elif number := _next(self.second):
                    self._try(number, is_first=False)
                else:
                    return
        except BaseException:
            self.is_over = True
            raise

    def _try(self, number: int, *, is_first: bool) -> None:
        try:
            self.stored[number] = self._store(number)
        except PictureUnreadable as problem:
            self.never[number] = problem
        except ResultUnstored as problem:
            if not is_first or self.now() > self.until:
                self.later[number] = problem
                return
            if isinstance(problem, LinkDead):
                self.links.refresh()
            self.second.append(number)

    def _store(self, number: int) -> Picture:
        began, waiting = self.now(), len(self.first) + len(self.second)
        if began > self.until:
            raise ResultUnstored("result link: no time was left for the download.")
        share = (self.until - began) / (1 + math.ceil(waiting / SIDE_BY_SIDE))
        with self.links.provider.download(self.links.task.urls[number - 1]) as (chunks, announced):
            stem = layout.picture_stem(self.pictures_at, number)
            return self.results.store_picture(stem, self._within(chunks, began, share), announced, self.tags)

    def _within(self, chunks: Iterator[bytes], began: float, share: float) -> Iterator[bytes]:
        """The chunks, as long as there is time."""
        for chunk in chunks:
            if self.is_over or self.now() > self._end(began, share):
                raise ResultUnstored("result link: the download took longer than its share of the time.")
            yield chunk

    def _end(self, began: float, share: float) -> float:
        """Of a try, by who waits at this moment."""
        if self.first:
            return began + min(share, _PATIENCE)
        return began + share if self.second else self.until


def _next(waiting: deque[int]) -> int | None:
    """Numbers begin at 1. Another worker may take the last one at any moment."""
    with suppress(IndexError):
        return waiting.popleft()
    return None


def _told(problems: Mapping[int, BucketbrushError]) -> list[str]:
    """In the order of the pictures, whichever ended first."""
    return [f"Picture {number}: {problem.message}" for number, problem in sorted(problems.items())]
