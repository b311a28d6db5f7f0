"""What our template is written with, and the engine has to understand without any help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.workbench import RUNTIME
from tests.waiting import until, watch

if TYPE_CHECKING:
    from tests.engine.workbench import Workbench


def _statement(effect: str, action: str, resource: Any, **rest: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **rest}],
    }


def _arn(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


STATES = {
    "Read": {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:getItem",
        "Arguments": {
            "TableName": "${Table}",
            "Key": {"pk": {"S": "{% $states.context.Execution.Name %}"}},
            "ProjectionExpression": "#plan",
            "ExpressionAttributeNames": {"#plan": "plan"},
            "ConsistentRead": True,
        },
        "Output": {
            "plan": "{% [$states.result.Item.plan.L.N.$number()] %}",
            "keys": "{% $keys($states.result.Item) %}",
        },
        "End": True,
    }
}

TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {
        "Prefixes": {"Type": "CommaDelimitedList", "Default": "inbox/,jobs/"},
        "Email": {"Type": "String", "Default": ""},
    },
    "Conditions": {"HasEmail": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Email"}, ""]}]}},
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "TlsOnly": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": _statement(
                    "Deny",
                    "s3:*",
                    [_arn("Bucket"), {"Fn::Sub": "${Bucket.Arn}/*"}],
                    Principal="*",
                    Condition={"Bool": {"aws:SecureTransport": "false"}},
                ),
            },
        },
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"RedrivePolicy": {"deadLetterTargetArn": _arn("Dead"), "maxReceiveCount": 5}},
        },
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}, {"Ref": "Dead"}],
                "PolicyDocument": _statement(
                    "Allow",
                    "sqs:SendMessage",
                    "*",
                    Principal={"Service": ["events.amazonaws.com", "sns.amazonaws.com"]},
                ),
            },
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {
                    "source": ["test"],
                    "detail": {"key": [{"prefix": {"Fn::Select": [0, {"Ref": "Prefixes"}]}}]},
                },
                "Targets": [{"Id": "queue", "Arn": _arn("Queue"), "DeadLetterConfig": {"Arn": _arn("Dead")}}],
            },
        },
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": _arn("Dead")},
        },
        "EmailSubscription": {
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasEmail",
            "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": {"Ref": "Email"}},
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}],
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "notBreaching",
                "AlarmActions": [{"Ref": "Topic"}],
                "AlarmDescription": {"Fn::If": ["HasEmail", "mailed", {"Ref": "AWS::NoValue"}]},
            },
        },
        "HeartbeatAlarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "AWS/Lambda",
                "MetricName": "Invocations",
                "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Failing"}}],
                "Statistic": "SampleCount",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "LessThanThreshold",
                "TreatMissingData": "breaching",
            },
        },
        "Failing": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": RUNTIME,
                "Handler": "index.handler",
                "InlineCode": "def handler(event, context): raise ValueError(event)\n",
                "EventInvokeConfig": {"MaximumRetryAttempts": 0},
            },
        },
        "Ended": {"Type": "AWS::SQS::Queue"},
        "ExecutionEndedRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {
                    "source": ["aws.states"],
                    "detail-type": ["Step Functions Execution Status Change"],
                    "detail": {
                        "stateMachineArn": [{"Ref": "Waiting"}],
                        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                    },
                },
                "Targets": [
                    {
                        "Id": "queue",
                        "Arn": _arn("Ended"),
                        "InputTransformer": {
                            "InputPathsMap": {"name": "$.detail.name", "status": "$.detail.status"},
                            "InputTemplate": '{"execution": <name>, "status": <status>}',
                        },
                    }
                ],
            },
        },
        "Waiting": {
            "Type": "AWS::Serverless::StateMachine",
            "Properties": {
                "Role": _arn("Role"),
                "Definition": {
                    "QueryLanguage": "JSONata",
                    "TimeoutSeconds": 20,
                    "StartAt": "Wait",
                    "States": {
                        "Wait": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": "Fail"},
                        "Fail": {"Type": "Fail", "Error": "rejected"},
                    },
                },
            },
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "open", "AttributeType": "S"},
                    {"AttributeName": "due", "AttributeType": "N"},
                ],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "due",
                        "KeySchema": [
                            {"AttributeName": "open", "KeyType": "HASH"},
                            {"AttributeName": "due", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                ],
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "sts:AssumeRole",
                            "Principal": {"Service": "states.amazonaws.com"},
                        }
                    ],
                }
            },
        },
        "MayRead": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "read",
                "Roles": [{"Ref": "Role"}],
                "PolicyDocument": _statement("Allow", "dynamodb:GetItem", _arn("Table")),
            },
        },
        "Machine": {
            "Type": "AWS::Serverless::StateMachine",
            "Properties": {
                "Name": {"Fn::Sub": "${AWS::StackName}-jobs"},
                "Role": _arn("Role"),
                "DefinitionSubstitutions": {"Table": {"Ref": "Table"}},
                "Definition": {"QueryLanguage": "JSONata", "StartAt": "Read", "States": STATES},
            },
        },
    },
    "Outputs": {
        **{
            name: {"Value": {"Ref": name}}
            for name in (
                *("Bucket", "Queue", "Dead", "Topic", "Alarm", "Table", "Machine", "Role"),
                *("HeartbeatAlarm", "Failing", "Ended", "Waiting"),
            )
        },
        "Prefixes": {"Value": {"Fn::Join": ["|", {"Ref": "Prefixes"}]}},
    },
}


@pytest.fixture(scope="module")
def outputs(ours: Workbench) -> dict[str, str]:
    """The stack, made once."""
    return ours.stack(TEMPLATE, Prefixes="inbox/,other/")


def test_a_list_parameter_joins(outputs: dict[str, str]) -> None:
    assert outputs["Prefixes"] == "inbox/|other/"


def test_a_tls_only_bucket_serves_loopback(ours: Workbench, outputs: dict[str, str]) -> None:
    ours.client("s3").put_object(Bucket=outputs["Bucket"], Key="a", Body=b"picture")
    assert ours.client("s3").get_object(Bucket=outputs["Bucket"], Key="a")["Body"].read() == b"picture"


def test_a_separate_policy_reaches_its_role(ours: Workbench, outputs: dict[str, str]) -> None:
    policy = ours.client("iam").get_role_policy(RoleName=outputs["Role"], PolicyName="read")
    table = ours.client("dynamodb").describe_table(TableName=outputs["Table"])["Table"]["TableArn"]
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == table


def test_a_condition_leaves_a_resource_out(ours: Workbench, outputs: dict[str, str]) -> None:
    found = ours.client("sns").list_subscriptions_by_topic(TopicArn=outputs["Topic"])["Subscriptions"]
    assert [subscription["Protocol"] for subscription in found] == ["sqs"]
    assert (
        not ours.client("cloudwatch")
        .describe_alarms(AlarmNames=[outputs["Alarm"]])["MetricAlarms"][0]
        .get("AlarmDescription")
    )


def test_an_event_passes_the_rule_and_its_alarm_tells_the_topic(ours: Workbench, outputs: dict[str, str]) -> None:
    entries = [{"Source": "test", "DetailType": "drop", "Detail": json.dumps({"key": key})} for key in ("x", "inbox/x")]
    ours.client("events").put_events(Entries=entries)
    until(lambda: ours.alarm_state(outputs["Alarm"]) == "ALARM", "the alarm rings")
    told = json.loads(json.loads(ours.message(outputs["Dead"]) or "{}")["Message"])
    event = json.loads(ours.message(outputs["Queue"]) or "{}")
    assert (told["NewStateValue"], event["detail"]["key"]) == ("ALARM", "inbox/x")


def test_an_inline_jsonata_workflow_reads_the_ledger(ours: Workbench, outputs: dict[str, str]) -> None:
    row = {"pk": {"S": "job"}, "plan": {"L": [{"N": "20"}, {"N": "5"}]}, "secret": {"S": "x"}}
    ours.client("dynamodb").put_item(TableName=outputs["Table"], Item=row)
    execution = ours.start(outputs["Machine"], name="job")
    assert ours.final_status(execution) == "SUCCEEDED"
    output = ours.client("stepfunctions").describe_execution(executionArn=execution)["output"]
    assert json.loads(output) == {"plan": [20, 5], "keys": "plan"}


def test_every_execution_that_did_not_succeed_is_told(ours: Workbench, outputs: dict[str, str]) -> None:
    for name, seconds in (("failing", 0), ("limited", 30), ("stopped", 30)):
        execution = ours.start(outputs["Waiting"], name=name, input=json.dumps({"wait": seconds}))
    ours.client("stepfunctions").stop_execution(executionArn=execution)
    told = [json.loads(ours.message(outputs["Ended"]) or "{}") for _ in range(3)]
    assert {message.pop("execution"): message for message in told} == {
        "failing": {"status": "FAILED"},
        "limited": {"status": "TIMED_OUT"},
        "stopped": {"status": "ABORTED"},
    }


def test_an_index_holds_only_the_rows_that_have_its_keys(ours: Workbench, outputs: dict[str, str]) -> None:
    table = ours.client("dynamodb")

    def due(now: int) -> list[str]:
        values = {":open": {"S": "yes"}, ":now": {"N": str(now)}}
        pages = table.get_paginator("query").paginate(
            TableName=outputs["Table"],
            IndexName="due",
            KeyConditionExpression="#open = :open AND due <= :now",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues=values,
            PaginationConfig={"PageSize": 1},
        )
        return [item["pk"]["S"] for page in pages for item in page["Items"]]

    for number, more in enumerate([{"due": {"N": "30"}}, {"due": {"N": "4"}}, {"due": {"N": "5"}}, {}]):
        item = {"pk": {"S": f"row {number}"}, "open": {"S": "yes"}, **more}
        table.put_item(TableName=outputs["Table"], Item=item)
    assert due(now=20) == ["row 1", "row 2"]
    table.update_item(
        TableName=outputs["Table"],
        Key={"pk": {"S": "row 1"}},
        UpdateExpression="REMOVE #open, due",
        ExpressionAttributeNames={"#open": "open"},
    )
    assert due(now=30) == ["row 2", "row 0"]


def test_a_function_that_may_not_be_retried_runs_once(ours: Workbench, outputs: dict[str, str]) -> None:
    """And the alarm that waits for its first invocation is quiet from then on."""
    until(lambda: ours.alarm_state(outputs["HeartbeatAlarm"]) == "ALARM", "a missing heartbeat is noticed")
    ours.client("lambda").invoke(FunctionName=outputs["Failing"], InvocationType="Event", Payload="{}")
    until(lambda: ours.alarm_state(outputs["HeartbeatAlarm"]) == "OK", "the heartbeat is seen")

    def errors() -> float:
        return ours.metric_sum("AWS/Lambda", "Errors", {"FunctionName": outputs["Failing"]})

    # The engine's first retry comes after a second.
    assert watch(errors, lambda count: count > 1, seconds=1.5) == 1


def test_only_the_failed_message_of_a_batch_goes_to_the_dead_letter_queue(ours: Workbench) -> None:
    dead_url, dead_arn = ours.queue()
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = ours.queue(RedrivePolicy=redrive, VisibilityTimeout="1")
    for body in ("good", "bad"):
        ours.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    code = """
def handler(event, context):
    bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in bad]}
"""
    ours.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=ours.function(code, Timeout=1),
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    assert ours.message(dead_url) == "bad"

    def left() -> set[str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = ours.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return set(found["Attributes"].values())

    until(lambda: left() == {"0"}, "the queue is empty")
    assert ours.message(dead_url, seconds=0) is None
