"""The permissions of the deployed roles, and how each is taken from its role by IAM call."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from tests.template.stack import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.template.stack import Json
    from tests.workflow.conftest import System

STACK = "bucketbrush-local"
_restarts = count(1)


@dataclass(frozen=True)
class Permission:
    """One action of one statement. A role and a statement are named by logical id and Sid."""

    role: str
    sid: str
    action: str

    @property
    def statement(self) -> str:
        return f"{self.role}:{self.sid}"

    def __str__(self) -> str:
        return f"{self.statement}:{self.action}"

    @property
    def names(self) -> tuple[str, str]:
        """What tables may call it: by its action, which goes before, or by its whole statement."""
        return str(self), self.statement


def listed_in(role: str, statements: Iterable[Json]) -> list[Permission]:
    """The permissions of a role's statements."""
    return [Permission(role, item["Sid"], action) for item in statements for action in listed(item["Action"])]


class Roles:
    """The roles of a deployed stack."""

    def __init__(self, system: System) -> None:
        self._iam, self._lambda = system.client("iam"), system.client("lambda")
        found = system.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        self._names = {
            item["LogicalResourceId"]: item["PhysicalResourceId"]
            for item in found
            if item["ResourceType"] == "AWS::IAM::Role"
        }
        functions = self._lambda.list_functions()["Functions"]
        self._functions = {
            role: function["FunctionName"]
            for role, name in self._names.items()
            for function in functions
            if function["Role"].endswith(f"/{name}")
        }

    def permissions(self) -> list[Permission]:
        """Everything that they are allowed."""
        return [
            permission
            for role in self._names
            for document in self._documents(role).values()
            for permission in listed_in(role, document["Statement"])
        ]

    @contextmanager
    def without(self, *permissions: Permission) -> Iterator[None]:
        """Take actions from their roles for the length of a block."""
        with ExitStack() as taken:
            for permission in permissions:
                policy, document = self._policy(permission)
                left = [_without(permission, statement) for statement in document["Statement"]]
                changed = {**document, "Statement": [statement for statement in left if statement]}
                taken.callback(self._put, permission, policy, document)
                self._put(permission, policy, changed)
            yield

    def _policy(self, permission: Permission) -> tuple[str, Json]:
        """The policy that has the statement: its name and its document."""
        for name, document in self._documents(permission.role).items():
            if any(statement["Sid"] == permission.sid for statement in document["Statement"]):
                return name, document
        raise LookupError(f"{permission}: found no statement of this Sid in the role's policies")

    def _documents(self, role: str) -> dict[str, Json]:
        """The inline policies of a role by name; it has no others."""
        name = self._names[role]
        return {
            policy: self._iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in self._iam.list_role_policies(RoleName=name)["PolicyNames"]
        }

    def _put(self, permission: Permission, policy: str, document: Json) -> None:
        role = self._names[permission.role]
        if document["Statement"]:
            self._iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
        else:
            self._iam.delete_role_policy(RoleName=role, PolicyName=policy)
        if permission.role in self._functions:
            self._restart(self._functions[permission.role])

    def _restart(self, function: str) -> None:
        """In new environments, because an old one has keys and credentials at hand that it would not get now."""
        variables = self._lambda.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        changed = {**variables, "RESTART": str(next(_restarts))}
        self._lambda.update_function_configuration(FunctionName=function, Environment={"Variables": changed})


def _without(permission: Permission, statement: Json) -> Json | None:
    if statement["Sid"] != permission.sid:
        return statement
    left = [action for action in listed(statement["Action"]) if action != permission.action]
    return {**statement, "Action": left} if left else None
