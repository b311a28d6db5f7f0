"""What the engine's tests build with: functions, machines, queues and stacks on one engine."""

from __future__ import annotations

import io
import itertools
import json
import sys
import time
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from tests.waiting import until, watch

if TYPE_CHECKING:
    from local.engine.endpoint import Endpoint

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"

_numbers = itertools.count(1)


def archive(files: dict[str, str]) -> bytes:
    """A zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, text in files.items():
            target.writestr(name, text)
    return packed.getvalue()


class Workbench:
    """One engine, and short ways to make things on it."""

    def __init__(self, engine: Endpoint) -> None:
        self.engine = engine

    @cache  # noqa: B019 - a handful of benches, which live as long as the test session
    def client(self, service: str) -> Any:
        """A client that does not hide a failure behind retries."""
        return self.engine.client(service, config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50))

    def name(self, stem: str) -> str:
        """A name that nothing else has."""
        return f"{stem}-{next(_numbers)}"

    def function(self, code: str, *, layers: list[str] | None = None, **options: Any) -> str:
        """The ARN of a new function whose `handler(event, context)` is in this code."""
        defaults = {"FunctionName": self.name("function"), "Runtime": RUNTIME, "Timeout": 20, "Layers": layers or []}
        made = self.client("lambda").create_function(
            Role=ROLE, Handler="app.handler", Code={"ZipFile": archive({"app.py": code})}, **{**defaults, **options}
        )
        return str(made["FunctionArn"])

    def invoke(self, function: str, event: Any = None) -> Any:
        """The answer of one invocation, which is the error document when it failed."""
        return json.load(self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])

    def log_lines(self, function: str) -> list[str]:
        """What the function has logged so far."""
        group = f"/aws/lambda/{function.rpartition(':')[2]}"
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        events = self.client("logs").filter_log_events(logGroupName=group)["events"] if groups else []
        return [event["message"] for event in events]

    def machine(self, definition: dict[str, Any]) -> str:
        """The ARN of a new state machine."""
        made = self.client("stepfunctions").create_state_machine(
            name=self.name("machine"), definition=json.dumps(definition), roleArn=ROLE
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, **options: Any) -> str:
        """The ARN of a started execution."""
        return str(self.client("stepfunctions").start_execution(stateMachineArn=machine, **options)["executionArn"])

    def status(self, execution: str) -> str:
        """The status of an execution now."""
        return str(self.client("stepfunctions").describe_execution(executionArn=execution)["status"])

    def final_status(self, execution: str) -> str:
        """The status of an execution once it has ended."""
        return watch(lambda: self.status(execution), lambda status: status != "RUNNING", seconds=30)

    def entered(self, execution: str, state: str) -> bool:
        """Whether an execution has come to this state."""
        events = self.client("stepfunctions").get_execution_history(executionArn=execution)["events"]
        return any(event.get("stateEnteredEventDetails", {}).get("name") == state for event in events)

    def queue(self, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        url = self.client("sqs").create_queue(QueueName=self.name("queue"), Attributes=attributes)["QueueUrl"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def message(self, url: str, seconds: float = 30.0) -> str | None:
        """The body of the next message, which is then gone."""

        def receive() -> list[dict[str, str]]:
            found: list[dict[str, str]] = self.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
            return found

        messages = watch(receive, seconds=seconds)
        for message in messages:
            self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages[0]["Body"] if messages else None

    def announcing_bucket(self, target: str, *, versioned: bool = True) -> str:
        """A bucket whose new objects reach the queue of this ARN through EventBridge."""
        bucket = self.name("bucket")
        s3, events = self.client("s3"), self.client("events")
        s3.create_bucket(Bucket=bucket)
        if versioned:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        rule = self.name("rule")
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [bucket]}}}
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": target}])
        return bucket

    def metric_sum(self, namespace: str, name: str, dimensions: dict[str, str]) -> float:
        """The sum of a metric over the last minutes."""
        now = time.time()
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - 600,
            EndTime=now + 60,
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    def alarm(self, namespace: str, metric: str, dimensions: dict[str, str], **options: Any) -> str:
        """The name of an alarm that rings at a maximum of one."""
        name = self.name("alarm")
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            **options,
        )
        return name

    def alarm_state(self, name: str) -> str:
        """The state of an alarm now."""
        return str(self.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    def stack(self, template: dict[str, Any], **parameters: str) -> dict[str, str]:
        """The outputs of a new stack."""
        cloudformation, name = self.client("cloudformation"), self.name("stack")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        stack = until(
            lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0],
            f"the end of stack {name}",
            lambda found: not found["StackStatus"].endswith("IN_PROGRESS"),
        )
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
