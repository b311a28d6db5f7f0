"""One run: the functions in this process, and what stands around them on AWS - queues, workflow, schedule and time.

Time is simulated and jumps to whatever is due next. Whoever waits for something is a generator of waits in seconds.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import re
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3

from bucketbrush.wiring import batch, finalize, provider, shared, status, submit, sweep
from tests.contract.aws import client, name
from tests.crash.machine import TaskFailed, Walk
from tests.crash.rig import Rig, connect, ended, function_of
from tests.crash.tap import Effect, How, Killed, Tap
from tests.samples import mask_picture, picture, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from types import CodeType

    from tests.crash.scenarios import Scenario
    from tests.template.stack import Json

    Process = Generator[float, None, None]

FUNCTIONS = Path(__file__).parents[2] / "functions"
_FUNCTIONS = ("submit", "status", "finalize", "sweep")
_VISIBILITY, _RECEIVES, _REDRIVES, _REDRIVE_AFTER = 360, 5, 2, 3600
_TASK_TIMEOUT = 75
_LONGEST = 3 * 86_400
_TABLES = ("JobsTable", "LimitsTable", "DurationsTable")
_DEPARTURES = {"name": {"S": "departures"}}
_POST = "toapis POST /v1/images/generations"
_WRITES = ("dynamodb PutItem", "dynamodb UpdateItem", "dynamodb TransactWriteItems")
_JOB_ID = re.compile(r'"job_id": \{"S": "([^"]+)"')


@dataclass
class Execution:
    """A workflow that the driver walks, and its stand-in at the engine."""

    walk: Walk
    arn: str
    is_over: bool = False


@dataclass(frozen=True)
class Submit:
    """A request that is to be paid, as it arrives: what its job's row and the row of departures say then.

    ``at`` is in seconds since 1970.
    """

    at: float
    job: Json
    schedule: Json


@dataclass(frozen=True)
class _Context:
    """What Lambda hands to a handler. The remaining time is such that the invocation ends at a simulated time."""

    aws_request_id: str
    ends_at: int

    def get_remaining_time_in_millis(self) -> float:
        return (self.ends_at - time.time()) * 1000 + 500


class World:
    """``kills`` and ``intruders`` are the tap's; an intruder is told the world that it meets."""

    def __init__(
        self,
        rig: Rig,
        scenario: Scenario,
        kills: Mapping[int, How] | None = None,
        intruders: Mapping[int, Callable[[World], None]] | None = None,
    ) -> None:
        self.rig, self.scenario = rig, scenario
        self.began = int(time.time())
        self._now = float(self.began)
        self.tables = {resource: rig.table(resource) for resource in _TABLES}
        machine = rig.dead_machine if scenario.is_dead else rig.machine
        self._environments = {
            function: rig.environment(function, self.tables, machine, dict(scenario.parameters))
            for function in _FUNCTIONS
        }
        self._machine = machine
        bound = {number: (lambda act=act: act(self)) for number, act in (intruders or {}).items()}
        self.tap = Tap(lambda: self._now - self.began, self._sent, kills or {}, bound)
        self.calls: list[tuple[str, Json]] = []  # of the invocations that run, the innermost last
        self.submits: list[Submit] = []
        self.executions: dict[str, Execution] = {}
        self.message: Json | None = None
        self.mark = 0  # effects up to this one are not this scenario's
        self._agenda: list[tuple[float, int, Process]] = []
        self._order = itertools.count()
        self._schedule = self._sweeping()
        self.begin(self._schedule, scenario.sweep_every)
        self._names: Counter[str] = Counter()

    # ---- Time --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until every job has ended and nothing is left to do, nor to look for."""
        self.rig.simulator.reset()
        self.scenario.begin(self)
        self.go_on()

    def go_on(self) -> None:
        """As ``run``, from here."""
        with self._installed():
            self.work()

    def work(self) -> None:
        """Whatever is due next, until only the schedule is left and it has nothing to look after."""
        while any(process is not self._schedule for _, _, process in self._agenda) or self._looked_after():
            due, _, process = heapq.heappop(self._agenda)
            self._now = max(self._now, due)
            assert self._now - self.began < _LONGEST, f"it does not end: {self._looked_after()}"
            wait = next(process, None)
            if wait is not None:
                self.begin(process, wait)

    def begin(self, process: Process, after: float = 0) -> None:
        heapq.heappush(self._agenda, (self._now + after, next(self._order), process))

    @contextmanager
    def _installed(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.tap.installed())
            stack.enter_context(patch.object(boto3.Session, "client", connect))
            clock = SimpleNamespace(time=lambda: self._now, sleep=self._sleep)
            for module in (batch, finalize, shared, status, submit, sweep):
                stack.enter_context(patch.object(module, "time", clock))
            yield

    def _sleep(self, seconds: float) -> None:
        self._now += seconds

    # ---- What the user does --------------------------------------------------------------------------------------

    def preset(self) -> str:
        """The scenario's recipe under a new name."""
        made = name("preset")
        self.replace_preset(made, self.scenario.recipe)
        return made

    def replace_preset(self, preset: str, recipe: Json) -> None:
        self._put(f"presets/{preset}.json", json.dumps(recipe).encode())

    def drop(self, preset: str) -> None:
        """A file, and its message in the submit queue."""
        self._dropped(f"inbox/{preset}/cat.png", picture())

    def put_mask(self, preset: str) -> None:
        """The mask of the file."""
        self._put(f"inbox/{preset}/cat.mask.png", mask_picture())

    def drop_document(self, document: Json) -> None:
        """A job document with a reference and a mask beside it."""
        folder = f"inbox/{name('documents')}"
        self._put(f"{folder}/references/cat.png", picture())
        self._put(f"{folder}/references/mask.png", mask_picture())
        pictures = {"references": ["references/cat.png"], "mask": "references/mask.png"}
        self._dropped(f"{folder}/cat.job.json", json.dumps({**document, **pictures}).encode())

    def _dropped(self, key: str, content: bytes) -> None:
        version = self._put(key, content)
        item = {"key": key, "size": len(content), "etag": "e", "version-id": version, "sequencer": "0"}
        detail = {"bucket": {"name": self.rig.inbox}, "object": item}
        at = {"time": datetime.fromtimestamp(int(self._now), UTC).isoformat()}
        self.deliver({"source": "aws.s3", "detail-type": "Object Created", **at, "detail": detail})

    def deliver(self, body: Json) -> None:
        """A message in the submit queue."""
        self.message = body
        self.begin(self._queued(body))

    def request(self, call: Json) -> None:
        """Another service's message, with an id of its own."""
        self.deliver({"request_id": name("order"), **call})

    def start(self, document: Json) -> None:
        """A caller starts an execution."""
        made = name("caller")
        client("stepfunctions").start_execution(stateMachineArn=self._machine, name=made, input=json.dumps(document))
        self._started(made, document)

    def reference(self) -> str:
        key = f"references/{name('cat')}.png"
        self._put(key, picture())
        return key

    def stop(self, execution_name: str) -> None:
        """A user stops an execution."""
        execution = self.executions[execution_name]
        if not execution.is_over:
            execution.is_over = True
            client("stepfunctions").stop_execution(executionArn=execution.arn)
            self.begin(self._execution_ended(execution_name), 1)

    def depart_behind(self, seconds: float) -> None:
        """Other jobs have taken the departures of so many seconds."""
        self._put_departures(next_departure={"N": str(round(1000 * (self._now + seconds)))})

    def pause(self, seconds: int) -> None:
        """An operator pauses the intake, and resumes it after so many seconds."""
        self._put_departures(paused={"N": str(int(self._now))})
        self.begin(self._resuming(seconds))

    def _resuming(self, seconds: int) -> Process:
        yield seconds
        table = self.tables["LimitsTable"]
        client("dynamodb").update_item(TableName=table, Key=_DEPARTURES, UpdateExpression="REMOVE paused")

    def _put_departures(self, **values: Json) -> None:
        client("dynamodb").put_item(TableName=self.tables["LimitsTable"], Item={**_DEPARTURES, **values})

    def _put(self, key: str, content: bytes) -> str:
        return str(client("s3").put_object(Bucket=self.rig.inbox, Key=key, Body=content)["VersionId"])

    # ---- What AWS does -------------------------------------------------------------------------------------------

    def _queued(self, body: Json) -> Process:
        """A message: received until it is done with, at last a dead letter, which an operator puts back."""
        event = {"Records": [{"messageId": "1", "body": json.dumps(body)}]}
        for _ in range(0 if self.scenario.lost_effect else _REDRIVES):
            for _ in range(_RECEIVES):
                if self.does("submit", event) == {"batchItemFailures": []}:
                    return
                yield _VISIBILITY
            yield _REDRIVE_AFTER
        if self.scenario.lost_effect:
            self.does("submit", event)

    def _sweeping(self) -> Process:
        """The schedule."""
        while True:
            self.does("sweep", {})
            yield self.scenario.sweep_every

    def _execution_ended(self, execution: str) -> Process:
        """The message that an execution did not succeed; its dead letters are left to the schedule."""
        event = {"Records": [{"messageId": "1", "body": json.dumps({"execution": execution})}]}
        for _ in range(_RECEIVES):
            if self.does("sweep", event) is not None:
                return
            yield _VISIBILITY

    def _invoked(self, payload: Json) -> Process:
        """Finalize, called without an answer; tried again as often as the template says."""
        asynchronous = self.rig.template["Resources"]["FinalizeFunction"]["Properties"]["EventInvokeConfig"]
        for number in range(1, 2 + int(asynchronous["MaximumRetryAttempts"])):
            if self.does("finalize", payload) is not None:
                return
            yield 60 * number

    def _stopping(self, execution: str, seconds: int) -> Process:
        yield seconds
        self.stop(execution)

    def _sent(self, effect: Effect) -> None:
        """What a request sets going as soon as its service has it."""
        if effect.what in _WRITES and effect.status == "200" and (job_id := _JOB_ID.search(effect.body)):
            effect.row = self._row("JobsTable", job_id=job_id[1])
        if effect.what == _POST:
            job = self._row("JobsTable", job_id=json.loads(effect.body)["client_business_id"])
            self.submits.append(Submit(self._now, job, self._row("LimitsTable", name="departures")))
            self.rig.settle()
        elif effect.what == "states StartExecution" and effect.status == "200":
            asked = json.loads(effect.body)
            if asked["name"] not in self.executions:
                self._started(asked["name"], json.loads(asked["input"]))
        elif effect.what.startswith("lambda ") and effect.status == "202":
            self.begin(self._invoked(json.loads(effect.body)), 1)

    def _started(self, execution_name: str, document: Any) -> None:
        arn = self._machine.replace(":stateMachine:", ":execution:") + f":{execution_name}"
        walk = Walk(self._definition(), execution_name, document, self._task, lambda: self._now)
        execution = self.executions[execution_name] = Execution(walk, arn)
        if self.scenario.is_dead:
            execution.is_over = ended(arn) == "FAILED"
            if self.scenario.is_told:
                self.begin(self._execution_ended(execution_name), 1)
            return
        self.begin(self._walked(execution))
        if self.scenario.stop_after is not None:
            self.begin(self._stopping(execution_name, self.scenario.stop_after))

    def _walked(self, execution: Execution) -> Process:
        walk = execution.walk
        steps = walk.run(walk.definition["StartAt"], walk.document)
        end = ""
        while not execution.is_over:
            try:
                wait = next(steps)
            except StopIteration as stopped:
                end = stopped.value
                break
            if not execution.is_over:  # while a function ran, for whose answer nobody waits any more
                yield wait
        if not execution.is_over:
            execution.is_over = True
            client("stepfunctions").stop_execution(executionArn=execution.arn)
            if end == "Fail":
                self.begin(self._execution_ended(walk.name), 1)

    def try_again(self) -> None:
        """The message is received again, and the workflow's task run again, though the first ones are not over."""
        if self.message:
            self.begin(self._queued(self.message), _VISIBILITY)
        for execution in self.executions.values():
            if not execution.is_over:
                self.begin(self._walked(execution), _TASK_TIMEOUT)

    def redrive(self, job: Json) -> None:
        """Run the job's workflow once more from each of its tasks, with what the ledger knows now."""
        for state in ("Read", "Submit", "Status", "Finalize"):
            if state == "Status" and not job.get("task_id"):
                continue
            walk = Walk(self._definition(), job["job_id"], {"job_id": job["job_id"]}, self._task, lambda: self._now)
            walk.variables = {"job_id": job["job_id"], "fault": None, "hold_until": None, "polls": 1, "step": 1}
            walk.variables |= {"least": 0, "most": 900}
            walk.variables |= {"plan": job.get("plan", []), "task_id": job.get("task_id")}
            self.begin(_ignoring(walk.run(state, {})))

    def _definition(self) -> Json:
        text = json.dumps(self.rig.definition).replace("${JobsTable}", self.tables["JobsTable"])
        found: Json = json.loads(text)
        return found

    def _task(self, resource: str, arguments: Json) -> Json:
        if resource.endswith(":dynamodb:getItem"):
            found: Json = client("dynamodb").get_item(**arguments)
            return found
        return {"Payload": self.call(function_of(arguments["FunctionName"]), arguments["Payload"])}

    # ---- The functions -------------------------------------------------------------------------------------------

    def call(self, function: str, event: Json) -> Any:
        """Invoke a function in a new environment. Raises TaskFailed as Lambda reports it."""
        self._names[function] += 1
        label = f"{function} {self._names[function]}"
        context = _Context(f"{self.tables['JobsTable']} {label}", int(self._now) + self.rig.timeout(function))
        self.calls.append((function, event))
        try:
            with patch.dict(os.environ, self._environments[function]), self.tap.invocation(label):
                provider.secrets().clear_cache()  # making the client anew takes longer than all the rest
                return json.loads(json.dumps(_load(function)["handler"](event, context)))
        except Killed:
            raise TaskFailed("Sandbox.Timedout") from None
        except AssertionError:
            raise
        except Exception as error:
            raise TaskFailed(type(error).__name__, str(error)) from error
        finally:
            self.calls.pop()

    def does(self, function: str, event: Json) -> Any:
        """The answer; None when there is none."""
        try:
            return self.call(function, event) or {}
        except TaskFailed:
            return None

    # ---- What stands in the tables --------------------------------------------------------------------------------

    def jobs(self) -> list[Json]:
        """Every row of the ledger, plain."""
        return self._rows("JobsTable")

    def open_jobs(self) -> list[tuple[str, str]]:
        return [(job["job_id"], job["state"]) for job in self.jobs() if job["state"] != "ended"]

    def _looked_after(self) -> list[tuple[str, str]]:
        """The jobs that are open, and those whose bill is awaited."""
        return [(job["job_id"], job["state"]) for job in self.jobs() if job["state"] != "ended" or "next_check" in job]

    def budgets(self) -> dict[str, Json]:
        """The budget rows, plain, by their month."""
        names = {row["name"]: row for row in self._rows("LimitsTable")}
        return {name.removeprefix("budget "): row for name, row in names.items() if name.startswith("budget ")}

    @property
    def budget(self) -> int:
        """What a month may cost, in millionths of a US dollar."""
        return round(1_000_000 * float(self._environments["submit"]["MONTHLY_BUDGET_USD"]))

    def _rows(self, resource: str) -> list[Json]:
        items = client("dynamodb").scan(TableName=self.tables[resource], ConsistentRead=True)["Items"]
        return [plain({"M": item}) for item in items]

    def _row(self, resource: str, **key: str) -> Json:
        keys = {name: {"S": value} for name, value in key.items()}
        found = client("dynamodb").get_item(TableName=self.tables[resource], Key=keys, ConsistentRead=True)
        row: Json = plain({"M": found.get("Item", {})})
        return row

    def close(self) -> None:
        """Leave nothing running."""
        for execution in self.executions.values():
            if not execution.is_over:
                client("stepfunctions").stop_execution(executionArn=execution.arn)
        for table in self.tables.values():
            client("dynamodb").delete_table(TableName=table)


def _ignoring(steps: Generator[float, None, str]) -> Process:
    yield from steps


@cache
def _code(function: str) -> CodeType:
    file = FUNCTIONS / function / "app.py"
    return compile(file.read_text(encoding="utf-8"), str(file), "exec")


def _load(function: str) -> dict[str, Any]:
    """A function's module as a new environment has it."""
    module: dict[str, Any] = {"__name__": f"{function}_app"}
    exec(_code(function), module)
    return module
