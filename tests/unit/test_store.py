"""Pictures are stored side by side: whoever is slow, dead or broken, the others get home, and it is told in order."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.answers import TaskState
from bucketbrush.adapters.objects import SIDE_BY_SIDE
from bucketbrush.domain.errors import LinkDead, ResultUnstored
from bucketbrush.domain.jobs import Job, ObjectVersion
from bucketbrush.domain.life import State
from bucketbrush.store import Links, Store, Stored
from tests.unit.fakes import PNG, PROMPT, FakeApi, FakeObjects, task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 840
PATIENCE = 5  # real seconds; only what fails waits so long
JOB = Job(job_id="cat-1", state=State.WAITING, created_at=0, results_at="results/cat-1/{index}.{ext}")


class Results(FakeObjects):
    """A bucket that can be waited for."""

    def __init__(self) -> None:
        super().__init__("results-bucket")
        self._stored: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def put(self, key: str, content: bytes) -> ObjectVersion:
        version = super().put(key, content)
        self._stored[key].set()
        return version

    def demand(self, key: str) -> None:
        """Wait until it is there."""
        assert self._stored[key].wait(PATIENCE), f"never stored: {key}"


class Host:
    """The pictures of one task, at a time that only the test moves."""

    def __init__(self, *pictures: Any) -> None:
        self.time = 0.0
        self.results = Results()
        self.api = FakeApi()
        self.api.pictures = {f"https://files/{number}": picture for number, picture in enumerate(pictures, 1)}
        self.api.task = task(TaskState.DONE, *self.api.pictures)

    def fetch(self) -> Stored:
        fakes: Any = {"results": self.results}
        provider: Any = self.api
        links = Links(provider, self.api.task, PROMPT)
        return Store(**fakes, now=lambda: self.time).fetch(JOB, links, {}, {}, SECONDS)

    def dripping(self, step: float = 10) -> Iterator[bytes]:
        """A picture without end, each piece of which takes so many seconds."""
        yield PNG
        while True:
            self.time += step
            yield b"\0"


def key(number: int) -> str:
    return f"results/cat-1/{number}.png"


def together(act: Callable[[], object] = lambda: None) -> threading.Barrier:
    """Where as many pictures meet as are stored side by side."""
    return threading.Barrier(SIDE_BY_SIDE, act, PATIENCE)


def meeting(barrier: threading.Barrier, *after: Callable[[], object]) -> Iterator[bytes]:
    """A picture of which the first bytes have come when those of the others have."""
    barrier.wait()
    yield PNG[:16]
    for act in after:
        act()
    yield PNG[16:]


def test_pictures_are_fetched_side_by_side() -> None:
    barrier = together()
    host = Host(*[lambda: meeting(barrier)] * SIDE_BY_SIDE)
    assert sorted(host.fetch().pictures) == [1, 2, 3]


def test_no_more_are_fetched_at_once_than_memory_is_for() -> None:
    barrier, lock, alive, most = together(), threading.Lock(), Counter[str](), Counter[str]()

    def counted() -> Iterator[bytes]:
        with lock:
            alive["now"] += 1
            most["ever"] = max(most["ever"], alive["now"])
        yield from meeting(barrier)
        with lock:
            alive["now"] -= 1

    assert len(Host(*[counted] * (3 * SIDE_BY_SIDE)).fetch().pictures) == 3 * SIDE_BY_SIDE
    assert most["ever"] == SIDE_BY_SIDE


def test_one_that_drips_does_not_hold_up_the_others() -> None:
    def slow() -> Iterator[bytes]:
        yield PNG[:16]
        for number in range(2, 10):
            host.results.demand(key(number))
        yield PNG[16:]

    host = Host(slow, *[PNG] * 8)
    assert sorted(host.fetch().pictures) == [*range(1, 10)]
    assert host.results.writes[-1] == key(1)


def test_slow_ones_on_all_places_make_room_for_who_waits_and_get_a_second_try() -> None:
    """The hosts are slow together, for a minute; the fourth picture waits for its first try."""
    last = SIDE_BY_SIDE + 1

    def pass_a_minute() -> None:
        host.time += 61

    barrier = together(pass_a_minute)
    first = [lambda: meeting(barrier, lambda: host.results.demand(key(last)))] * SIDE_BY_SIDE
    host = Host(*first, PNG)
    links = list(host.api.pictures)
    tried: Counter[str] = Counter()

    def once(url: str) -> Callable[[], Iterator[bytes]]:
        def picture() -> Iterator[bytes]:
            tried[url] += 1
            slow: Any = first[0]
            return slow() if tried[url] == 1 else iter([PNG])

        return picture

    host.api.pictures.update({url: once(url) for url in links[:-1]})
    assert sorted(host.fetch().pictures) == [1, 2, 3, last]
    assert host.results.writes[0] == key(last)
    assert max(tried.values()) == 2


def test_all_that_drip_have_their_turn_and_are_told_in_order() -> None:
    host = Host(*[lambda: host.dripping()] * 10)
    stored = host.fetch()
    assert set(host.api.downloads) == set(host.api.pictures)
    assert [text.partition(": ")[0] for text in stored.later] == [f"Picture {number}" for number in range(1, 11)]
    assert {text.partition(": ")[2] for text in stored.later} <= {
        "result link: the download took longer than its share of the time.",
        "result link: no time was left for the download.",
    }
    assert SECONDS < host.time <= SECONDS + 10 * (SIDE_BY_SIDE + 1), "and none is begun when the time is over"


def test_one_that_drips_alone_may_take_all_the_time() -> None:
    def steady() -> Iterator[bytes]:
        yield PNG[:16]
        host.time = SECONDS
        yield PNG[16:]

    host = Host(steady)
    assert host.fetch().later == []
    host = Host(lambda: host.dripping())
    assert len(host.fetch().later) == len(host.api.downloads) == 1


def test_links_that_die_together_are_read_anew_once() -> None:
    """Each has asked for its picture before the first learns of the new links."""
    barrier = together()

    def dead() -> Iterator[bytes]:
        barrier.wait()
        raise LinkDead("result link: HTTP 403; allowed: 200.")
        yield b""

    host = Host(*[dead] * SIDE_BY_SIDE)
    fresh = [f"https://new/{number}" for number in (1, 2, 3)]
    host.api.pictures |= dict.fromkeys(fresh, PNG)
    host_task, host.api.task = host.api.task, task(TaskState.DONE, *fresh)
    provider: Any = host.api
    results: Any = host.results
    stored = Store(results, lambda: 0).fetch(JOB, Links(provider, host_task, PROMPT), {}, {}, SECONDS)
    assert sorted(stored.pictures) == [1, 2, 3]
    assert host.api.reads == [("tsk_1", PROMPT)]


@pytest.mark.parametrize("fault", [OSError("no room"), KeyboardInterrupt()])
def test_a_fault_ends_the_others_and_leaves_no_thread_behind(fault: BaseException) -> None:
    """A thread that went on would be frozen with the function's environment, and thawed in another's invocation."""
    barrier, before = together(), {*threading.enumerate()}

    def broken() -> Iterator[bytes]:
        barrier.wait()
        raise fault
        yield b""

    def endless() -> Iterator[bytes]:
        barrier.wait()
        yield from islice(host.dripping(step=0), 10**6)
        pytest.fail("it went on")

    host = Host(endless, broken, endless, PNG)
    with pytest.raises(type(fault)):
        host.fetch()
    assert {*threading.enumerate()} <= before
    assert host.results.writes == []


def test_why_pictures_are_missing_is_told_in_their_order() -> None:
    """The first is the last to fail."""
    broken = ResultUnstored("result: found 1 of 2 announced bytes.")

    def late() -> Iterator[bytes]:
        host.results.demand(key(3))
        raise broken
        yield b""

    host = Host(late, broken, PNG)
    stored = host.fetch()
    assert [text[:9] for text in stored.later] == ["Picture 1", "Picture 2"]
    assert list(stored.pictures) == [3]
