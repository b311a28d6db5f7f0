"""Batches: what a line costs when there are ten times as many, and a thousand lines from the file to the summary."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bucketbrush.domain.batches import Batch, BatchCall
from bucketbrush.domain.jobs import Invocation, ObjectVersion
from bucketbrush.domain.layout import RESULTS_KEY
from local.engine.controller import ROOT, Engine
from local.simulator.process import Simulator
from local.stack import running_stack
from tests.bench.figures import peak_rss
from tests.bench.measured import Goal, Measured
from tests.samples import plain
from tests.waiting import until, watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack
    from tests.bench.measured import Say

RSS, PER_LINE = "peak RSS, 100,000 / 10,000 lines", "CPU time per line, 100,000 / 10,000 lines"
ENDED, PAID_TWICE, TOLD = "lines with one outcome", "lines paid twice", "announcements of the batch"
SUMMED = "jobs in the summary"
_FEW, _MANY = 10_000, 100_000
_ROUNDS = 3
_JOBS = 1_000
_PATIENCE = 900  # seconds for the thousand lines
_DOCUMENT = {"model": "gpt-image-2-vip", "prompt": "a poster of a boat in the harbour, as a woodcut in two colours"}


@dataclass(frozen=True)
class Cost:
    """What it takes one fresh process to count and send so many lines: peak RSS in bytes, seconds of its own CPU time,
    and seconds that passed.
    """

    lines: int
    rss: int
    cpu: float
    wall: float

    @property
    def per_line(self) -> float:
        """Microseconds of CPU time."""
        return 1e6 * self.cpu / self.lines


def content(lines: int) -> bytes:
    """A file of so many jobs, all of the same length."""
    texts = (json.dumps({**_DOCUMENT, "prompt": f"{_DOCUMENT['prompt']}, number {n:06}"}) for n in range(lines))
    return "".join(f"{text}\n" for text in texts).encode()


# ---- Sending, in a process of its own ------------------------------------------------------------------------------


def send(key: str, lines: int) -> Cost:
    """The first turn of a batch, on the adapters of the deployed function; its environment says where everything is."""
    from bucketbrush.wiring.batch import build_batch

    source = ObjectVersion(bucket=os.environ["INBOX_BUCKET"], key=key)
    look_after = build_batch()
    invocation = Invocation(id="bench", ends_at=int(time.time()) + 3600)
    cpu, wall = time.process_time(), time.monotonic()
    look_after(BatchCall(source=source, requested_at=int(time.time())), invocation)
    return Cost(lines, peak_rss(), time.process_time() - cpu, time.monotonic() - wall)


class Bench:
    """An engine with what the batch function needs; nobody takes the messages of its queues."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        sqs = engine.client("sqs")
        self._queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("turns", "submits")}
        engine.client("s3").create_bucket(Bucket="bench")
        engine.client("dynamodb").create_table(
            TableName="batches",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "batch_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "batch_id", "KeyType": "HASH"}],
        )

    def measure(self, lines: int, number: int) -> Cost:
        """One run; then all of its lines must be in the queue, and none is left there."""
        key = f"inbox/{lines}-{number}.jobs.jsonl"
        self._engine.client("s3").put_object(Bucket="bench", Key=key, Body=content(lines))
        command = [sys.executable, "-m", "tests.bench.batch", key, str(lines)]
        done = subprocess.run(command, env=self._environment(), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr[-2000:]}")
        held = self._held()
        if held != lines:
            raise RuntimeError(f"{lines:,} lines were to be sent; found {held:,} messages")
        for url in self._queues.values():
            self._engine.client("sqs").purge_queue(QueueUrl=url)
        return Cost(**json.loads(done.stdout.splitlines()[-1]))

    def _held(self) -> int:
        name: Any = "ApproximateNumberOfMessages"
        sqs = self._engine.client("sqs")
        found = sqs.get_queue_attributes(QueueUrl=self._queues["submits"], AttributeNames=[name])
        return int(found["Attributes"][name])

    def _environment(self) -> Mapping[str, str]:
        names = {
            "JOBS_TABLE": "jobs",
            "JOBS_MACHINE_ARN": "machine",
            "LIMITS_TABLE": "limits",
            "KEEP_DAYS": "400",
            "BATCHES_TABLE": "batches",
        }
        queues = {"BATCH_QUEUE_URL": self._queues["turns"], "SUBMIT_QUEUE_URL": self._queues["submits"]}
        places = {"INBOX_BUCKET": "bench", "INBOX_PREFIX": "inbox/", "RESULTS_BUCKET": "bench"}
        others = {"RESULTS_KEY": RESULTS_KEY, "TOPIC_ARN": "arn:topic"}
        limits = {"MAX_QUEUE_SECONDS": "86400", "DEADLINE_SECONDS": "21600"}
        path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "layers" / "bucketbrush"), str(ROOT)])}
        return {**os.environ, **self._engine.environ(), **names, **queues, **places, **others, **limits, **path}


def _expansion(say: Say) -> dict[str, Any]:
    """The two sizes by turns, so that whatever else this machine does meets both."""
    costs: dict[int, list[Cost]] = {_FEW: [], _MANY: []}
    with Engine() as engine:
        bench = Bench(engine)
        for number in range(_ROUNDS):
            for lines, found in costs.items():
                found.append(bench.measure(lines, number))
                say(f"{lines:,} lines sent in {found[-1].wall:.1f} s")
    rss = {lines: statistics.median(cost.rss for cost in found) for lines, found in costs.items()}
    per_line = {lines: statistics.median(cost.per_line for cost in found) for lines, found in costs.items()}
    wall = {lines: statistics.median(cost.wall for cost in found) for lines, found in costs.items()}
    return {
        "peak RSS, MiB": {f"{lines:,}": round(found / 2**20, 1) for lines, found in rss.items()},
        "CPU time per line, microseconds": {f"{lines:,}": round(found, 1) for lines, found in per_line.items()},
        "lines per second, the engine included": {f"{lines:,}": round(lines / found) for lines, found in wall.items()},
        RSS: round(rss[_MANY] / rss[_FEW], 3),
        PER_LINE: round(per_line[_MANY] / per_line[_FEW], 3),
    }


# ---- From the file to the summary ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drive:
    """One batch of so many lines in the deployed stack."""

    stack: Stack
    jobs: int
    say: Say

    def __call__(self) -> dict[str, Any]:
        told = self._listen()
        self.stack.drop("inbox/thousand.jobs.jsonl", content(self.jobs))
        began = time.monotonic()
        batch = self._ended()
        seconds = time.monotonic() - began
        announcements = self._heard(told, batch.batch_id)
        rows = [plain({"M": row}) for row in self.stack.rows()]
        outcomes = Counter(
            row["line"]["number"] for row in rows if row["batch"] == batch.batch_id and row["state"] == "ended"
        )
        tasks = Counter(task["client_business_id"] for task in self.stack.simulator.tasks())
        summary = json.loads(self.stack.result(announcements[0]["summary"]["key"]))
        return {
            "lines": self.jobs,
            "seconds from the file to the summary": round(seconds, 1),
            "outcomes": summary["outcomes"],
            ENDED: sum(count == 1 for count in outcomes.values()),
            PAID_TWICE: sum(count > 1 for count in tasks.values()),
            SUMMED: summary["jobs"],
            TOLD: len(announcements),
        }

    def _listen(self) -> str:
        """A queue that hears what is told of batches."""
        sqs, sns = self.stack.engine.client("sqs"), self.stack.engine.client("sns")
        url = sqs.create_queue(QueueName="told")["QueueUrl"]
        names: Any = ["QueueArn"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
        wanted = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"kind": ["batch"]})}
        sns.subscribe(TopicArn=self.stack.outputs["TopicArn"], Protocol="sqs", Endpoint=arn, Attributes=wanted)
        return str(url)

    def _ended(self) -> Batch:
        """The batch's row when it has ended."""
        seen = watch(self._batch, lambda row: row is not None and row.ended_at, seconds=_PATIENCE, pause=0.5)
        if seen is None or seen.ended_at is None:
            raise RuntimeError(f"the batch has not ended: {seen!r}")
        self.say(f"the batch has ended: {seen.seen.jobs} jobs")
        return seen

    def _batch(self) -> Batch | None:
        items = self.stack.engine.client("dynamodb").scan(TableName=self.stack.outputs["BatchesTable"])["Items"]
        return next((Batch.model_validate(plain({"M": item})) for item in items), None)

    def _heard(self, url: str, batch_id: str) -> list[dict[str, Any]]:
        sqs = self.stack.engine.client("sqs")
        messages = until(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
        return [told for message in messages if (told := json.loads(message["Body"]))["batch_id"] == batch_id]


def _end_to_end(say: Say, jobs: int) -> dict[str, Any]:
    simulator = Simulator(queue_seconds=0.0, task_seconds=0.2, paint=False)
    with running_stack(Engine(), simulator, {"MaximumConcurrency": "8"}, say) as stack:
        return Drive(stack, jobs, say)()


def bench(say: Say) -> Measured:
    """The section. Time is CPU time of the sending process: the engine's own queue grows with what it holds."""
    goals = {
        RSS: Goal(most=1.1),
        PER_LINE: Goal(most=1.1),
        ENDED: Goal(least=_JOBS, most=_JOBS),
        SUMMED: Goal(least=_JOBS, most=_JOBS),
        PAID_TWICE: Goal(most=0),
        TOLD: Goal(least=1, most=1),
    }
    return Measured({**_expansion(say), **_end_to_end(say, _JOBS)}, goals)


def main() -> None:
    """What `Bench` starts: send one file's lines, and print what that took."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.batch", description="Send the lines of one batch.")
    parser.add_argument("key", help="of the file in the bucket INBOX_BUCKET")
    parser.add_argument("lines", type=int, help="how many it has")
    given = parser.parse_args()
    sys.stdout.write(json.dumps(vars(send(given.key, given.lines))) + "\n")


if __name__ == "__main__":
    main()
