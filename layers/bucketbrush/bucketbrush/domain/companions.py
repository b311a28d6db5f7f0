"""Which mask and which sidecar belong to a dropped picture.

Both lie beside it under a name made of its own, so a new upload of one may meet an old one of the other, and S3 says
only when each version was put there. What belongs together is therefore decided by the order in which the versions
came; where that order leaves a doubt the job is rejected, unpaid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations
from typing import TypeAlias

from bucketbrush.domain.errors import CompanionAwaited, RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion

# Older ones may be for an upload that is not listed any more: old versions stay at least that long (template.yaml).
_LONGEST_AGE = 86_400
_LONGEST_UPLOAD = 300  # how long after its beginning an upload in parts may have ended
_MOST_AT_ONCE = 6  # events of one second, of which every order is thought of


@dataclass(frozen=True)
class Put:
    """A version that was put there, or with ``version`` None a deletion. ``at`` is in whole seconds since 1970."""

    at: int
    version: ObjectVersion | None

    def is_of(self, other: "Put") -> bool:
        """Whether both are the same version of one key."""
        return bool(self.version and other.version and self.version.identity == other.version.identity)


History: TypeAlias = Sequence[Put]
"""What happened to some keys, the oldest first."""


@dataclass(frozen=True)
class _State:
    """What stands between two events: the companion that the next picture takes, and the pictures that wait, of which
    each may be the one that the next companion is for.
    """

    ready: Put | None = None
    waiting: tuple[Put, ...] = ()


def optional(name: str, mine: Put, pictures: History, companions: History, *, is_first: bool) -> ObjectVersion | None:
    """The companion that is in force for the picture ``mine``, if any; ``name`` is the companion's key.

    It is the one that was there when the picture came. A job's further attempt takes also one that came later, unless a
    newer picture did. Raises RecipeInvalid for a first attempt when one came later and no newer picture did, because it
    was meant for this one, and where the order leaves a doubt.
    """
    others = [put for put in pictures if not put.is_of(mine)]
    is_newest = all(put.at <= mine.at for put in others)
    if is_first and is_newest and any(put.at > mine.at and put.version for put in companions):
        raise RecipeInvalid(
            f"{name}: found that it was uploaded after its picture; allowed: before it (in any order where the preset "
            "says that it is required). Drop the picture again to use it."
        )
    before = [put for put in companions if put.at <= mine.at or (is_newest and not is_first)]
    last = before[-1] if before else None
    earlier = [put for put in before if put.at < mine.at]
    used = max((put.at for put in others if put.at < mine.at), default=0)
    replaced = bool(earlier and earlier[-1].at > used)
    if last and (_overlap(mine, pictures) or (last.at == mine.at and _crowded(mine, last, others, before, replaced))):
        raise _doubt(name)
    return last.version if last else None


def required(name: str, mine: Put, pictures: History, companions: History, now: int, patience: int) -> ObjectVersion:
    """The companion of the picture ``mine``, uploaded before it or after; ``name`` is the companion's key.

    Each is for one picture: for the one that waits for it, else for the next that comes. Raises CompanionAwaited while
    it may still come, at most ``patience`` seconds long, and RecipeInvalid.
    """
    others = [put for put in pictures if not put.is_of(mine)]
    found, states = _paired(mine, _in_order(mine, others, companions), patience)
    waits = [mine in state.waiting for state in states]
    is_doubtful = len(found) + bool(states) > 1 or (any(waits) and not all(waits))
    is_doubtful |= any(mine in state.waiting and len(state.waiting) > 1 for state in states)
    if is_doubtful or _overlap(mine, pictures):
        raise _doubt(name)
    if now - mine.at <= _LONGEST_AGE:
        if found:
            return found.popitem()[1]
        if any(waits) and now - mine.at < patience:
            raise CompanionAwaited(f"{name}: found no such object yet; the preset requires one.")
    raise RecipeInvalid(
        f"{name}: found none that was uploaded for this picture (one that was used with an earlier upload is not used "
        f"again); allowed: one for each upload of the picture, at most a day before it or {patience:,} s later. Drop "
        "both again."
    )


def _paired(
    mine: Put, happened: list[tuple[Put, bool]], patience: int
) -> tuple[dict[tuple[str, str], ObjectVersion], set[_State]]:
    """What every order of the events of each second leads to: the companions that ``mine`` gets, and what stands at the
    end where it gets none.
    """
    found: dict[tuple[str, str], ObjectVersion] = {}
    states = {_State()}
    for _, group in groupby(happened, key=lambda item: item[0].at):
        events = list(group)
        orders = permutations(events) if len(events) <= _MOST_AT_ONCE else (events, events[::-1])
        following: set[_State] = set()
        for order in orders:
            reached = states
            for put, is_companion in order:
                reached = {
                    after for state in reached for after in _after(state, put, is_companion, patience, mine, found)
                }
            following |= reached
        states = following
    return found, states


def _after(
    state: _State,
    put: Put,
    is_companion: bool,
    patience: int,
    mine: Put,
    found: dict[tuple[str, str], ObjectVersion],
) -> Iterator[_State]:
    """What one event makes of what stood before; the companion of ``mine`` is added to ``found``."""
    for waiting in _still_waiting(state.waiting, put.at, patience):
        ready = state.ready if state.ready and put.at - state.ready.at <= _LONGEST_AGE else None
        if put.version is None:
            yield _State(None if is_companion else ready, waiting)
        elif is_companion and len(waiting) != 1:
            yield _State(put, waiting)
        elif not is_companion and ready is None:
            yield _State(None, (*waiting, put))
        else:
            picture, companion = (waiting[0], put) if is_companion else (put, ready)
            if not picture.is_of(mine):
                yield _State()
            elif companion and companion.version:
                found[companion.version.identity] = companion.version


def _still_waiting(waiting: tuple[Put, ...], now: int, patience: int) -> Iterator[tuple[Put, ...]]:
    """The pictures that may wait still. S3 dates an upload in parts by its beginning, so it may have come later."""
    age = now - waiting[-1].at if waiting else 0
    if age > patience:
        yield ()
    last = waiting[-1].version if waiting else None
    if age <= patience or (last and "-" in (last.etag or "") and age <= patience + _LONGEST_UPLOAD):
        yield waiting


def _in_order(mine: Put, others: History, companions: History) -> list[tuple[Put, bool]]:
    """All that happened, and whether it happened to the companion.

    The picture's own time is that of its event: a large one is dated by S3 from the beginning of its upload.
    """
    happened = [*((put, True) for put in companions), *((put, False) for put in (*others, mine))]
    return sorted(happened, key=lambda item: item[0].at)


def _overlap(mine: Put, pictures: History) -> bool:
    """Whether another upload of the picture began while this one was under way."""
    began = next((put.at for put in pictures if put.is_of(mine)), mine.at)
    return any(began <= put.at <= mine.at and put.version and not put.is_of(mine) for put in pictures)


def _crowded(mine: Put, companion: Put, others: History, companions: History, replaced: bool) -> bool:
    """Whether so much happened within one second that nobody knows in which order."""
    seconds = {mine.at, companion.at}
    besides = [put for put in (*others, *companions) if put.at in seconds and put is not companion]
    return bool(besides) or companion.version is None or (replaced and companion.at == mine.at)


def _doubt(name: str) -> RecipeInvalid:
    return RecipeInvalid(
        f"{name}: found several uploads of it or of its picture at once, so nobody knows which belong together; "
        "allowed: one after the other. Drop both again."
    )
