"""Each function's handler on real servers, built from nothing but its environment."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.contract.aws import bucket, client, keys, machine, name, on_engine, role, secret, table, topic
from tests.waiting import until

if TYPE_CHECKING:
    from local.simulator import Simulator

__all__ = ["bucket", "machine", "on_engine", "role", "table", "topic"]
FUNCTIONS = Path(__file__).parents[2] / "functions"


class Context:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Functions:
    """The three handlers, loaded anew and called as Lambda calls them."""

    def __init__(self) -> None:
        self._handlers = {file.parent.name: self._load(file) for file in FUNCTIONS.glob("*/app.py")}

    def __call__(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._handlers[function](event, Context())
        assert json.loads(json.dumps(answer)) == answer
        return answer

    @staticmethod
    def _load(file: Path) -> Any:
        spec = importlib.util.spec_from_file_location(f"{file.parent.name}_app", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.handler


@pytest.fixture
def functions(
    on_engine: None,
    simulator: Simulator,
    bucket: str,
    table: str,
    role: str,
    machine: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Functions:
    environment = {
        "JOBS_TABLE": table,
        "API_BASE_URL": f"{simulator.base_url}/v1",
        "API_KEY_SECRET_ARN": secret(simulator.api_key),
        "PROVIDER_TIMEOUT_SECONDS": 10,
        "KEEP_DAYS": 400,
        "INBOX_BUCKET": bucket,
        "JOBS_MACHINE_ARN": machine,
        "SIGNER_ROLE_ARN": role,
        "POLL_PLAN_SECONDS": "20,10",
        "REFUSED_WAIT_SECONDS": 1,
        "LOOKUP_WAIT_SECONDS": 1,
        "LOOKUP_SECONDS": 5,
        "RESULTS_BUCKET": bucket,
        "TOPIC_ARN": topic,
        "POWERTOOLS_SERVICE_NAME": "bucketbrush-test",
        "POWERTOOLS_METRICS_NAMESPACE": "Bucketbrush",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, str(value))
    return Functions()


def message(bucket: str, key: str, content: bytes) -> dict[str, Any]:
    """A file dropped, and the queue's record of it."""
    version = client("s3").put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]
    item = {"key": key, "size": len(content), "etag": "e", "version-id": version, "sequencer": "0"}
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": item},
    }
    return {"messageId": name("message"), "body": json.dumps(event)}


def sample() -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_drop_goes_all_the_way(functions: Functions, simulator: Simulator, bucket: str, machine: str) -> None:
    preset = {"model": "gpt-image-2-vip", "prompt": "paint it red", "n": 2}
    client("s3").put_object(Bucket=bucket, Key="presets/art.json", Body=json.dumps(preset).encode())
    record = message(bucket, "inbox/art/My Cat é+.png", sample())
    for _ in range(2):
        assert functions("submit", {"Records": [record]}) == {"batchItemFailures": []}
    (task,) = simulator.tasks()
    job_id = str(task["client_business_id"])
    assert job_id.startswith("my-cat-e-")
    listed = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert job_id in [execution["name"] for execution in listed]

    step = functions("submit", {"job_id": job_id, "document": {"job_id": job_id}})
    assert step == {"state": "waiting", "hold_seconds": 0, "plan": [20, 10], "task_id": task["id"], "polls": 0}
    look = {"job_id": job_id, "task_id": step["task_id"], "polls": 1}
    until(lambda: functions("status", look), "the task is done", lambda seen: seen == {"task_state": "done"})

    told = functions("finalize", {"job_id": job_id, "fault": None})
    assert (told["outcome"], told["model"], told["preset"]) == ("completed", "gpt-image-2-vip", "art")
    stored = [picture["key"] for picture in told["pictures"]]
    assert sorted(keys(bucket, f"results/{job_id}/")) == sorted([*stored, told["result"]["key"]])
    assert functions("finalize", {"job_id": job_id, "fault": None}) == told


def test_a_document_that_is_wrong_is_told_as_an_outcome(functions: Functions, simulator: Simulator) -> None:
    job_id = name("direct")
    assert functions("submit", {"job_id": job_id, "document": ["no", "object"]})["state"] == "decided"
    told = functions("finalize", {"job_id": job_id, "fault": None})
    assert told["outcome"] == "rejected"
    assert "execution input: found a list of 2; allowed: a JSON object" in told["message"]
    assert simulator.tasks() == []


def test_a_message_that_cannot_be_read_goes_back_to_the_queue(
    functions: Functions, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = message(bucket, "inbox/.DS_Store", b"x")
    answer = functions("submit", {"Records": [{"messageId": "bad", "body": '{"secret": "plan"}'}, good]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert "plan" not in capsys.readouterr().out
