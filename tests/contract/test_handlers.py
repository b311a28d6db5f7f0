"""Each function's handler on real servers, built from nothing but its environment."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.departures import NAME, Departures
from bucketbrush.adapters.durations import Durations
from bucketbrush.domain.durations import PRIOR
from bucketbrush.domain.errors import EventUnreadable, Money, ResultUnstored, SweepIncomplete
from bucketbrush.domain.jobs import Job, Outcome, Share, Verdict
from bucketbrush.domain.layout import RESULTS_KEY
from bucketbrush.domain.life import Actor, State
from bucketbrush.domain.money import Budget, month_of
from bucketbrush.domain.polling import poll_plan
from tests.contract.aws import (
    bucket,
    client,
    durations,
    held_by,
    keys,
    limits,
    machine,
    name,
    on_engine,
    role,
    secret,
    seed,
    table,
    topic,
)
from tests.contract.scripted import Answer, Scripted, serving
from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.simulator import Simulator

__all__ = ["bucket", "durations", "limits", "machine", "on_engine", "role", "table", "topic"]
ROOT = Path(__file__).parents[2]
SERVICE = "bucketbrush-test"
ENDED = {"seen": "ended", "least": 0, "most": 0}


class Context:
    """What Lambda gives beside the event; ``seconds`` are left."""

    aws_request_id = "request-1"

    def __init__(self, seconds: float = 900) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


class Functions:
    """All handlers, loaded anew and called as Lambda calls them."""

    def __init__(self) -> None:
        self._handlers = {file.parent.name: self._load(file) for file in (ROOT / "functions").glob("*/app.py")}

    def __call__(self, function: str, event: dict[str, Any], seconds: float = 900) -> Any:
        answer = self._handlers[function](event, Context(seconds))
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
def lambdas() -> Iterator[Scripted]:
    """What takes the calls of the finalize function in place of Lambda."""
    with serving() as script:
        script.answer = Answer(202)
        yield script


@pytest.fixture
def functions(
    on_engine: None,
    simulator: Simulator,
    lambdas: Scripted,
    bucket: str,
    table: str,
    limits: str,
    durations: str,
    role: str,
    machine: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Functions:
    environment = {
        "JOBS_TABLE": table,
        "LIMITS_TABLE": limits,
        "DURATIONS_TABLE": durations,
        "API_BASE_URL": f"{simulator.base_url}/v1",
        "API_KEY_SECRET_ARN": secret(simulator.api_key),
        "PROVIDER_TIMEOUT_SECONDS": 10,
        "KEEP_DAYS": 400,
        "INBOX_BUCKET": bucket,
        "INBOX_PREFIX": "inbox/",
        "PRESETS_PREFIX": "presets/",
        "REFERENCES_PREFIX": "references/",
        "COMPANION_SECONDS": 60,
        "BATCH_QUEUE_URL": "https://queue/batches",
        "JOBS_MACHINE_ARN": machine,
        "SIGNER_ROLE_ARN": role,
        "LATENESS_PRICE": 0.2,
        "REFUSED_WAIT_SECONDS": 1,
        "LOOKUP_WAIT_SECONDS": 1,
        "LOOKUP_SECONDS": 5,
        "MAX_QUEUE_SECONDS": 600,
        "UNKNOWN_POLICY": "hold",
        "REFERENCE_HANDOVER": "auto",
        "DEADLINE_SECONDS": 600,
        "LATE_SECONDS": 300,
        "SWEEP_AFTER_SECONDS": 60,
        "SUBMITS_PER_SECOND": 50,
        "MONTHLY_BUDGET_USD": 1,
        "ASSUMED_PRICE_USD": 0.02,
        "FINALIZE_FUNCTION": "finalize-1",
        "RESULT_HOSTS": "toapis.com",
        "RESULTS_BUCKET": bucket,
        "RESULTS_KEY": RESULTS_KEY,
        "RESULT_PAGE": "with-references",
        "TOPIC_ARN": topic,
        "POWERTOOLS_SERVICE_NAME": SERVICE,
        "POWERTOOLS_METRICS_NAMESPACE": "Bucketbrush",
        "AWS_ENDPOINT_URL_LAMBDA": lambdas.url,
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
        "time": "2026-11-21T09:00:00Z",
        "detail": {"bucket": {"name": bucket}, "object": item},
    }
    return {"messageId": name("message"), "body": json.dumps(event)}


def sample(file: str) -> Any:
    """An event as it comes."""
    return json.loads((ROOT / "events" / file).read_text())


def test_a_drop_goes_all_the_way(
    functions: Functions, simulator: Simulator, bucket: str, limits: str, durations: str, machine: str
) -> None:
    preset = {"model": "gpt-image-2-vip", "prompt": "paint it red", "n": 2}
    client("s3").put_object(Bucket=bucket, Key="presets/art.json", Body=json.dumps(preset).encode())
    record = message(bucket, "inbox/art/My Cat é+.png", picture())
    for _ in range(2):
        assert functions("submit", {"Records": [record]}) == {"batchItemFailures": []}
    (task,) = simulator.tasks()
    job_id = str(task["client_business_id"])
    assert job_id.startswith("my-cat-e-")
    listed = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert job_id in [execution["name"] for execution in listed]

    step = functions("submit", {"job_id": job_id, "document": {"job_id": job_id}})
    plan = list(poll_plan(PRIOR, 0.2, 600))
    assert step == {"state": "waiting", "hold_until": 0, "plan": plan, "task_id": task["id"], "polls": 0}
    assert budget(limits) == Budget(month=budget(limits).month, committed=40_000)
    assert Departures(client("dynamodb"), limits, 20).read().next_departure > 0
    look = {"job_id": job_id, "task_id": step["task_id"], "polls": 1}
    until(lambda: functions("status", look), "the task is done", lambda look: look == ENDED)

    told = functions("finalize", {"job_id": job_id, "fault": None})
    assert (told["outcome"], told["model"], told["preset"]) == ("completed", "gpt-image-2-vip", "art")
    assert (told["money"], told["estimated_usd"], told["billed_usd"]) == ("moved", 0.04, 0.03)
    assert budget(limits) == Budget(month=budget(limits).month, committed=30_000, spent=30_000)
    stored = [item["key"] for item in told["pictures"]]
    assert told["result"]["key"] == f"results/art/My Cat é+/{job_id}/result.json"
    folder = told["result"]["key"].removesuffix("result.json")
    beside = [folder + file for file in ("index.html", "reference-1.png", "result.json")]
    assert sorted(keys(bucket, folder)) == sorted([*stored, *beside])
    assert (told["folder"], told["page"]["key"]) == ("art", f"{folder}index.html")
    result = json.loads(client("s3").get_object(Bucket=bucket, Key=told["result"]["key"])["Body"].read())
    assert [item["pixels"]["width"] > 0 for item in result["pictures"]] == [True, True]
    assert (result["model"], result["preset_version"]["key"]) == ("gpt-image-2-vip", "presets/art.json")
    assert (result["polls"], result["lateness_seconds"] >= 0) == (1, True)
    assert functions("finalize", {"job_id": job_id, "fault": None}) == told
    learned = ["gpt-image-2-vip 1k medium n=2 references", "gpt-image-2-vip 1k", "gpt-image-2-vip"]
    found = Durations(client("dynamodb"), durations).read(learned)
    assert {name: known and known.jobs for name, known in found.items()} == dict.fromkeys(learned, 1)


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


def row(table: str, job_id: str) -> Job:
    found = held_by(Actor.SUBMIT, table).get(job_id)
    assert found is not None
    return found


def budget(limits: str) -> Budget:
    """This month's."""
    return Budgets(client("dynamodb"), limits).read(month_of(int(time.time())))


def reserve(table: str, limits: str, amount: int) -> None:
    """Have another job hold so much of this month's budget."""
    other = Job(job_id=name("other"), state=State.ACCEPTED, created_at=1000)
    seed(table, other)
    share = Share(month=month_of(int(time.time())), reserved=amount)
    held_by(Actor.SUBMIT, table, limits).change(other, state=State.SUBMITTING, share=share)


def order() -> dict[str, Any]:
    """A call of submit with a caller's document that asks for one picture."""
    return {"job_id": name("order"), "document": {"model": "gpt-image-2-vip", "prompt": "p"}}


def metrics(printed: str) -> dict[str, Any]:
    """The values of all metrics, which have the service as their one dimension."""
    lines = [json.loads(line) for line in printed.splitlines() if '"CloudWatchMetrics"' in line]
    found: dict[str, Any] = {}
    for line in lines:
        (emitted,) = line["_aws"]["CloudWatchMetrics"]
        (metric,) = emitted["Metrics"]
        assert (emitted["Namespace"], emitted["Dimensions"], line["service"]) == ("Bucketbrush", [["service"]], SERVICE)
        (found[metric["Name"]],) = line[metric["Name"]]
    return found


def test_pictures_without_time_to_fetch_them_stay_unstored(
    functions: Functions, simulator: Simulator, bucket: str, table: str
) -> None:
    """The time that the invocation has left is the context's; the next one has its own."""
    client("s3").put_object(Bucket=bucket, Key="presets/slow.json", Body=b'{"model": "gpt-image-2-vip", "prompt": "p"}')
    functions("submit", {"Records": [message(bucket, "inbox/slow/cat.png", picture())]})
    job_id = str(simulator.tasks()[0]["client_business_id"])
    look = {"job_id": job_id, "task_id": row(table, job_id).task_id, "polls": 1}
    until(lambda: functions("status", look), "the task is done", lambda look: look == ENDED)
    with pytest.raises(ResultUnstored, match="no time was left for the download"):
        functions("finalize", {"job_id": job_id, "fault": None}, seconds=60)
    assert row(table, job_id).state is State.UNSTORED
    assert functions("status", look) == ENDED, "a job that waits no more is not looked at for ever"
    told = functions("finalize", {"job_id": job_id, "fault": None}, seconds=900)
    assert (told["outcome"], row(table, job_id).state) == ("completed", State.ENDED)
    assert len(simulator.tasks()) == 1


def test_a_bill_that_comes_late_is_looked_for(
    functions: Functions, simulator: Simulator, table: str, limits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = order()
    simulator.fault("billing-pending")
    step = functions("submit", call)
    look = {"job_id": call["job_id"], "task_id": step["task_id"], "polls": 1}
    until(lambda: functions("status", look), "the task is done", lambda look: look == ENDED)
    told = functions("finalize", {"job_id": call["job_id"], "fault": None})
    assert (told["outcome"], told["billed_usd"], budget(limits).spent) == ("completed", None, 20_000)
    asked = {**sample("finalize-bill-call.json"), "job_id": call["job_id"]}
    assert functions("finalize", asked) == {}
    waiting = row(table, call["job_id"])
    assert (waiting.billed, waiting.next_check is None) == (None, False)
    simulator.clear_faults()
    capsys.readouterr()
    assert functions("finalize", asked) == {}
    billed = row(table, call["job_id"])
    assert (billed.billed, billed.next_check, budget(limits).committed, budget(limits).spent) == (
        15_000,
        None,
        15_000,
        15_000,
    )
    assert metrics(capsys.readouterr().out) == {"BilledUsd": 0.015}
    assert functions("finalize", asked) == {}
    assert metrics(capsys.readouterr().out) == {}, "it came once"


def test_over_the_budget_nothing_is_sent(functions: Functions, simulator: Simulator, table: str, limits: str) -> None:
    reserve(table, limits, 980_001)
    call = order()
    assert functions("submit", call)["state"] == "decided"
    told = functions("finalize", {"job_id": call["job_id"], "fault": None})
    assert (told["outcome"], told["money"]) == ("rejected", "not moved")
    assert "found 0.00 USD spent and 0.980001 USD reserved, and this job needs 0.02 USD" in told["message"]
    assert (simulator.tasks(), budget(limits).committed) == ([], 980_001)


def test_a_paused_intake_sends_when_it_is_resumed(
    functions: Functions, simulator: Simulator, table: str, limits: str
) -> None:
    key, call = {"name": {"S": NAME}}, order()
    now = {":now": {"N": str(int(time.time()))}}
    dynamodb = client("dynamodb")
    dynamodb.update_item(TableName=limits, Key=key, UpdateExpression="SET paused = :now", ExpressionAttributeValues=now)
    step = functions("submit", call)
    held = row(table, call["job_id"])
    assert (step["state"], step["hold_until"]) == ("accepted", held.hold_until)
    assert (held.hold_reason, simulator.tasks(), budget(limits).committed) == ("IntakePaused", [], 0)
    dynamodb.update_item(TableName=limits, Key=key, UpdateExpression="REMOVE paused")
    until(lambda: functions("submit", call), "it is sent", lambda step: step["state"] == "waiting")
    assert len(simulator.tasks()) == 1


def test_a_look_tells_when_the_task_had_its_time(functions: Functions, simulator: Simulator, table: str) -> None:
    job_id = name("old")
    simulator.fault("status-500")
    waiting = Job(job_id=job_id, state=State.WAITING, created_at=1000, submitted_at=1000, task_id="tsk_old")
    seed(table, waiting)
    assert functions("status", {**sample("status-call.json"), "job_id": job_id}) == {**ENDED, "seen": "overdue"}
    assert row(table, job_id).polls == 3


def test_the_schedule_sweeps_what_nobody_works_on(
    functions: Functions,
    lambdas: Scripted,
    bucket: str,
    table: str,
    limits: str,
    machine: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drop = Job(
        job_id=name("dropped"),
        state=State.WAITING,
        created_at=1000,
        next_check=1000,
        source={"bucket": bucket, "key": "inbox/cat.png"},
        plan=(1,),
    )
    order = Job(job_id=name("ordered"), state=State.UNSTORED, created_at=1000, next_check=1001, made_at=1000)
    for job in (drop, order):
        seed(table, job)
    reserve(table, limits, 835_000)
    capsys.readouterr()
    assert functions("sweep", sample("sweep-schedule.json")) is None
    listed = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert drop.job_id in [execution["name"] for execution in listed]
    assert [json.loads(asked.body) for asked in lambdas.asked] == [{"job_id": order.job_id, "fault": "no execution"}]
    found = metrics(capsys.readouterr().out)
    assert found.pop("OldestOverdueSeconds") == found.pop("OldestUnstoredSeconds") > 1_000_000_000
    assert found == {"JobsOverdue": 2, "JobsUnstored": 1, "BudgetUsedPercent": 83, "DeparturesWaiting": 0}
    functions("sweep", sample("sweep-schedule.json"))
    nothing = dict.fromkeys(("JobsOverdue", "OldestOverdueSeconds", "JobsUnstored", "OldestUnstoredSeconds"), 0)
    assert metrics(capsys.readouterr().out) == {**nothing, "BudgetUsedPercent": 83, "DeparturesWaiting": 0}, (
        "also none is said"
    )
    assert len(lambdas.asked) == 1


def test_the_queue_sweeps_one_execution(functions: Functions, lambdas: Scripted, table: str, machine: str) -> None:
    batch = sample("sweep-queue-batch.json")
    (call,) = [json.loads(record["body"]) for record in batch["Records"]]
    assert functions("sweep", batch) is None
    assert [json.loads(asked.body) for asked in lambdas.asked] == [{"job_id": call["execution"], "fault": None}]

    known = Job(job_id=name("known"), state=State.DECIDED, created_at=1000, next_check=2**31)
    seed(table, known)
    client("stepfunctions").start_execution(stateMachineArn=machine, name=known.job_id)
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{known.job_id}"
    ended = client("stepfunctions").describe_execution
    until(lambda: ended(executionArn=arn)["status"] == "SUCCEEDED")
    batch["Records"][0]["body"] = json.dumps({"execution": known.job_id})
    functions("sweep", batch)
    assert [json.loads(asked.body) for asked in lambdas.asked[1:]] == [{"job_id": known.job_id, "fault": "SUCCEEDED"}]


@pytest.mark.parametrize("body", ["{}", '{"execution": ""}', '{"input": "the secret plan"}', "the secret plan"])
def test_a_record_that_the_sweep_cannot_read_stays_in_the_queue(
    functions: Functions, lambdas: Scripted, body: str
) -> None:
    with pytest.raises(EventUnreadable, match="ExecutionEnded: ") as caught:
        functions("sweep", {"Records": [{"messageId": "m", "body": body}]})
    assert "secret" not in str(caught.value)
    assert lambdas.asked == []


def test_a_finalize_that_cannot_be_called_is_called_by_the_next_sweep(
    functions: Functions, lambdas: Scripted, table: str
) -> None:
    job = Job(job_id=name("uncalled"), state=State.DECIDED, created_at=1000, next_check=1000)
    seed(table, job)
    lambdas.answer = Answer(429, {"message": "no"}, {"x-amzn-ErrorType": "TooManyRequestsException"})
    with pytest.raises(SweepIncomplete, match="could not look after 1 of the open jobs"):
        functions("sweep", sample("sweep-schedule.json"))
    assert len(lambdas.asked) >= 1
    later = row(table, job.job_id).next_check
    assert later is not None
    assert later > 1000


def test_a_message_runs_a_job_again(functions: Functions, simulator: Simulator, bucket: str, table: str) -> None:
    """The sample names a job that may have been paid, and therefore the number of the attempt."""
    batch = sample("submit-again-batch.json")
    (call,) = [json.loads(record["body"]) for record in batch["Records"]]
    assert functions("submit", batch) == {"batchItemFailures": [{"itemIdentifier": batch["Records"][0]["messageId"]}]}
    client("s3").put_object(Bucket=bucket, Key="presets/anew.json", Body=b'{"model": "gpt-image-2-vip", "prompt": "p"}')
    version = client("s3").put_object(Bucket=bucket, Key="inbox/anew/cat.png", Body=picture())["VersionId"]
    verdict = Verdict(outcome=Outcome.UNKNOWN, money=Money.UNKNOWN, message="m")
    source = {"bucket": bucket, "key": "inbox/anew/cat.png", "version_id": version, "size": len(picture())}
    first = Job(job_id=call["again"], state=State.ENDED, created_at=1000, source=source, verdict=verdict)
    seed(table, first)
    for _ in range(2):
        assert functions("submit", batch) == {"batchItemFailures": []}
    again = row(table, f"{call['again']}-{call['attempt']}")
    assert (again.state, again.again_of, again.attempt) == (State.WAITING, call["again"], 2)
    assert [task["client_business_id"] for task in simulator.tasks()] == [again.job_id]
    assert row(table, call["again"]) == first
