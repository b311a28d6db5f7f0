"""What a job asks of AWS: counted in the deployed template on the engine, and priced.

What the status function and the states around it use is the looks'; all else is the job's besides. So a job takes the
latter once, and the former as often as its schedule looks. The job is a picture with a preset that is sent as soon as
it is dropped; one that waits for its departure takes another submit and three transitions more, whatever the schedule.
"""

from __future__ import annotations

import json
import operator
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.engine.controller import ROOT, Engine
from local.simulator.process import Simulator
from local.stack import running_stack
from tests.bench.prices import Invocation, Meter, bill, used
from tests.layers import mount
from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack
    from tests.bench.measured import Say
    from tests.bench.prices import Usage

_JOBS = 20
_SUBMIT, _STATUS, _FINALIZE = "SubmitFunctionName", "StatusFunctionName", "FinalizeFunctionName"
_LOOK_STATES = {"Wait", "Status", "Seen"}
_LAYER = ROOT / "tests" / "bench" / "layer" / "sitecustomize.py"
_PRESET = {"model": "gpt-image-2-vip", "prompt": "Make this a travel poster from the 1950s", "size": "16:9"}
_DEFAULTS = {"LatenessPrice": "0.2", "AssumedPriceUsd": "0"}  # the template's, which are others on this machine
_WAIT_SCALE, _TASK_SECONDS = 0.1, 6.0  # for the plan the task takes a minute
_EVENT_BYTES = 26  # that each log event is larger than its message (CloudWatch Logs API Reference, PutLogEvents)
_HOW = (
    "us-east-1, on demand, November 2026. GB-s are an estimate: the times of handlers on this machine, with one cold "
    f"start for {_JOBS} jobs, without the start itself, and with a provider that answers at once."
)
_LEFT_OUT = (
    "what is paid by the month (custom metrics, alarms, the secret, storage, backups), bytes to and from the provider, "
    "KMS, the sweep, receives of an empty queue, deliveries to subscribers"
)


@dataclass(frozen=True)
class Share:
    """What so many jobs have used besides their looks, or so many looks; ``requests`` are the functions', by name."""

    count: int
    usage: Usage
    requests: Mapping[str, int]

    @property
    def each(self) -> dict[Meter, float]:
        """What one of them uses."""
        return {meter: amount / self.count for meter, amount in self.usage.items()}

    @property
    def counted(self) -> dict[str, float]:
        """The same as it is shown, and the requests of each."""
        amounts: dict[str, float] = {meter.value: self.usage.get(meter, 0.0) for meter in Meter}
        amounts.update(self.requests)
        return {name: round(amount / self.count, 4) for name, amount in amounts.items()}


class Log(NamedTuple):
    """How many invocations a log group is about, and its bytes as they are billed."""

    invocations: int
    size: int


class Drive:
    """One run. ``folder`` is where the functions note what they ask."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack, self._folder, self._client = stack, folder, stack.engine.client
        self._functions: dict[str, dict[str, Any]] = {
            output: self._client("lambda").get_function_configuration(FunctionName=stack.outputs[output])
            for output in (_SUBMIT, _STATUS, _FINALIZE)
        }
        self._before: dict[str, Log] = {}

    def __call__(self, jobs: int, say: Say) -> tuple[Share, Share]:
        """What so many jobs have used besides their looks, and what the looks have."""
        self._stack.put_preset("poster", _PRESET)
        until(lambda: self._log(_SUBMIT).invocations, "the preset is read")
        self._before = {output: self._log(output) for output in self._functions}
        mount(self._stack, _LAYER, {output: {"CALLS_FOLDER": str(self._folder)} for output in self._functions})
        say(f"dropping {jobs} pictures, one after the other")
        simulator = self._stack.simulator
        for number in range(jobs):
            self._stack.drop(f"inbox/poster/{number:02}.jpg", picture("JPEG"))
            until(lambda: simulator.health()["tasks"], f"{number + 1} tasks", partial(operator.lt, number))
        until(self._succeeded, f"{jobs} jobs have succeeded", lambda found: len(found) == jobs, pause=0.25)
        say("counting what they have asked of AWS")
        states = self._states()
        around = sum(states[name] for name in _LOOK_STATES)
        more = {
            Meter.TRANSITIONS: states.total() - around,
            Meter.READS: states["Read"] * self._row_units(),
            Meter.PUTS: jobs,  # that drop the pictures
            Meter.GETS: sum(len(task["references"]) for task in simulator.tasks()),  # by which the provider gets them
        }
        besides = self._share(jobs, [_SUBMIT, _FINALIZE], more)
        return besides, self._share(states["Status"], [_STATUS], {Meter.TRANSITIONS: around})

    def _succeeded(self) -> list[str]:
        """The executions that have."""
        found = self._client("stepfunctions").list_executions(
            stateMachineArn=self._stack.outputs["JobsMachineArn"], statusFilter="SUCCEEDED"
        )
        return [execution["executionArn"] for execution in found["executions"]]

    def _states(self) -> Counter[str]:
        """How often all executions have entered each state."""
        pages = self._client("stepfunctions").get_paginator("get_execution_history")
        return Counter(
            event["stateEnteredEventDetails"]["name"]
            for arn in self._succeeded()
            for page in pages.paginate(executionArn=arn)
            for event in page["events"]
            if event["type"].endswith("StateEntered")
        )

    def _row_units(self) -> float:
        """What the workflow takes to read a job's row."""
        table, row = self._stack.outputs["JobsTable"], self._stack.rows()[0]
        read = {"TableName": table, "Key": {"job_id": row["job_id"]}, "ConsistentRead": True}
        answer = self._client("dynamodb").get_item(**read, ReturnConsumedCapacity="TOTAL")
        return float(answer["ConsumedCapacity"]["CapacityUnits"])

    def _share(self, count: int, outputs: list[str], more: Usage) -> Share:
        """What these functions have used, and more."""
        found = {output: self._invocations(output) for output in outputs}
        together = [invocation for invocations in found.values() for invocation in invocations]
        usage = used(together)
        usage[Meter.LOGS] = sum(self._logged(output, len(invocations)) for output, invocations in found.items())
        for meter, amount in more.items():
            usage[meter] += amount
        return Share(count, usage, Counter(name for invocation in together for name, _ in invocation.calls))

    def _invocations(self, output: str) -> list[Invocation]:
        """What a function has noted."""
        function = self._functions[output]
        lines = (line for path in self._folder.iterdir() for line in path.read_text().splitlines())
        notes = (note for note in map(json.loads, lines) if note.pop("function") == function["FunctionName"])
        return [Invocation(function["MemorySize"], **note) for note in notes]

    def _logged(self, output: str, invocations: int) -> int:
        """The bytes of a function's log, when all of these invocations stand there."""
        before = self._before[output]
        wanted = before.invocations + invocations
        return until(lambda: self._log(output), "the log", lambda log: log.invocations == wanted).size - before.size

    def _log(self, output: str) -> Log:
        pages = self._client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=self._functions[output]["LoggingConfig"]["LogGroup"])
        messages = [event["message"] for page in found for event in page["events"]]
        reports = sum(message.startswith("REPORT ") for message in messages)
        return Log(reports, sum(len(message.encode()) + _EVENT_BYTES for message in messages))


def measure(jobs: int, say: Say) -> tuple[Share, Share]:
    """Let so many jobs run: what they have used besides their looks, and what the looks have."""
    engine = Engine(wait_scale=_WAIT_SCALE, environments=1)
    simulator = Simulator(queue_seconds=0.0, task_seconds=_TASK_SECONDS, paint=False)
    with tempfile.TemporaryDirectory() as folder, running_stack(engine, simulator, _DEFAULTS, say) as stack:
        return Drive(stack, Path(folder))(jobs, say)


def bench(say: Say, looks: Mapping[str, float]) -> dict[str, Any]:
    """What was counted, and what 1,000 jobs cost with each schedule. ``looks`` says how often it looks at a task.

    All else is the same for each, also what a job of ours learns and looks up for its plan.
    """
    besides, look = measure(_JOBS, say)
    jobs, each = besides.counted, look.counted
    return {
        "counted": {
            name: {"a job besides": jobs.get(name, 0.0), "a look": each.get(name, 0.0)} for name in {**jobs, **each}
        },
        "1,000 jobs": bill(besides.each, look.each, looks),
        "priced": _HOW,
        "left out": _LEFT_OUT,
    }
