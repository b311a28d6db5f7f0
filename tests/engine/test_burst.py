"""Two hundred files at once, and not one lost or doubled."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.engine.workbench import until

if TYPE_CHECKING:
    from tests.engine.workbench import Workbench

FILES = 200

START = """
import json, os
import boto3
workflows = boto3.client("stepfunctions")
def handler(event, context):
    for record in event["Records"]:
        found = json.loads(record["body"])["detail"]["object"]
        name = found["key"].rpartition("/")[2]
        workflows.start_execution(stateMachineArn=os.environ["MACHINE"], name=name, input=json.dumps(found))
"""

FINISH = """
import json
METRIC = {"Namespace": "Burst", "Dimensions": [[]], "Metrics": [{"Name": "Jobs"}]}
def handler(event, context):
    print(json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": [METRIC]}, "Jobs": 1}))
    return event["key"]
"""


def test_two_hundred_files_at_once_are_two_hundred_jobs(ours: Workbench) -> None:
    finish = ours.function(FINISH)
    states = {
        "Poll": {"Type": "Wait", "Seconds": 5, "Next": "Finish"},
        "Finish": {"Type": "Task", "Resource": finish, "TimeoutSeconds": 60, "End": True},
    }
    machine = ours.machine({"StartAt": "Poll", "States": states})
    _, queue = ours.queue(VisibilityTimeout="180")
    ours.client("lambda").create_event_source_mapping(
        EventSourceArn=queue,
        FunctionName=ours.function(START, Environment={"Variables": {"MACHINE": machine}}),
        BatchSize=1,
        ScalingConfig={"MaximumConcurrency": 4},
    )
    bucket = ours.announcing_bucket(queue)
    keys = [f"inbox/picture-{number}" for number in range(FILES)]
    s3 = ours.client("s3")
    with ThreadPoolExecutor(16) as uploads:
        list(uploads.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))

    def executions() -> list[dict[str, Any]]:
        pages = ours.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
        return [execution for page in pages for execution in page["executions"]]

    def over(found: list[dict[str, Any]]) -> bool:
        return len(found) >= FILES and all(execution["status"] != "RUNNING" for execution in found)

    done = until(executions, over, seconds=120)
    assert {execution["status"] for execution in done} == {"SUCCEEDED"}
    assert sorted(f"inbox/{execution['name']}" for execution in done) == sorted(keys)
    assert ours.metric_sum("Burst", "Jobs", {}) == FILES
    described = ours.client("stepfunctions").describe_execution(executionArn=done[0]["executionArn"])
    assert json.loads(described["output"]) == f"inbox/{done[0]['name']}"
