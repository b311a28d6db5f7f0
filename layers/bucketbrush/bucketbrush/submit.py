"""Submit: from a dropped file or a job document to one paid task at the provider.

The same code serves the queue and the workflow, and any number of deliveries of the same job: the ledger row decides
what is still to be done.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.references import Presigner
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import deadlines, layout, verdicts
from bucketbrush.domain.errors import (
    AgainRefused,
    ApiKeyMissing,
    BucketbrushError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RecipeInvalid,
    SubmitUnanswered,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import JOB_ID, Invocation, Job, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.pictures import describe, sniff
from bucketbrush.domain.recipe import (
    MAX_DOCUMENT_BYTES,
    Recipe,
    check_document,
    parse_document,
    read_recipe,
    read_references,
    request_body,
)
from bucketbrush.observability import logger
from bucketbrush.settings import SubmitSettings, UnknownPolicy

_INPUT = "execution input"  # how messages name a caller's document
_FREE = {"owner": "", "lease_until": 0}


@dataclass(frozen=True)
class Order:
    """What to do: a dropped object version, or a caller's job document; neither when the row knows already.

    A deliberate new attempt names the job whose attempt it is, and its number.
    """

    job_id: str
    source: ObjectVersion | None = None
    document: Any = None
    again_of: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class Submit:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970."""

    settings: SubmitSettings
    ledger: Ledger
    inbox: Objects
    presigner: Presigner
    connect: Callable[[], ToApis]
    now: Callable[[], float]

    def __call__(self, order: Order, invocation: Invocation) -> Job:
        """Bring the job as far as it can go now and return its row.

        Expected ends and waits are states of the row. Raises JobBusy while another invocation holds the lease, and
        AgainRefused when another job has the name of an attempt.
        """
        job = self._claim(order, invocation)
        try:
            if job.state is State.ACCEPTED:
                job = self._send(job, order)
            elif job.state is State.SUBMITTING:
                job = self._look_up(job)
        except Exception:
            self._release(job.job_id, invocation)
            raise
        return job

    def _claim(self, order: Order, invocation: Invocation) -> Job:
        now = int(self.now())
        lease = {"owner": invocation.id, "lease_until": invocation.lease_until}
        preset = layout.preset_name(order.source.key) if order.source else None
        new = Job(
            job_id=order.job_id,
            state=State.ACCEPTED,
            created_at=now,
            source=order.source,
            preset=preset,
            again_of=order.again_of,
            attempt=order.attempt,
            next_check=self._next_check(),
            **lease,
        )
        found = self.ledger.create(new)
        if found is None:
            return new
        if order.again_of != found.again_of and order.again_of:
            raise AgainRefused(f"job {order.job_id}: found a job of that name that is no attempt at {order.again_of}.")
        if not found.state.before_task:
            return found
        found.demand_free(now)
        return self.ledger.change(found, **lease)

    def _release(self, job_id: str, invocation: Invocation) -> None:
        """Let the next try begin at once; only a killed invocation makes it wait for the end of the lease."""
        row = self.ledger.get(job_id)
        if row and row.owner == invocation.id:
            self.ledger.change(row, **_FREE)

    def _send(self, job: Job, order: Order) -> Job:
        waited, limit = int(self.now()) - job.created_at, self.settings.max_queue_seconds
        if waited >= limit:
            return self._decide(job, verdicts.never_sent(waited, limit))
        try:
            recipe, references = self._prepare(job, order)
            links = [self.presigner.link(reference) for reference in references]
            provider = self.connect()
        except (RecipeInvalid, ApiKeyMissing) as problem:
            return self._decide(job, verdicts.explained(Outcome.REJECTED, problem))
        body = request_body(recipe, links, job.job_id)
        job = self.ledger.change(
            job, state=State.SUBMITTING, recipe=recipe, references=references, submitting_at=int(self.now())
        )
        return self._post(job, provider, body)

    def _post(self, job: Job, provider: ToApis, body: dict[str, Any]) -> Job:
        """The one POST. From here to the stored task id nothing else happens: whatever breaks, the row says so.

        A request that was sent once before, whose answer was lost, stays looked up whatever becomes of this one.
        """
        unsent = State.SUBMITTING if job.resends else State.ACCEPTED
        try:
            task_id = provider.submit(body)
        except ProviderBusy as refusal:
            seconds = refusal.retry_after or self.settings.refused_wait_seconds
            return self._hold(job, unsent, refusal, seconds)
        except ProviderUnreachable as problem:
            return self._hold(job, unsent, problem, self.settings.refused_wait_seconds)
        except SubmitUnanswered as problem:
            return self._hold(job, State.SUBMITTING, problem, self.settings.lookup_wait_seconds)
        except ProviderRefused as problem:
            if job.resends:
                return self._hold(job, unsent, problem, self.settings.lookup_wait_seconds)
            return self._decide(job, verdicts.explained(Outcome.FAILED, problem))
        return self._accept(job, task_id)

    def _resend(self, job: Job) -> Job:
        """UnknownPolicy ``resend-same-id``: once more, knowing that it may be paid twice."""
        links = [self.presigner.link(reference) for reference in job.references]
        provider = self.connect()
        body = request_body(job.recipe or {}, links, job.job_id)
        logger.warning("submit is sent again, as UnknownPolicy says", job_id=job.job_id)
        job = self.ledger.change(job, resends=1, submitting_at=int(self.now()))
        return self._post(job, provider, body)

    def _look_up(self, job: Job) -> Job:
        """A POST may have been written and its answer is not known: look for the task, never send again."""
        looked_for = deadlines.looked_for(job, int(self.now()))
        try:
            task = self.connect().find(job.job_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            if looked_for >= deadlines.LINK_SECONDS:
                return self._decide(job, verdicts.unknown(job, f"It could not be looked up: {problem.message}"))
            return self._hold(job, State.SUBMITTING, problem, self.settings.lookup_wait_seconds)
        if task:
            return self._accept(job, task.task_id)
        reason = f"The answer to the submit was lost and {looked_for} s later the provider knows no such task."
        if looked_for < self.settings.lookup_seconds:
            return self._hold(job, State.SUBMITTING, SubmitUnanswered(reason), self.settings.lookup_wait_seconds)
        if self.settings.unknown_policy is UnknownPolicy.RESEND and not job.resends:
            return self._resend(job)
        return self._decide(job, verdicts.unknown(job, reason))

    def _prepare(self, job: Job, order: Order) -> tuple[Recipe, tuple[ObjectVersion, ...]]:
        if job.recipe:
            return job.recipe, job.references
        if not JOB_ID.fullmatch(job.job_id):
            raise RecipeInvalid(f"execution name: found {json.dumps(job.job_id)}; allowed: 1 to 64 of a-z, 0-9 and -.")
        if job.source:
            recipe = read_recipe(*self._preset(job.preset or layout.DEFAULT_PRESET))
            references = [job.source]
        else:
            document = check_document({} if order.document is None else order.document, _INPUT)
            recipe = read_recipe(document, _INPUT, also=("references",))
            keys = read_references(document, self.settings.inbox_bucket, _INPUT)
            references = [self._pin(key) for key in keys]
        for reference in references:
            self._check_picture(reference)
        return recipe, tuple(references)

    def _preset(self, preset: str) -> tuple[dict[str, Any], str]:
        key = layout.preset_key(preset)
        name = f"s3://{self.settings.inbox_bucket}/{key}"
        text = self.inbox.read(key, MAX_DOCUMENT_BYTES + 1)
        if text is None:
            raise RecipeInvalid(
                f"preset {preset}: found no object {name}; put one there, such as "
                '{"model": "gpt-image-2-vip", "prompt": "..."}.'
            )
        return parse_document(text, name), name

    def _pin(self, key: str) -> ObjectVersion:
        version = self.inbox.current(key)
        if version is None:
            raise RecipeInvalid(f"{_INPUT}: references: found no object s3://{self.settings.inbox_bucket}/{key}.")
        return version

    def _check_picture(self, version: ObjectVersion) -> None:
        if problem := layout.drop_problem(version.key, version.size or 0):
            raise RecipeInvalid(problem)
        head = self.inbox.head(version)
        if head is None:
            raise RecipeInvalid(f"{version.uri}: found that this version was deleted.")
        if sniff(head) is None:
            raise RecipeInvalid(f"{version.uri}: found {describe(head)}; allowed: PNG or JPEG.")

    def _accept(self, job: Job, task_id: str) -> Job:
        return self.ledger.change(
            job,
            state=State.WAITING,
            task_id=task_id,
            plan=self.settings.poll_plan_seconds,
            submitted_at=job.submitting_at,
            hold_seconds=None,
            next_check=self._next_check(),
            **_FREE,
        )

    def _hold(self, job: Job, state: State, reason: BucketbrushError, least_seconds: int) -> Job:
        logger.warning("submit waits", job_id=job.job_id, state=state.value, reason=str(reason))
        # Holds grow with the trouble: an execution, and the job with it, ends at 25,000 events ("Service quotas").
        began = (job.submitting_at if state is State.SUBMITTING else None) or job.created_at
        now = int(self.now())
        seconds = max(least_seconds, (now - began) // 10)
        if state is State.ACCEPTED:
            seconds = max(1, min(seconds, job.created_at + self.settings.max_queue_seconds - now))
        return self.ledger.change(job, state=state, hold_seconds=seconds, next_check=self._next_check(seconds), **_FREE)

    def _decide(self, job: Job, verdict: Verdict) -> Job:
        logger.info("job ends before there is a task", job_id=job.job_id, outcome=verdict.outcome.value)
        return self.ledger.change(
            job, state=State.DECIDED, verdict=verdict, hold_seconds=None, next_check=self._next_check(), **_FREE
        )

    def _next_check(self, hold_seconds: int = 0) -> int:
        return int(self.now()) + hold_seconds + self.settings.sweep_after_seconds
