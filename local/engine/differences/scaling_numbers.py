"""A number that an event source mapping takes from a parameter is a number.

AWS ("Parameters", CloudFormation User Guide): a parameter of type Number is a string in the template, and the stack
turns it into what the property takes: MaximumConcurrency of an "AWS::Lambda::EventSourceMapping" is an integer.

The engine keeps the string and then fails to compare it with the number of busy environments, so that the queue is
never read. Closed by turning the number around the engine's own handlers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local.engine.differences import Settings


def _with_numbers(properties: dict[str, Any]) -> dict[str, Any]:
    scaling = properties.get("ScalingConfig")
    return properties | ({"ScalingConfig": {name: int(value) for name, value in scaling.items()}} if scaling else {})


def close(_: Settings) -> None:
    """Hand the engine's handlers integers."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create, update = handlers["create"], handlers["update"]

    def create_mapping(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        return create(logical_id, _with_numbers(properties), stack)

    def update_mapping(mapping: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **options: Any) -> Any:
        return update(mapping, old, _with_numbers(new), *rest, **options)

    handlers.update(create=create_mapping, update=update_mapping)
