"""Every command of docs/operations.md, as it stands there, by the AWS CLI against the deployed template.

Each question is asked in a real situation, which is made first, and its commands must show it or mend it. What only AWS
can do is listed, here and at the end of the page.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.engine.controller import ROOT
from tests.interface import blocks, sections
from tests.samples import picture
from tests.template.emitted import PACKAGE
from tests.template.stack import load
from tests.waiting import until
from tests.workflow import shell
from tests.workflow.conftest import PROMPT_MARK, System
from tests.workflow.test_limits import deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PAGE = (ROOT / "docs" / "operations.md").read_text()
STACK = "bucketbrush-local"
DOCUMENT = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat"}

# What is not run, by the first words of a line of its block, and why. The page's last table says the same.
ONLY_AWS = {
    "sam build": "to deploy takes long; every workflow test begins so, and `tests/upgrade` updates with jobs in "
    "flight; the way back was tried by hand",
    "sam delete": "the stack is still needed",
    "aws sqs start-message-move-task": "the engine does not know the action",
    "aws dynamodb list-backups": "the engine keeps no backup of a table that is deleted",
    "aws kms schedule-key-deletion": "the engine has no key of the stack to lose",
}


@dataclass
class Terminal:
    """A shell under one heading of the page: what one block sets, the next one knows."""

    system: System
    folder: Path
    heading: str
    variables: dict[str, str]
    left: list[str] = field(init=False)

    def __post_init__(self) -> None:
        found = [block.text for block in blocks(self.heading, PAGE) if block.language == "sh"]
        self.left = [block for block in found if not re.search(f"^({'|'.join(ONLY_AWS)})", block, re.MULTILINE)]

    def run(self, about: str, **said: str) -> list[list[str]]:
        """Run the next block, which is about this: its output, line by line, cell by cell.

        ``said`` is what the operator says in the place of the page's samples: the lines ``NAME=sample`` of the block.
        """
        block = self.left.pop(0)
        assert about in block, f"{self.heading}: the next block is not about {about}:\n{block}"
        samples = set(re.findall(r"^([A-Z_]+)=[\w./:-]+$", block, re.MULTILINE))
        assert samples == said.keys(), f"{self.heading}: found samples {samples} in\n{block}"
        for name, value in said.items():
            block = re.sub(rf"^{name}=.*$", f"{name}={value}", block, flags=re.MULTILINE)
        done = shell.run(self.system.stack.engine, f"set -a\n{block}\nenv -0 > .environ", self.folder, self.variables)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        environ = (self.folder / ".environ").read_bytes().decode().split("\0")
        self.variables |= dict(line.split("=", 1) for line in environ if line)
        return [line.split("\t") for line in done.stdout.splitlines()]


# ---- Situations ------------------------------------------------------------------------------------------------------


def rejected(system: System, preset: str) -> str:
    """A job that was dropped for a preset that is not there."""
    job_id, _, result = system.dropped(f"inbox/{preset}/cat.png", picture())
    assert result["outcome"] == "rejected"
    return job_id


def completed(system: System, preset: str) -> str:
    system.preset(preset)
    job_id, _, result = system.dropped(f"inbox/{preset}/cat.png", picture())
    assert result["outcome"] == "completed"
    return job_id


def rows_of(system: System, key: str) -> list[dict[str, Any]]:
    """The rows of a dropped key."""
    rows = (row for row in system.stack.rows() if "source" in row)
    return [row for row in rows if row["source"]["M"]["key"]["S"] == key]


def waiting(system: System, name: str, prompt: str) -> str:
    """A job that a caller has started, and whose task goes on for a while."""
    system.start(name, {**DOCUMENT, "prompt": f"{PROMPT_MARK} {prompt}"})
    system.until_state(name, "waiting")
    return name


# ---- Answers ---------------------------------------------------------------------------------------------------------


def healthy(terminal: Terminal) -> None:
    system = terminal.system
    rejected(system, "unhealthy")
    alarms = system.client("cloudwatch").describe_alarms
    until(
        lambda: alarms(AlarmNamePrefix=f"{STACK}-ExecutionsFailed", StateValue="ALARM")["MetricAlarms"],
        "the alarm rings",
    )

    system.settled()
    ringing = terminal.run("describe-alarms")
    jobs = terminal.run("dynamodb scan")
    ((waiting, working),) = terminal.run("get-queue-attributes")

    assert [name for name, _ in ringing if "ExecutionsFailedAlarm" in name]
    assert [it for it in jobs if [it[0].split()[-1], *it[1:]] == ["ended", "rejected", "RecipeInvalid"]]
    assert (int(waiting), int(working)) == (0, 0)


def missing(terminal: Terminal) -> None:
    system = terminal.system
    job_id = rejected(system, "not-there")
    ignored = "inbox/not-there/Thumbs.db"
    system.stack.drop(ignored, b"no picture")

    ((found, state, outcome, message),) = terminal.run("dynamodb scan", KEY="inbox/not-there/cat.png")
    terminal.variables["KEY"] = ignored
    ((_, size, key), *queues) = terminal.run("list-object-versions")
    terminal.run("start-query", JOB=job_id)
    story = terminal.run("get-query-results")

    assert (found, state, outcome) == (job_id, "ended", "rejected")
    assert "presets/not-there.json; put one there" in message
    assert (size, key) == ("10", ignored)
    assert [name.rpartition("-")[0] for name, _ in queues] == [
        f"{STACK}-{name}" for name in ("SubmitQueue", "SubmitDeadLetters", "DropRuleDeadLetters")
    ]
    assert len(story) > 1
    assert all(job_id in line for _, line in story)
    assert [at for at, _ in story] == sorted(at for at, _ in story)


def failed(terminal: Terminal) -> None:
    job_id = rejected(terminal.system, "failing-by-hand")

    counts = terminal.run("sort -rn")
    messages = terminal.run("verdict.reason", REASON="RecipeInvalid")

    assert [it for it in counts if [it[0].split()[-1], *it[1:]] == ["rejected", "RecipeInvalid", "not moved"]]
    assert not [it for it in counts if "completed" in it[0]]
    (found,) = [it for it in messages if it[0] == job_id]
    assert found[1] == "inbox/failing-by-hand/cat.png"
    assert "presets/failing-by-hand.json; put one there" in found[2]


def cost(terminal: Terminal) -> None:
    until(lambda: time.time() % 86_400 < 86_340, "a day that does not end before the answer")
    system = terminal.system
    before = {name: system.counted(name) for name in ("EstimatedUsd", "BilledUsd")}
    with deployed(system, MONTHLY_BUDGET_USD="1000"):
        completed(system, "dear")
        system.stack.drop("inbox/dear/cat.png", picture())
        until(lambda: len(rows_of(system, "inbox/dear/cat.png")) == 2, "the second job")
        for row in rows_of(system, "inbox/dear/cat.png"):
            system.execution(row["job_id"]["S"])
    for name, usd in before.items():
        until(lambda name=name: system.counted(name), f"all of {name}", lambda found, usd=usd: found > usd + 0.029)

    metrics = {name: float(usd) for _, name, usd in terminal.run("get-metric-statistics")}
    presets = {preset: (float(usd), int(jobs)) for usd, jobs, preset in terminal.run("awk")}
    ((again,),) = [line for line in terminal.run("uniq -cd") if "inbox/dear/cat.png" in line[0]]
    ((committed, spent),) = terminal.run("LimitsTable")

    assert metrics.keys() == {"EstimatedUsd", "BilledUsd"}
    assert min(metrics.values()) >= 0.03
    assert presets["dear"] == (0.03, 2)
    assert again.split() == ["2", "inbox/dear/cat.png"]
    assert int(committed) >= int(spent) >= 30_000


def down(terminal: Terminal) -> None:
    system = terminal.system
    job_id = waiting(system, "down-waits", "fault:undeliverable-yet=6")
    with system.gate.closed():
        system.start("down-holds", DOCUMENT)
        held = {"S": "ProviderUnreachable"}
        until(lambda: (system.row("down-holds") or {}).get("hold_reason") == held, "it holds")
        polls = int((system.row(job_id) or {}).get("polls", {"N": "0"})["N"])
        until(lambda: int((system.row(job_id) or {})["polls"]["N"]) > polls + 1, "a look that fails")
        said = [json.loads(line) for (line,) in terminal.run("lines submit")]
        # Here any line with both words is found; AWS looks for the two of them together.
        said = [line for line in said if line.get("message") == "provider error"]
        holding = {reason: int(count) for count, reason in (line.split() for (line,) in terminal.run("hold_reason"))}
    assert {system.execution(name)["status"] for name in (job_id, "down-holds")} == {"SUCCEEDED"}

    told = {(line["phase"], line["job_id"], line["error"]) for line in said}
    assert told >= {("submit", "down-holds", "ProviderUnreachable"), ("status", job_id, "TaskUnreadable")}
    assert holding["ProviderUnreachable"] >= 1


def stopped(terminal: Terminal) -> None:
    system = terminal.system
    functions = system.client("lambda")
    submit = system.output("SubmitFunctionName")
    (mapping,) = functions.list_event_source_mappings(FunctionName=submit)["EventSourceMappings"]
    hanging = waiting(system, "stopped-by-hand", "fault:hang")
    try:
        terminal.run("SET paused")
        system.start("paused-by-hand", DOCUMENT)
        until(lambda: (system.row("paused-by-hand") or {}).get("hold_reason") == {"S": "IntakePaused"}, "it holds")
        ((running,),) = terminal.run("RUNNING")
        terminal.run("--no-enabled")
        closed = functions.get_event_source_mapping(UUID=mapping["UUID"])["State"]
        terminal.run("REMOVE paused")
        assert system.execution("paused-by-hand")["status"] == "SUCCEEDED"
        assert completed(system, "resumed")
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        system.depart_at_once()
    terminal.run("stop-execution", JOB=hanging)
    verdict = system.until_state(hanging, "ended")["verdict"]["M"]

    assert closed in ("Disabling", "Disabled")
    assert int(running) >= 2
    assert (verdict["outcome"]["S"], verdict["money"]["S"]) == ("cancelled", "moved")


def throughput(terminal: Terminal) -> None:
    system = terminal.system
    in_an_hour = {"name": {"S": "departures"}, "next_departure": {"N": str(int(time.time() + 3600) * 1000)}}
    system.client("dynamodb").put_item(TableName=system.output("LimitsTable"), Item=in_an_hour)
    ((seconds,),) = terminal.run("next_departure")
    system.depart_at_once()
    assert 3000 < int(seconds) <= 3600


def rotated(terminal: Terminal) -> None:
    """With the jobs that wait and come meanwhile it is shown by tests/workflow/test_rotation.py."""
    system = terminal.system
    (terminal.folder / "new-key.txt").write_text(f"{system.stack.simulator.api_key}\n")
    secrets, secret = system.client("secretsmanager"), system.output("ApiKeySecretArn")
    before = secrets.get_secret_value(SecretId=secret)["VersionId"]

    ((version,),) = terminal.run("put-secret-value")

    assert secrets.get_secret_value(SecretId=secret)["VersionId"] == version != before
    assert completed(system, "rotated")


def redriven(terminal: Terminal) -> None:
    system = terminal.system
    event = json.loads((ROOT / "events" / "image-job-requested.json").read_text())
    asked = {**event, "detail": {"stack": STACK, "request_id": "undelivered", "job": DOCUMENT}}
    letter = json.dumps(asked, separators=(",", ":"))
    sqs, refused = system.client("sqs"), '{"again": "nobody"}'
    # What other tests have left there would hide it: one answer shows ten at most.
    sqs.purge_queue(QueueUrl=system.output("SubmitDeadLettersUrl"))
    sqs.send_message(QueueUrl=system.output("DropRuleDeadLettersUrl"), MessageBody=letter)
    sqs.send_message(QueueUrl=system.output("SubmitDeadLettersUrl"), MessageBody=refused)

    letters = {name.rpartition("-")[0]: int(count) for name, count in terminal.run("DropRuleDeadLettersUrl")}
    shown = terminal.run("receive-message")
    terminal.run("send-message")
    job_id = waiting(system, "redriven-by-hand", "fault:undeliverable-yet=6")
    # The rule is silent for a moment, because it would have the stopped job ended at once.
    rule = next(rule["Name"] for rule in system.client("events").list_rules()["Rules"] if "EndedRule" in rule["Name"])
    system.client("events").disable_rule(Name=rule)
    try:
        system.stop(job_id)
        assert system.execution(job_id)["status"] == "ABORTED"
        terminal.run("redrive-execution", JOB=job_id)
    finally:
        system.client("events").enable_rule(Name=rule)

    assert letters[f"{STACK}-DropRuleDeadLetters"] == 1
    assert letters[f"{STACK}-SubmitDeadLetters"] >= 1
    assert [refused] in shown
    assert system.messages("DropRuleDeadLettersUrl") == 0
    jobs = until(
        lambda: [row["job_id"]["S"] for row in system.stack.rows() if row["job_id"]["S"].startswith("undelivered-")],
        "the request's job",
    )
    assert [system.execution(job)["status"] for job in jobs] == ["SUCCEEDED"]
    assert system.execution(job_id)["status"] == "SUCCEEDED"
    assert len(system.tasks(job_id)) == 1


def again(terminal: Terminal) -> None:
    system = terminal.system
    jobs = {system.dropped(f"inbox/mended-by-hand/{name}.png", picture())[0] for name in ("a", "b")}
    system.preset("mended-by-hand")
    paid, _, _ = system.dropped("inbox/mended-by-hand/paid.png", picture())

    found = {line[0] for line in terminal.run("tee again.txt", PREFIX="inbox/mended-by-hand/")}
    terminal.run("xargs")

    assert (found, paid in found) == (jobs, False)
    for job_id in jobs:
        assert system.execution(f"{job_id}-2")["status"] == "SUCCEEDED"


def restored(terminal: Terminal) -> None:
    system = terminal.system
    s3, tables = system.client("s3"), system.client("dynamodb")
    job_id = completed(system, "restored")
    before = system.stack.folder(f"{system.folder(job_id)}/result.json")
    s3.delete_object(Bucket=system.output("ResultsBucket"), Key=f"{system.folder(job_id)}/1.png")
    terminal.run("DeleteMarkers", FOLDER=f"{system.folder(job_id)}/")
    assert system.stack.folder(f"{system.folder(job_id)}/result.json") == before

    terminal.run("restore-table-to-point-in-time", WHEN=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    row = system.row(job_id)
    tables.delete_item(TableName=system.output("JobsTable"), Key={"job_id": {"S": job_id}})
    assert terminal.run("comm -23") == [[job_id]]
    terminal.run("put-item")
    assert system.row(job_id) == row
    terminal.run("delete-table")
    reimported(terminal)


def reimported(terminal: Terminal) -> None:
    """The tables of a stack that was deleted, given to a new one."""
    formation, tables = (terminal.system.client(name) for name in ("cloudformation", "dynamodb"))
    template = load()
    kept = {name: it for name, it in template["Resources"].items() if it["Type"] == "AWS::DynamoDB::Table"}
    body = json.dumps({**{part: template[part] for part in ("Parameters", "Conditions")}, "Resources": kept})
    formation.create_stack(StackName="other", TemplateBody=body)
    until(
        lambda: formation.describe_stacks(StackName="other")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE",
        "the other stack",
    )
    found = stack_tables(formation)
    key = {"job_id": {"S": "old-1"}}
    tables.put_item(TableName=found["JobsTable"], Item=key)
    formation.delete_stack(StackName="other")
    until(lambda: deleted(formation, "other"), "its end")

    terminal.variables["STACK"] = "other"
    terminal.run("import.json")
    terminal.run("IMPORT")

    assert stack_tables(formation) == found
    assert tables.get_item(TableName=found["JobsTable"], Key=key)["Item"] == key


def stack_tables(formation: Any) -> dict[str, str]:
    """The names of the other stack's tables by their logical ids."""
    resources = formation.list_stack_resources(StackName="other")["StackResourceSummaries"]
    return {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in resources}


def deleted(formation: Any, name: str) -> bool:
    found = formation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    return name in {stack["StackName"] for stack in found}


def upgraded(terminal: Terminal) -> None:
    ((open_jobs,),) = terminal.run("open-by-next-check")
    rows = [row for row in terminal.system.stack.rows() if "open" in row]
    assert int(open_jobs) == len(rows)


def removed(terminal: Terminal) -> None:
    s3, tables = (terminal.system.client(name) for name in ("s3", "dynamodb"))
    s3.create_bucket(Bucket="left-over")
    s3.put_bucket_versioning(Bucket="left-over", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket="left-over", Key="results/a b.png", Body=b"1")
    s3.delete_object(Bucket="left-over", Key="results/a b.png")
    key = [{"AttributeName": "name", "AttributeType": "S"}]
    tables.create_table(
        TableName="left-over",
        AttributeDefinitions=key,
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    terminal.run("delete-bucket", BUCKET="left-over")
    terminal.run("delete-table", TABLE="left-over")

    assert "left-over" not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert "left-over" not in tables.list_tables()["TableNames"]


def proved(terminal: Terminal) -> None:
    system = terminal.system
    terminal.run("set-alarm-state")
    heard = json.loads(system.heard(system.messages_url, "SelfTestAlarm")["Body"])
    assert heard["NewStateValue"] == "ALARM"
    assert heard["NewStateReason"] == "A self-test; nothing is wrong"
    subscribed = terminal.run("list-subscriptions-by-topic")
    assert [protocol for protocol, *_ in subscribed[:-1]] == ["sqs"]


ANSWERS: dict[str, Callable[[Terminal], None]] = {
    "Is it healthy?": healthy,
    "Why is my picture not there?": missing,
    "What failed, and what do I do?": failed,
    "Why did it cost so much?": cost,
    "The provider is down": down,
    "Stop everything, and resume": stopped,
    "Raise throughput": throughput,
    "Rotate the API key": rotated,
    "Redrive": redriven,
    "Run a prefix again": again,
    "Restore": restored,
    "Upgrade": upgraded,
    "Delete": removed,
    "Prove that an alarm reaches you": proved,
}


# ---- The tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def variables(system: System, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What the first block of the page sets."""
    terminal = Terminal(system, tmp_path_factory.mktemp("terminal"), "Before you start", {})
    terminal.run("describe-stacks", STACK=STACK)
    assert system.stack.outputs.items() <= terminal.variables.items()
    return terminal.variables


@pytest.fixture
def terminal(system: System, tmp_path: Path, variables: Mapping[str, str], request: pytest.FixtureRequest) -> Terminal:
    return Terminal(system, tmp_path, request.param, dict(variables))


@pytest.mark.parametrize("terminal", ANSWERS, indirect=True)
def test_a_question_is_answered_as_it_stands(terminal: Terminal) -> None:
    ANSWERS[terminal.heading](terminal)
    assert terminal.left == []


def test_every_command_is_run_or_listed() -> None:
    asked = {heading for heading in sections(PAGE) if any(it.language == "sh" for it in blocks(heading, PAGE))}
    assert asked == {"Before you start", *ANSWERS}
    table = sections(PAGE)["What was shown and what only AWS can show"]
    assert dict(re.findall(r"^\| `(.+)` \| (.+) \|$", table, re.MULTILINE)) == ONLY_AWS


def test_every_alarm_has_its_paragraph() -> None:
    alarms = {name for name, it in load()["Resources"].items() if it["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(re.findall(r"^### (\w+Alarm)$", PAGE, re.MULTILINE)) == alarms


def test_every_link_leads_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([\w./]*)#([\w-]+)\)", PAGE):
        target = (ROOT / "docs" / file).read_text() if file else PAGE
        # As GitHub makes them.
        headings = re.findall(r"^#+ (.+)$", target, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", it).replace(" ", "-").lower() for it in headings}, (file, anchor)


def test_the_words_that_a_log_is_searched_for_are_said_there() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    source = "\n".join(path.read_text() for path in files)
    asked = re.findall(r"(?:^|`)lines (\w+) (?:\"([\w ]+)\"|(\w+)`)", PAGE, re.MULTILINE)
    assert asked
    words = {quoted or plain for _, quoted, plain in asked}
    assert [it for it in words if it not in source] == []
    assert {function for function, *_ in asked} <= {"submit", "status", "finalize", "batch", "sweep"}
