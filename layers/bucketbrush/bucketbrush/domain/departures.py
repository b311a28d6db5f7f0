"""When a submit may leave: one schedule for the whole stack, first in, first out.

The provider counts submits per account (ToAPIs, async rate limits page), so all jobs share one schedule. A job takes
the next free departure and keeps it; the schedule can be stopped, by a 429 or by an operator, and then every departure
that has not left yet is later by as much. So nothing loses its place and nothing leaves in a crowd afterwards.

All times are milliseconds since 1970.
"""

import math

from bucketbrush.domain.jobs import Frozen

_SECOND = 1000


class Schedule(Frozen):
    """``next_departure`` is the first one that is free, behind all others; ``next_in_front`` the same before them.

    Nothing leaves before ``stopped_until``. ``shift`` is how much later everybody became so far; a job keeps its
    departure without it, so that what is added later moves the job as well. ``paused_at`` is since when an operator
    lets nothing leave, 0 when that is not known.
    """

    next_departure: int = 0
    next_in_front: int = 0
    stopped_until: int = 0
    shift: int = 0
    paused_at: int | None = None

    def taken(self, now: int, step: int) -> tuple["Schedule", int]:
        """The schedule after its next departure was taken, and that departure. The next one is ``step`` later."""
        leaves_at = max(self.next_departure, self.stopped_until, now)
        return self.model_copy(update={"next_departure": leaves_at + step}), leaves_at - self.shift

    def stopped(self, now: int, until: int) -> "Schedule":
        """The schedule when nothing leaves from ``now`` until ``until``; one that is stopped longer stays as it is."""
        since = max(now, self.stopped_until)
        if until <= since:
            return self
        later = self._later(since, until - since)
        return later.model_copy(
            update={"stopped_until": until, "next_in_front": max(self.next_in_front, since) + until - since}
        )

    def in_front(self, now: int, step: int) -> tuple["Schedule", int]:
        """The schedule after a departure before all others was made, and that departure; the others are ``step`` later.

        For a job that has waited for its turn already, and was refused then.
        """
        leaves_at = max(now, self.stopped_until, self.next_in_front)
        after = self._later(leaves_at, step).model_copy(update={"next_in_front": leaves_at + step})
        return after, leaves_at - after.shift

    def _later(self, since: int, delay: int) -> "Schedule":
        return self.model_copy(
            update={"next_departure": max(self.next_departure, since) + delay, "shift": self.shift + delay}
        )

    def leaves_at(self, departure: int) -> int:
        """When a departure leaves, as it stands now; one that was missed leaves as soon as the schedule runs again."""
        return max(departure + self.shift, self.stopped_until)


def step_between(submits_per_second: float) -> int:
    """Milliseconds between two departures: never more a second than were asked for."""
    return math.ceil(_SECOND / submits_per_second)
