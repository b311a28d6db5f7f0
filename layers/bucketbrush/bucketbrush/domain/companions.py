"""Which mask and which sidecar belong to a dropped picture.

Both lie beside it under a name made of its own, so a new upload of one may meet an old one of the other, and S3 says
only when each version was put there. What belongs together is therefore decided by the order in which the versions
came; where that order leaves a doubt the job is rejected, unpaid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bucketbrush.domain.errors import CompanionAwaited, RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion


@dataclass(frozen=True)
class Put:
    """A version that was put there, or with ``version`` None a deletion. ``at`` is in whole seconds since 1970."""

    at: int
    version: ObjectVersion | None

    def is_of(self, other: "Put") -> bool:
        """Whether both are the same version of one key."""
        return bool(self.version and other.version and self.version.version_id == other.version.version_id)


History: TypeAlias = Sequence[Put]
"""What happened to one key, the oldest first."""


def optional(name: str, mine: Put, pictures: History, companions: History, *, is_first: bool) -> ObjectVersion | None:
    """The companion that was there when the picture ``mine`` came, if any; ``name`` is the companion's key.

    Raises RecipeInvalid in a job's first attempt when one came later and no newer picture did: it was meant for this.
    """
    before = [put for put in companions if put.at <= mine.at]
    is_late = any(put.at > mine.at and put.version for put in companions)
    if is_first and is_late and not any(put.at > mine.at and not put.is_of(mine) for put in pictures):
        raise RecipeInvalid(
            f"{name}: found that it was uploaded after its picture; allowed: before it (in any order where the preset "
            "says that it is required). Drop the picture again to use it."
        )
    return before[-1].version if before else None


def required(name: str, mine: Put, pictures: History, companions: History, now: int, patience: int) -> ObjectVersion:
    """The companion of the picture ``mine``, uploaded before it or after; ``name`` is the companion's key.

    Each is for one picture: for the one that waits for it, else for the next that comes. Raises CompanionAwaited while
    it may still come, at most ``patience`` seconds long, and RecipeInvalid.
    """
    found, waiting = _paired(mine, _in_order(mine, pictures, companions), patience)
    if found:
        return found
    is_alone = len(waiting) == 1
    if is_alone and waiting[0].is_of(mine) and now - mine.at < patience:
        raise CompanionAwaited(f"{name}: found no such object yet; the preset requires one.")
    if not is_alone and any(picture.is_of(mine) for picture in waiting):
        said = "that its picture was uploaded several times before it"
    else:
        said = "none that was uploaded for this picture (one that was used with an earlier upload is not used again)"
    raise RecipeInvalid(
        f"{name}: found {said}; allowed: one for each upload of the picture, before it or at most {patience:,} s "
        "later. Drop both again."
    )


def _paired(mine: Put, happened: list[tuple[Put, bool]], patience: int) -> tuple[ObjectVersion | None, list[Put]]:
    """The companion of ``mine``, and the pictures that wait. Of several the next companion could be for each, so all of
    them stay without.
    """
    ready: Put | None = None
    waiting: list[Put] = []
    for put, is_companion in happened:
        waiting = waiting if waiting and put.at - waiting[-1].at <= patience else []
        if put.version is None:
            ready = None if is_companion else ready
        elif is_companion and len(waiting) != 1:
            ready = put
        elif not is_companion and ready is None:
            waiting.append(put)
        else:
            picture, companion = (waiting[0], put) if is_companion else (put, ready)
            if companion and picture.is_of(mine):
                return companion.version, []
            ready, waiting = None, []
    return None, waiting


def _in_order(mine: Put, pictures: History, companions: History) -> list[tuple[Put, bool]]:
    """All that happened, and whether it happened to the companion; of one second, companions come first.

    The picture's own time is that of its event: a large one is dated by S3 from the beginning of its upload.
    """
    others = [put for put in pictures if not put.is_of(mine)]
    happened = [*((put, True) for put in companions), *((put, False) for put in (*others, mine))]
    return sorted(happened, key=lambda item: item[0].at)
