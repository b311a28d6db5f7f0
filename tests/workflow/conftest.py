"""One deployed stack for all workflow tests, and what they ask of it."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.engine.controller import ROOT, Engine
from local.simulator.process import Simulator
from local.stack import Stack, running_stack
from tests.engine.workbench import Workbench
from tests.waiting import until
from tests.workflow.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

# A word of every preset's prompt; it must stand nowhere but in the ledger and in result.json.
PROMPT_MARK = "quokkamoss"
_SHORT = {"SubmitVisibilitySeconds": "2", "SweepAfterSeconds": "1"}
_layer = ExitStack()
_TIMES = ("created_at", "requested_at", "hold_until", "submitting_at", "submitted_at", "made_at", "next_check")


@dataclass
class System:
    """The stack as its users see it: buckets, executions, the ledger, and two queues that hear what is told.

    ``gate`` stands between the functions and the simulator's API; ``known`` are jobs that nobody asks for any more.
    """

    stack: Stack
    gate: Gate
    messages_url: str
    events_url: str
    inbox: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    known: set[str] = field(default_factory=set)

    def client(self, service: str) -> Any:
        return self.stack.engine.client(service)

    def output(self, name: str) -> str:
        return self.stack.outputs[name]

    def preset(self, name: str, prompt: str = "paint it", **fields: Any) -> None:
        recipe = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} {prompt}", **fields}
        self.stack.put_preset(name, recipe)

    def row(self, job_id: str) -> dict[str, Any] | None:
        answer = self.client("dynamodb").get_item(
            TableName=self.output("JobsTable"), Key={"job_id": {"S": job_id}}, ConsistentRead=True
        )
        return answer.get("Item")

    def job_of(self, key: str) -> str:
        """The id of the job that a dropped key became."""

        def find() -> str | None:
            rows = (
                row for row in self.stack.rows() if row.get("source", {"M": {"key": {"S": ""}}})["M"]["key"]["S"] == key
            )
            return next((job_id for row in rows if (job_id := row["job_id"]["S"]) not in self.known), None)

        return until(find, f"a row for {key}", pause=0.1)

    def execution_arn(self, job_id: str) -> str:
        return self.output("JobsMachineArn").replace(":stateMachine:", ":execution:") + f":{job_id}"

    def execution(self, job_id: str) -> dict[str, Any]:
        """The job's execution when it has ended."""
        arn = self.execution_arn(job_id)
        sfn = self.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = sfn.describe_execution(executionArn=arn)
            except sfn.exceptions.ExecutionDoesNotExist:
                return None
            return found if found["status"] != "RUNNING" else None

        return until(look, f"the end of execution {job_id}", pause=0.1)

    def result(self, job_id: str) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.stack.result(f"{self.folder(job_id)}/result.json"))
        return parsed

    def folder(self, job_id: str) -> str:
        """Where the job's results lie."""
        row = self.row(job_id)
        assert row is not None
        return str(row["results_at"]["S"]).rpartition("/")[0]

    def dropped(self, key: str, content: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Drop a file and wait: its job id, its execution, its result.json."""
        self.stack.drop(key, content)
        job_id = self.job_of(key)
        execution = self.execution(job_id)
        return job_id, execution, self.result(job_id)

    def tasks(self, job_id: str) -> list[Any]:
        """The tasks at the provider that carry the job's id: each one would have been paid for."""
        return [task for task in self.stack.simulator.tasks() if task["client_business_id"] == job_id]

    def until_state(self, job_id: str, state: str) -> dict[str, Any]:
        """The job's row once it is in that state."""
        return until(lambda: self.row(job_id), f"job {job_id} is {state}", lambda row: row["state"]["S"] == state)

    def age(self, job_id: str, seconds: int) -> None:
        """Make the job as old as if it had stood for so many seconds more: tests do not wait for hours."""
        times = [name for name in _TIMES if name in (self.row(job_id) or {})]
        self.client("dynamodb").update_item(
            TableName=self.output("JobsTable"),
            Key={"job_id": {"S": job_id}},
            UpdateExpression="SET " + ", ".join(f"{name} = {name} - :s" for name in times),
            ExpressionAttributeValues={":s": {"N": str(seconds)}},
        )

    def depart_at_once(self) -> None:
        """Forget every departure that was taken, and that they were stopped."""
        self.client("dynamodb").delete_item(TableName=self.output("LimitsTable"), Key={"name": {"S": "departures"}})

    def start(self, name: str, document: dict[str, Any]) -> None:
        """Start an execution as a caller does."""
        self.client("stepfunctions").start_execution(
            stateMachineArn=self.output("JobsMachineArn"), name=name, input=json.dumps(document)
        )

    def stop(self, job_id: str) -> None:
        """Cancel the job."""
        self.client("stepfunctions").stop_execution(executionArn=self.execution_arn(job_id))

    def sweep(self) -> dict[str, Any]:
        """One sweep, as its schedule calls it."""
        schedule = (ROOT / "events" / "sweep-schedule.json").read_bytes()
        answer: dict[str, Any] = self.client("lambda").invoke(
            FunctionName=self.output("SweepFunctionName"), Payload=schedule
        )
        return answer

    def told(self, job_id: str) -> dict[str, Any]:
        """What was announced of the job."""
        about = f'"job_id":"{job_id}"'
        message: dict[str, Any] = json.loads(self.heard(self.messages_url, about)["Body"])
        return message

    def messages(self, output: str) -> int:
        """How many messages a queue of the stack holds, those that somebody works on included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.output(output), AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())

    def settled(self) -> None:
        """Wait until every drop so far is worked off."""
        until(lambda: self.messages("SubmitQueueUrl") == 0, "the submit queue is empty", pause=0.1)

    def counted(self, metric: str) -> float:
        """The sum of one of the stack's own metrics."""
        return Workbench(self.stack.engine).metric_sum("Bucketbrush", metric, {"service": "bucketbrush-local"})

    def heard(self, url: str, *about: str) -> dict[str, Any]:
        """The first SQS message of a queue whose body holds all of these, such as a job's id."""

        def look() -> dict[str, Any] | None:
            answer = self.client("sqs").receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                self.inbox[url].append(message)
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return next((message for message in self.inbox[url] if all(it in message["Body"] for it in about)), None)

        return until(look, f"a message about {' and '.join(about)}", pause=0.1)


@pytest.fixture(scope="session")
def system() -> System:
    return _layer.enter_context(running_system())


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the system with these tests: its executions would go on beside those of a layer that has no sockets."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _layer.close()


@contextmanager
def running_system(**parameters: str) -> Iterator[System]:
    """An engine of its own with the template deployed as these tests need it, and with these parameters."""
    # IAM is enforced, so the pipeline runs on the template's policies alone.
    engine = Engine(wait_scale=0.1, auth=True)
    simulator = Simulator(queue_seconds=0.1, task_seconds=0.3)
    with (
        Gate(simulator) as gate,
        running_stack(engine, simulator, {"ApiBaseUrl": gate.url, **_SHORT, **parameters}) as stack,
    ):
        yield listening(stack, gate)


def listening(stack: Stack, gate: Gate) -> System:
    """Subscribe a queue to the topic and one to the event bus."""
    sqs, region = stack.engine.client("sqs"), "us-east-1"
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("messages", "events")]
    arns = [f"arn:aws:sqs:{region}:000000000000:{name}" for name in ("messages", "events")]
    for url, arn in zip(urls, arns, strict=True):
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}],
        }
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns = stack.engine.client("sns")
    for topic in ("TopicArn", "AlarmTopicArn"):
        sns.subscribe(
            TopicArn=stack.outputs[topic], Protocol="sqs", Endpoint=arns[0], Attributes={"RawMessageDelivery": "true"}
        )
    events = stack.engine.client("events")
    events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["bucketbrush"]}))
    events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": arns[1]}])
    return System(stack, gate, urls[0], urls[1])
