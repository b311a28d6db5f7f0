"""Depart: give each job its turn to be sent, and keep everybody back while an operator or the provider says so."""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.departures import Departures
from bucketbrush.domain.errors import BucketbrushError, DepartureAhead, IntakePaused, JobBusy, RateLimited
from bucketbrush.domain.jobs import Job
from bucketbrush.observability import logger

_MS = 1000
_LONGEST_STOP = 300  # seconds: so long may a resume take
_SHORT = 1000  # ms that the function itself waits for: an execution's waits have whole seconds


@dataclass(frozen=True)
class Turn:
    """``departure`` is the job's own in the schedule, ``leaves_at`` when that is now: milliseconds since 1970.

    ``problem`` says why the job must wait in its execution until ``leaves_at``; None when it can be prepared for
    sending.
    """

    departure: int
    leaves_at: int
    problem: BucketbrushError | None = None


@dataclass(frozen=True)
class Depart:
    """The use case. ``now`` is in seconds since 1970, ``sleep`` waits for seconds. A job may wait to be sent for
    ``queue_seconds``; while the intake is paused it looks again after ``look_seconds`` at least.
    """

    departures: Departures
    now: Callable[[], float]
    sleep: Callable[[float], None]
    queue_seconds: int
    look_seconds: int

    def turn(self, job: Job) -> Turn:
        """The job's turn as it stands now. Raises DeparturesFull."""
        now = self._now()
        was_refused = job.submitting_at is not None
        is_new = job.departure is None and not was_refused
        if job.departure is not None:
            schedule, departure = self.departures.read(), job.departure
        elif was_refused:
            schedule, departure = self.departures.take_in_front(now)
        else:
            schedule, departure = self.departures.take(now, (job.created_at + self.queue_seconds) * _MS)
        leaves_at = schedule.leaves_at(departure)
        is_paused = schedule.paused_at is not None
        if schedule.paused_at is not None and leaves_at <= now + _SHORT:
            # Ever longer: an execution, and the job with it, ends at 25,000 events ("Service quotas").
            age = (now - schedule.paused_at) // _MS
            seconds = min(_LONGEST_STOP, max(self.look_seconds, age // 10))
            leaves_at = self.departures.stop(now, now + seconds * _MS).leaves_at(departure)
        wait = leaves_at - now
        if is_paused:
            return Turn(departure, leaves_at, IntakePaused("intake: found paused."))
        if wait > (0 if is_new else _SHORT):
            return Turn(departure, leaves_at, DepartureAhead(f"departure: in {wait / _MS:,.1f} s."))
        return Turn(departure, leaves_at)

    def wait_for(self, turn: Turn) -> None:
        """The rest of the time until the turn has come: a second at most."""
        self.sleep(min(_SHORT, max(0, turn.leaves_at - self._now())) / _MS)

    def refused(self, problem: BucketbrushError, seconds: int) -> None:
        """Keep everybody back for so many seconds when the provider would refuse everybody.

        At most for some minutes, whatever was asked for: whoever comes next then is refused, or ends a mistake.
        """
        if not isinstance(problem, RateLimited):
            return
        now = self._now()
        try:
            self.departures.stop(now, now + min(seconds, _LONGEST_STOP) * _MS)
        except JobBusy as busy:  # whoever comes next is refused as well and stops them then
            logger.warning("departures are not stopped", reason=str(busy))

    def _now(self) -> int:
        return int(self.now() * _MS)
