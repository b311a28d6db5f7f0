"""One account through an operator's days: the last release, an update under way, a second stack, a deletion."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from local.engine.controller import ROOT, Engine
from local.engine.sam import DeployError, outputs, run_sam
from local.simulator.process import Simulator
from local.stack import Stack, build_dir, deployed, machine, one_build_at_a_time
from tests.samples import picture
from tests.template.stack import load
from tests.upgrade.release import unpacked
from tests.waiting import until
from tests.workflow.conftest import System, listening
from tests.workflow.gate import Gate
from tests.workflow.test_limits import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How many jobs there are of each kind when the update begins.
STORING, WAITING, LINES, CALLED, UNANSWERED, HELD = 1, 70, 10, 5, 4, 10
JOBS = 100
# Looks as at AWS, and look-ups that are not over when the update begins.
PARAMETERS = {"LatenessPrice": "0.1", "LookupWaitSeconds": "40", "LookupSeconds": "900"}
DOCUMENT = {"model": "gpt-image-2-vip", "prompt": "a boat"}
FIRST, SECOND = "bucketbrush-local", "photos"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """The last release with a hundred jobs under way."""
    simulator = Simulator(queue_seconds=0.1, task_seconds=0.3, paint=False)
    with Engine(wait_scale=0.2, auth=True) as engine, simulator, Gate(simulator) as gate:
        system = listening(deployed(engine, simulator, PARAMETERS, unpacked()), gate)
        begin(system)
        yield system


def begin(system: System) -> None:
    """Start a hundred jobs, and leave each where the provider or a pause keeps it."""
    stack, simulator = system.stack, system.stack.simulator
    stack.put_preset("plain", DOCUMENT)
    stack.put_preset("unanswered", {**DOCUMENT, "prompt": "fault:submit-drop-answer"})
    simulator.fault("file-404", times=None)
    stack.drop("inbox/plain/storing.png", picture())
    found = until_states(system, unstored=STORING)
    simulator.fault("undeliverable-yet", times=None)
    for number in range(WAITING):
        stack.drop(f"inbox/plain/{number}.png", picture())
    stack.drop("inbox/boats.jobs.jsonl", b"\n".join([json.dumps(DOCUMENT).encode()] * LINES))
    for number in range(CALLED):
        system.start(f"called-{number}", DOCUMENT)
    found = until_states(system, **found, waiting=WAITING + LINES + CALLED)
    for number in range(UNANSWERED):
        stack.drop(f"inbox/unanswered/{number}.png", picture())
    found = until_states(system, **found, SubmitUnanswered=UNANSWERED)
    say(system, "SET paused")
    for number in range(HELD):
        stack.drop(f"inbox/plain/held-{number}.png", picture())
    until_states(system, **found, IntakePaused=HELD)


def states(system: System) -> Counter[str]:
    """What the jobs are held by, or else their state."""
    return Counter(row.get("hold_reason", row["state"])["S"] for row in system.stack.rows())


def until_states(system: System, **numbers: int) -> dict[str, int]:
    until(lambda: states(system), f"jobs are {numbers}", lambda found: found == numbers, pause=0.2)
    return numbers


def executions(system: System, status: str) -> set[str]:
    """The names of the executions of that status, which are their jobs' ids."""
    pages = system.client("stepfunctions").get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=system.output("JobsMachineArn"), statusFilter=status)
    return {execution["name"] for page in found for execution in page["executions"]}


def layers(system: System) -> set[str]:
    """The layer versions that the functions run with."""
    names = [name for output, name in system.stack.outputs.items() if output.endswith("FunctionName")]
    found = [system.client("lambda").get_function_configuration(FunctionName=name) for name in names]
    return {layer["Arn"] for function in found for layer in function["Layers"]}


# ---- An update -------------------------------------------------------------------------------------------------------


def test_an_update_from_the_last_release_keeps_jobs_in_flight(system: System) -> None:
    simulator, running, before = system.stack.simulator, executions(system, "RUNNING"), layers(system)
    assert len(running) == JOBS

    updated = deployed(system.stack.engine, simulator, PARAMETERS)

    assert updated.outputs.items() >= system.stack.outputs.items(), "what a caller knows stays"
    assert layers(system) != before, "the functions run this tree"
    simulator.clear_faults()
    say(system, "REMOVE")
    until_states(system, ended=JOBS)
    rows = {row["job_id"]["S"]: row for row in system.stack.rows()}
    assert Counter(row["verdict"]["M"]["outcome"]["S"] for row in rows.values()) == {"completed": JOBS}
    assert Counter(task["client_business_id"] for task in simulator.tasks()) == dict.fromkeys(rows, 1)
    assert {len(system.result(job_id)["pictures"]) for job_id in rows} == {1}
    until(
        lambda: executions(system, "SUCCEEDED"), "each execution succeeds", lambda found: found == running == set(rows)
    )


def test_every_end_is_told_once(system: System) -> None:
    ended = {row["job_id"]["S"] for row in system.stack.rows()}
    for job_id in ended:
        system.told(job_id)
    summary = json.loads(system.heard(system.messages_url, '"summary"')["Body"])
    assert (summary["outcome"], summary["jobs"]) == ("completed", LINES)
    bodies = [json.loads(message["Body"]) for message in system.inbox[system.messages_url]]
    assert Counter(body["job_id"] for body in bodies if "job_id" in body) == dict.fromkeys(ended, 1)


def test_what_is_dropped_after_the_update_is_done_too(system: System) -> None:
    _, execution, result = system.dropped("inbox/plain/after.png", picture())
    assert (execution["status"], result["outcome"]) == ("SUCCEEDED", "completed")


# ---- A second stack --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guided(system: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samconfig.toml of somebody who was guided through the deployment of a second stack."""
    config = tmp_path_factory.mktemp("operator") / "samconfig.toml"
    config.write_bytes((ROOT / "samconfig.toml").read_bytes())
    overrides = [f"{name}={value}" for name, value in given(system).items()]
    questions = {"name": SECOND, "region": "us-east-1", **dict.fromkeys(load()["Parameters"], "")}
    questions |= {
        "confirm": "y",
        "roles": "y",
        "keep what failed": "n",
        "save": "y",
        "file": "",
        "table": "",
        "deploy": "y",
    }
    answers = "".join(f"{answer}\n" for answer in questions.values())
    sam_deploy(system, config, "--guided", "--parameter-overrides", *overrides, answers=answers)
    return config


def given(system: System) -> dict[str, str]:
    """What the second stack has that no default says."""
    return {**machine(), "ApiBaseUrl": system.stack.simulator.base_url, "KmsKey": "create"}


def sam_deploy(system: System, config: Path, *arguments: str, answers: str = "y\n") -> None:
    """`sam deploy` of what was built for the update."""
    template = build_dir(ROOT / "template.yaml") / "template.yaml"
    chosen = [f"--template-file={template}", f"--config-file={config}", f"--config-env={SECOND}"]
    with one_build_at_a_time():
        run_sam(["deploy", *chosen, *arguments], system.stack.engine.environ(), answers)


def test_a_guided_deployment_is_remembered_without_a_secret(system: System, guided: Path) -> None:
    tables = tomllib.loads(guided.read_text())
    remembered = tables[SECOND]["deploy"]["parameters"]
    assert (remembered["stack_name"], remembered["s3_prefix"], remembered["region"]) == (SECOND, SECOND, "us-east-1")
    chosen = dict(item.split("=", 1) for item in shlex.split(remembered["parameter_overrides"]))
    parameters = load()["Parameters"]
    defaults = {name: str(parameter["Default"]) for name, parameter in parameters.items()}
    assert chosen == {**defaults, **given(system)}
    assert not any(parameter.get("NoEcho") for parameter in parameters.values()), "a secret is no parameter"
    assert {name: table for name, table in tables.items() if name != SECOND} == tomllib.loads(
        (ROOT / "samconfig.toml").read_text()
    )
    with pytest.raises(DeployError, match="No changes to deploy"):
        sam_deploy(system, guided)


@pytest.fixture(scope="module")
def second(system: System, guided: Path) -> Stack:
    engine, simulator = system.stack.engine, system.stack.simulator
    stack = Stack(engine, simulator, outputs(engine, SECOND))
    engine.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["ApiKeySecretArn"], SecretString=simulator.api_key
    )
    stack.put_preset("plain", DOCUMENT)
    return stack


def test_two_stacks_share_nothing(system: System, second: Stack) -> None:
    before = system.stack.rows()
    second.drop("inbox/plain/cat.png", picture())
    detail = {"stack": SECOND, "request_id": "1", "job": DOCUMENT}
    event = {"Source": "shop", "DetailType": "Image Job Requested", "Detail": json.dumps(detail)}
    system.client("events").put_events(Entries=[event])

    until_completed(second, 2)

    assert system.stack.rows() == before
    assert not set(second.outputs.values()) & set(system.stack.outputs.values())


def until_completed(stack: Stack, jobs: int) -> None:
    """Wait until so many jobs of a stack have ended, each with its pictures."""
    rows = until(
        stack.rows,
        f"{jobs} jobs have ended",
        lambda rows: len(rows) == jobs and all(row["state"]["S"] == "ended" for row in rows),
        pause=0.2,
    )
    assert {row["verdict"]["M"]["outcome"]["S"] for row in rows} == {"completed"}


# ---- A deletion ------------------------------------------------------------------------------------------------------


def named(system: System, name: str) -> dict[str, set[str]]:
    """What there is whose name holds this, by kind: everything that a stack makes."""
    kinds = {
        "buckets": ("s3", "list_buckets", "Buckets"),
        "tables": ("dynamodb", "list_tables", "TableNames"),
        "functions": ("lambda", "list_functions", "Functions"),
        "layers": ("lambda", "list_layers", "Layers"),
        "queues": ("sqs", "list_queues", "QueueUrls"),
        "topics": ("sns", "list_topics", "Topics"),
        "rules": ("events", "list_rules", "Rules"),
        "machines": ("stepfunctions", "list_state_machines", "stateMachines"),
        "roles": ("iam", "list_roles", "Roles"),
        "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms"),
        "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries"),
        "logs": ("logs", "describe_log_groups", "logGroups"),
        "secrets": ("secretsmanager", "list_secrets", "SecretList"),
    }
    found = {
        kind: getattr(system.client(service), call)().get(field, []) for kind, (service, call, field) in kinds.items()
    }
    texts = {kind: {json.dumps(item, default=str) for item in items} for kind, items in found.items()}
    return {kind: {text for text in items if name in text} for kind, items in texts.items()}


def sam_delete(system: System, name: str) -> None:
    arguments = ["delete", "--no-prompts", f"--stack-name={name}", "--region=us-east-1"]
    run_sam(arguments, system.stack.engine.environ())


def test_a_deleted_stack_leaves_what_was_paid_for_and_nothing_that_works(system: System, second: Stack) -> None:
    before, rows = named(system, FIRST), system.stack.rows()
    kept = [system.result(row["job_id"]["S"]) for row in rows]
    assert all(items for kind, items in before.items() if kind != "dashboards"), before.keys()

    sam_delete(system, FIRST)

    left = {kind: items for kind, items in named(system, FIRST).items() if items}
    assert left == {kind: before[kind] for kind in ("buckets", "tables")}
    assert system.stack.rows() == rows
    assert [system.result(row["job_id"]["S"]) for row in rows] == kept
    second.drop("inbox/plain/dog.png", picture())
    until_completed(second, 3)


def test_a_deleted_stack_leaves_the_key_to_what_it_leaves(system: System, second: Stack) -> None:
    resource = {"StackName": SECOND, "LogicalResourceId": "Key"}
    detail = system.client("cloudformation").describe_stack_resource(**resource)["StackResourceDetail"]
    (row, *_), keys = second.rows(), system.client("kms")

    sam_delete(system, SECOND)

    assert keys.describe_key(KeyId=detail["PhysicalResourceId"])["KeyMetadata"]["KeyState"] == "Enabled"
    assert not [alias for alias in keys.list_aliases()["Aliases"] if SECOND in alias["AliasName"]]
    assert row in second.rows()
