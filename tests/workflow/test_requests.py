"""Other services ask for jobs: by a message, by a call, by an event; each request once, whichever way it comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bucketbrush.domain.jobs import request_job_id
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK

if TYPE_CHECKING:
    from tests.workflow.conftest import System

DOCUMENT = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat"}


def called(system: System, payload: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Whether a call of the submit function failed, and its answer."""
    answer = system.client("lambda").invoke(
        FunctionName=system.output("SubmitFunctionName"), Payload=json.dumps(payload).encode()
    )
    return "FunctionError" in answer, json.loads(answer["Payload"].read())


def send(system: System, request: dict[str, Any]) -> None:
    system.client("sqs").send_message(QueueUrl=system.output("SubmitQueueUrl"), MessageBody=json.dumps(request))


def put_event(system: System, detail: dict[str, Any]) -> None:
    entry = {"Source": "shop", "DetailType": "Image Job Requested", "Detail": json.dumps(detail)}
    system.client("events").put_events(Entries=[entry])


def job_of(system: System, request_id: str, caller: str = "") -> str:
    """The id of the job that a request became."""
    job_id = request_job_id(caller, request_id)
    until(lambda: system.row(job_id), f"a job for {request_id}", pause=0.1)
    return job_id


def test_a_call_is_answered_with_the_job(system: System) -> None:
    request = {"request_id": "called-1", "caller": "shop", "job": DOCUMENT}
    failed, answer = called(system, request)
    assert not failed
    assert (answer["state"], answer["execution_arn"]) == ("waiting", system.execution_arn(answer["job_id"]))
    assert system.execution(answer["job_id"])["status"] == "SUCCEEDED"
    _, again = called(system, request)
    assert (again["job_id"], again["state"]) == (answer["job_id"], "ended")
    assert len(system.tasks(answer["job_id"])) == 1


def test_a_call_that_cannot_be_understood_fails_and_says_why(system: System) -> None:
    failed, answer = called(system, {"job": DOCUMENT})
    assert (failed, answer["errorType"]) == (True, "EventUnreadable")
    assert "RequestCall: request_id: Field required" in answer["errorMessage"]
    assert PROMPT_MARK not in json.dumps(answer)


def test_one_request_by_every_way_is_one_task(system: System) -> None:
    request = {"request_id": "threefold", "caller": "shop", "job": DOCUMENT}
    send(system, request)
    put_event(system, {"stack": "bucketbrush-local", "request_id": "threefold", "job": DOCUMENT})
    job_id = job_of(system, "threefold", "shop")
    assert system.execution(job_id)["status"] == "SUCCEEDED"
    _, answer = called(system, request)
    assert answer["job_id"] == job_id
    system.settled()
    assert len(system.tasks(job_id)) == 1
    assert [row["job_id"]["S"] for row in system.stack.rows() if "threefold" in row["job_id"]["S"]] == [job_id]
    told = system.told(job_id)
    assert (told["outcome"], told["source"], told["preset"]) == ("completed", None, None)


def test_one_id_with_two_documents_is_refused(system: System) -> None:
    called(system, {"request_id": "conflict", "job": DOCUMENT})
    failed, answer = called(system, {"request_id": "conflict", "job": {**DOCUMENT, "n": 2}})
    assert (failed, answer["errorType"]) == (True, "RequestConflict")


def test_an_event_for_another_stack_is_not_heard(system: System) -> None:
    put_event(system, {"stack": "somebody-elses", "request_id": "elsewhere", "job": DOCUMENT})
    put_event(system, {"stack": "bucketbrush-local", "request_id": "here", "job": DOCUMENT})
    system.execution(job_of(system, "here", "shop"))
    assert not [row for row in system.stack.rows() if row["job_id"]["S"].startswith("elsewhere")]


def test_a_wrong_document_is_an_outcome_as_everywhere(system: System) -> None:
    send(system, {"request_id": "wrong", "job": {"prompt": "x"}})
    execution = system.execution(job_of(system, "wrong"))
    assert (execution["status"], execution["error"]) == ("FAILED", "rejected")
    assert execution["cause"].startswith("request: model: found no such field")


def test_listeners_hear_of_the_task(system: System) -> None:
    _, answer = called(system, {"request_id": "heard", "job": DOCUMENT})
    event = json.loads(system.heard(system.events_url, "Image Job Submitted", answer["job_id"])["Body"])
    assert event["detail"]["task_id"] == system.tasks(answer["job_id"])[0]["id"]
    assert PROMPT_MARK not in json.dumps(event)
