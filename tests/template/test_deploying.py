"""Two stacks live in one account, and what a stack keeps is there when it is deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.template.stack import Json, Resources

# What a kind of resource is named by; two stacks with one name would be one too many.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::QueryDefinition": "Name",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::XRay::SamplingRule": "SamplingRule",
}
# These belong to another resource, or have no name.
NAMELESS = {
    "AWS::IAM::Policy",
    "AWS::KMS::Key",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
KEPT = {"InboxBucket", "ResultsBucket", "JobsTable", "BatchesTable", "LimitsTable", "DurationsTable", "Key"}


def test_every_name_is_the_stacks_own(resources: Resources) -> None:
    assert {item["Type"] for item in resources.all.values()} - set(NAMES) <= NAMELESS
    named = {
        name: json.dumps(properties[NAMES[item["Type"]]])
        for name, item in resources.all.items()
        if NAMES.get(item["Type"]) in (properties := item.get("Properties", {}))
    }
    assert [name for name, text in named.items() if "AWS::StackName" not in text and "AWS::StackId" not in text] == []
    assert {resources.all[name]["Type"] for name in named}.isdisjoint({"AWS::S3::Bucket", "AWS::DynamoDB::Table"}), (
        "they outlive their stack, so one of the same name could not be deployed again"
    )


def test_no_output_takes_a_name_of_the_account(template: Json) -> None:
    assert [name for name, output in template["Outputs"].items() if "Export" in output] == []


def test_what_a_deleted_stack_leaves(resources: Resources) -> None:
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    policies = {name: {field: item.get(field) for field in kept} for name, item in resources.all.items()}
    assert {name for name, found in policies.items() if found == kept} == KEPT
    assert {name for name, found in policies.items() if "Retain" in found.values()} == KEPT
