"""Which mask and which sidecar belong to a dropped picture.

Both lie beside it under a name made of its own, so a new upload of one may meet an old one of the other, and S3 says
only when each version was put there. What belongs together is therefore decided by the order in which the versions
came; where that order leaves a doubt the job is rejected, unpaid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from bucketbrush.domain.errors import CompanionAwaited, RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion

# Older ones may be for an upload that is not listed any more: old versions stay at least that long (template.yaml).
_LONGEST_AGE = 86_400


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


class _Pair(NamedTuple):
    """The companion of a picture, if it has one; else the pictures that wait with it, of which each may be the one that
    the next companion is for. ``replaced`` another one in the picture's own second.
    """

    companion: Put | None
    waiting: list[Put]
    replaced: bool


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
    if _overlap(mine, pictures) or (last and last.at == mine.at and _crowded(mine, last, others, before, replaced)):
        raise _doubt(name)
    return last.version if last else None


def required(name: str, mine: Put, pictures: History, companions: History, now: int, patience: int) -> ObjectVersion:
    """The companion of the picture ``mine``, uploaded before it or after; ``name`` is the companion's key.

    Each is for one picture: for the one that waits for it, else for the next that comes. Raises CompanionAwaited while
    it may still come, at most ``patience`` seconds long, and RecipeInvalid.
    """
    others = [put for put in pictures if not put.is_of(mine)]
    pair = _paired(mine, _in_order(mine, others, companions), patience)
    is_mine = [put.is_of(mine) for put in pair.waiting]
    if _overlap(mine, pictures) or (any(is_mine) and len(is_mine) > 1):
        raise _doubt(name)
    if pair.companion and pair.companion.version:
        if _crowded(mine, pair.companion, others, companions, pair.replaced):
            raise _doubt(name)
        return pair.companion.version
    if is_mine == [True] and now - mine.at < patience:
        raise CompanionAwaited(f"{name}: found no such object yet; the preset requires one.")
    raise RecipeInvalid(
        f"{name}: found none that was uploaded for this picture (one that was used with an earlier upload is not used "
        f"again); allowed: one for each upload of the picture, at most a day before it or {patience:,} s later. Drop "
        "both again."
    )


def _paired(mine: Put, happened: list[tuple[Put, bool]], patience: int) -> _Pair:
    ready: Put | None = None
    waiting: list[Put] = []
    replaced = False
    for put, is_companion in happened:
        waiting = waiting if waiting and put.at - waiting[-1].at <= patience else []
        ready = ready if ready and put.at - ready.at <= _LONGEST_AGE else None
        if put.version is None:
            ready = None if is_companion else ready
        elif is_companion and len(waiting) != 1:
            replaced = ready is not None and put.at == mine.at
            ready = put
        elif not is_companion and ready is None:
            waiting.append(put)
        else:
            picture, companion = (waiting[0], put) if is_companion else (put, ready)
            if picture.is_of(mine):
                return _Pair(companion, [], replaced)
            ready, waiting = None, []
    return _Pair(None, waiting, replaced)


def _in_order(mine: Put, others: History, companions: History) -> list[tuple[Put, bool]]:
    """All that happened, and whether it happened to the companion; of one second, companions come first.

    The picture's own time is that of its event: a large one is dated by S3 from the beginning of its upload.
    """
    happened = [*((put, True) for put in companions), *((put, False) for put in (*others, mine))]
    return sorted(happened, key=lambda item: item[0].at)


def _overlap(mine: Put, pictures: History) -> bool:
    """Whether another upload of the picture began while this one was under way."""
    began = next((put.at for put in pictures if put.is_of(mine)), mine.at)
    return any(began < put.at <= mine.at and not put.is_of(mine) for put in pictures)


def _crowded(mine: Put, companion: Put, others: History, companions: History, replaced: bool) -> bool:
    """Whether so much happened within one second that nobody knows in which order."""
    seconds = {mine.at, companion.at}
    besides = [put for put in (*others, *companions) if put.at in seconds and put is not companion]
    return bool(besides) or (replaced and companion.at == mine.at)


def _doubt(name: str) -> RecipeInvalid:
    return RecipeInvalid(
        f"{name}: found several uploads of it or of its picture at once, so nobody knows which belong together; "
        "allowed: one after the other. Drop both again."
    )
