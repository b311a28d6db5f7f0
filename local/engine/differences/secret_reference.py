"""Ref of a secret is its ARN.

AWS ("AWS::SecretsManager::Secret", return values): `Ref` returns the ARN of the secret, which is what a role's policy
takes as its resource.

The engine returns the name. Closed by making the ARN the physical id, and giving the engine the name back when it
updates or deletes the secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local.engine.differences import Settings


def _name(arn: str) -> str:
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)


def close(_: Settings) -> None:
    """Translate between ARN and name around the engine's own handlers."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_secret(*arguments: Any) -> tuple[str, dict[str, str]]:
        _, attributes = create(*arguments)
        return attributes["Arn"], attributes

    def update_secret(arn: str, *arguments: Any, **options: Any) -> tuple[str, dict[str, str]]:
        _, attributes = update(_name(arn), *arguments, **options)
        return attributes["Arn"], attributes

    def delete_secret(arn: str, properties: dict[str, Any]) -> None:
        delete(_name(arn), properties)

    handlers.update(create=create_secret, update=update_secret, delete=delete_secret)
