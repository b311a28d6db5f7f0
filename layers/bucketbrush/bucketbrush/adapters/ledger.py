"""The jobs table: one row per job, written only under conditions.

A row is a lease as well: ``owner`` and ``lease_until`` say which invocation works on the job, and every change demands
that state, owner and lease are still the ones that the writer has seen, that the table of a job's life has the step,
and that what is written once is not there yet. A write that finds its own work done was repeated by boto3 after a lost
answer, and is no conflict. Open jobs stand in a sparse index by ``next_check``.

A job's share of a month's budget is written in one transaction with the month's row, so that this row is always the
sum over the jobs (DynamoDB Developer Guide, "Managing complex workflows with transactions").
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from bucketbrush.adapters.budgets import Budgets, exceeded
from bucketbrush.domain.errors import BudgetBusy, JobBusy
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import WRITE_ONCE, Actor, State, demand_once, demand_step
from bucketbrush.domain.money import Budget, budget_change

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

_SECONDS_PER_DAY = 86_400
_SEEN = ("state", "owner", "lease_until")
_SHARE = "share"
_OPEN_INDEX = "open-by-next-check"
_HOW_IT_ENDED = "job_id, #state, created_at, results_at, estimated, billed, verdict, ended_at"
_OPEN = "yes"  # the index's partition key: only open jobs have it
_TRANSACTIONS = 8
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0  # seconds
_CONFLICTS = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
_REFUSED = "ConditionalCheckFailed"


class Ledger:
    """The ledger in the hands of one function.

    ``keep_days`` is how long the row of a dropped file stays: ``expires_at`` (seconds since 1970) is the table's TTL
    attribute. A caller's row stays for good, because its name can come again and its result would be there.
    ``delay`` waits before a transaction is tried again: for a random time up to so many seconds.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        keep_days: int,
        actor: Actor,
        budgets: Budgets,
        delay: Callable[[float], None],
    ) -> None:
        self._client = client
        self._table = table
        self._keep_days = keep_days
        self._actor = actor
        self._budgets = budgets
        self._delay = delay

    def create(self, job: Job) -> Job | None:
        """Write a new row and return None, or return the row that already stands there."""
        demand_step(None, job.state, self._actor)
        ends = {"expires_at": job.created_at + self._keep_days * _SECONDS_PER_DAY} if job.source else {}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_to_item({**_row(job), **ends}),
                ConditionExpression="attribute_not_exists(job_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            _demand_refused(error, job.job_id)
            found = _standing(error)
            return None if found == job else found
        return None

    def get(self, job_id: str) -> Job | None:
        """The row as it is now (a strongly consistent read), or None."""
        answer = self._client.get_item(TableName=self._table, Key={"job_id": {"S": job_id}}, ConsistentRead=True)
        return _to_job(answer["Item"]) if "Item" in answer else None

    def get_many(self, job_ids: Sequence[str], *, is_consistent: bool = False) -> Iterator[Job]:
        """Those rows of at most 100 that there are, in any order, with no more than how each job ended.

        A read that is not strongly consistent has half the price: that a job has ended may show a little later.
        """
        keys = [{"job_id": {"S": job_id}} for job_id in job_ids]
        wanted: Any = {"ProjectionExpression": _HOW_IT_ENDED, "ExpressionAttributeNames": {"#state": "state"}}
        request: Any = {self._table: {"Keys": keys, "ConsistentRead": is_consistent, **wanted}}
        while request:
            answer = self._client.batch_get_item(RequestItems=request)
            yield from map(_to_job, answer["Responses"].get(self._table, []))
            if request := answer.get("UnprocessedKeys"):
                self._delay(_FIRST_DELAY)

    def change(self, job: Job, *, limit: int | None = None, **changes: Any) -> Job:
        """Write ``changes`` (None removes a field) if nobody has touched the row since ``job`` was read.

        A change of its ``share`` changes the month's budget as well; to at most ``limit`` micro-dollars, if one is
        given. Raises JobBusy when somebody has touched the row, BudgetExceeded, BudgetBusy when the budget could not be
        changed for the crowd, and StepForbidden for a step that is not in the table of a job's life.
        """
        changed = job.model_copy(update=changes)
        demand_step(job.state, changed.state, self._actor)
        before, after = _row(job), _row(changed)
        demand_once(before, after)
        same = {name for name in WRITE_ONCE if before.get(name) == after.get(name)}
        names = {*changes, "open"} - same
        budget = budget_change(job.share, changed.share)
        # What is added to the month depends on the share as it was: nobody may have changed it meanwhile.
        seen = [*_SEEN, _SHARE] if budget else _SEEN
        statement = self._statement(
            job.job_id,
            {name: after.get(name) for name in sorted(names)},
            {name: before[name] for name in seen if name in before},
            absent=sorted({*names.intersection(WRITE_ONCE), *(name for name in seen if name not in before)}),
        )
        try:
            if budget:
                self._transact(job.job_id, statement, budget, limit)
            else:
                self._client.update_item(**statement)
        except ClientError as error:
            _demand_refused(error, job.job_id)
            if _standing(error) != changed:
                raise JobBusy(f"job {job.job_id}: another invocation has changed it meanwhile.") from None
        return changed

    def _transact(self, job_id: str, statement: "UpdateTypeDef", budget: Budget, limit: int | None) -> None:
        """The job's row and its month's budget, both or none. Raises ClientError as if the row were written alone."""
        statements = [{"Update": statement}, {"Update": self._budgets.statement(budget, limit)}]
        for number in range(_TRANSACTIONS):
            try:
                self._client.transact_write_items(TransactItems=statements)  # type: ignore[arg-type]
            except ClientError as error:
                row, month = _reasons(error)
                if row.get("Code") == _REFUSED:
                    raise _as_refused(row) from None
                if month.get("Code") == _REFUSED and limit is not None:
                    raise exceeded(budget, limit, month.get("Item", {})) from None
                if not _CONFLICTS & {error.response["Error"]["Code"], row.get("Code"), month.get("Code")}:
                    raise
                if number < _TRANSACTIONS - 1:
                    self._delay(min(_LONGEST_DELAY, _FIRST_DELAY * 2**number))
            else:
                return
        raise BudgetBusy(f"job {job_id}: too many jobs change the budget of {budget.month} at this moment.")

    def note(self, job_id: str, **facts: Any) -> Job | None:
        """Write what was seen of a waiting job, and return its row; None when it waits no more, and nothing is written.

        It does not ask for a lease: no step depends on these facts.
        """
        demand_step(State.WAITING, State.WAITING, self._actor)
        try:
            return _to_job(self._update(job_id, facts, {"state": State.WAITING.value}))
        except ClientError as error:
            _demand_refused(error, job_id)
            return None

    def due(self, now: int) -> Iterator[str]:
        """The ids of the open jobs whose ``next_check`` has come, the oldest first.

        The index is a little behind the table.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_OPEN_INDEX,
            KeyConditionExpression="#open = :open AND next_check <= :now",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":open": {"S": _OPEN}, ":now": {"N": str(now)}},
        )
        return (item["job_id"]["S"] for page in pages for item in page["Items"])

    def postpone(self, job: Job, next_check: int) -> bool:
        """Say when the sweep looks again; False when the job has moved on, or another sweep was here first."""
        if job.state is State.ENDED and job.next_check is None:
            return False
        seen: dict[str, Any] = {"state": job.state.value}
        absent = ["next_check"] if job.next_check is None else []
        try:
            self._update(
                job.job_id,
                {"next_check": next_check, "open": _OPEN},
                seen if absent else {**seen, "next_check": job.next_check},
                absent,
            )
        except ClientError as error:
            _demand_refused(error, job.job_id)
            return False
        return True

    def _update(
        self, job_id: str, values: dict[str, Any], condition: dict[str, Any], absent: Iterable[str] = ()
    ) -> dict[str, Any]:
        statement = self._statement(job_id, values, condition, absent)
        return self._client.update_item(**statement, ReturnValues="ALL_NEW")["Attributes"]

    def _statement(
        self, job_id: str, values: dict[str, Any], condition: dict[str, Any], absent: Iterable[str] = ()
    ) -> "UpdateTypeDef":
        sets = [f"#{name} = :{name}" for name, value in values.items() if value is not None]
        removes = [f"#{name}" for name, value in values.items() if value is None]
        clauses = [f"{verb} {', '.join(parts)}" for verb, parts in (("SET", sets), ("REMOVE", removes)) if parts]
        conditions = [f"#{name} = :seen_{name}" for name in condition]
        conditions += [f"attribute_not_exists(#{name})" for name in absent]
        given = {f":{name}": value for name, value in values.items() if value is not None}
        return {
            "TableName": self._table,
            "Key": {"job_id": {"S": job_id}},
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {f"#{name}": name for name in (*values, *condition)},
            "ExpressionAttributeValues": _to_item(given | {f":seen_{name}": seen for name, seen in condition.items()}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _demand_refused(error: ClientError, job_id: str) -> None:
    """Raises everything but the refusal of a condition; a conflict of transactions as JobBusy."""
    code = error.response["Error"]["Code"]
    if code == "TransactionConflictException":
        raise JobBusy(f"job {job_id}: a transaction holds its row at this moment.") from None
    if code != "ConditionalCheckFailedException":
        raise error


def _reasons(error: ClientError) -> tuple[dict[str, Any], dict[str, Any]]:
    """Why a transaction was cancelled: the job's row, and the month's; nothing for another error."""
    reasons: Any = error.response.get("CancellationReasons") or ({}, {})
    return reasons[0], reasons[1]


def _as_refused(reason: dict[str, Any]) -> ClientError:
    """The refusal of a condition in a transaction, in the shape of a single write's."""
    response: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": reason.get("Item")}
    return ClientError(response, "TransactWriteItems")


def _row(job: Job) -> dict[str, Any]:
    row = job.model_dump(mode="json", exclude_none=True)
    return row if job.next_check is None else {**row, "open": _OPEN}


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
