"""A job's story, as it is read in CloudWatch Logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from tests.workflow.conftest import System


def _story(system: System, job_id: str) -> list[dict[str, Any]]:
    """The lines about a job, from all functions."""
    pages = [
        page
        for name in ("submit", "status", "finalize")
        for page in system.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/bucketbrush/bucketbrush-local/{name}", filterPattern=f'"{job_id}"')
    ]
    texts = (event["message"] for page in pages for event in page["events"])
    lines = [json.loads(text) for text in texts if text.startswith("{")]
    return [line for line in lines if line.get("job_id") == job_id]


def test_one_key_joins_the_lines_of_all_functions_and_the_execution(system: System) -> None:
    system.preset("logged")
    job_id, _, result = system.dropped("inbox/logged/story.png", picture())
    story = until(
        lambda: _story(system, job_id),
        "the job's last line",
        lambda lines: lines[-1:] and lines[-1]["message"] == "job ended",
    )
    assert {line["execution_arn"] for line in story} == {system.execution_arn(job_id)}
    assert {line["phase"] for line in story} == {"submit", "status", "finalize"}
    assert {line["service"] for line in story} == {"bucketbrush-local"}
    assert {line["task_id"] for line in story if line["phase"] != "submit"} == {result["task_id"]}
