"""Intake: from a message of the submit queue to a job with a running execution."""

from dataclasses import dataclass

from bucketbrush.adapters.executions import Executions
from bucketbrush.domain import layout
from bucketbrush.domain.jobs import ObjectVersion, dropped_job_id
from bucketbrush.observability import count, logger
from bucketbrush.submit import Invocation, Order, Submit


@dataclass(frozen=True)
class Drop:
    """One file dropped into the inbox: the object version and S3's ``sequencer`` of the event."""

    source: ObjectVersion
    sequencer: str


@dataclass(frozen=True)
class Intake:
    """The use case."""

    submit: Submit
    executions: Executions

    def __call__(self, drop: Drop, invocation: Invocation) -> None:
        """Submit the drop's job and start its execution, which takes it from there. Raises JobBusy."""
        key = drop.source.key
        if not key.startswith(layout.INBOX_PREFIX) or layout.is_ignored(key, drop.source.size or 0):
            count("DropsIgnored")
            return
        job = self.submit(Order(dropped_job_id(drop.source, drop.sequencer), source=drop.source), invocation)
        logger.info("drop taken in", job_id=job.job_id, state=job.state.value)
        self.executions.start(job.job_id)
