"""The months' budgets: one row each in the limits table, changed only together with the row of a job."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bucketbrush.domain.errors import BudgetExceeded
from bucketbrush.domain.money import Budget, said

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef


class Budgets:
    """Reads the rows, and says how they are changed."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, month: str) -> Budget:
        """The row as it is now (a strongly consistent read); nothing yet when there is none."""
        answer = self._client.get_item(TableName=self._table, Key=_key(month), ConsistentRead=True)
        return _budget(month, answer.get("Item", {}))

    def statement(self, change: Budget, limit: int | None) -> "UpdateTypeDef":
        """The part of a transaction that adds ``change``, unless more than ``limit`` would be committed then."""
        values = {":committed": change.committed, ":spent": change.spent}
        statement: UpdateTypeDef = {
            "TableName": self._table,
            "Key": _key(change.month),
            "UpdateExpression": "ADD committed :committed, spent :spent",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if limit is not None:
            room = limit - change.committed
            values[":room"] = room
            # A month without a row has nothing committed.
            absent = "attribute_not_exists(committed) OR " if room >= 0 else ""
            statement["ConditionExpression"] = f"{absent}committed <= :room"
        statement["ExpressionAttributeValues"] = {name: {"N": str(value)} for name, value in values.items()}
        return statement


def exceeded(change: Budget, limit: int, item: Mapping[str, Any]) -> BudgetExceeded:
    """The refusal of a change by the row as it stood."""
    held = _budget(change.month, item)
    return BudgetExceeded(
        f"budget {change.month}: found {said(held.spent)} spent and {said(held.committed - held.spent)} reserved, and "
        f"this job needs {said(change.committed)}; allowed: MonthlyBudgetUsd, which is {said(limit)}."
    )


def _key(month: str) -> dict[str, Any]:
    return {"name": {"S": f"budget {month}"}}


def _budget(month: str, item: Mapping[str, Any]) -> Budget:
    amounts = {name: int(item[name]["N"]) for name in ("committed", "spent") if name in item}
    return Budget(month=month, **amounts)
