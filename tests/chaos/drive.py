"""Drops the jobs of a plan into the deployed stack, and plays schedule, operator and callers while they run."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.engine.controller import ROOT
from tests.chaos.plan import sweep_event
from tests.layers import mount
from tests.samples import picture, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from local.stack import Stack
    from tests.chaos.plan import Job

_LAYER = ROOT / "tests" / "chaos" / "layer"
FUNCTIONS = {
    "s": "SubmitFunctionName",
    "t": "StatusFunctionName",
    "f": "FinalizeFunctionName",
    "w": "SweepFunctionName",
}
DAY = 86_400
_REFERENCE = "references/chaos.png"
_IN_FLIGHT = 80  # jobs that are open at once, or half of the plan
_TICK, _SWEEP_EVERY, _THROTTLED = 0.5, 2.0, 1.5
_PATIENCE = 75.0  # seconds without any change
_TIMES = ("created_at", "hold_until", "submitting_at", "submitted_at", "made_at", "next_check")
_PAUSE = 14.0  # seconds
# Seconds after which no submit is on its way that has not seen the pause: five of its timeout are left for what comes
# before the request, its departure may be a second ahead, and the ledger is written then.
_UNDER_WAY = 8.0


def mount_crashes(stack: Stack, folder: Path) -> None:
    """Give the four functions the layer that kills them. ``folder`` is where it marks what has struck."""
    own = {output: {"CHAOS_LETTER": letter, "CHAOS_FOLDER": str(folder)} for letter, output in FUNCTIONS.items()}
    mount(stack, _LAYER / "sitecustomize.py", own)


@dataclass
class Ears:
    """Two queues that hear what is announced."""

    stack: Stack
    heard: dict[str, list[str]] = field(default_factory=lambda: {"messages": [], "events": []})
    _urls: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Subscribe one queue to the topic and one to the bus."""
        client, arns = self.stack.engine.client, {}
        for name in self.heard:
            arns[name] = f"arn:aws:sqs:us-east-1:000000000000:{name}"
            may_send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arns[name]}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
            self._urls[name] = client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
        client("sns").subscribe(
            TopicArn=self.stack.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=arns["messages"],
            Attributes={"RawMessageDelivery": "true"},
        )
        client("events").put_rule(Name="chaos", EventPattern=json.dumps({"source": ["bucketbrush"]}))
        client("events").put_targets(Rule="chaos", Targets=[{"Id": "queue", "Arn": arns["events"]}])

    def listen(self) -> None:
        """Take in everything that has come."""
        for name, url in self._urls.items():
            while bodies := take(self.stack, url):
                self.heard[name] += bodies


def take(stack: Stack, url: str) -> list[str]:
    """The bodies of some messages of a queue, which are then gone."""
    sqs = stack.engine.client("sqs")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


class Drive:
    """One run: ``run`` returns when every job has ended, or nothing moves any more."""

    def __init__(self, stack: Stack, jobs: Sequence[Job], seed: int, mark: str) -> None:
        self.stack, self.jobs, self.mark = stack, jobs, mark
        self.chance = Random(seed + 1)
        self.ears = Ears(stack)
        self.rows: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()
        self.dead_letters: list[str] = []
        self.expected_attempts: set[str] = set()
        # From when to when no task may be accepted, on the clock that the simulator uses too.
        self.closed = (inf, inf)
        self._pending: list[tuple[float, str]] = []  # deliveries of events: when, body
        self._seen: dict[str, float] = {}  # since when there is a row
        self._done: set[tuple[str, str]] = set()  # what was done once to a job
        # From which share of the jobs on, and what then.
        self._moments: list[tuple[float, Callable[[], object]]] = [
            (0.3, lambda: self._throttle("t")),
            (0.4, lambda: self._rule(on=False)),
            (0.5, self._pause),
            (0.6, lambda: self._rule(on=True)),
            (0.7, lambda: self._throttle("f")),
        ]

    def client(self, service: str) -> Any:
        return self.stack.engine.client(service)

    def arn(self, job_id: str) -> str:
        """The job's execution."""
        return self.stack.outputs["JobsMachineArn"].replace(":stateMachine:", ":execution:") + f":{job_id}"

    def run(self) -> None:
        self.ears.open()
        for job in self.jobs:
            if job.kind in ("drop", "bad-preset"):
                self.stack.put_preset(job.preset, job.recipe(self.mark))
        self.stack.drop(_REFERENCE, picture(colour=(7, 90, 40)))
        waiting, before, moved, swept = list(self.jobs), "", time.monotonic(), 0.0
        window = min(_IN_FLIGHT, len(self.jobs) // 2 + 1)
        with ThreadPoolExecutor(6) as pool:
            while time.monotonic() - moved < _PATIENCE and not self._over(waiting):
                began = time.monotonic()
                room = max(0, window - (len(self.jobs) - len(waiting) - self._ended()))
                list(pool.map(self._begin, waiting[:room]))
                del waiting[:room]
                self._act(1 - len(waiting) / len(self.jobs))
                if began - swept > _SWEEP_EVERY:
                    swept = began
                    for _ in range(self.chance.choice([1, 1, 2])):
                        self.counts["sweeps"] += 1
                        pool.submit(self._sweep, sweep_event(self.counts["sweeps"], self.chance))
                after = repr(sorted((name, row["state"]) for name, row in self.rows.items()))
                before, moved = after, moved if after == before else time.monotonic()
                time.sleep(max(0.0, began + _TICK - time.monotonic()))
        self._act(1)
        self._quieten()

    # ---- How it stands ---------------------------------------------------------------------------------------------

    def _ended(self) -> int:
        return sum(row["state"] == "ended" and "again_of" not in row for row in self.rows.values())

    def _over(self, waiting: list[Job]) -> bool:
        attempts = all(self.rows.get(name, {}).get("state") == "ended" for name in self.expected_attempts)
        open_rows = [name for name, row in self.rows.items() if row["state"] != "ended"]
        return not (waiting or self._pending or open_rows) and attempts and self._ended() == len(self.jobs)

    def _look(self) -> None:
        pages = self.client("dynamodb").get_paginator("scan")
        found = pages.paginate(
            TableName=self.stack.outputs["JobsTable"],
            ProjectionExpression="job_id, #state, verdict, again_of",
            ExpressionAttributeNames={"#state": "state"},
        )
        for page in found:
            for item in page["Items"]:
                row = {name: plain(value) for name, value in item.items()}
                self.rows[row["job_id"]] = row
                self._seen.setdefault(row["job_id"], time.monotonic())

    def _quieten(self) -> None:
        """Wait until every execution has ended, and hear the last words."""
        deadline = time.monotonic() + _PATIENCE
        machine = self.stack.outputs["JobsMachineArn"]
        sfn = self.client("stepfunctions")
        while time.monotonic() < deadline and (
            sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"] or self._queued()
        ):
            time.sleep(0.3)
            self._redeliver()
        self.ears.listen()

    def _queued(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.stack.outputs["SubmitQueueUrl"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())

    # ---- What is done ----------------------------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        if job.kind == "document":
            document = {**job.recipe(self.mark), "references": [_REFERENCE]}
            self.client("stepfunctions").start_execution(
                stateMachineArn=self.stack.outputs["JobsMachineArn"], name=job.name, input=json.dumps(document)
            )
            return
        content = b"no picture" if job.kind == "no-picture" else picture(colour=(job.number % 256, 90, 40))
        bucket = self.stack.outputs["InboxBucket"]
        put = self.client("s3").put_object(Bucket=bucket, Key=job.key, Body=content)
        version = {"version-id": put["VersionId"], "etag": put["ETag"].strip('"'), "sequencer": "00617F08299329D189"}
        detail = {"bucket": {"name": bucket}, "object": {"key": job.key, "size": len(content), **version}}
        at = datetime.now(UTC).isoformat()
        body = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "time": at, "detail": detail})
        self._pending += [(time.monotonic() + after, body) for after in job.deliveries]

    def _act(self, share: float) -> None:
        while self._moments and self._moments[0][0] <= share:
            self._moments.pop(0)[1]()
        if self.closed[0] - _UNDER_WAY + _PAUSE < time.monotonic() < self.closed[1]:
            self._resume()
        due = [body for when, body in self._pending if when <= time.monotonic()]
        self._pending = [(when, body) for when, body in self._pending if when > time.monotonic()]
        for body in due:
            self.counts["duplicates"] += 1
            self._send(body)
        self._look()
        for job_id, row in list(self.rows.items()):
            self._attend(self.jobs[int(job_id[:4])], job_id, row)
        self._redeliver()
        self.ears.listen()

    def _attend(self, job: Job, job_id: str, row: dict[str, Any]) -> None:
        """What the plan has for this job now."""
        state, root = row["state"], "again_of" not in row
        age = time.monotonic() - self._seen[job_id]
        if root and job.stop_after is not None and age > job.stop_after and state != "ended":
            self._once("stops", job_id, self._stop)
        if state == job.stands_still:
            self._once("aged", job_id, self._age)
        if root and job.redrive and ("stops", job_id) in self._done:
            self._once("redrives", job_id, self._redrive)
        if state != "ended":
            return
        if root and job.redrive and row["verdict"]["outcome"] not in ("completed", "partial"):
            self._once("redrives", job_id, self._redrive)
        if root and job.again and row["verdict"]["money"] == "not moved":
            self.expected_attempts.add(f"{job_id}-2")
            self._once("again", job_id, lambda name: self._send(json.dumps({"again": name})))

    def _once(self, what: str, job_id: str, act: Callable[[str], object]) -> None:
        """Do it to the job if that was not done, and is possible now."""
        if (what, job_id) not in self._done:
            with suppress(ClientError):
                act(job_id)
                self._done.add((what, job_id))
                self.counts[what] += 1

    def _send(self, body: str) -> None:
        self.client("sqs").send_message(QueueUrl=self.stack.outputs["SubmitQueueUrl"], MessageBody=body)

    def _stop(self, job_id: str) -> None:
        self.client("stepfunctions").stop_execution(executionArn=self.arn(job_id))

    def _redrive(self, job_id: str) -> None:
        self.client("stepfunctions").redrive_execution(executionArn=self.arn(job_id))

    def _age(self, job_id: str) -> None:
        """Make it a day older: nobody waits for hours here."""
        table, key = self.stack.outputs["JobsTable"], {"job_id": {"S": job_id}}
        item = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        changes = ", ".join(f"{name} = {name} - :s" for name in _TIMES if name in item)
        self.client("dynamodb").update_item(
            TableName=table,
            Key=key,
            UpdateExpression=f"SET {changes}",
            ExpressionAttributeValues={":s": {"N": str(DAY)}},
        )

    def _redeliver(self) -> None:
        """Dead letters go back into the queue."""
        for body in take(self.stack, self.stack.outputs["SubmitDeadLettersUrl"]):
            self.dead_letters.append(body)
            self.counts["dead letters redriven"] += 1
            self._send(body)

    def _sweep(self, event: str) -> None:
        with suppress(ClientError):
            self.client("lambda").invoke(FunctionName=self.stack.outputs["SweepFunctionName"], Payload=event.encode())

    def _rule(self, *, on: bool) -> None:
        events = self.client("events")
        (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ExecutionEndedRule" in rule["Name"]]
        (events.enable_rule if on else events.disable_rule)(Name=rule)

    def _pause(self) -> None:
        """Pause the intake, as the operator does."""
        self._change_departures("SET paused = :now", ExpressionAttributeValues={":now": {"N": str(int(time.time()))}})
        self.closed = (time.monotonic() + _UNDER_WAY, inf)
        self.counts["pauses"] += 1

    def _resume(self) -> None:
        self.closed = (self.closed[0], time.monotonic())
        self._change_departures("REMOVE paused")

    def _change_departures(self, expression: str, **values: Any) -> None:
        self.client("dynamodb").update_item(
            TableName=self.stack.outputs["LimitsTable"],
            Key={"name": {"S": "departures"}},
            UpdateExpression=expression,
            **values,
        )

    def _throttle(self, letter: str) -> None:
        """For a moment, refuse every call of a function."""
        functions, name = self.client("lambda"), self.stack.outputs[FUNCTIONS[letter]]
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        time.sleep(_THROTTLED)
        functions.delete_function_concurrency(FunctionName=name)
        self.counts["throttles"] += 1
