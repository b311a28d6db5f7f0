"""Every example of docs/interface.md, by the AWS CLI, with the permissions that stand above it and no others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.letters import letter_of
from bucketbrush.domain.result import Announcement
from local.engine.controller import ROOT
from tests import interface
from tests.samples import mask_picture, picture
from tests.waiting import until
from tests.workflow import shell

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.workflow.conftest import System

REGION, ACCOUNT, STACK = "us-east-1", "000000000000", "bucketbrush-local"
TRUST = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
# What the samples say of an account that is not there.
SAMPLES = {
    "arn:aws:states:eu-central-1:111122223333:stateMachine:bucketbrush-jobs": "<output JobsMachineArn>",
    r"{\"stack\": \"bucketbrush\"": r"{\"stack\": \"<stack>\"",
}
_numbers = count(1)


@dataclass
class Example:
    """A section of the page, and a folder in which its commands run."""

    system: System
    heading: str
    folder: Path
    places: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    @property
    def blocks(self) -> list[interface.Block]:
        return interface.blocks(self.heading)

    @property
    def commands(self) -> list[str]:
        return [self.filled(block.text) for block in self.blocks if block.language == "sh"]

    def block(self, about: str) -> str | None:
        """The text of the one block about this, its places filled."""
        found = [self.filled(block.text) for block in self.blocks if block.about == about]
        assert len(found) <= 1, f"{self.heading}: several blocks are {about}"
        return found[0] if found else None

    def filled(self, text: str) -> str:
        """The text with each ``<...>`` that stands for something here replaced by it."""
        known = {"stack": STACK, "region": REGION, "account": ACCOUNT, **self.places}
        outputs = self.system.stack.outputs
        text = re.sub(r"<last part of output (\w+)>", lambda found: outputs[found[1]].rpartition("/")[2], text)
        text = re.sub(r"<output (\w+)>", lambda found: outputs[found[1]], text)
        return re.sub(r"<([\w' ]+)>", lambda found: known.get(found[1], found[0]), text)

    def policy(self) -> str | None:
        """The policy of whoever runs the commands. Which rule is meant the engine says otherwise than AWS, or not at
        all.
        """
        text = self.block("policy")
        return text and re.sub(r'"arn:aws:events:[^"]+:rule/[^"]+"', '"*"', text)

    def lay_out(self) -> None:
        """Every file that the commands read: those of the section, and pictures."""
        for block in self.blocks:
            if block.is_file:
                text = block.text
                for said, meant in SAMPLES.items():
                    text = text.replace(said, meant)
                path = self.folder / block.about
                path.parent.mkdir(exist_ok=True)
                path.write_text(self.filled(text))
        for name in re.findall(r"^aws s3 cp (\S+\.(?:png|jpg)) ", "\n".join(self.commands), re.MULTILINE):
            kind = "JPEG" if name.endswith(".jpg") else "PNG"
            (self.folder / name).write_bytes(mask_picture() if "mask" in name else picture(kind))

    def run(self, command: str, credentials: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return shell.run(self.system.stack.engine, command, self.folder, credentials)

    def saved(self, name: str) -> Any:
        """What a command has written."""
        return json.loads((self.folder / name).read_text())

    def completed(self, key: str) -> dict[str, Any]:
        """The result of the new job of a dropped file, which must be completed."""
        result = self.ended(key)
        assert result["outcome"] == "completed", result["message"]
        return result

    def ended(self, key: str) -> dict[str, Any]:
        """The result of the new job of a dropped file."""

        def find() -> str | None:
            rows = (row for row in self.system.stack.rows() if row["job_id"]["S"] not in self.known)
            return next((row["job_id"]["S"] for row in rows if source_key(row) == key), None)

        return self.result(until(find, f"a job for {key}", pause=0.1))

    def requested(self, request_id: str) -> dict[str, Any]:
        """The result of a request's job."""

        def find() -> str | None:
            jobs = (row["job_id"]["S"] for row in self.system.stack.rows())
            return next((job_id for job_id in jobs if job_id.startswith(f"{request_id}-")), None)

        return self.result(until(find, f"a job for {request_id}", pause=0.1))

    def result(self, job_id: str) -> dict[str, Any]:
        self.system.execution(job_id)
        return self.system.result(job_id)


def credentials(system: System, policy: str | None) -> dict[str, str]:
    """The keys of a new user with this policy."""
    iam, name = system.client("iam"), f"caller-{next(_numbers)}"
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="example", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def source_key(row: dict[str, Any]) -> str | None:
    source = row.get("source", {}).get("M")
    return source and str(source["key"]["S"])


def shape(value: Any) -> Any:
    """What a reader relies on: the fields, and the kind of each."""
    match value:
        case dict():
            return {name: shape(item) for name, item in value.items()}
        case list():
            return [shape(item) for item in value[:1]]
        case _:
            return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


# ---- What must be there before the commands --------------------------------------------------------------------------


def workflow_role(example: Example) -> None:
    """A role for the caller's workflow, with the policy that the page gives it."""
    iam = example.system.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role = iam.create_role(RoleName="painter", AssumeRolePolicyDocument=trust)["Role"]
    iam.put_role_policy(RoleName="painter", PolicyName="paint", PolicyDocument=str(example.block("role")))
    example.places["ARN of your workflow's role"] = role["Arn"]


def rejected_job(example: Example) -> None:
    """A job that was rejected for want of a preset, which is there now."""
    preset = f"missing-{next(_numbers)}"
    example.system.stack.drop(f"inbox/{preset}/cat.jpg", picture("JPEG"))
    example.places["job id"] = example.ended(f"inbox/{preset}/cat.jpg")["job_id"]
    example.system.preset(preset)


def own_bucket(example: Example) -> None:
    """A bucket of the caller's, which tells a queue of some of its objects."""
    s3 = example.system.client("s3")
    s3.create_bucket(Bucket="photo-archive")
    queue = own_queue(example, "thumbnails")
    wanted = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="photo-archive", NotificationConfiguration={"QueueConfigurations": [wanted]}
    )
    example.places["your bucket"] = "photo-archive"


def own_queue(example: Example, name: str) -> str:
    """The ARN of a queue of the caller's that everybody may send to."""
    sqs, arn = example.system.client("sqs"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    example.places |= {"ARN of your queue": arn, "url": url}
    return arn


def ended_jobs(example: Example) -> None:
    """A poster that is completed, and a job that is rejected."""
    for key in ("inbox/poster/may/cat.jpg", "inbox/nobody/cat.jpg"):
        example.system.stack.drop(key, picture("JPEG"))
    result = example.completed("inbox/poster/may/cat.jpg")
    example.places |= {
        "job id": result["job_id"],
        "id of a rejected job": example.ended("inbox/nobody/cat.jpg")["job_id"],
    }


def ended_batch(example: Example) -> None:
    """The batch of the page."""
    source = Example(example.system, "Drop a batch", example.folder)
    source.lay_out()
    for command in source.commands:
        source.run(command, {}).check_returncode()


BEFORE: dict[str, Callable[[Example], Any]] = {
    "Call it from a workflow": workflow_role,
    "Run a job again": rejected_job,
    "Buckets that exist": own_bucket,
    "Files in the results bucket": ended_jobs,
    "result.json": ended_jobs,
    "SNS messages and mail": lambda example: own_queue(example, "failures"),
    "Events": lambda example: own_queue(example, "posters"),
    "The end of an execution": ended_jobs,
    "The summary of a batch": ended_batch,
}


# ---- What has come of them -------------------------------------------------------------------------------------------
# Each gives what came out, by the names of the blocks that show it.


def dropped(example: Example) -> dict[str, Any]:
    result = example.completed("inbox/poster/may/cat.jpg")
    assert result["recipe"]["prompt"] == "A travel poster of cat from the 1950s"
    return {}


def beside(example: Example) -> dict[str, Any]:
    cat, dog, boat = (example.completed(f"inbox/poster/{name}.jpg")["recipe"] for name in ("cat", "dog", "boat"))
    assert (cat["size"], cat["n"], dog["prompt"]) == ("3:2", 2, "Ein Hund im Frühling")
    assert (boat["size"], boat["prompt"]) == ("1:1", "The boat at night")
    assert example.completed("inbox/repaint/cat.png")["mask"]["key"] == "inbox/repaint/cat.mask.png"
    return {}


def documents(example: Example) -> dict[str, Any]:
    starry, two = (example.completed(f"inbox/stars/{name}.job.json") for name in ("starry", "two"))
    assert [len(starry["references"]), len(starry["pictures"]), starry["mask"] is None] == [2, 2, False]
    assert (two["preset"], two["recipe"]["size"], two["recipe"]["n"]) == ("poster", "16:9", 2)
    return {}


def execution(example: Example) -> dict[str, Any]:
    assert example.result("starry-cat-1")["outcome"] == "completed"
    return {}


def workflow(example: Example) -> dict[str, Any]:
    sfn = example.system.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:painter"

    def ended(name: str) -> dict[str, Any]:
        arn = f"{machine}:{name}"
        found: dict[str, Any] = until(
            lambda: sfn.describe_execution(executionArn=arn), f"{name} ends", lambda it: it["status"] != "RUNNING"
        )
        return found

    assert json.loads(ended("nested-boat-1")["output"])["outcome"] == "completed"
    sfn.start_execution(
        stateMachineArn=machine.replace(":execution:", ":stateMachine:"), name="nested-boat-2", input='{"prompt": ""}'
    )
    failed = ended("nested-boat-2")
    assert (failed["status"], failed["error"]) == ("FAILED", "NotPainted")
    assert "prompt: found " in failed["cause"]
    return {}


def message(example: Example) -> dict[str, Any]:
    assert example.requested("order-4711")["outcome"] == "completed"
    return {}


def call(example: Example) -> dict[str, Any]:
    result = example.requested("order-4712")
    answer = example.saved("answer.json")
    assert (result["outcome"], result["job_id"]) == ("completed", answer["job_id"])
    return {"answer": answer}


def event(example: Example) -> dict[str, Any]:
    assert example.requested("order-4713")["outcome"] == "completed"
    return {}


def again(example: Example) -> dict[str, Any]:
    assert example.result(f"{example.places['job id']}-2")["outcome"] == "completed"
    return {}


def bucket(example: Example) -> dict[str, Any]:
    s3 = example.system.client("s3")
    found = s3.get_bucket_notification_configuration(Bucket="photo-archive")
    assert ("EventBridgeConfiguration" in found, len(found["QueueConfigurations"])) == (True, 1)
    assert s3.get_bucket_versioning(Bucket="photo-archive")["Status"] == "Enabled"
    return {}


def files(example: Example) -> dict[str, Any]:
    job_id = example.places["job id"]
    folder = example.folder / "cat" / job_id
    keys = sorted(f"results/poster/may/cat/{job_id}/{path.name}" for path in folder.iterdir())
    return {"files": [re.sub(r"-[0-9a-f]{20}/", "-<hash>/", key) for key in keys], "tags": example.saved("tags.json")}


def result_json(example: Example) -> dict[str, Any]:
    return {"result": example.result(example.places["job id"])}


def sns(example: Example) -> dict[str, Any]:
    ended_jobs(example)
    job_id, rejected = example.places["job id"], example.places["id of a rejected job"]
    system = example.system
    system.preset("poster", prompt="a {colour} poster")
    system.stack.drop("inbox/poster/june/cat.jpg", picture("JPEG"))
    wrong = example.ended("inbox/poster/june/cat.jpg")["job_id"]
    heard = json.loads(system.heard(example.places["url"], wrong)["Body"])
    assert heard["outcome"] == "rejected"
    assert {json.loads(it["Body"])["job_id"] for it in system.inbox[example.places["url"]]}.isdisjoint(
        {job_id, rejected}
    )
    told = system.told(job_id)
    letter = letter_of(Announcement.model_validate(told)).replace(job_id, "cat-<hash>")
    return {"announcement": told, "letter": letter.splitlines()}


def bus(example: Example) -> dict[str, Any]:
    ended_jobs(example)
    job_id = example.places["job id"]
    heard = json.loads(example.system.heard(example.places["url"], job_id)["Body"])
    submitted = json.loads(example.system.heard(example.system.events_url, job_id, "Image Job Submitted")["Body"])
    example.system.preset("endless", prompt="fault:hang")
    example.system.stack.drop("inbox/endless/cat.jpg", picture("JPEG"))
    hanging = example.system.job_of("inbox/endless/cat.jpg")
    example.system.until_state(hanging, "waiting")
    example.system.age(hanging, 3600)
    late = json.loads(example.system.heard(example.system.events_url, hanging, "Image Job Late")["Body"])
    example.system.stop(hanging)
    assert heard["detail"] == example.system.told(job_id)
    return {"event": {**heard, "detail": {}}, "submitted": submitted["detail"], "late": late["detail"]}


def ended_executions(example: Example) -> dict[str, Any]:
    told = json.loads(example.saved("ended.json")["output"])
    assert told == example.system.told(example.places["job id"])
    return {"failed": example.saved("failed.json")}


def batch(example: Example) -> dict[str, Any]:
    """The one of the page's own section; its summary is another section's."""
    told = json.loads(
        example.system.heard(example.system.messages_url, "inbox/night/boats.jobs.jsonl", "batch_id")["Body"]
    )
    assert told["outcomes"] == {"completed": 2, "rejected": 1}
    return {}


def summary(example: Example) -> dict[str, Any]:
    told = json.loads(
        example.system.heard(example.system.messages_url, "inbox/night/boats.jobs.jsonl", '"summary"')["Body"]
    )
    stored = example.system.stack.result
    assert told["summary"]["key"] == f"results/night/boats/{told['batch_id']}/batch.json"
    return {
        "batch": json.loads(stored(told["summary"]["key"])),
        "line": json.loads(stored(told["lines"]["key"]).splitlines()[-1]),
        "batch-announcement": told,
    }


AFTER: dict[str, Callable[[Example], dict[str, Any]]] = {
    "Drop a picture": dropped,
    "What lies beside a picture": beside,
    "Drop a job document": documents,
    "Drop a batch": batch,
    "Start an execution": execution,
    "Call it from a workflow": workflow,
    "Send a message": message,
    "Call the function": call,
    "Put an event": event,
    "Run a job again": again,
    "Buckets that exist": bucket,
    "Files in the results bucket": files,
    "result.json": result_json,
    "SNS messages and mail": sns,
    "Events": bus,
    "The end of an execution": ended_executions,
    "The summary of a batch": summary,
}


# ---- The tests -------------------------------------------------------------------------------------------------------


@pytest.fixture
def example(system: System, tmp_path: Path, request: pytest.FixtureRequest) -> Example:
    """A section in a folder of its own, with the preset of the page and the pictures that documents name."""
    poster = next(block.text for block in interface.blocks("Drop a picture") if block.about == "poster.json")
    system.stack.put_preset("poster", json.loads(poster))
    for key in ("inbox/stars/references/cat.png", "inbox/night/references/cat.png"):
        system.stack.drop(key, picture())
    made = Example(system, request.param, tmp_path)
    made.known = {row["job_id"]["S"] for row in system.stack.rows()}
    BEFORE.get(made.heading, lambda _: None)(made)
    made.lay_out()
    return made


def test_every_block_is_run_or_compared() -> None:
    assert set(AFTER) == {heading for heading in interface.sections() if interface.blocks(heading)}
    for heading in AFTER:
        blocks = interface.blocks(heading)
        shell = "".join(block.text for block in blocks if block.language == "sh")
        for block in blocks:
            run = block.language == "sh" and not block.about
            used = (block.is_file and block.about in shell) or (block.about in ("policy", "role") and shell)
            assert run or used or block.output, f"{heading}: nobody runs or compares {block}"
            if block.about.startswith("events/"):
                assert block.text == (ROOT / block.about).read_text()
    assert "```" not in re.sub(r"^```.*\n(?:.*\n)*?```$", "", interface.PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("example", AFTER, indirect=True)
def test_an_example_does_what_it_says(example: Example) -> None:
    policy = example.policy()
    keys = credentials(example.system, policy) if policy else {}
    for command in example.commands:
        done = example.run(command, keys)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    outputs = AFTER[example.heading](example)
    shown = {block.output: block for block in example.blocks if block.output}
    assert outputs.keys() == shown.keys()
    for name, block in shown.items():
        if block.language == "text":
            assert example.filled(block.text).splitlines() == [*outputs[name]]
        else:
            assert shape(json.loads(block.text)) == shape(outputs[name]), json.dumps(outputs[name])


# The engine lets everybody in the account subscribe to a topic.
GUARDED = [
    heading
    for heading in AFTER
    if any(block.about == "policy" for block in interface.blocks(heading)) and heading != "SNS messages and mail"
]
DENIED = re.compile("AccessDenied|not authorized|Forbidden")


@pytest.mark.parametrize("example", GUARDED, indirect=True)
def test_without_one_of_its_permissions_an_example_is_refused(example: Example) -> None:
    """So each statement is needed."""
    policy = json.loads(str(example.policy()))
    for missing in policy["Statement"]:
        left = [statement for statement in policy["Statement"] if statement != missing]
        keys = credentials(example.system, json.dumps({**policy, "Statement": left}) if left else None)
        done = next((done for command in example.commands if (done := example.run(command, keys)).returncode), None)
        assert done, f"{example.heading}: nobody asks for {missing}"
        assert DENIED.search(done.stderr), done.stderr
