"""The finalize function, called from outside the workflow."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient


class Finalizer:
    def __init__(self, client: "LambdaClient", function: str) -> None:
        self._client = client
        self._function = function

    def start(self, job_id: str, fault: str | None) -> None:
        """Have the job ended, without waiting for it: the ledger shows whether it was. ``fault`` as in the workflow."""
        self._invoke(job_id=job_id, fault=fault)

    def look_for_bill(self, job_id: str) -> None:
        """Have the bill of a job that has ended looked for, without waiting for it."""
        self._invoke(job_id=job_id, fault=None, bill=True)

    def _invoke(self, **payload: str | bool | None) -> None:
        self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=json.dumps(payload))
