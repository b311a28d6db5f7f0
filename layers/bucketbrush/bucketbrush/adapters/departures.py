"""The schedule of departures: one row of the limits table, moved by conditional writes."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from bucketbrush.domain.departures import Schedule
from bucketbrush.domain.errors import DeparturesBusy, DeparturesFull
from bucketbrush.domain.jobs import Departure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

NAME = "departures"
_TIMES = ("next_departure", "next_in_front", "stopped_until", "shift", "inserted")
_NOT = {"BOOL": False}
_TRIES = 20
_Found = TypeVar("_Found")


class Departures:
    """The row. Times are milliseconds since 1970; ``step`` is how many lie between two departures."""

    def __init__(self, client: "DynamoDBClient", table: str, step: int) -> None:
        self._client = client
        self._table = table
        self._step = step
        self._key: Mapping[str, AttributeValueTypeDef] = {"name": {"S": NAME}}
        self._ahead_until = 0

    def read(self) -> Schedule:
        """The row as it is now (a strongly consistent read)."""
        answer = self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        return _schedule(answer.get("Item", {}))

    def waiting(self, now: int) -> int:
        """How many jobs wait for their departure."""
        return self.read().waiting(now, self._step)

    def take(self, now: int, last: int) -> tuple[Schedule, Departure]:
        """The schedule after its next departure was taken, and that departure, as ``Schedule.taken`` gives them.

        One conditional write when the row is as this invocation's environment has last seen it: idle, or ahead of now.
        Any number of jobs may take departures at once. Raises DeparturesFull when none is free until ``last``, and
        DeparturesBusy when others were always faster.
        """
        is_ahead = self._ahead_until > now
        for _ in range(_TRIES):
            try:
                row = _schedule(self._take_ahead(now, last) if is_ahead else self._take_idle(now))
            except ClientError as error:
                row = _standing(error)
                if row.next_departure > last:
                    raise DeparturesFull(
                        f"departures: found the next free one in {(row.next_departure - now) // 1000:,} s; allowed: "
                        f"within {max(0, last - now) // 1000:,} s, which is left of MaxQueueSeconds."
                    ) from None
                is_ahead = not is_ahead
            else:
                self._ahead_until = row.next_departure
                return row, Departure(at=row.next_departure - self._step - row.shift - row.inserted)
        raise DeparturesBusy("departures: too many jobs take one at this moment.")

    def make_in_front(self, now: int) -> tuple[Schedule, Departure]:
        """As ``Schedule.made_in_front``. Raises DeparturesBusy."""
        return self._change(lambda row: row.made_in_front(now, self._step))

    def stop(self, now: int, until: int) -> Schedule:
        """As ``Schedule.stopped``. Raises DeparturesBusy."""
        return self._change(lambda row: (row.stopped(now, until), None))[0]

    def _take_idle(self, now: int) -> dict[str, Any]:
        condition = "attribute_not_exists(next_departure) OR next_departure <= :now"
        return self._update("SET next_departure = :next", condition, now=now, next=now + self._step)

    def _take_ahead(self, now: int, last: int) -> dict[str, Any]:
        condition = "next_departure > :now AND next_departure <= :last"
        return self._update(
            "SET next_departure = next_departure + :step", condition, now=now, last=last, step=self._step
        )

    def _change(self, change: Callable[[Schedule], tuple[Schedule, _Found]]) -> tuple[Schedule, _Found]:
        """Write what ``change`` makes of the row, once nobody else has changed it meanwhile."""
        row = self.read()
        for _ in range(_TRIES):
            after, found = change(row)
            if after == row:
                return after, found
            seen, values = row.model_dump(include={*_TIMES}), after.model_dump(include={*_TIMES})
            conditions = [f"({_absent_or(name, seen[name])}{name} = :seen_{name})" for name in _TIMES]
            try:
                changed = self._update(
                    "SET " + ", ".join(f"{name} = :{name}" for name in _TIMES),
                    " AND ".join(conditions),
                    **values,
                    **{f"seen_{name}": value for name, value in seen.items()},
                )
            except ClientError as error:
                row = _standing(error)
            else:
                return _schedule(changed), found
        raise DeparturesBusy("departures: too many jobs change them at this moment.")

    def _update(self, expression: str, condition: str, **values: int) -> dict[str, Any]:
        answer = self._client.update_item(
            TableName=self._table,
            Key=self._key,
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in values.items()},
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return answer["Attributes"]


def _absent_or(name: str, seen: int) -> str:
    return "" if seen else f"attribute_not_exists({name}) OR "


def _schedule(item: Mapping[str, Any]) -> Schedule:
    """An operator pauses by hand: ``paused`` is in seconds since 1970, and any other value but false does it too."""
    times = {name: int(item[name]["N"]) for name in _TIMES if name in item}
    paused = item.get("paused", _NOT)
    paused_at = None if paused in (_NOT, {"NULL": True}) else int(Decimal(paused.get("N", "0")) * 1000)
    return Schedule(**times, paused_at=paused_at)


def _standing(error: ClientError) -> Schedule:
    """The row that refused a condition; raises every other error."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item: Any = error.response.get("Item", {})
    return _schedule(item)
