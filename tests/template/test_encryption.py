"""What is kept and sent is encrypted: by AWS's keys, by a key that the stack makes, or by one that it is given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.template.stack import Json, Resources, Values, listed, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

MINE = "arn:aws:kms:eu-central-1:123456789012:key/mine"
KEYS = {"": None, "create": "<Key.Arn>", MINE: MINE}
USE = {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey"}


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def values(template: Json, key: str) -> Values:
    return Values.deployed(template, {"KmsKey": key})


# Where each kind of resource names its key, and what it says without one.
KINDS: dict[str, tuple[str, str, Json]] = {
    "AWS::SQS::Queue": ("", "KmsMasterKeyId", {"SqsManagedSseEnabled": True}),
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId", {"SSEEnabled": True, "SSEType": "KMS"}),
    "AWS::Logs::LogGroup": ("", "KmsKeyId", {}),
    "AWS::SecretsManager::Secret": ("", "KmsKeyId", {}),
    "AWS::Lambda::Function": ("", "KmsKeyArn", {}),
    "AWS::StepFunctions::StateMachine": ("EncryptionConfiguration", "KmsKeyId", {"Type": "AWS_OWNED_KEY"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_key_is_for_everything(resources: Resources, values: Values, key: str, kind: str) -> None:
    """Without a key of one's own, what encrypts by default does it."""
    part, field, without = KINDS[kind]
    assert resources.of(kind)
    for name, properties in resources.of(kind).items():
        found = values.resolve(properties[part] if part else {field: None, **properties})
        assert found.get(field) == KEYS[key], name
        if key:
            assert "SqsManagedSseEnabled" not in found, "SQS takes one of both"
        else:
            assert without.items() <= found.items(), name


def test_buckets_are_encrypted_by_it(resources: Resources, values: Values, key: str) -> None:
    for bucket in resources.of("AWS::S3::Bucket").values():
        (rule,) = values.resolve(bucket["BucketEncryption"])["ServerSideEncryptionConfiguration"]
        by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEYS[key]}
        assert rule["ServerSideEncryptionByDefault"] == (by_key if KEYS[key] else {"SSEAlgorithm": "AES256"})
        # Else each picture would be a paid request to KMS.
        assert rule.get("BucketKeyEnabled") is (True if KEYS[key] else None)


def test_alarms_reach_their_topic_whatever_the_key(resources: Resources, values: Values, key: str) -> None:
    """With alias/aws/sns CloudWatch may not publish, and the alarm is lost without a sound."""
    found = {
        name: values.resolve(topic).get("KmsMasterKeyId") for name, topic in resources.of("AWS::SNS::Topic").items()
    }
    assert found == {"Topic": KEYS[key] or "alias/aws/sns", "AlarmTopic": KEYS[key]}
    policy, topic = resources.properties("AlarmTopicPolicy"), {"Ref": "AlarmTopic"}
    (allow, _) = policy["PolicyDocument"]["Statement"]
    assert (allow["Effect"], allow["Principal"], allow["Action"]) == (
        "Allow",
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
    )
    assert (policy["Topics"], allow["Resource"]) == ([topic], topic)
    assert allow["Condition"] == _from_here("cloudwatch", "alarm:*")


def _from_here(service: str, what: str) -> Json:
    """That nobody else's service asks, in somebody else's name (IAM User Guide, "The confused deputy problem")."""
    arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{what}"}
    return {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}, "ArnLike": {"aws:SourceArn": arn}}


def _key_statements(resources: Resources) -> dict[str, Json]:
    return {item["Sid"]: item for item in resources.properties("Key")["KeyPolicy"]["Statement"]}


def test_the_stacks_key_lets_each_service_in_and_nobody_elses(resources: Resources) -> None:
    statements = _key_statements(resources)
    services = {name: item["Principal"].get("Service") for name, item in statements.items()}
    assert services == {
        "Administer": None,
        "Alarms": "cloudwatch.amazonaws.com",
        "Rules": "events.amazonaws.com",
        "Logs": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"},
        "WorkflowLogs": "delivery.logs.amazonaws.com",
    }
    assert {(item["Effect"], item["Resource"]) for item in statements.values()} == {("Allow", "*")}
    assert statements["Alarms"]["Condition"] == _from_here("cloudwatch", "alarm:*")
    assert "Condition" not in statements["Rules"], "EventBridge does not name the source to KMS everywhere"
    here = _from_here("logs", "*")["ArnLike"]["aws:SourceArn"]
    assert statements["WorkflowLogs"]["Condition"] == {"ArnLike": {"kms:EncryptionContext:SourceArn": here}}
    assert statements["Alarms"]["Action"] == statements["Rules"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statements["Administer"]["Principal"] == {
        "AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    }


def test_the_key_opens_every_log_group_of_the_stack(template: Json, resources: Resources) -> None:
    values = Values.deployed(template, {})
    patterns = values.resolve(_key_statements(resources)["Logs"]["Condition"]["ArnLike"])[
        "kms:EncryptionContext:aws:logs:arn"
    ]
    groups = [values.resolve(group["LogGroupName"]) for group in resources.of("AWS::Logs::LogGroup").values()]
    prefixes = [pattern.partition(":log-group:")[2] for pattern in patterns]
    assert [group for group in groups if not any(re.fullmatch(it.replace("*", ".*"), group) for it in prefixes)] == []


def test_the_key_is_kept_with_what_it_has_encrypted_and_renewed(resources: Resources) -> None:
    assert resources.properties("Key")["EnableKeyRotation"] is True
    assert resources.all["Key"]["Condition"] == resources.all["KeyAlias"]["Condition"] == "CreateKey"


def test_every_role_that_meets_what_is_encrypted_may_use_the_key(
    template: Json, resources: Resources, key: str
) -> None:
    values = Values.deployed(template, {"KmsKey": key})
    policies = {name: item for name, item in resources.of("AWS::IAM::Policy").items() if "Key" in name}
    assert {resources.all[name]["Condition"] for name in policies} == {"HasKey"}
    may = {
        role["Ref"]: {
            action.removeprefix("kms:")
            for item in policy["PolicyDocument"]["Statement"]
            for action in listed(item["Action"])
        }
        for policy in policies.values()
        for role in policy["Roles"]
    }
    assert may == {
        **dict.fromkeys(set(resources.of("AWS::IAM::Role")) - {"SignerRole"}, USE),
        "SignerRole": {"Decrypt"},
    }
    if key:
        arns = {
            values.resolve(item["Resource"])
            for policy in policies.values()
            for item in policy["PolicyDocument"]["Statement"]
        }
        assert arns == {KEYS[key]}


# ---- On the way --------------------------------------------------------------------------------------------------


def _refusals(resources: Resources) -> Iterator[tuple[str, str, Json]]:
    """Each thing that a policy of a resource refuses to serve without TLS."""
    kinds = {"AWS::S3::BucketPolicy": "Bucket", "AWS::SQS::QueuePolicy": "Queues", "AWS::SNS::TopicPolicy": "Topics"}
    for kind, field in kinds.items():
        for policy in resources.of(kind).values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny":
                    yield from ((kind, target["Ref"], statement) for target in listed(policy[field]))


def test_nothing_is_served_without_tls(resources: Resources) -> None:
    stores = [name for kind in ("S3::Bucket", "SQS::Queue", "SNS::Topic") for name in resources.of(f"AWS::{kind}")]
    refusals = list(_refusals(resources))
    assert sorted(name for _, name, _ in refusals) == sorted(stores)
    actions = {
        "AWS::S3::BucketPolicy": "s3:*",
        "AWS::SQS::QueuePolicy": "sqs:*",
        "AWS::SNS::TopicPolicy": "sns:Publish",
    }
    for kind, name, statement in refusals:
        assert (statement["Principal"], statement["Action"]) == ("*", actions[kind]), name
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
        assert name in {text.split(".")[0].strip("${}") for text in strings(statement["Resource"])}, name
    whole = {name: statement["Resource"] for kind, name, statement in refusals if kind == "AWS::S3::BucketPolicy"}
    assert whole == {
        name: [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
        for name in resources.of("AWS::S3::Bucket")
    }
