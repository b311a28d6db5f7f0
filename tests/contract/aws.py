"""Resources on one engine for the tests of the AWS adapters. Import the fixtures that a module needs."""

from __future__ import annotations

import atexit
import itertools
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches
from botocore.config import Config

from bucketbrush.adapters import ledger
from local.engine.controller import Engine
from tests.template.stack import load
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bucketbrush.domain.jobs import Job

_TRUST = {"Version": "2012-10-17", "Statement": []}
_OF_TABLE = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
_numbers = itertools.count(1)


@cache
def engine() -> Engine:
    """The one engine of this process: a fixture would be another one in each module that imports it."""
    started = Engine().start()
    atexit.register(started.stop)
    return started


@cache
def client(service: str) -> Any:
    """A client for any number of threads that does not hide a failure behind retries."""
    return engine().client(service, config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50))


def scripted_client(service: str, url: str) -> Any:
    """A client of a server that is told what to answer."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def name(stem: str) -> str:
    """A name that nothing else has."""
    return f"{stem}-{next(_numbers)}"


@pytest.fixture
def on_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment points at the engine, and no client of another environment is left over."""
    for variable, value in engine().environ().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    clear_caches()
    yield
    clear_caches()


@pytest.fixture(scope="module")
def bucket() -> str:
    """A new bucket with versions."""
    return new_bucket()


def new_bucket() -> str:
    """A new bucket with versions."""
    made = name("bucket")
    client("s3").create_bucket(Bucket=made)
    client("s3").put_bucket_versioning(Bucket=made, VersioningConfiguration={"Status": "Enabled"})
    return made


@cache
def _jobs_table() -> dict[str, Any]:
    made: dict[str, Any] = load()["Resources"]["JobsTable"]["Properties"]
    return {field: made[field] for field in _OF_TABLE}


def jobs_table() -> str:
    """A new jobs table with the keys and the index of the template's."""
    made = name("table")
    client("dynamodb").create_table(TableName=made, **_jobs_table())
    return made


@pytest.fixture(scope="module")
def table() -> str:
    """A new jobs table."""
    return jobs_table()


@pytest.fixture(scope="module")
def role() -> str:
    """The ARN of a new role."""
    made = client("iam").create_role(RoleName=name("role"), AssumeRolePolicyDocument=json.dumps(_TRUST))
    return str(made["Role"]["Arn"])


def state_machine(role: str, state: dict[str, Any], **fields: Any) -> str:
    """The ARN of a new state machine of this one state."""
    definition = {"StartAt": "Only", "States": {"Only": state}, **fields}
    made = client("stepfunctions").create_state_machine(
        name=name("machine"), definition=json.dumps(definition), roleArn=role
    )
    return str(made["stateMachineArn"])


@pytest.fixture(scope="module")
def machine(role: str) -> str:
    """The ARN of a new state machine that ends at once."""
    return state_machine(role, {"Type": "Succeed"})


@pytest.fixture(scope="module")
def topic() -> str:
    """The ARN of a new topic."""
    return str(client("sns").create_topic(Name=name("topic"))["TopicArn"])


def queue() -> tuple[str, str]:
    """URL and ARN of a new queue."""
    url = client("sqs").create_queue(QueueName=name("queue"))["QueueUrl"]
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(url), str(found["Attributes"]["QueueArn"])


def message(url: str) -> dict[str, Any]:
    """The body of the next message of a queue, which is then gone."""
    found = until(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages", []))[0]
    client("sqs").delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
    body: dict[str, Any] = json.loads(found["Body"])
    return body


def secret(value: str | None) -> str:
    """The ARN of a new secret with this value, or with none."""
    made = client("secretsmanager").create_secret(Name=name("secret"), **({"SecretString": value} if value else {}))
    return str(made["ARN"])


def keys(of_bucket: str, prefix: str) -> Iterable[str]:
    """The keys below a prefix."""
    listed = client("s3").list_objects_v2(Bucket=of_bucket, Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", [])]


def seed(table: str, *jobs: Job) -> None:
    """Rows as they may stand in the table, without the steps that led there."""
    for job in jobs:
        row = {**ledger._row(job), "expires_at": job.created_at + 400 * 86_400}
        client("dynamodb").put_item(TableName=table, Item=ledger._to_item(row))
