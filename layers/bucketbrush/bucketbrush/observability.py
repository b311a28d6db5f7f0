"""The one logger and the one place that emits metrics.

Logs and metrics hold job ids, states and counts; never a key, a signed URL, a prompt or picture bytes. The service name
(the stack) and the metrics namespace come from the POWERTOOLS_ variables that ``template.yaml`` sets.
"""

import logging

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from bucketbrush.domain.errors import AccountEmpty, BucketbrushError, KeyRefused, TaskUnreadable

logger = Logger()
# At INFO httpx writes every request's whole URL, result links among them, and botocore writes noise.
for _chatty in ("httpx", "botocore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


def count(name: str, **dimensions: str) -> None:
    """One more of ``name``, as an EMF line (CloudWatch User Guide, "Embedded metric format")."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        for dimension, value in dimensions.items():
            metric.add_dimension(name=dimension, value=value)


def note_operator_problem(problem: BucketbrushError) -> None:
    """Count it when only the operator can help: the account is empty, or the provider does not take the key."""
    kind = problem.refused_as if isinstance(problem, TaskUnreadable) else type(problem)
    if kind is KeyRefused:
        count("KeyRefused")
    elif kind is AccountEmpty:
        count("AccountEmpty")


def amount(name: str, micros: int) -> None:
    """An amount of money in US dollars, as an EMF line; ``micros`` are millionths of one."""
    with single_metric(name=name, unit=MetricUnit.NoUnit, value=micros / 1_000_000):
        return


def gauge(name: str, value: int) -> None:
    """How many there are, as an EMF line."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value):
        return


def seconds(name: str, value: int) -> None:
    """How long something took, as an EMF line."""
    with single_metric(name=name, unit=MetricUnit.Seconds, value=value):
        return
