"""When a submit may leave: one schedule for the whole stack, first in, first out.

The provider counts submits per account (ToAPIs, async rate limits page), so all jobs share one schedule. A job takes
the next free departure and keeps it; the schedule can be stopped, by a 429 or by an operator, and then every departure
that has not left yet is later by as much. So nothing loses its place and nothing leaves in a crowd afterwards.

All times are milliseconds since 1970.
"""

import math

from bucketbrush.domain.jobs import Departure, Frozen

_SECOND = 1000
_GRACE = 5 * _SECOND  # a function's cold start, and a little more


class Schedule(Frozen):
    """``next_departure`` is the first one that is free, behind all others; ``next_in_front`` the same before them.

    Nothing leaves before ``stopped_until``. ``shift`` is how much later everybody became by stops so far, ``inserted``
    how much later all but those in front became by those in front. A job keeps its departure without both, so that
    what is added later moves the job as well. ``paused_at`` is since when an operator lets nothing leave, 0 when that
    is not known.
    """

    next_departure: int = 0
    next_in_front: int = 0
    stopped_until: int = 0
    shift: int = 0
    inserted: int = 0
    paused_at: int | None = None

    def taken(self, now: int, step: int) -> tuple["Schedule", Departure]:
        """The schedule after its next departure was taken, and that departure. The next one is ``step`` later."""
        leaves_at = max(self.next_departure, self.stopped_until, now)
        departure = Departure(at=leaves_at - self.shift - self.inserted)
        return self.model_copy(update={"next_departure": leaves_at + step}), departure

    def stopped(self, now: int, until: int) -> "Schedule":
        """The schedule when nothing leaves from ``now`` until ``until``; one that is stopped longer stays as it is."""
        since = max(now, self.stopped_until)
        delay = until - since
        if delay <= 0:
            return self
        return self.model_copy(
            update={
                "next_departure": max(self.next_departure, since) + delay,
                "next_in_front": max(self.next_in_front, since) + delay,
                "stopped_until": until,
                "shift": self.shift + delay,
            }
        )

    def made_in_front(self, now: int, step: int) -> tuple["Schedule", Departure]:
        """The schedule after a departure before all others was made, and that one; the others are ``step`` later."""
        leaves_at = max(now, self.stopped_until, self.next_in_front)
        after = self.model_copy(
            update={
                "next_departure": max(self.next_departure, leaves_at) + step,
                "next_in_front": leaves_at + step,
                "inserted": self.inserted + step,
            }
        )
        return after, Departure(at=leaves_at - self.shift, in_front=True)

    def waiting(self, now: int, step: int) -> int:
        """How many departures are ahead."""
        return max(0, (self.next_departure - max(now, self.stopped_until) - 1) // step)

    def leaves_at(self, departure: Departure) -> int:
        """When a departure leaves, as it stands now; one that was missed leaves as soon as the schedule runs again."""
        return max(self._due(departure), self.stopped_until)

    def is_missed(self, departure: Departure, now: int) -> bool:
        """Whether it left so long ago that others have taken the time that was its own."""
        return self._due(departure) < max(now - _GRACE, self.stopped_until)

    def _due(self, departure: Departure) -> int:
        return departure.at + self.shift + (0 if departure.in_front else self.inserted)


def step_between(submits_per_second: float) -> int:
    """Milliseconds between two departures: never more a second than were asked for."""
    return math.ceil(_SECOND / submits_per_second)
