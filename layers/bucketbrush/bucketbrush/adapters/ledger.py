"""The jobs table: one row per job, written only under conditions.

A row is a lease as well: ``owner`` and ``lease_until`` say which invocation works on the job, and every change demands
that state, owner and lease are still the ones that the writer has seen. A write that finds its own work done was
repeated by boto3 after a lost answer, and is no conflict.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from bucketbrush.domain.errors import JobBusy
from bucketbrush.domain.jobs import Job, State

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_SECONDS_PER_DAY = 86_400
_SEEN = ("state", "owner", "lease_until")


class Ledger:
    """``keep_days`` is how long a row stays: ``expires_at`` (seconds since 1970) is the table's TTL attribute."""

    def __init__(self, client: "DynamoDBClient", table: str, keep_days: int) -> None:
        self._client = client
        self._table = table
        self._keep_days = keep_days

    def create(self, job: Job) -> Job | None:
        """Write a new row and return None, or return the row that already stands there."""
        expires_at = job.created_at + self._keep_days * _SECONDS_PER_DAY
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_to_item({**_row(job), "expires_at": expires_at}),
                ConditionExpression="attribute_not_exists(job_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            found = _standing(error)
            return None if found == job else found
        return None

    def get(self, job_id: str) -> Job | None:
        """The row as it is now (a strongly consistent read), or None."""
        answer = self._client.get_item(TableName=self._table, Key={"job_id": {"S": job_id}}, ConsistentRead=True)
        return _to_job(answer["Item"]) if "Item" in answer else None

    def change(self, job: Job, **changes: Any) -> Job:
        """Write ``changes`` (None removes a field) if nobody has touched the row since ``job`` was read.

        Raises JobBusy when somebody has.
        """
        changed = job.model_copy(update=changes)
        seen = {name: value for name, value in _row(job).items() if name in _SEEN}
        try:
            self._update(job.job_id, {name: _row(changed).get(name) for name in changes}, seen)
        except ClientError as error:
            if not _is_refused(error):
                raise
            if _standing(error) != changed:
                raise JobBusy(f"job {job.job_id}: another invocation has changed it meanwhile.") from None
        return changed

    def note(self, job_id: str, **facts: Any) -> None:
        """Write facts about a waiting job that no rule depends on; a job that has moved on is left alone."""
        try:
            self._update(job_id, facts, {"state": State.WAITING.value})
        except ClientError as error:
            if not _is_refused(error):
                raise

    def _update(self, job_id: str, values: dict[str, Any], condition: dict[str, Any]) -> None:
        sets = [f"#{name} = :{name}" for name, value in values.items() if value is not None]
        removes = [f"#{name}" for name, value in values.items() if value is None]
        clauses = [f"{verb} {', '.join(parts)}" for verb, parts in (("SET", sets), ("REMOVE", removes)) if parts]
        given = {f":{name}": value for name, value in values.items() if value is not None}
        self._client.update_item(
            TableName=self._table,
            Key={"job_id": {"S": job_id}},
            UpdateExpression=" ".join(clauses),
            ConditionExpression=" AND ".join(f"#{name} = :seen_{name}" for name in condition),
            ExpressionAttributeNames={f"#{name}": name for name in (*values, *condition)},
            ExpressionAttributeValues=_to_item(given | {f":seen_{name}": value for name, value in condition.items()}),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def _row(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude_none=True)


def _is_refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _standing(error: ClientError) -> Job | None:
    """The row that a condition was refused for; None when there is none."""
    item: Any = error.response.get("Item")
    return _to_job(item) if item else None


def _to_item(row: dict[str, Any]) -> dict[str, Any]:
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in row.items()}


def _to_job(item: dict[str, Any]) -> Job:
    deserializer = TypeDeserializer()
    return Job.model_validate({name: _plain(deserializer.deserialize(value)) for name, value in item.items()})


def _plain(value: Any) -> Any:
    """DynamoDB numbers come as Decimal; the ledger holds whole numbers only."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, Decimal) else value
