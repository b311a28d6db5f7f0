"""With IAM enforced, what no policy allows is refused, and a TLS-only bucket is no obstacle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.engine.controller import Engine
from tests.engine.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def strict() -> Iterator[Workbench]:
    with Engine(auth=True) as engine:
        yield Workbench(engine)


@pytest.fixture(scope="module")
def strict_stock() -> Iterator[Workbench]:
    with Engine(auth=True, without=["queue_permissions", "transport"]) as engine:
        yield Workbench(engine)


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_function_may_do_only_what_its_role_allows(strict: Workbench) -> None:
    code = """
import boto3
def handler(event, context):
    try:
        return boto3.client("s3").list_buckets()["Buckets"]
    except Exception as refused:
        return refused.response["Error"]["Code"]
"""
    trusted = _policy(Effect="Allow", Action="sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    strict.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=trusted)
    assert strict.invoke(strict.function(code)) == "AccessDenied"


def _read_from_a_tls_only_bucket(bench: Workbench) -> str:
    """What somebody gets who is allowed to read, but not the root user."""
    root, iam, bucket, reader = bench.client("s3"), bench.client("iam"), bench.name("bucket"), bench.name("reader")
    root.create_bucket(Bucket=bucket)
    root.put_object(Bucket=bucket, Key="a", Body=b"picture")
    objects, insecure = f"arn:aws:s3:::{bucket}/*", {"Bool": {"aws:SecureTransport": "false"}}
    tls_only = _policy(Effect="Deny", Principal="*", Action="s3:*", Resource=objects, Condition=insecure)
    root.put_bucket_policy(Bucket=bucket, Policy=tls_only)
    iam.create_user(UserName=reader)
    may_read = _policy(Effect="Allow", Action="s3:GetObject", Resource=objects)
    iam.put_user_policy(UserName=reader, PolicyName="read", PolicyDocument=may_read)
    key = iam.create_access_key(UserName=reader)["AccessKey"]
    s3 = bench.engine.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    try:
        return str(s3.get_object(Bucket=bucket, Key="a")["Body"].read().decode())
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])


def test_a_tls_only_bucket_can_be_read(strict: Workbench) -> None:
    assert _read_from_a_tls_only_bucket(strict) == "picture"


def test_a_policy_can_name_an_index_and_the_executions_of_a_machine(strict: Workbench) -> None:
    iam, arn = strict.client("iam"), "arn:aws:{}:us-east-1:000000000000:{}"
    allowed = _policy(
        Effect="Allow",
        Action=["dynamodb:Query", "states:DescribeExecution", "states:RedriveExecution"],
        Resource=[arn.format("dynamodb", "table/jobs/index/*"), arn.format("states", "execution:jobs:*")],
    )
    iam.create_user(UserName="keeper")
    iam.put_user_policy(UserName="keeper", PolicyName="keep", PolicyDocument=allowed)
    key = iam.create_access_key(UserName="keeper")["AccessKey"]
    secrets = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    states, table = (strict.engine.client(service, **secrets) for service in ("stepfunctions", "dynamodb"))

    def answer(call: Any, **arguments: Any) -> str:
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        return str(refused.value.response["Error"]["Code"])

    query = {"TableName": "jobs", "KeyConditionExpression": "a = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}}
    answers = [answer(table.query, **query, IndexName="due"), answer(table.query, **query)]
    assert answers == ["ResourceNotFoundException", "AccessDeniedException"]
    for call in (states.describe_execution, states.redrive_execution):
        answers = [answer(call, executionArn=arn.format("states", f"execution:{name}:1")) for name in ("jobs", "other")]
        assert answers == ["ExecutionDoesNotExist", "AccessDeniedException"]


def _send_ten_at_once(bench: Workbench) -> str:
    """What somebody gets who may send messages."""
    url, queue = bench.queue()
    iam, sender = bench.client("iam"), bench.name("sender")
    iam.create_user(UserName=sender)
    may_send = _policy(Effect="Allow", Action="sqs:SendMessage", Resource=queue)
    iam.put_user_policy(UserName=sender, PolicyName="send", PolicyDocument=may_send)
    key = iam.create_access_key(UserName=sender)["AccessKey"]
    sqs = bench.engine.client("sqs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    entries: Any = [{"Id": str(number), "MessageBody": "x"} for number in range(10)]
    try:
        return str(len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]))
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])


def test_who_may_send_a_message_may_send_ten(strict: Workbench) -> None:
    assert _send_ten_at_once(strict) == "10"


def test_the_stock_engine_still_refuses_ten_at_once(strict_stock: Workbench) -> None:
    seen = _send_ten_at_once(strict_stock)
    assert seen == "AccessDenied", "upstream closed it: delete local/engine/differences/queue_permissions.py"


def test_the_stock_engine_still_shuts_readers_out(strict_stock: Workbench) -> None:
    seen = _read_from_a_tls_only_bucket(strict_stock)
    assert seen == "AccessDenied", "upstream closed it: delete local/engine/differences/transport.py"
