"""Depart: give each job its turn to be sent, and keep everybody back while an operator or the provider says so."""

from collections.abc import Callable
from dataclasses import dataclass

from bucketbrush.adapters.departures import Departures
from bucketbrush.domain import deadlines
from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.errors import BucketbrushError, DepartureAhead, IntakePaused, ProviderBusy
from bucketbrush.domain.jobs import Departure, Job
from bucketbrush.domain.life import State
from bucketbrush.domain.redact import redact
from bucketbrush.observability import logger

_MS = 1000
_LONGEST_STOP = 300  # seconds: so long may a resume take
_SHORT = 1000  # ms that the function itself waits for: an execution's waits have whole seconds


@dataclass(frozen=True)
class Turn:
    """``leaves_at`` is when the job's departure is, as it stands now: milliseconds since 1970.

    ``problem`` says why the job must wait in its execution until ``leaves_at``; None when it can be prepared for
    sending.
    """

    departure: Departure
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
        """The job's turn as it stands now. Raises DeparturesFull and DeparturesBusy."""
        now = self._now()
        schedule, departure = self._departure(job, now)
        leaves_at = schedule.leaves_at(departure)
        if schedule.paused_at is not None:
            if leaves_at <= now + _SHORT:
                leaves_at = self._pause(now, schedule.paused_at).leaves_at(departure)
            return Turn(departure, leaves_at, IntakePaused("intake: found paused."))
        # One that has not waited yet waits in its execution, even for a moment: whoever takes drops in is not held up.
        wait = leaves_at - now
        if wait > (0 if _is_new(job) else _SHORT):
            return Turn(departure, leaves_at, DepartureAhead(f"departure: in {wait / _MS:,.1f} s."))
        return Turn(departure, leaves_at)

    def wait_for(self, turn: Turn) -> None:
        """The rest of the time until the turn has come: a second at most."""
        self.sleep(min(_SHORT, max(0, turn.leaves_at - self._now())) / _MS)

    def stop(self, seconds: int) -> None:
        """Keep everybody back for so many seconds, because the provider would refuse everybody.

        At most for some minutes, whatever was asked for: whoever comes next then is refused, or ends a mistake.
        """
        now = self._now()
        try:
            self.departures.stop(now, now + min(seconds, _LONGEST_STOP) * _MS)
        except Exception as problem:  # noqa: BLE001 - the job is held already; whoever comes next stops them then
            logger.warning("departures are not stopped", reason=redact(repr(problem)))

    def _departure(self, job: Job, now: int) -> tuple[Schedule, Departure]:
        """The job's departure, which it has or takes now: in front when it was sent in vain, or has missed its own.

        Behind all others, though, when the provider was busy with what it asks for: those that ask for something else
        would wait for it.
        """
        was_busy = job.state is State.ACCEPTED and job.hold_reason == ProviderBusy.__name__
        if was_busy or _is_new(job):
            return self.departures.take(now, (job.created_at + self.queue_seconds) * _MS)
        if job.departure is not None:
            schedule = self.departures.read()
            if not schedule.is_missed(job.departure, now):
                return schedule, job.departure
        return self.departures.make_in_front(now)

    def _pause(self, now: int, since: int) -> Schedule:
        age = now - since if since <= now else now  # one that begins later was typed wrong
        seconds = min(_LONGEST_STOP, deadlines.ever_longer(self.look_seconds, age // _MS))
        return self.departures.stop(now, now + seconds * _MS)

    def _now(self) -> int:
        return int(self.now() * _MS)


def _is_new(job: Job) -> bool:
    return job.departure is None and job.submitting_at is None
