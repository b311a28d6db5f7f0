"""The one logger and the one place that emits metrics.

Logs and metrics hold job ids, states and counts; never a key, a signed URL, a prompt or picture bytes. The service name
(the stack) and the metrics namespace come from the POWERTOOLS_ variables that ``template.yaml`` sets. Every line names
its phase, and one that is about a job names the job, its execution and its task: these are what the saved queries and
the logs of the workflow have in common.
"""

import gc
import json
import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from bucketbrush import USUAL_THRESHOLD
from bucketbrush.domain.errors import BucketbrushError, TaskUnreadable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.money import usd
from bucketbrush.domain.redact import redact

# In ASCII: names of files may hold what turns the direction of a line, or commands a terminal.
logger = Logger(json_serializer=partial(json.dumps, default=str, separators=(",", ":")))
# At INFO httpx writes every request's whole URL, result links among them, and botocore writes noise.
for _chatty in ("httpx", "botocore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_executions = ""


def phase(name: str) -> Callable[[_Handler], _Handler]:
    """Decorates a handler: its lines name the phase, and what it raises is logged, because the caller tries again.

    No garbage is looked for in what is imported by now, and from the first event on as usual.
    """

    def decorate(handle: _Handler) -> _Handler:
        gc.freeze()

        @wraps(handle)
        def handler(event: dict[str, Any], context: Any) -> Any:
            logger.append_keys(phase=name)
            about()
            try:
                return handle(event, context)
            except Exception as problem:
                logger.warning("failed", error=type(problem).__name__, reason=redact(str(problem)))
                raise
            finally:
                gc.set_threshold(*USUAL_THRESHOLD)

        return handler  # type: ignore[return-value]

    return decorate


def name_machine(arn: str) -> None:
    """Say whose executions the jobs have: a job's execution has the job's name."""
    global _executions
    _executions = arn.replace(":stateMachine:", ":execution:")


def about(job_id: str | None = None, task_id: str | None = None) -> None:
    """From here on every line is about this job; without one it is about none."""
    execution = f"{_executions}:{job_id}" if job_id and _executions else None
    logger.append_keys(job_id=job_id, task_id=task_id, execution_arn=execution)


def note_accepted(job: Job) -> None:
    """The provider has accepted the job's task."""
    about(job.job_id, job.task_id)
    waited = max(0, (job.submitted_at or 0) - (job.requested_at or job.created_at))
    logger.info("task accepted", preset=job.preset, estimated_usd=usd(job.estimated), submit_seconds=waited)
    count("JobsSubmitted")
    seconds("SubmitSeconds", waited)


def note_provider_error(problem: BucketbrushError) -> None:
    """Something went wrong at the provider, or it could not even be asked. The class says what."""
    kind = problem.refused_as if isinstance(problem, TaskUnreadable) else None
    error = (kind or type(problem)).__name__
    logger.warning("provider error", error=error, reason=str(problem))
    count("ProviderErrors", error=error)


def count(name: str, **dimensions: str) -> None:
    """One more of ``name``, as an EMF line (CloudWatch User Guide, "Embedded metric format")."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        for dimension, value in dimensions.items():
            metric.add_dimension(name=dimension, value=value)


def amount(name: str, micros: int) -> None:
    """An amount of money in US dollars, as an EMF line; ``micros`` are millionths of one."""
    _measure(name, usd(micros) or 0, MetricUnit.NoUnit)


def gauge(name: str, value: int) -> None:
    """How many there are, as an EMF line."""
    _measure(name, value, MetricUnit.Count)


def percent(name: str, value: int) -> None:
    """How many of a hundred, as an EMF line."""
    _measure(name, value, MetricUnit.Percent)


def seconds(name: str, value: int) -> None:
    """How long something took, as an EMF line."""
    _measure(name, value, MetricUnit.Seconds)


def size(name: str, value: int) -> None:
    """How many bytes there are, as an EMF line."""
    _measure(name, value, MetricUnit.Bytes)


def _measure(name: str, value: float, unit: MetricUnit) -> None:
    with single_metric(name=name, unit=unit, value=value):
        return
