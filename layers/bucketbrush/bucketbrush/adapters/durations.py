"""The durations table: one row per level (``domain.durations.levels``), to which every job adds."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from bucketbrush.domain.durations import Histogram, read_histogram
from bucketbrush.domain.errors import DurationsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_TRIES = 3
_REFUSED = "ConditionalCheckFailedException"


class Durations:
    """The rows. Weights are attributes of the row itself: DynamoDB adds to one that is not there, but not to one in a
    map that is not there (Developer Guide, "Update expressions").

    Every method raises DurationsUnavailable.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self, names: Sequence[str]) -> dict[str, Histogram | None]:
        """What stands in the rows of these names, in their order: nothing yet, or None for what is no histogram.

        The read is not strongly consistent, which is good enough for an estimate and has half the price.
        """
        keys: Any = [_key(name) for name in names]
        try:
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys}})
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from None
        if answer.get("UnprocessedKeys"):
            raise DurationsUnavailable("durations: the table did not read all rows at this moment.")
        found = {item["name"]["S"]: _histogram(item) for item in answer["Responses"].get(self._table, [])}
        return {name: found.get(name, Histogram()) for name in names}

    def add(self, name: str, seen: Histogram | None, parts: Mapping[int, float]) -> None:
        """One more job in a row that was ``seen`` so; what others have added meanwhile stays.

        A row that is no histogram is written anew.
        """
        for _ in range(_TRIES):
            try:
                if seen is None:
                    self._put(name, Histogram().added(parts))
                elif seen.is_full:
                    self._put(name, seen.moved().added(parts), seen)
                else:
                    self._add(name, seen, parts)
            except (ClientError, BotoCoreError) as error:
                if not isinstance(error, ClientError) or error.response["Error"]["Code"] != _REFUSED:
                    raise _unavailable(error) from None
                standing: Any = error.response.get("Item", {})
                seen = _histogram(standing)
            else:
                return
        raise DurationsUnavailable(f"durations {name}: too many jobs change the row at this moment.")

    def _add(self, name: str, seen: Histogram, parts: Mapping[int, float]) -> None:
        weights = {f":b{bucket}": part * seen.newest for bucket, part in parts.items()}
        additions = ", ".join(f"{weight[1:]} {weight}" for weight in weights)
        self._client.update_item(
            TableName=self._table,
            Key=_key(name),
            UpdateExpression=f"SET landmark = :landmark ADD jobs :one, {additions}",
            # Since another landmark the weights are others.
            ConditionExpression="attribute_not_exists(landmark) OR landmark = :landmark",
            ExpressionAttributeValues=_numbers({":landmark": seen.landmark, ":one": 1, **weights}),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def _put(self, name: str, histogram: Histogram, seen: Histogram | None = None) -> None:
        """Write the whole row; if it was ``seen``, only while nobody adds to it."""
        condition: Any = {}
        if seen is not None:
            condition = {
                "ConditionExpression": "jobs = :jobs",
                "ExpressionAttributeValues": _numbers({":jobs": seen.jobs}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        weights = {f"b{bucket}": weight for bucket, weight in histogram.weights.items()}
        row = _numbers({"jobs": histogram.jobs, "landmark": histogram.landmark, **weights})
        self._client.put_item(TableName=self._table, Item={**_key(name), **row}, **condition)


def _key(name: str) -> dict[str, Any]:
    return {"name": {"S": name}}


def _numbers(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: {"N": f"{value:.12g}"} for name, value in values.items()}


def _histogram(item: Mapping[str, Any]) -> Histogram | None:
    """What is no number stays in the row, so that it is found to be damaged: nothing can be added to such a row."""
    return read_histogram({name: Decimal(value["N"]) if "N" in value else value for name, value in item.items()})


def _unavailable(error: ClientError | BotoCoreError) -> DurationsUnavailable:
    kind = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    return DurationsUnavailable(f"durations: the table answers {kind}.")
