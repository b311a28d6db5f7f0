"""TimeToLiveSpecification of a table in a template takes effect.

AWS ("AWS::DynamoDB::Table", TimeToLiveSpecification): the stack turns time to live on for the attribute it names.

The engine accepts the property and drops it. Closed by calling the engine's own UpdateTimeToLive after it has created
or updated the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Apply the property wherever the stack creates or updates a table."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, update = handlers["create"], handlers["update"]

    def apply(table: str, properties: dict[str, Any]) -> None:
        specification = properties.get("TimeToLiveSpecification")
        if specification:
            dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})

    def create_table(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        created = create(logical_id, properties, stack)
        apply(created[0], properties)
        return created

    def update_table(table: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **options: Any) -> Any:
        updated = update(table, old, new, *rest, **options)
        apply(updated[0], new)
        return updated

    handlers.update(create=create_table, update=update_table)
