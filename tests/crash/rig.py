"""The real servers that every run of a process shares: an engine, a simulator, and the stack's resources by hand."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import boto3
import httpx

from bucketbrush.wiring.shared import session
from tests.contract.aws import client, name, new_bucket, secret
from tests.template.stack import Json, Values, load
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config

    from local.simulator import Simulator


_connect = boto3.Session.client
_FUNCTIONS = {f"{stem.capitalize()}Function": stem for stem in ("submit", "status", "finalize", "sweep")}
# So that what takes hours takes few steps; the relations between them are those of the template's defaults.
_PACE = {"LatenessPrice": "0.01", "LookupWaitSeconds": "300", "DeadlineSeconds": "3600"}
_MONEY = {"MonthlyBudgetUsd": "1000", "AssumedPriceUsd": "0.015"}
_TABLE_FIELDS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@dataclass
class Rig:
    """Everything that stays between two runs. A run has tables of its own, and jobs that no other run has."""

    simulator: Simulator

    @cached_property
    def template(self) -> Json:
        return load()

    @cached_property
    def inbox(self) -> str:
        return new_bucket()

    @cached_property
    def results(self) -> str:
        return new_bucket()

    @cached_property
    def role(self) -> str:
        made = client("iam").create_role(RoleName=name("role"), AssumeRolePolicyDocument="{}")
        return str(made["Role"]["Arn"])

    @cached_property
    def topic(self) -> str:
        return str(client("sns").create_topic(Name=name("topic"))["TopicArn"])

    @cached_property
    def secret(self) -> str:
        return secret(self.simulator.api_key)

    @cached_property
    def machine(self) -> str:
        """Executions stand there as RUNNING until they are stopped: the driver walks them."""
        return self._machine({"Type": "Wait", "Seconds": 10_000_000, "End": True})

    @cached_property
    def dead_machine(self) -> str:
        """Executions fail as soon as they are started."""
        return self._machine({"Type": "Fail", "Error": "Dead"})

    def _machine(self, state: Json) -> str:
        definition = json.dumps({"StartAt": "Only", "States": {"Only": state}})
        made = client("stepfunctions").create_state_machine(
            name=name("machine"), definition=definition, roleArn=self.role
        )
        return str(made["stateMachineArn"])

    @cached_property
    def finalize(self) -> str:
        """A function that does nothing, in finalize's place: the driver runs the real one."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "def handler(event, context): pass\n")
        client("lambda").create_function(
            FunctionName=(made := name("finalize")),
            Runtime="python3.11",
            Role=self.role,
            Handler="app.handler",
            Code={"ZipFile": code.getvalue()},
        )
        return made

    @cached_property
    def definition(self) -> Json:
        found: Json = self.template["Resources"]["JobsMachine"]["Properties"]["Definition"]
        return found

    @cached_property
    def http(self) -> httpx.Client:
        """Asks the simulator as its owner would."""
        headers = {"Authorization": f"Bearer {self.simulator.api_key}"}
        return httpx.Client(base_url=self.simulator.base_url, headers=headers, trust_env=False, timeout=30)

    @cached_property
    def anyone(self) -> httpx.Client:
        """Fetches pictures, without a key."""
        return httpx.Client(trust_env=False, timeout=30)

    def close(self) -> None:
        """End what this process holds open."""
        self.http.close()
        self.anyone.close()

    def table(self, resource: str) -> str:
        """A new table, as the template has it."""
        wanted = self.template["Resources"][resource]["Properties"]
        fields = {field: wanted[field] for field in _TABLE_FIELDS if field in wanted}
        client("dynamodb").create_table(TableName=(made := name("table")), **fields)
        return made

    def timeout(self, function: str) -> int:
        """A function's Timeout in seconds, as the template has it by default."""
        own = self.template["Resources"][f"{function.capitalize()}Function"]["Properties"]
        timeout = own.get("Timeout", self.template["Globals"]["Function"]["Timeout"])
        return int(Values.deployed(self.template, {}).resolve(timeout))

    def environment(self, function: str, tables: Mapping[str, str], machine: str, parameters: Json) -> dict[str, str]:
        """What the template sets in a function's environment. ``tables`` are the run's own, by their resource."""
        own = {"ApiBaseUrl": self.simulator.base_url, "ApiKeySecretArn": self.secret, **_PACE, **_MONEY, **parameters}
        values = Values.deployed(self.template, own)
        made = {
            **{f"<{resource}>": table for resource, table in tables.items()},
            "<InboxBucket>": self.inbox,
            "<ResultsBucket>": self.results,
            "<SignerRole.Arn>": self.role,
            "<Topic>": self.topic,
            "<FinalizeFunction>": self.finalize,
        }
        found = {**_variables(self.template["Globals"]["Function"])}
        found |= _variables(self.template["Resources"][f"{function.capitalize()}Function"]["Properties"])
        resolved = {variable: str(values.resolve(value)) for variable, value in found.items()}
        return {
            variable: machine if variable == "JOBS_MACHINE_ARN" else made.get(value, value)
            for variable, value in resolved.items()
        }

    def settle(self) -> None:
        """Wait until no task is under way but those that hang: how far one is must not depend on this machine."""

        def is_settled() -> bool:
            tasks = self.simulator.tasks()
            return all(task["status"] in ("completed", "failed") or "fault:hang" in task["prompt"] for task in tasks)

        until(is_settled, "the end of all tasks", pause=0.002)


def _variables(properties: Json) -> Json:
    found: Json = properties["Environment"]["Variables"]
    return found


@cache
def _kept(service: Any, config: Config) -> Any:
    return _connect(session(), service, config=config)


def connect(by: boto3.Session, service: Any, config: Config, **options: str) -> Any:
    """In place of a session's client: it knows nothing of jobs, and making one anew takes longer than most calls."""
    return _connect(by, service, config=config, **options) if options else _kept(service, config)  # type: ignore[call-overload]


def function_of(placeholder: str) -> str:
    """Which function a placeholder of the definition stands for."""
    return _FUNCTIONS[placeholder.strip("${}")]


def ended(arn: str) -> Any:
    """How an execution ended."""
    return until(
        lambda: client("stepfunctions").describe_execution(executionArn=arn)["status"],
        "the end of an execution",
        lambda status: status != "RUNNING",
    )
