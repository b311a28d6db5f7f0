"""Look after a batch: count its jobs, send each line on its way, wait for the last one, and tell how all ended.

A message is one turn: it does what can be done now and sends the message of the next turn, which comes later. So a
batch waits in its queue, and nothing runs meanwhile.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from bucketbrush.adapters.batches import BatchAnnouncements, Batches, Reports
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.queues import Queue
from bucketbrush.domain import batches as rules
from bucketbrush.domain import layout
from bucketbrush.domain.batches import Batch, BatchCall, BatchSummary, LineEnd, Mark, Tally
from bucketbrush.domain.errors import BatchBusy, RecipeInvalid
from bucketbrush.domain.jobs import Invocation, Job, Line, ObjectVersion, line_job_id
from bucketbrush.observability import count, logger
from bucketbrush.settings import BatchSettings

_PIECE_BYTES = 1024 * 1024  # of the file, in one request: none stays open while other things are done
_SENT_AT_ONCE = 500  # lines between two checkpoints
_SEEN_AT_ONCE = 100  # rows of one request (DynamoDB API reference, "BatchGetItem")
_CLOSING_SECONDS = 30  # of an invocation, kept for what comes after the lines


@dataclass(frozen=True)
class LookAfterBatch:
    """The use case. ``turns`` is its own queue, ``submits`` that of the submit function; ``now`` is in seconds since
    1970.
    """

    settings: BatchSettings
    batches: Batches
    ledger: Ledger
    inbox: Objects
    reports: Reports
    turns: Queue
    submits: Queue
    announcements: BatchAnnouncements
    now: Callable[[], float]

    def __call__(self, call: BatchCall, invocation: Invocation) -> None:
        """One turn of a batch. One that has been done already does nothing.

        Raises BatchBusy while another invocation has the turn, MessagesUnsent and AnnouncementFailed.
        """
        batch = self._taken(call, invocation)
        if batch is None:
            logger.info("this turn of the batch is over", batch_id=call.batch_id, turn=call.turn)
            return
        batch, delay = self._turn(batch, invocation)
        # The next turn is sent before this one is over: whoever is killed in between does it again, and of two next
        # ones that come of it only one finds its turn.
        if batch.ended_at is None:
            self.turns.send(call.next_turn(), delay)
        self.batches.change(batch, turn=call.turn + 1, owner="", lease_until=0)

    def _taken(self, call: BatchCall, invocation: Invocation) -> Batch | None:
        """The batch, now in the hands of this invocation; None when the turn is over."""
        batch = self.batches.get(call.batch_id) or self.batches.create(self._new(call))
        if call.turn < batch.turn:
            return None
        if batch.lease_until > self.now():
            raise BatchBusy(f"batch {batch.batch_id}: another invocation works on it.")
        lease = {"owner": invocation.id, "lease_until": invocation.lease_until}
        return self.batches.change(batch, turn=call.turn, **lease)

    def _new(self, call: BatchCall) -> Batch:
        key, date = call.source.key, layout.date_of(call.requested_at)
        at = layout.results_at(self.settings.results_key, call.batch_id, self._folder(key), layout.stem(key), date)
        return Batch(
            batch_id=call.batch_id,
            source=call.source,
            requested_at=call.requested_at,
            created_at=int(self.now()),
            results_at=at,
        )

    def _turn(self, batch: Batch, invocation: Invocation) -> tuple[Batch, int]:
        """The batch after what can be done now, and in how many seconds the next turn is."""
        try:
            if batch.jobs is None:
                batch = self._count(batch)
            if batch.sent_at is None:
                batch = self._send(batch, invocation)
                return batch, 0 if batch.sent_at is None else rules.next_look(batch, int(self.now()))
            batch, now = self._look(batch, invocation), int(self.now())
            limits = self.settings.max_queue_seconds, self.settings.deadline_seconds
            if batch.seen.jobs == batch.jobs or rules.is_given_up(batch, now, *limits):
                return self._end(batch), 0
            return batch, rules.next_look(batch, now)
        except RecipeInvalid as problem:
            folder, now = self._folder(batch.source.key), int(self.now())
            return self._tell(batch, rules.summarise_unread(batch, problem, folder, now)), 0

    def _count(self, batch: Batch) -> Batch:
        """Nothing is sent of a batch that has too many jobs. It begins anew when it is interrupted: it is fast."""
        rules.demand_size(batch.source)
        jobs = rules.count_jobs(batch.source, self._lines(batch.source, Mark()))
        logger.info("batch is counted", batch_id=batch.batch_id, jobs=jobs)
        return self.batches.change(batch, jobs=jobs)

    def _send(self, batch: Batch, invocation: Invocation) -> Batch:
        """Send the lines that are left, as far as the time goes. A line that is sent twice is the same job."""
        for group in rules.grouped(self._lines(batch.source, batch.sent), _SENT_AT_ONCE):
            if self._is_closing(invocation):
                return batch
            source = batch.source.model_dump(exclude_none=True)
            shared = {"source": source, "batch": batch.batch_id, "requested_at": batch.requested_at}
            self.submits.send_batch([{"line": {**line.model_dump(), **shared}} for line in group])
            batch = self.batches.change(batch, sent=batch.sent.after(group))
        return self.batches.change(batch, sent_at=int(self.now()))

    def _look(self, batch: Batch, invocation: Invocation) -> Batch:
        """The batch, seen up to the first job that has not ended."""
        for group in rules.grouped(self._lines(batch.source, batch.seen), _SEEN_AT_ONCE):
            jobs = self._jobs(batch, group)
            ended = list(takewhile(lambda line: _has_ended(jobs.get(line.number)), group))  # noqa: B023 - used at once
            batch = batch.model_copy(update={"seen": batch.seen.after(ended)})
            if len(ended) < len(group) or self._is_closing(invocation):
                break
        return batch

    def _end(self, batch: Batch) -> Batch:
        """Write how each job ended and what that comes to, in one pass over all, and tell it."""
        tally = Tally()
        key = layout.beside(batch.results_at, rules.LINES)
        if not self.reports.write_once(key, "application/x-ndjson", self._line_ends(batch, tally)):
            tally = self._tallied(key)
        return self._tell(batch, rules.summarise(batch, tally, self._folder(batch.source.key), int(self.now())))

    def _line_ends(self, batch: Batch, tally: Tally) -> Iterator[bytes]:
        for group in rules.grouped(self._lines(batch.source, Mark()), _SEEN_AT_ONCE):
            jobs = self._jobs(batch, group, is_final=True)
            for line in group:
                job = jobs.get(line.number)
                end = rules.line_end(line, line_job_id(batch.source, batch.batch_id, line.number), job)
                tally.add(end, job)
                yield end.model_dump_json().encode() + b"\n"

    def _tallied(self, key: str) -> Tally:
        """What an earlier try has written of each line, which stays the truth."""
        tally = Tally()
        ends = map(LineEnd.model_validate_json, self.reports.read(key).splitlines())
        for group in rules.grouped(ends, _SEEN_AT_ONCE):
            jobs = {job.job_id: job for job in self.ledger.get_many([end.job_id for end in group], is_consistent=True)}
            for end in group:
                tally.add(end, jobs.get(end.job_id))
        return tally

    def _tell(self, batch: Batch, summary: BatchSummary) -> Batch:
        """Write the summary and announce it; the one that is there is the truth."""
        key = layout.beside(batch.results_at, rules.SUMMARY)
        if not self.reports.write_once(key, "application/json", [summary.model_dump_json(indent=2).encode()]):
            summary = BatchSummary.model_validate_json(self.reports.read(key))
        announcement = rules.announcement_of(summary, self.settings.results_bucket, key)
        self.announcements.tell(announcement, rules.letter_of(announcement, summary.problems))
        count("Batches", outcome=summary.outcome.value)
        logger.info("batch has ended", batch_id=batch.batch_id, outcome=summary.outcome.value)
        return batch.model_copy(update={"ended_at": summary.ended_at})

    def _lines(self, source: ObjectVersion, mark: Mark) -> Iterator[Line]:
        return rules.lines(self._pieces(source, mark.offset), mark)

    def _pieces(self, source: ObjectVersion, offset: int) -> Iterator[bytes]:
        while piece := self.inbox.read_range(source, offset, _PIECE_BYTES):
            yield piece
            offset += len(piece)

    def _jobs(self, batch: Batch, group: list[Line], *, is_final: bool = False) -> dict[int, Job]:
        """The rows of the lines' jobs, by the number of the line; none for one that is not taken in yet."""
        numbers = {line_job_id(batch.source, batch.batch_id, line.number): line.number for line in group}
        found = self.ledger.get_many(list(numbers), is_consistent=is_final)
        return {numbers[job.job_id]: job for job in found}

    def _folder(self, key: str) -> str:
        return layout.folder(key, self.settings.inbox_prefix)

    def _is_closing(self, invocation: Invocation) -> bool:
        return self.now() > invocation.ends_at - _CLOSING_SECONDS


def _has_ended(job: Job | None) -> bool:
    return job is not None and job.ended_at is not None
