"""The rules of the house for the resources, on what CloudFormation gets after the transform."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.stack import Json, Resources, Values, listed, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = ["SubmitFunction", "StatusFunction", "FinalizeFunction"]
BUCKETS = {"InboxBucket": "InboxBucketPolicy", "ResultsBucket": "ResultsBucketPolicy"}
QUEUES = ["SubmitQueue", "SubmitDeadLetters", "DropRuleDeadLetters"]
FOURTEEN_DAYS = 14 * 24 * 60 * 60

# Statements that need every resource, and why.
ALL_RESOURCES = {
    "DeliverLogs": "log delivery has no resource of its own (Step Functions Developer Guide, CloudWatch Logs)",
}
# Which objects of which bucket any role may touch.
PREFIXES = {
    "InboxBucket": {f"${{InboxBucket.Arn}}/{prefix}/*" for prefix in ("inbox", "references", "presets")},
    "ResultsBucket": {"${ResultsBucket.Arn}/results/*"},
}


def _arn(name: str) -> Json:
    return {"Fn::GetAtt": [name, "Arn"]}


def _roles(resources: Resources) -> Iterator[tuple[str, Json]]:
    for role in resources.of("AWS::IAM::Role"):
        for statement in resources.statements(role):
            yield role, statement


# ---- Functions and their roles -----------------------------------------------------------------------------------


def test_each_function_has_a_role_of_its_own(resources: Resources) -> None:
    functions = resources.of("AWS::Lambda::Function")
    assert sorted(functions) == sorted(FUNCTIONS)
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    machine = resources.properties("JobsMachine")["RoleArn"]["Fn::GetAtt"][0]
    assert len({*roles, machine, "SignerRole"}) == len(FUNCTIONS) + 2
    assert {*roles, machine, "SignerRole"} == set(resources.of("AWS::IAM::Role")), "the transform made no role"


def test_roles_are_assumed_by_their_service_alone(resources: Resources) -> None:
    trusts = {
        role: [(item["Principal"], item["Action"]) for item in properties["AssumeRolePolicyDocument"]["Statement"]]
        for role, properties in resources.of("AWS::IAM::Role").items()
    }
    functions = {"Service": "lambda.amazonaws.com"}
    assert trusts == {
        "SubmitRole": [(functions, "sts:AssumeRole")],
        "StatusRole": [(functions, "sts:AssumeRole")],
        "FinalizeRole": [(functions, "sts:AssumeRole")],
        "JobsMachineRole": [({"Service": "states.amazonaws.com"}, "sts:AssumeRole")],
        "SignerRole": [({"AWS": _arn("SubmitRole")}, "sts:AssumeRole")],
    }


def test_permissions_are_listed_one_by_one(resources: Resources) -> None:
    for role, statement in _roles(resources):
        assert statement["Effect"] == "Allow", role
        assert not {"NotAction", "NotResource"} & set(statement), role
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action), f"{role}: {action}"
    assert not any("ManagedPolicyArns" in role for role in resources.of("AWS::IAM::Role").values())


def test_permissions_name_their_resources(resources: Resources) -> None:
    wide = {statement.get("Sid") for _, statement in _roles(resources) if "*" in listed(statement["Resource"])}
    assert wide == set(ALL_RESOURCES)


def test_objects_are_reached_by_prefix_only(resources: Resources) -> None:
    seen = set()
    for role, statement in _roles(resources):
        for action in listed(statement["Action"]):
            service, verb = action.split(":")
            if service != "s3":
                continue
            for resource in listed(statement["Resource"]):
                if verb == "ListBucket":
                    assert resource in [_arn(name) for name in BUCKETS], role
                else:
                    seen.add(resource["Fn::Sub"])
    assert seen == set.union(*PREFIXES.values())


def test_the_signer_reads_pictures_and_nothing_else(resources: Resources) -> None:
    (statement,) = resources.statements("SignerRole")
    assert sorted(statement["Action"]) == ["s3:GetObject", "s3:GetObjectVersion"]
    assert statement["Resource"] == [
        {"Fn::Sub": f"${{InboxBucket.Arn}}/{prefix}/*"} for prefix in ("inbox", "references")
    ]
    assert resources.properties("SignerRole")["MaxSessionDuration"] == 3600


def test_only_submit_may_pay(resources: Resources) -> None:
    """Who may start executions and sign links; the machine may invoke exactly what its definition calls."""
    holders: dict[str, set[str]] = {}
    for role, statement in _roles(resources):
        for action in listed(statement["Action"]):
            holders.setdefault(action, set()).add(role)
    assert holders["states:StartExecution"] == {"SubmitRole"}
    assert holders["sts:AssumeRole"] == {"SubmitRole"}
    assert holders["s3:PutObject"] == {"FinalizeRole"}
    assert holders["lambda:InvokeFunction"] == {"JobsMachineRole"}
    (calls,) = [item for item in resources.statements("JobsMachineRole") if item["Action"] == "lambda:InvokeFunction"]
    assert calls["Resource"] == [_arn(name) for name in FUNCTIONS]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_writes_only_to_its_own_log_group(resources: Resources, function: str) -> None:
    properties = resources.properties(function)
    group = properties["LoggingConfig"]["LogGroup"]["Ref"]
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert resources.properties(group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    role = properties["Role"]["Fn::GetAtt"][0]
    logs = [item for item in resources.statements(role) if any("logs:" in action for action in listed(item["Action"]))]
    assert [item["Resource"] for item in logs] == [_arn(group)]
    users = [other["LoggingConfig"]["LogGroup"]["Ref"] for other in resources.of("AWS::Lambda::Function").values()]
    assert users.count(group) == 1


def test_every_log_group_is_named_by_the_stack_and_ends(resources: Resources) -> None:
    for name, group in resources.of("AWS::Logs::LogGroup").items():
        assert "${AWS::StackName}" in group["LogGroupName"]["Fn::Sub"], name
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_run_where_the_parameters_say(resources: Resources, function: str) -> None:
    properties = resources.properties(function)
    assert properties["Runtime"] == {"Ref": "PythonRuntime"}
    assert properties["Architectures"] == [{"Ref": "Architecture"}]
    layers = [resources.all[layer["Ref"]]["Properties"]["LayerName"] for layer in properties["Layers"]]
    assert len(layers) == 2


# ---- The way in --------------------------------------------------------------------------------------------------


def test_the_rule_filters_by_prefix_only(resources: Resources) -> None:
    """Suffixes are compared in code, caseless: a rule that filters them would drop files without a word."""
    (rule,) = resources.of("AWS::Events::Rule").values()
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [{"Ref": "InboxBucket"}]}, "object": {"key": [{"prefix": "inbox/"}]}},
    }


def test_what_the_rule_cannot_deliver_is_kept(resources: Resources) -> None:
    (target,) = resources.properties("DropRule")["Targets"]
    assert target["Arn"] == _arn("SubmitQueue")
    assert target["DeadLetterConfig"] == {"Arn": _arn("DropRuleDeadLetters")}


def test_only_the_rule_may_send_to_its_queues(resources: Resources) -> None:
    (policy,) = resources.of("AWS::SQS::QueuePolicy").values()
    queues = ["SubmitQueue", "DropRuleDeadLetters"]
    assert policy["Queues"] == [{"Ref": name} for name in queues]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == [_arn(name) for name in queues]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": _arn("DropRule")}}


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_are_kept_encrypted_for_fourteen_days(resources: Resources, queue: str) -> None:
    assert sorted(resources.of("AWS::SQS::Queue")) == sorted(QUEUES)
    assert resources.properties(queue)["MessageRetentionPeriod"] == FOURTEEN_DAYS
    assert resources.properties(queue)["SqsManagedSseEnabled"] is True


def test_a_drop_is_tried_five_times(template: Json, resources: Resources) -> None:
    queue = resources.properties("SubmitQueue")
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": _arn("SubmitDeadLetters"), "maxReceiveCount": 5}
    assert queue["VisibilityTimeout"] == {"Ref": "SubmitVisibilitySeconds"}
    default = template["Parameters"]["SubmitVisibilitySeconds"]["Default"]
    assert default >= 6 * resources.properties("SubmitFunction")["Timeout"]


def test_submit_takes_one_drop_at_a_time(resources: Resources) -> None:
    (mapping,) = resources.of("AWS::Lambda::EventSourceMapping").values()
    assert mapping == {
        "EventSourceArn": _arn("SubmitQueue"),
        "FunctionName": {"Ref": "SubmitFunction"},
        "BatchSize": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}},
    }


# ---- What is kept ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_closed_versioned_and_encrypted(resources: Resources, bucket: str) -> None:
    assert set(resources.of("AWS::S3::Bucket")) == set(BUCKETS)
    properties = resources.properties(bucket)
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True
    )
    assert "BucketName" not in properties, "a fixed name would let only one stack exist"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_unfinished_uploads_are_cleared_away(resources: Resources, bucket: str) -> None:
    rules = resources.properties(bucket)["LifecycleConfiguration"]["Rules"]
    assert any(rule["Status"] == "Enabled" and "AbortIncompleteMultipartUpload" in rule for rule in rules)
    assert not any(name for rule in rules for name in rule if "Expiration" in name), "nothing that was paid expires"


@pytest.mark.parametrize(("bucket", "policy"), BUCKETS.items())
def test_buckets_refuse_plain_http(resources: Resources, bucket: str, policy: str) -> None:
    properties = resources.properties(policy)
    assert properties["Bucket"] == {"Ref": bucket}
    (statement,) = properties["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [_arn(bucket), {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_inbox_tells_eventbridge(resources: Resources) -> None:
    told = {name: item.get("NotificationConfiguration") for name, item in resources.of("AWS::S3::Bucket").items()}
    on = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert told == {"InboxBucket": on, "ResultsBucket": None}


def test_the_ledger_costs_by_use_forgets_by_ttl_and_can_be_restored(resources: Resources) -> None:
    (table,) = resources.of("AWS::DynamoDB::Table").values()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "job_id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert "TableName" not in table


@pytest.mark.parametrize("name", [*BUCKETS, "JobsTable"])
def test_what_was_paid_for_outlives_the_stack(resources: Resources, name: str) -> None:
    assert resources.all[name]["DeletionPolicy"] == "Retain"
    assert resources.all[name]["UpdateReplacePolicy"] == "Retain"


# ---- The workflow ------------------------------------------------------------------------------------------------


def test_the_machine_is_standard_and_logs_no_data(resources: Resources) -> None:
    machine = resources.properties("JobsMachine")
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["StateMachineName"] == {"Fn::Sub": "${AWS::StackName}-jobs"}
    logging = machine["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False
    assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": _arn("JobsMachineLogs")}}]


def test_submit_knows_the_machines_arn_by_its_name(template: Json, resources: Resources) -> None:
    """By Sub: a reference would close a circle, as the machine needs the function's ARN."""
    values = Values.deployed(template, {})
    name = values.resolve(resources.properties("JobsMachine")["StateMachineName"])
    arn = resources.properties("SubmitFunction")["Environment"]["Variables"]["JOBS_MACHINE_ARN"]
    assert values.resolve(arn).endswith(f":stateMachine:{name}")
    start = [item for item in resources.statements("SubmitRole") if item["Action"] == "states:StartExecution"]
    assert [item["Resource"] for item in start] == [arn]


# ---- Alarms ------------------------------------------------------------------------------------------------------


def _watched(alarm: Json) -> tuple[Any, ...]:
    (dimension,) = alarm["Dimensions"]
    return alarm["Namespace"], alarm["MetricName"], dimension["Name"], *strings(dimension["Value"])


def test_an_alarm_rings_for_everything_that_is_stuck(resources: Resources) -> None:
    depth = ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "Fn::GetAtt")
    assert {_watched(alarm) for alarm in resources.of("AWS::CloudWatch::Alarm").values()} == {
        (*depth, "SubmitDeadLetters", "QueueName"),
        (*depth, "DropRuleDeadLetters", "QueueName"),
        ("AWS/States", "ExecutionsFailed", "StateMachineArn", "Ref", "JobsMachine"),
        ("AWS/States", "ExecutionsTimedOut", "StateMachineArn", "Ref", "JobsMachine"),
        ("AWS/Lambda", "Errors", "FunctionName", "Ref", "StatusFunction"),
    }


def test_alarms_ring_at_the_first_and_are_quiet_without_data(resources: Resources) -> None:
    for name, alarm in resources.of("AWS::CloudWatch::Alarm").items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        least = 10 if name == "StatusErrorsAlarm" else 1  # a few failed looks mend themselves
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", least), name
        assert alarm["Statistic"] in ("Maximum", "Sum"), name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"], name


def test_cloudwatch_can_publish_to_the_alarm_topic(resources: Resources) -> None:
    """Not with the key alias/aws/sns: its policy does not let CloudWatch use it, and the alarm is lost silently."""
    assert resources.properties("AlarmTopic").get("KmsMasterKeyId") != "alias/aws/sns"
    assert resources.properties("Topic")["KmsMasterKeyId"] == "alias/aws/sns"


def test_the_email_address_gets_results_and_alarms(resources: Resources) -> None:
    subscriptions = resources.of("AWS::SNS::Subscription")
    assert sorted(item["TopicArn"]["Ref"] for item in subscriptions.values()) == ["AlarmTopic", "Topic"]
    for name, item in subscriptions.items():
        assert (item["Protocol"], item["Endpoint"]) == ("email", {"Ref": "NotificationEmail"})
        assert resources.all[name]["Condition"] == "HasEmail"


# ---- Everywhere --------------------------------------------------------------------------------------------------


def test_arns_name_no_partition(template: Json) -> None:
    """China and GovCloud are partitions of their own."""
    arns = [text for text in strings(template) if re.search(r"\barn:(?!\$\{(AWS::)?Partition\}:|\[a-z-\]\+:)", text)]
    assert arns == []
