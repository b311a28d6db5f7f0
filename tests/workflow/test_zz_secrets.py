"""What must stand nowhere: it runs last, over everything that the other workflow tests left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.samples import picture
from tests.workflow.conftest import PROMPT_MARK, System

if TYPE_CHECKING:
    from collections.abc import Iterator


def _logs(system: System) -> Iterator[str]:
    pages = system.client("logs").get_paginator("filter_log_events")
    for function in ("submit", "status", "finalize", "batch", "sweep"):
        for page in pages.paginate(logGroupName=f"/bucketbrush/bucketbrush-local/{function}"):
            yield from (event["message"] for event in page["events"])


def _histories(system: System) -> Iterator[str]:
    """The histories of dropped jobs; a direct caller's document stays in that caller's own execution.

    Of the many jobs that are all alike one is read.
    """
    jobs = {row["job_id"]["S"]: row.get("preset", {}).get("S") for row in system.stack.rows() if "source" in row}
    alike = [job for job, preset in jobs.items() if preset == "burst"][1:]
    sfn = system.client("stepfunctions")
    machine = system.output("JobsMachineArn").replace(":stateMachine:", ":execution:")
    for job in jobs.keys() - alike:
        history = sfn.get_paginator("get_execution_history").paginate(executionArn=f"{machine}:{job}")
        yield json.dumps([events["events"] for events in history], default=str)


def test_no_key_no_signed_link_and_no_prompt_leaves_the_ledger(system: System) -> None:
    system.preset("secret", prompt="fault:task-moderated")
    job_id, _, _ = system.dropped("inbox/secret/cat.png", picture())
    system.heard(system.messages_url, job_id)
    system.heard(system.events_url, job_id)
    told = [message["Body"] for messages in system.inbox.values() for message in messages]
    places = {"logs": list(_logs(system)), "histories": list(_histories(system)), "announcements": told}
    assert all(places.values())

    secrets = (system.stack.simulator.api_key, "X-Amz-Signature", "X-Amz-Security-Token", "/images/tsk_", PROMPT_MARK)
    found = [(secret, name) for name, texts in places.items() for secret in secrets if secret in "\n".join(texts)]
    assert found == []
    ledger = json.dumps(system.stack.rows())
    assert [secret for secret in secrets[:-1] if secret in ledger] == []
