"""Cold starts: what a fresh process takes until a function has handled its first event, in a naive program's CPU time.

The functions are loaded from the built layers, with their bytecode, and asked about real jobs on the engine and the
simulator. Loopback is plain HTTP: neither side reads certificates, which on AWS costs each as often as it asks another
service.
"""

from __future__ import annotations

import io
import json
import os
import re
import statistics
import subprocess
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from local.engine.controller import ROOT, Engine
from local.simulator.process import Simulator
from local.stack import build_dir, running_stack
from tests.bench.measured import Goal, Measured
from tests.samples import picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local.stack import Stack
    from tests.bench.measured import Say

LAYER = "dependencies layer, MB zipped"
MOST_MB = 8
_GOALS = {"submit": 1.8, "status": 1.45, "finalize": 1.75}
_RUNS = 15
_LOOKS = 3  # at the imports, of which the shortest time counts
_MOST_NAMED = 10
_MB = 10**6
_PYTHON = ROOT / ".venv" / "lambda" / "bin" / "python"
_BUILT = build_dir(ROOT / "template.yaml")
_DEPENDENCIES = _BUILT / "DependenciesLayer" / "python"
_RUNTIME = ROOT / ".venv" / "lambda" / "lib"  # what Lambda has by itself, with its bytecode
_FIRST_EVENT = str(Path(__file__).with_name("first_event.py"))
_PRESET = {"model": "gpt-image-2-vip", "prompt": "a poster"}
_FOLDER = "cold/"  # of the inbox: none that the stack's own rule hears of
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", re.MULTILINE)
_NAIVE = """\
import boto3, json, time
boto3.client("s3").head_object(Bucket={bucket!r}, Key={key!r})
print(json.dumps({{"cpu": time.process_time(), "answer": None}}))
"""


class First(NamedTuple):
    """What a fresh process has taken in seconds of CPU time, and what Python has said of its imports if it was to."""

    cpu: float
    answer: Any
    imports: str


@dataclass(frozen=True)
class Rig:
    """Each function in processes of its own, on a stack that knows nothing of their jobs.

    ``machine`` is the ARN of a workflow that does nothing, so that nobody else goes on with a job.
    """

    stack: Stack
    machine: str

    def run(self, number: int, *options: str) -> Iterator[tuple[str, First]]:
        """One job from its drop to its end, by functions that all begin with it; before it the naive program."""
        inbox, key = self.stack.outputs["InboxBucket"], f"{_FOLDER}{number:03}.png"
        put = self.stack.engine.client("s3").put_object(Bucket=inbox, Key=key, Body=picture())
        yield "naive", self._process([*options, "-c", _NAIVE.format(bucket=inbox, key=key)], {}, "")
        yield "submit", self._function("submit", options, _dropped(inbox, key, put["VersionId"]))
        task = self.stack.simulator.tasks()[-1]
        job = {"job_id": task["client_business_id"]}
        yield "status", self._function("status", options, {**job, "task_id": task["id"], "polls": 1})
        end = self._function("finalize", options, {**job, "fault": None})
        if end.answer["outcome"] != "completed":
            raise RuntimeError(f"{key}: found {end.answer['outcome']}; allowed: completed")
        yield "finalize", end

    def _function(self, name: str, options: Sequence[str], event: Mapping[str, Any]) -> First:
        function = self.stack.outputs[f"{name.title()}FunctionName"]
        deployed = self.stack.engine.client("lambda").get_function_configuration(FunctionName=function)
        paths = [ROOT / "functions" / name, _DEPENDENCIES, _BUILT / "BucketbrushLayer" / "python"]
        variables = {
            **deployed["Environment"]["Variables"],
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "INBOX_PREFIX": _FOLDER,
            "JOBS_MACHINE_ARN": self.machine,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }
        return self._process([*options, _FIRST_EVENT], variables, json.dumps(event))

    def _process(self, arguments: Sequence[str], variables: Mapping[str, str], given: str) -> First:
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.stack.engine.environ(),
            **variables,
        }
        command = [_PYTHON, *arguments]
        done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr[-2000:]}")
        return First(**json.loads(done.stdout.splitlines()[-1]), imports=done.stderr)


def _dropped(bucket: str, key: str, version: str) -> dict[str, Any]:
    """What the submit queue delivers for a drop: the sample event, about this file."""
    event, batch = (
        json.loads((ROOT / "events" / name).read_bytes()) for name in ("object-created.json", "submit-queue-batch.json")
    )
    event["time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"].update({"key": key, "version-id": version})
    batch["Records"][0]["body"] = json.dumps(event)
    found: dict[str, Any] = batch
    return found


def most_expensive(looks: Sequence[str]) -> dict[str, float]:
    """Milliseconds that each package's modules have taken by themselves, without what they import of others.

    ``looks`` is what Python wrote with ``-X importtime``; of each module its shortest time counts.
    """
    modules: defaultdict[str, list[int]] = defaultdict(list)
    for look in looks:
        for microseconds, module in _IMPORT.findall(look):
            modules[module].append(int(microseconds))
    packages: Counter[str] = Counter()
    for module, found in modules.items():
        packages[module.partition(".")[0]] += min(found)
    return {package: round(microseconds / 1000, 1) for package, microseconds in packages.most_common(_MOST_NAMED)}


def zipped(folder: Path) -> dict[str, int]:
    """The bytes that each entry of a folder takes in an archive, the largest first."""
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder)
            archive.write(file, name)
            sizes[name.parts[0]] += archive.getinfo(name.as_posix()).compress_size
    return dict(sizes.most_common())


def measure(stack: Stack, say: Say) -> dict[str, Any]:
    """The figures. The processes take turns, so that whatever else this machine does meets all of them."""
    subprocess.run([_PYTHON, "-m", "compileall", "-q", _RUNTIME], check=True)
    stack.put_preset("default", _PRESET)
    made = stack.engine.client("stepfunctions").create_state_machine(
        name="nothing",
        definition=json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::000000000000:role/nobody",
    )
    rig = Rig(stack, made["stateMachineArn"])
    looks: defaultdict[str, list[str]] = defaultdict(list)
    cpu: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(_LOOKS):
        for name, first in rig.run(number, "-X", "importtime"):
            looks[name].append(first.imports)
    for number in range(_LOOKS, _LOOKS + _RUNS):
        for name, first in rig.run(number):
            cpu[name].append(first.cpu)
        say(f"run {number - _LOOKS + 1} of {_RUNS}")
    medians = {name: statistics.median(found) for name, found in cpu.items()}
    sizes = zipped(_DEPENDENCIES)
    return {
        **{_ratio(name): round(medians[name] / medians["naive"], 3) for name in _GOALS},
        "CPU time, ms": {name: round(1000 * seconds) for name, seconds in medians.items()},
        **{f"imports of {name}, ms": most_expensive(found) for name, found in looks.items()},
        LAYER: round(sum(sizes.values()) / _MB, 2),
        "in it, MB": {name: round(size / _MB, 2) for name, size in [*sizes.items()][:_MOST_NAMED]},
    }


def _ratio(name: str) -> str:
    return f"CPU time, {name} / naive"


def bench(say: Say) -> Measured:
    """The section."""
    goals = {_ratio(name): Goal(most=most) for name, most in _GOALS.items()}
    simulator = Simulator(queue_seconds=0.0, task_seconds=0.0, paint=False)
    with running_stack(Engine(), simulator, say=say) as stack:
        return Measured(measure(stack, say), {**goals, LAYER: Goal(most=MOST_MB)})
