"""The workflow: one execution per job, named by it."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient


_TRACE = "X-Amzn-Trace-Id"


class Executions:
    def __init__(self, client: "SFNClient", machine_arn: str) -> None:
        self._client = client
        self._machine_arn = machine_arn
        client.meta.events.register("before-sign.sfn.StartExecution", _decide_on_its_own)

    def start(self, job_id: str) -> str:
        """Start the job's execution and return its ARN; when it runs or has run, that is success too: the sweep finds
        one that died.

        The input is the job id alone: Step Functions takes a repeated start for the same one only while the input is
        the same to the byte (API reference, "StartExecution").
        """
        with suppress(self._client.exceptions.ExecutionAlreadyExists):
            self._client.start_execution(
                stateMachineArn=self._machine_arn, name=job_id, input=json.dumps({"job_id": job_id})
            )
        return self._arn(job_id)

    def status(self, job_id: str) -> str | None:
        """The word for how the job's execution stands (API reference, "DescribeExecution"); None when it has none."""
        try:
            return self._client.describe_execution(executionArn=self._arn(job_id))["status"]
        except self._client.exceptions.ExecutionDoesNotExist:
            return None

    def _arn(self, job_id: str) -> str:
        return f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{job_id}"


def _decide_on_its_own(request: Any, **_: Any) -> None:
    """An execution joins its starter's trace, but is not left out with it: the sampling rule is for executions.

    The SDK sends the header by itself, and whoever is called keeps to what it says (X-Ray Developer Guide, "Sampling").
    """
    if "Sampled=1" not in request.headers.get(_TRACE, ""):
        del request.headers[_TRACE]
