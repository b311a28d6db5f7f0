"""Submit: from a dropped file or a job document to one paid task at the provider.

The same code serves the queue and the workflow, and any number of deliveries of the same job: the ledger row decides
what is still to be done.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.depart import Depart
from bucketbrush.domain import deadlines, layout, money, verdicts
from bucketbrush.domain.errors import (
    AgainRefused,
    ApiKeyMissing,
    BucketbrushError,
    BudgetBusy,
    BudgetExceeded,
    CompanionAwaited,
    DepartureAhead,
    DeparturesFull,
    HandoverUnfinished,
    IntakePaused,
    KeyReplaced,
    PriceUnknown,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RateLimited,
    RecipeInvalid,
    RequestConflict,
    SubmitUnanswered,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import UNHELD, Invocation, Job, Line, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.life import State
from bucketbrush.domain.polling import poll_plan
from bucketbrush.domain.recipe import find_model, request_body
from bucketbrush.handover import HandOver
from bucketbrush.knowledge import Knowledge
from bucketbrush.observability import about, count, logger, note_accepted, note_provider_error
from bucketbrush.prepare import Prepare
from bucketbrush.settings import SubmitSettings, UnknownPolicy

_FREE: dict[str, Any] = {"owner": "", "lease_until": 0}
_SOON = 1  # seconds until what nothing stands in the way of goes on
_COMPANION_SECONDS = 3  # between two looks for a mask or sidecar
_JITTER_SECONDS = 10


@dataclass(frozen=True)
class Order:
    """What to do: a dropped object version, or a caller's job document; neither when the row knows already.

    ``document`` is what a caller's execution brings every time; ``request`` is one, as JSON, that the row keeps.
    ``requested_at`` is when the file was dropped, None for now. A deliberate new attempt names the job whose attempt
    it is, and its number, and brings the mask and the sidecar of the one before.
    """

    job_id: str
    source: ObjectVersion | None = None
    document: Any = None
    request: str | None = None
    requested_at: int | None = None
    line: Line | None = None
    batch: str | None = None
    again_of: str | None = None
    attempt: int = 1
    mask: ObjectVersion | None = None
    sidecar: ObjectVersion | None = None


@dataclass(frozen=True)
class Submit:
    """The use case. ``connect`` reads the API key and gives a client; ``now`` is in seconds since 1970; ``jitter``
    gives random numbers from 0 to 1.
    """

    settings: SubmitSettings
    ledger: Ledger
    prepare: Prepare
    depart: Depart
    handover: HandOver
    knowledge: Knowledge
    connect: Callable[[], ToApis]
    now: Callable[[], float]
    jitter: Callable[[], float]

    def __call__(self, order: Order, invocation: Invocation) -> Job:
        """Bring the job as far as it can go now and return its row.

        Expected ends and waits are states of the row. Raises JobBusy while another invocation holds the lease,
        AgainRefused when another job has the name of an attempt, and RequestConflict when a request's id was used
        before, or a caller's execution has the name of a file's job.
        """
        about(order.job_id)
        job = self._claim(order, invocation)
        about(job.job_id, job.task_id)
        try:
            if job.state is State.ACCEPTED:
                job = self._send(job, order, invocation)
            elif job.state is State.SUBMITTING:
                job = self._look_up(job, invocation)
        except Exception:
            self._release(job.job_id, invocation)
            raise
        return job

    def _claim(self, order: Order, invocation: Invocation) -> Job:
        now = int(self.now())
        lease: dict[str, Any] = {"owner": invocation.id, "lease_until": invocation.lease_until}
        digest = hashlib.sha256(order.request.encode()).hexdigest() if order.request else None
        new = Job(
            job_id=order.job_id,
            state=State.ACCEPTED,
            created_at=now,
            requested_at=order.requested_at or now,
            source=order.source,
            line=order.line,
            batch=order.batch,
            document=order.request,
            request=digest,
            results_at=self._results_at(order, order.requested_at or now),
            preset=self.settings.inbox.preset_name(order.source.key) if order.source else None,
            mask=order.mask,
            sidecar=order.sidecar,
            again_of=order.again_of,
            attempt=order.attempt,
            next_check=self._next_check(),
            **lease,
        )
        found = self.ledger.create(new)
        if found is None:
            logger.info("job accepted", preset=new.preset, batch=new.batch)
            count("JobsAccepted")
            return new
        if order.again_of != found.again_of and order.again_of:
            raise AgainRefused(f"job {order.job_id}: found a job of that name that is no attempt at {order.again_of}.")
        if order.source and found.source is None:
            raise RequestConflict(f"{order.source.key}: found that an execution without it is named {order.job_id}.")
        if digest and found.request != digest:
            raise RequestConflict(f"request_id: found one that job {order.job_id} has, for another document.")
        if not found.state.before_task:
            return found
        found.demand_free(now)
        return self.ledger.change(found, **lease)

    def _results_at(self, order: Order, at: int) -> str:
        inbox, key = self.settings.inbox, order.source.key if order.source else ""
        folder, stem = (inbox.folder(key), layout.stem(key)) if key else ("", "")
        return layout.results_at(self.settings.results_key, order.job_id, folder, stem, layout.date_of(at))

    def _release(self, job_id: str, invocation: Invocation) -> None:
        """Let the next try begin at once; only a killed invocation makes it wait for the end of the lease."""
        row = self.ledger.get(job_id)
        if row and row.owner == invocation.id:
            self.ledger.change(row, **_FREE)

    def _send(self, job: Job, order: Order, invocation: Invocation) -> Job:
        waited, limit = int(self.now()) - job.created_at, self.settings.max_queue_seconds
        if waited >= limit:
            return self._decide(job, verdicts.never_sent(job, waited, limit))
        fixed: dict[str, Any] = {}
        try:
            fixed = {} if job.recipe else self.prepare(job, order.document)
            fixed["estimated"] = self._estimate(job.recipe or fixed["recipe"])
            return self._dispatch(job, fixed, invocation)
        except CompanionAwaited as problem:
            return self._hold(job, job.state, problem)
        except ApiKeyMissing as problem:
            note_provider_error(problem)
            return self._decide(job, verdicts.explained(Outcome.REJECTED, problem), **fixed)
        except (RecipeInvalid, PriceUnknown, BudgetExceeded) as problem:
            if isinstance(problem, BudgetExceeded):
                count("JobsOverBudget")
            return self._decide(job, verdicts.explained(Outcome.REJECTED, problem), **fixed)
        except DeparturesFull as problem:
            return self._decide(job, verdicts.explained(Outcome.EXPIRED, problem), **fixed)
        except ProviderRefused as problem:
            note_provider_error(problem)
            return self._refused(job, problem, **fixed)

    def _estimate(self, recipe: dict[str, Any]) -> int | None:
        """Raises RecipeInvalid when the model is not there any more."""
        model = find_model(recipe.get("model"), self.prepare.documents.catalogue)
        return money.estimate(recipe, model, self.settings.assumed_price)

    def _dispatch(self, job: Job, fixed: dict[str, Any], invocation: Invocation, **noted: Any) -> Job:
        """Wait for the job's turn, hand the pictures over, reserve the money, write down the intent, send.

        ``fixed`` is what the first intent fixes in the row.
        """
        ordered = job.model_copy(update=fixed)
        recipe = ordered.recipe or {}
        model = find_model(recipe.get("model"), self.prepare.documents.catalogue)
        share = money.reserved(ordered, self.settings.budget, int(self.now()))
        provider = self.connect()
        turn = self.depart.turn(job)
        fixed = {**fixed, "departure": turn.departure}
        if turn.problem:
            return self._hold(job, job.state, turn.problem, until=turn.leaves_at // 1000, **fixed)
        plan = poll_plan(self.knowledge.shape(ordered), self.settings.lateness_price, self.settings.deadline_seconds)
        uploads = self.handover.uploads(job)
        before = len(uploads)
        uploaded_at = job.uploaded_at if uploads else int(self.now())
        try:
            links = self.handover(ordered.pictures, uploads, provider, invocation)
            if not job.recipe:
                self.handover.demand_time(invocation)
        except (HandoverUnfinished, ProviderBusy, ProviderUnreachable) as problem:
            if not isinstance(problem, HandoverUnfinished):
                note_provider_error(problem)
            facts = {**fixed, "uploads": uploads, "uploaded_at": uploaded_at}
            return self._hold(job, job.state, problem, is_coming_on=len(uploads) > before, **facts)
        mask_link = links.pop() if ordered.mask else None
        body = request_body(recipe, model, links, mask_link, job.job_id)
        fixed = {**fixed, "uploads": uploads, "uploaded_at": uploaded_at} if uploads else fixed
        self.depart.wait_for(turn)
        intent = {"state": State.SUBMITTING, "submitting_at": int(self.now()), "share": share, "plan": plan}
        try:
            job = self.ledger.change(job, limit=self.settings.budget, **intent, **fixed, **noted)
        except BudgetBusy as problem:
            until = int(self.now() + 1 + self.jitter() * _JITTER_SECONDS)
            return self._hold(job, job.state, problem, until=until, **fixed)
        return self._post(job, provider, body)

    def _post(self, job: Job, provider: ToApis, body: dict[str, Any]) -> Job:
        """The one POST. From here to the stored task id nothing else happens: whatever breaks, the row says so.

        A request that was sent once before, whose answer was lost, stays looked up whatever becomes of this one.
        """
        unsent = State.SUBMITTING if job.resends else State.ACCEPTED
        try:
            task_id = provider.submit(body)
        except (ProviderBusy, ProviderUnreachable) as problem:
            note_provider_error(problem)
            held = self._hold(job, unsent, problem, departure=None)
            if isinstance(problem, RateLimited):
                self.depart.stop(self._least_hold(problem))
            return held
        except SubmitUnanswered as problem:
            note_provider_error(problem)
            return self._hold(job, State.SUBMITTING, problem, departure=None)
        except ProviderRefused as problem:
            note_provider_error(problem)
            return self._hold(job, unsent, problem, departure=None) if job.resends else self._refused(job, problem)
        return self._accept(job, task_id, answered_at=int(self.now()))

    def _refused(self, job: Job, problem: ProviderRefused, **facts: Any) -> Job:
        return self._decide(job, verdicts.explained(Outcome.FAILED, problem), **facts)

    def _look_up(self, job: Job, invocation: Invocation) -> Job:
        """A POST may have been written and its answer is not known: look for the task, never send again."""
        looked_for = deadlines.looked_for(job, int(self.now()))
        try:
            task = self.connect().find(job.job_id)
        except (TaskUnreadable, ApiKeyMissing) as problem:
            note_provider_error(problem)
            if looked_for >= deadlines.LINK_SECONDS:
                return self._decide(job, verdicts.unknown(job, f"It could not be looked up: {problem.message}"))
            return self._hold(job, State.SUBMITTING, problem)
        if task:
            return self._accept(job, task.task_id)
        reason = f"The answer to the submit was lost and {looked_for} s later the provider knows no such task."
        if looked_for < self.settings.lookup_seconds:
            return self._hold(job, State.SUBMITTING, SubmitUnanswered(reason))
        may_resend = self.settings.unknown_policy is UnknownPolicy.RESEND and looked_for < deadlines.LINK_SECONDS
        if may_resend and not job.resends:
            logger.warning("submit is sent again, as UnknownPolicy says")
            try:
                fixed = {"estimated": self._estimate(job.recipe or {})}
                return self._dispatch(job, fixed, invocation, resends=1)
            except (RecipeInvalid, ApiKeyMissing, PriceUnknown, BudgetExceeded, ProviderRefused) as problem:
                reason = f"{reason} It could not be sent again: {problem.message}"
        return self._decide(job, verdicts.unknown(job, reason))

    def _accept(self, job: Job, task_id: str, **facts: Any) -> Job:
        accepted = self.ledger.change(
            job,
            state=State.WAITING,
            task_id=task_id,
            submitted_at=job.submitting_at,
            next_check=self._next_check(),
            **facts,
            **UNHELD,
            **_FREE,
        )
        note_accepted(accepted)
        return accepted

    def _hold(
        self,
        job: Job,
        state: State,
        reason: BucketbrushError,
        *,
        until: int | None = None,
        is_coming_on: bool = False,
        **facts: Any,
    ) -> Job:
        log = logger.info if isinstance(reason, DepartureAhead) else logger.warning
        error = type(reason).__name__
        log("submit waits", state=state.value, error=error, reason=str(reason))
        count("Holds", reason=error)
        now = int(self.now())
        if until is None:
            least = self._least_hold(reason)
            began = (job.submitting_at if state is State.SUBMITTING else job.stalled_at) or now
            until = now + (least if is_coming_on else deadlines.ever_longer(least, now - began))
            facts["stalled_at"] = job.stalled_at or now
        if state is State.ACCEPTED:
            until = min(until, max(now + 1, job.created_at + self.settings.max_queue_seconds))
        if isinstance(reason, IntakePaused):
            facts["stalled_at"] = None  # what came before is long ago
        held: dict[str, Any] = {"hold_until": until, "hold_reason": error}
        return self.ledger.change(job, state=state, next_check=self._next_check(until), **held, **facts, **_FREE)

    def _least_hold(self, reason: BucketbrushError) -> int:
        if isinstance(reason, HandoverUnfinished | KeyReplaced):
            return _SOON
        if isinstance(reason, CompanionAwaited):
            return _COMPANION_SECONDS
        if isinstance(reason, ProviderBusy | ProviderUnreachable):
            return getattr(reason, "retry_after", None) or self.settings.refused_wait_seconds
        return max(self.settings.lookup_wait_seconds, getattr(reason, "retry_after", None) or 0)

    def _decide(self, job: Job, verdict: Verdict, **facts: Any) -> Job:
        logger.info("job ends before there is a task", outcome=verdict.outcome.value, error=verdict.reason)
        verdict = verdicts.said_of(job, verdict)
        return self.ledger.change(
            job, state=State.DECIDED, verdict=verdict, next_check=self._next_check(), **facts, **UNHELD, **_FREE
        )

    def _next_check(self, hold_until: int = 0) -> int:
        return max(int(self.now()), hold_until) + self.settings.sweep_after_seconds
