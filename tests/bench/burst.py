"""Bursts: a thousand pictures dropped at once, against the engine's own floor, and what each job takes of the CPU.

The functions of this machine share its cores with the engine, the simulator and whoever drops, so wall time is what all
of them take together. CPU time is that of the engine and of its functions alone, without their start: they are warm.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.engine.controller import Engine
from local.simulator.process import Simulator
from local.stack import running_stack
from tests.bench.measured import Goal, Measured
from tests.engine.workbench import Workbench
from tests.samples import picture
from tests.waiting import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from local.stack import Stack
    from tests.bench.measured import Say

LOST, TWICE, DEAD = "lost", "paid twice", "dead letters"
WALL, PER_JOB = "wall time / the engine's floor", "CPU time per job, 1,000 / 100 jobs"
ASKING = "the floor with a job's requests / the floor"
_FEW, _SOME, _MANY = 100, 300, 1_000
_WARM = 40  # jobs, after which every environment has started and knows the class of the jobs
_HANDS = 8  # that drop, or send, at the same time
_PATIENCE = 600  # seconds for a crowd
_TASK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_PRESET = {"model": "gpt-image-2-vip", "prompt": "a poster"}
_REQUESTS = 11, 1, 13  # of submit, status and finalize for a job: the section polling counts them
_ASK = """
import boto3
client = boto3.client("dynamodb")
def ask():
    for _ in range({requests}):
        client.get_item(TableName={table!r}, Key={{"job_id": {{"S": "nobody"}}}})
"""
_NOTHING = """
def handler(event, context):
    ask()
"""
_START = """
import os
states = boto3.client("stepfunctions")
def handler(event, context):
    for record in event["Records"]:
        ask()
        states.start_execution(stateMachineArn=os.environ["MACHINE"], name=record["messageId"])
"""


# ---- CPU time -------------------------------------------------------------------------------------------------------


class Cpu(NamedTuple):
    """Seconds of CPU time in user and in system mode: the engine's own, and that of its functions."""

    engine: float
    functions: float

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(self.engine - before.engine, self.functions - before.functions)


def cpu_of(group: int, lines: Iterable[str]) -> Cpu:
    """What a process group has used whose leader is the engine and whose other members are function environments.

    ``lines`` are /proc/<pid>/stat of any processes. Behind the name in parentheses stand state, parent and group, and
    from the 12th field on the ticks in user and system mode, then those of children that have ended (proc(5)).
    """
    engine = functions = 0
    for line in lines:
        pid, fields = int(line.split(maxsplit=1)[0]), line.rpartition(")")[2].split()
        if int(fields[2]) != group:
            continue
        own, ended = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        engine += own if pid == group else 0
        functions += ended if pid == group else own + ended
    return Cpu(engine / _TICKS, functions / _TICKS)


def _processes() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            yield path.read_text()


# ---- Two ways through the engine ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crowd:
    """So many jobs at once: seconds from the first request to the end of the last execution, and CPU time."""

    jobs: int
    wall: float
    cpu: Cpu

    @property
    def each(self) -> Cpu:
        """Milliseconds for each job."""
        return Cpu(*(round(1000 * seconds / self.jobs, 1) for seconds in self.cpu))


@dataclass(frozen=True)
class Course:
    """``enter`` asks for the job of a number, which becomes one execution of the machine of this ARN."""

    engine: Engine
    machine: str
    enter: Callable[[int], object]

    def run(self, jobs: int) -> Crowd:
        """Let so many in at once, and wait until all have ended."""
        before, used, began = len(self._ends()), self._used(), time.time()
        with ThreadPoolExecutor(_HANDS) as hands:
            list(hands.map(self.enter, range(before, before + jobs)))
        # Rarely, because the engine lists all of them: when the last one has ended stands there.
        ends = watch(self._ends, lambda found: len(found) == before + jobs, seconds=_PATIENCE, pause=3.0)
        if len(ends) != before + jobs:
            raise RuntimeError(f"{jobs:,} executions were to end; found {len(ends) - before:,}")
        return Crowd(jobs, max(ends) - began, self._used() - used)

    def _ends(self) -> list[float]:
        """When executions have ended, in seconds since 1970."""
        pages = self.engine.client("stepfunctions").get_paginator("list_executions")
        found = (execution for page in pages.paginate(stateMachineArn=self.machine) for execution in page["executions"])
        return [execution["stopDate"].timestamp() for execution in found if execution["status"] != "RUNNING"]

    def _used(self) -> Cpu:
        return cpu_of(self.engine.pid, _processes())


def ours(stack: Stack) -> Course:
    """Pictures that are dropped into the deployed template."""
    stack.put_preset("default", _PRESET)
    content = picture()
    return Course(
        stack.engine, stack.outputs["JobsMachineArn"], lambda number: stack.drop(f"inbox/{number:05}.png", content)
    )


def floor(stack: Stack, requests: tuple[int, int, int] = (0, 0, 0)) -> Course:
    """What the same engine takes for as many messages and invocations without any work in them.

    A message waits in a queue whose function gets it as the template's submit function gets its own: the same event
    source mapping, the same number of environments. All it does is to start an execution. That has two states, in the
    place of Status and Finalize, each of which calls a function that does nothing. Or each of the three asks the engine
    so many times for an item that is not there.
    """
    engine, workbench = stack.engine, Workbench(stack.engine)
    entering, *asking = (_ASK.format(requests=count, table=stack.outputs["JobsTable"]) for count in requests)
    first, second = (
        {"Type": "Task", "Resource": workbench.function(ask + _NOTHING), **following}
        for ask, following in zip(asking, ({"Next": "Second"}, {"End": True}), strict=True)
    )
    machine = workbench.machine({"StartAt": "First", "States": {"First": first, "Second": second}})
    start = workbench.function(entering + _START, Environment={"Variables": {"MACHINE": machine}})
    url, arn = workbench.queue()
    functions = workbench.client("lambda")
    found = functions.list_event_source_mappings(FunctionName=stack.outputs["SubmitFunctionName"])
    (mapping,) = found["EventSourceMappings"]
    same = {name: mapping[name] for name in ("BatchSize", "ScalingConfig", "FunctionResponseTypes")}
    functions.create_event_source_mapping(FunctionName=start, EventSourceArn=arn, **same)
    send = partial(workbench.client("sqs").send_message, QueueUrl=url)
    return Course(engine, machine, lambda number: send(MessageBody=str(number)))


# ---- What became of the jobs ----------------------------------------------------------------------------------------


def endings(stack: Stack, dropped: int) -> dict[str, int]:
    """How many of the drops are lost, were paid twice, or stand in any dead-letter queue of the stack."""
    pages = stack.engine.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=stack.outputs["ResultsBucket"])
    stored = {item["Key"] for page in found for item in page.get("Contents", [])}
    completed = sum(
        row["state"]["S"] == "ended"
        and row["verdict"]["M"]["outcome"]["S"] == "completed"
        and f"{row['results_at']['S'].rpartition('/')[0]}/result.json" in stored
        for row in stack.rows()
    )
    tasks = Counter(task["client_business_id"] for task in stack.simulator.tasks())
    queues = [url for name, url in stack.outputs.items() if name.endswith("DeadLettersUrl")]
    return {
        LOST: dropped - completed,
        TWICE: sum(count > 1 for count in tasks.values()),
        DEAD: sum(_messages(stack, url) for url in queues),
    }


def _messages(stack: Stack, url: str) -> int:
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.engine.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


# ---- The section ----------------------------------------------------------------------------------------------------


def measure(stack: Stack, say: Say) -> dict[str, Any]:
    """The figures. The floor is measured before and after the many, so that what this machine does else meets both."""
    jobs, messages, asking = ours(stack), floor(stack), floor(stack, _REQUESTS)
    for course in (jobs, messages, asking):
        course.run(_WARM)
    say("the environments are warm")
    few = jobs.run(_FEW)
    say(f"{few.jobs:,} pictures in {few.wall:.1f} s")
    floors = [messages.run(_MANY)]
    many = jobs.run(_MANY)
    say(f"{many.jobs:,} pictures in {many.wall:.1f} s")
    floors.append(messages.run(_MANY))
    requests = asking.run(_SOME).wall / messages.run(_SOME).wall
    lowest = statistics.mean(crowd.wall for crowd in floors)
    say(f"{_MANY:,} messages in {lowest:.1f} s")
    return {
        "pictures at once": _MANY,
        **endings(stack, _WARM + _FEW + _MANY),
        "seconds": round(many.wall, 1),
        "seconds of the floor": round(lowest, 1),
        WALL: round(many.wall / lowest, 2),
        ASKING: round(requests, 2),
        **{f"CPU time per job, ms: {crowd.jobs:,} at once": crowd.each._asdict() for crowd in (few, many)},
        "CPU time per message of the floor, ms": floors[0].each._asdict(),
        PER_JOB: round(sum(many.each) / sum(few.each), 3),
    }


def bench(say: Say) -> Measured:
    """The section. The template's MaximumConcurrency and the engine's environments are what they are everywhere else.

    SubmitsPerSecond is what samconfig's ``local`` sets, 50: the most that the template takes, and more than this
    machine can send.
    """
    goals = {name: Goal(most=0) for name in (LOST, TWICE, DEAD)}
    goals |= {WALL: Goal(most=2.0), PER_JOB: Goal(most=1.2)}
    simulator = Simulator(queue_seconds=0.0, task_seconds=_TASK_SECONDS, paint=False)
    with running_stack(Engine(), simulator, say=say) as stack:
        return Measured(measure(stack, say), goals)
