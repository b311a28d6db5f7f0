"""Resources on one engine for the tests of the AWS adapters. Import the fixtures that a module needs."""

from __future__ import annotations

import atexit
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from bucketbrush.adapters import ledger
from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.domain.errors import BucketbrushError
from bucketbrush.wiring import provider, shared
from local.engine.controller import Engine
from tests.template.stack import load
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bucketbrush.domain.jobs import Job
    from bucketbrush.domain.life import Actor

_ONE_TRY = {"total_max_attempts": 1}
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
    return engine().client(service, config=Config(retries=_ONE_TRY, max_pool_connections=50))


def scripted_client(service: str, url: str) -> Any:
    """A client of a server that is told what to answer."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries=_ONE_TRY),
    )


class Wire:
    """A DynamoDB client of the engine that notes the name of every operation in ``sent``.

    ``meddle`` is called with it before the request goes out; a body that it returns is the answer, an error, and the
    engine never sees the request.
    """

    def __init__(self, meddle: Callable[[str], dict[str, Any] | None] = lambda _: None) -> None:
        self.sent: list[str] = []
        self.client = engine().client("dynamodb", config=Config(retries=_ONE_TRY))
        self._meddle = meddle
        self.client.meta.events.register("before-send.dynamodb", self._before_send)

    def _before_send(self, event_name: str, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.sent.append(operation)
        body = self._meddle(operation)
        return None if body is None else _Error(request.url, body)


class _Error(AWSResponse):
    """What DynamoDB says when it refuses a request (DynamoDB Developer Guide, "Error handling")."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        super().__init__(url, 400, {}, None)
        self._content = json.dumps({"message": "no", **body}).encode()


class Repeating:
    """A client whose every write is sent twice, as boto3 does when the first answer is lost."""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        send = getattr(client("dynamodb"), method)

        def twice(**request: Any) -> Any:
            if method != "get_item":
                send(**request)
            return send(**request)

        return twice


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call gives or raises."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BucketbrushError as problem:
            return problem

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def name(stem: str) -> str:
    """A name that nothing else has."""
    return f"{stem}-{next(_numbers)}"


@pytest.fixture
def on_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment points at the engine, and no client of another environment is left over."""
    for variable, value in engine().environ().items():
        monkeypatch.setenv(variable, value)
    _forget_clients()
    yield
    _forget_clients()


def _forget_clients() -> None:
    for made in (shared.session, shared.dynamodb, provider.secrets):
        made.cache_clear()


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
def _as_in_template(resource: str) -> dict[str, Any]:
    made: dict[str, Any] = load()["Resources"][resource]["Properties"]
    return {field: made[field] for field in _OF_TABLE if field in made}


def _table(resource: str) -> str:
    made = name("table")
    client("dynamodb").create_table(TableName=made, **_as_in_template(resource))
    return made


def jobs_table() -> str:
    """A new jobs table with the keys and the index of the template's."""
    return _table("JobsTable")


@pytest.fixture(scope="module")
def table() -> str:
    """A new jobs table."""
    return jobs_table()


def batches_table() -> str:
    """A new batches table."""
    return _table("BatchesTable")


@pytest.fixture
def limits() -> str:
    """A new limits table: of its rows, unlike those of jobs, each has one name."""
    return _table("LimitsTable")


def durations_table() -> str:
    """A new durations table."""
    return _table("DurationsTable")


@pytest.fixture
def durations() -> str:
    """One for the jobs of one test alone."""
    return durations_table()


def no_delay(longest: float) -> None:
    """For a ledger that is not in anybody's way."""
    pytest.fail(f"found a delay of up to {longest} s; allowed: none")


def held_by(actor: Actor, table: str, limits: str = "no-such-table", dynamodb: Any = None) -> Ledger:
    """The ledger in the hands of a function. Without a limits table no budget can be touched."""
    dynamodb = dynamodb or client("dynamodb")
    return Ledger(dynamodb, table, 400, actor, Budgets(dynamodb, limits), no_delay)


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
