"""What must hold after a run, whatever went wrong in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.crash.shares import wrong_budgets, wrong_costs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.evidence import Evidence

OUTCOMES = ("completed", "partial", "failed", "rejected", "unknown", "expired", "cancelled", "lost")
_SIGNS = ("X-Amz-Signature", "X-Amz-Security-Token", "/images/tsk_")


@dataclass(frozen=True)
class Violation:
    """What does not hold, and of which job."""

    rule: str
    job_id: str
    what: str


def _paid_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for job_id, tasks in evidence.tasks.items():
        if len(tasks) > 1:
            yield job_id, f"{len(tasks)} tasks"
        if job_id not in evidence.rows:
            yield job_id, "a task of a job that is not in the ledger"


def _without_outcome(evidence: Evidence) -> Iterator[tuple[str, str]]:
    numbers = Counter(job_id[:4] for job_id, row in evidence.rows.items() if "again_of" not in row)
    for job in evidence.plan:
        if (found := numbers[f"{job.number:04}"]) != 1:
            yield job.name, f"{found} jobs in the ledger instead of one"
    for job_id in evidence.attempts - evidence.rows.keys():
        yield job_id, "ordered anew, and no job"
    for job_id, row in evidence.rows.items():
        if row["state"] != "ended" or not row.get("verdict"):
            yield job_id, f"state {row['state']}, execution {evidence.executions.get(job_id)}"
        if job_id not in evidence.results:
            yield job_id, "no result.json"
        if evidence.executions.get(job_id, {}).get("status") == "RUNNING":
            yield job_id, "its execution runs for ever"


def _two_outcomes(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for job_id, result in evidence.results.items():
        row, execution = evidence.rows.get(job_id, {}), evidence.executions.get(job_id)
        verdict = {name: result[name] for name in ("outcome", "reason", "money", "message") if result[name] is not None}
        if row.get("verdict") != verdict:
            yield job_id, f"the ledger says {row.get('verdict')}, result.json {verdict}"
        if execution and not _fits(execution, result["outcome"]):
            yield job_id, f"the execution says {execution}, result.json {result['outcome']}"
    for key, versions in evidence.objects.items():
        if key.endswith("/result.json") and len(versions) != 1:
            yield key.split("/")[-2], f"{len(versions)} versions of result.json"


def _fits(execution: dict[str, Any], outcome: str) -> bool:
    if execution["status"] == "SUCCEEDED":
        return outcome in ("completed", "partial")
    return execution["error"] not in OUTCOMES or execution["error"] == outcome


def _told_otherwise(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for job_id, result in evidence.results.items():
        told = evidence.messages.get(job_id, []) + evidence.events.get(job_id, [])
        if not evidence.messages.get(job_id) or not evidence.events.get(job_id):
            yield job_id, "not told by message and event"
        if len(set(evidence.messages.get(job_id, []))) > 1:
            yield job_id, "two messages with different bytes"
        if len({json.dumps(json.loads(body), sort_keys=True) for body in told}) > 1:
            yield job_id, "message and event differ"
        for body in dict.fromkeys(told):
            announced = json.loads(body)
            names = ("outcome", "reason", "money", "message", "preset", "source")
            same = all(announced[name] == result[name] for name in names)
            if not same or [p["key"] for p in announced["pictures"]] != [p["key"] for p in result["pictures"]]:
                yield job_id, "told otherwise than result.json says"


def _pictures_lost(evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield from _pictures_otherwise(evidence)
    listed = {picture["key"] for result in evidence.results.values() for picture in result["pictures"]}
    for key, versions in evidence.objects.items():
        *_, job_id, name = key.split("/")
        # A later try writes the page again, and the engine, which looks at no condition of a copy, the copies.
        if name in ("result.json", "index.html") or name.startswith("reference-"):
            continue
        if len(versions) != 1:
            yield job_id, f"{len(versions)} versions of {key}"
        if key not in listed:
            yield job_id, f"{key} is stored, and result.json does not list it"


def _pictures_otherwise(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for job_id, result in evidence.results.items():
        for picture in result["pictures"]:
            if evidence.digests.get(picture["key"]) != picture["sha256"]:
                yield job_id, f"{picture['key']} is not there, or not what result.json says"
        asked = (result["recipe"] or {}).get("n")
        if result["outcome"] == "completed" and len(result["pictures"]) != asked:
            yield job_id, f"completed with {len(result['pictures'])} of {asked} pictures"


def _unexplained(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for job_id, result in evidence.results.items():
        job = evidence.plan[int(job_id[:4])]
        allowed = job.may_end(evidence.crashed(job_id))
        if result["outcome"] not in allowed:
            yield job_id, f"ended as {result['outcome']}, explained would be {sorted(allowed)}: {result['message']}"
        tasks = len(evidence.tasks.get(job_id, []))
        if result["outcome"] in ("unknown", "rejected") and tasks and "late-lookup" not in job.faults:
            yield job_id, f"ended as {result['outcome']} with a task at the provider"
        if result["money"] == "moved" and not tasks:
            yield job_id, "money is said to have moved, and there is no task"


def _budget_differs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield from (("", what) for what in wrong_budgets(evidence.rows.values(), evidence.budgets, evidence.limit))
    for job_id, row in evidence.rows.items():
        if "verdict" in row and job_id in evidence.results:
            yield from ((job_id, what) for what in wrong_costs(row, evidence.results[job_id]))


def _sent_while_paused(evidence: Evidence) -> Iterator[tuple[str, str]]:
    since, until = evidence.closed
    for job_id, tasks in evidence.tasks.items():
        for task in tasks:
            if since < task["at"] < until:
                yield job_id, f"sent {until - task['at']:.1f} s before the intake was resumed"


def _secrets(evidence: Evidence) -> Iterator[tuple[str, str]]:
    signs = (evidence.key, *_SIGNS)
    every = (*signs, evidence.mark)
    places: list[tuple[str, str, str, tuple[str, ...]]] = [
        (where, "", text, every) for where, texts in evidence.texts.items() for text in texts
    ]
    callers = {job_id for job_id, row in evidence.rows.items() if "source" not in row}
    for job_id, text in evidence.histories.items():
        # A caller's own document is the input of the execution that the caller has started.
        places.append(("history", job_id, text, signs if job_id in callers else every))
    for where, found in (("ledger", evidence.rows), ("result.json", evidence.results)):
        for job_id, value in found.items():
            recipe = {name: inner for name, inner in (value.get("recipe") or {}).items() if name != "prompt"}
            places.append((where, job_id, json.dumps({**value, "recipe": recipe}), every))
    for where, job_id, text, secrets in places:
        for secret in secrets:
            if secret in text:
                place = text.index(secret)
                yield job_id, f"{where}: ...{text[max(0, place - 80) : place + 40]}..."


RULES: dict[str, Callable[[Evidence], Iterator[tuple[str, str]]]] = {
    "tasks paid twice": _paid_twice,
    "jobs without outcome": _without_outcome,
    "jobs with two outcomes": _two_outcomes,
    "announcements that differ": _told_otherwise,
    "pictures lost": _pictures_lost,
    "ends that nothing explains": _unexplained,
    "budgets that differ": _budget_differs,
    "tasks sent while paused": _sent_while_paused,
    "secrets found": _secrets,
}


def check(evidence: Evidence) -> list[Violation]:
    """Everything that does not hold."""
    return [Violation(rule, *found) for rule, look in RULES.items() for found in look(evidence)]
