"""Store: a task's pictures, each by itself, streamed from its link into the results bucket."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bucketbrush.adapters.answers import Task
from bucketbrush.adapters.objects import Objects, Tags
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import layout
from bucketbrush.domain.errors import LinkDead, PictureUnreadable, ResultUnstored, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.result import Picture


@dataclass
class Links:
    """The links of a task's pictures; once, when one of them is dead, all are read anew."""

    provider: ToApis
    task: Task
    prompt: str
    are_fresh: bool = False

    def refresh(self) -> bool:
        """Whether there may be others now."""
        if self.are_fresh:
            return False
        self.are_fresh = True
        with suppress(TaskUnreadable):
            fresh = self.provider.read(self.task.task_id, prompt=self.prompt).urls
            if len(fresh) >= len(self.task.urls):  # in a shorter list the pictures have other numbers
                self.task = replace(self.task, urls=fresh)
        return True


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
        """Store what is not kept. The time until ``until`` is shared: each picture has its part of what is left."""
        total = len(links.task.urls)
        if kept and total < (job.links or 0):
            # Pictures are numbered by their links: in a shorter list the numbers are others.
            return Stored(kept, later=[f"Task {links.task.task_id} lists {total} links now, and {job.links} before."])
        stored = Stored({**kept})
        if not total:
            stored.later.append(f"Task {links.task.task_id} completed without a single link.")
        for number in range(1, total + 1):
            if number in kept:
                continue
            share = (until - self.now()) / (total + 1 - number)
            stem = layout.picture_stem(job.pictures_at, number)
            try:
                stored.pictures[number] = self._fetch_twice(stem, links, number, tags, self.now() + share)
            except PictureUnreadable as problem:
                stored.never.append(f"Picture {number}: {problem.message}")
            except ResultUnstored as problem:
                stored.later.append(f"Picture {number}: {problem.message}")
        return stored

    def _fetch_twice(self, stem: str, links: Links, number: int, tags: Tags, until: float) -> Picture:
        """A picture, with a second try when the first leaves time: by a new link when the old one is dead."""
        try:
            return self._fetch(stem, links, number, tags, until)
        except ResultUnstored as problem:
            if self.now() > until or (isinstance(problem, LinkDead) and not links.refresh()):
                raise
        return self._fetch(stem, links, number, tags, until)

    def _fetch(self, stem: str, links: Links, number: int, tags: Tags, until: float) -> Picture:
        with links.provider.download(links.task.urls[number - 1]) as (chunks, announced):
            return self.results.store_picture(stem, self._within(chunks, until), announced, tags)

    def _within(self, chunks: Iterator[bytes], until: float) -> Iterator[bytes]:
        """The chunks, as long as there is time: a host that drips must not hold up the other pictures."""
        for chunk in chunks:
            if self.now() > until:
                raise ResultUnstored("result link: the download took longer than its share of the time.")
            yield chunk
