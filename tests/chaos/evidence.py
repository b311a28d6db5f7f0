"""What a run has left behind, as plain data, so that the checks can be fed with forged evidence."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from tests.samples import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from local.simulator.tasks import TaskRecord
    from tests.chaos.drive import Drive
    from tests.chaos.plan import Job

LOG_GROUPS = [f"/bucketbrush/bucketbrush-local/{name}" for name in ("submit", "status", "finalize", "sweep")]
_MACHINE_LOGS = "/aws/vendedlogs/states/bucketbrush-local-jobs"
_SAMPLE = 100  # histories read beside those of executions that did not succeed


@dataclass
class Evidence:
    """Everything is by job id, but ``plan``, which is by number, and the places that must hold no secret."""

    seed: int
    mark: str  # the word that is in every prompt
    key: str
    limit: int  # of a month's budget, in millionths of a US dollar
    closed: tuple[float, float]  # from when to when no task may be accepted
    plan: Sequence[Job]
    crashes: Sequence[dict[str, str]]
    rows: dict[str, dict[str, Any]]
    budgets: dict[str, dict[str, Any]]  # by month
    attempts: set[str]  # jobs that were ordered anew, unpaid
    tasks: dict[str, list[TaskRecord]]
    results: dict[str, dict[str, Any]]
    executions: dict[str, dict[str, Any]]  # status and error
    objects: dict[str, list[str]]  # the versions of each key of the results bucket
    digests: dict[str, str]  # sha256 of each picture
    messages: dict[str, list[str]] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)  # where, and what stands there
    histories: dict[str, str] = field(default_factory=dict)

    def crashed(self, job_id: str) -> set[str]:
        """The letters of the functions that died at this job."""
        return {letter(crash) for crash in self.crashes if crash["name"][:4] == job_id[:4]}

    def late_bills(self) -> Iterator[str]:
        """The jobs whose bill came when result.json was written."""
        return (
            name
            for name, result in self.results.items()
            if result["billed_usd"] is None and "billed" in self.rows.get(name, {})
        )

    def awaited_bills(self) -> Iterator[str]:
        """The jobs whose bill may still come."""
        return (name for name, row in self.rows.items() if row["state"] == "ended" and "next_check" in row)


def letter(crash: dict[str, str]) -> str:
    """Of the function that died."""
    return crash["name"].split("-")[1][0]


def gather(drive: Drive, seed: int, key: str, limit: int, folder: Path) -> Evidence:
    """All of it, from the stack that still runs."""
    rows, budgets = _tables(drive)
    tasks = defaultdict(list)
    for task in drive.stack.simulator.tasks():
        tasks[str(task["client_business_id"])].append(task)
    results, objects, digests = _results(drive)
    executions = _executions(drive)
    found = Evidence(
        seed=seed,
        mark=drive.mark,
        key=key,
        limit=limit,
        closed=drive.closed,
        plan=drive.jobs,
        crashes=[json.loads(path.read_text()) for path in sorted(folder.iterdir())],
        rows=rows,
        budgets=budgets,
        attempts=drive.expected_attempts,
        tasks=dict(tasks),
        results=results,
        executions=executions,
        objects=objects,
        digests=digests,
        messages=_by_job(drive.ears.heard["messages"]),
        events=_by_job([json.dumps(event["detail"]) for event in _ends(drive.ears.heard["events"])]),
    )
    bad = [name for name, execution in executions.items() if execution["status"] != "SUCCEEDED"]
    good = sorted(executions.keys() - bad)
    sample = bad + Random(seed).sample(good, min(_SAMPLE, len(good)))
    with ThreadPoolExecutor(4) as pool:
        found.histories = dict(
            zip(sample, pool.map(lambda name: json.dumps(history(drive, name), default=str), sample), strict=True)
        )
    found.texts = {
        "logs": [line for group in [*LOG_GROUPS, _MACHINE_LOGS] for line in logs(drive, group)],
        "messages": drive.ears.heard["messages"],
        "events": drive.ears.heard["events"],
        "dead letters": drive.dead_letters,
    }
    return found


def _tables(drive: Drive) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The rows of the ledger and of the budgets at one moment: a bill may still be coming."""
    rows, budgets = _ledger(drive), _budgets(drive)
    while (later := _ledger(drive)) != rows:
        rows, budgets = later, _budgets(drive)
    return rows, budgets


def _ledger(drive: Drive) -> dict[str, dict[str, Any]]:
    return {item["job_id"]["S"]: plain({"M": item}) for item in drive.stack.rows()}


def _budgets(drive: Drive) -> dict[str, dict[str, Any]]:
    items = drive.client("dynamodb").scan(TableName=drive.stack.outputs["LimitsTable"], ConsistentRead=True)["Items"]
    rows = {item["name"]["S"]: plain({"M": item}) for item in items}
    return {name.removeprefix("budget "): row for name, row in rows.items() if name.startswith("budget ")}


def history(drive: Drive, job_id: str) -> list[dict[str, Any]]:
    """The events of a job's execution."""
    pages = drive.client("stepfunctions").get_paginator("get_execution_history")
    return [event for page in pages.paginate(executionArn=drive.arn(job_id)) for event in page["events"]]


def logs(drive: Drive, group: str) -> Iterator[str]:
    """The lines of a log group."""
    pages = drive.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=group):
        yield from (event["message"] for event in page["events"])


def _results(drive: Drive) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]], dict[str, str]]:
    s3, bucket = drive.client("s3"), drive.stack.outputs["ResultsBucket"]
    objects = defaultdict(list)
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            objects[version["Key"]].append(version["VersionId"])
    with ThreadPoolExecutor(4) as pool:
        contents = dict(zip(objects, pool.map(drive.stack.result, objects), strict=True))
    results = {key.split("/")[-2]: json.loads(text) for key, text in contents.items() if key.endswith("/result.json")}
    digests = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
    return results, dict(objects), digests


def _executions(drive: Drive) -> dict[str, dict[str, Any]]:
    pages = drive.client("stepfunctions").get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=drive.stack.outputs["JobsMachineArn"])
    listed = {execution["name"]: execution["status"] for page in found for execution in page["executions"]}
    described = {}
    for name, status in listed.items():
        error = None
        if status == "FAILED":
            error = drive.client("stepfunctions").describe_execution(executionArn=drive.arn(name)).get("error")
        described[name] = {"status": status, "error": error}
    return described


def _ends(events: list[str]) -> Iterator[dict[str, Any]]:
    """The events about ends; that a job is sent or takes long is another matter."""
    parsed = (json.loads(event) for event in events)
    return (event for event in parsed if event["detail-type"] in ("Image Job Completed", "Image Job Failed"))


def _by_job(bodies: list[str]) -> dict[str, list[str]]:
    told = defaultdict(list)
    for body in bodies:
        told[json.loads(body)["job_id"]].append(body)
    return dict(told)
