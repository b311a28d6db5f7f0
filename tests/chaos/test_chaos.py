"""A seeded slice of `make chaos`, and that its checks see what they are there to see."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.checks import RULES, check
from tests.chaos.evidence import Evidence
from tests.chaos.plan import OUTCOMES, Job, make_plan
from tests.chaos.run import chaos
from tests.dashboard.seen import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dashboard.seen import Seen

JOBS, SEED = 50, 4
MARK, KEY = "quokkamoss", "sk-forged-0001"
JOB = Job(0, "drop", (), 1, ("s3b",), None, (), redrive=False, again=False)
ID = f"{JOB.name}-0123456789abcdef0123"
PICTURE = f"results/{ID}/1.png"
MONTH = "2026-11"


@pytest.mark.timeout(600)
def test_a_slice_holds_under_faults_and_crashes() -> None:
    seen: list[Seen] = []
    report = chaos(JOBS, SEED, look=lambda stack: seen.append(look(stack)))

    assert report.violations == [], "\n".join(report.lines())
    assert [dashboard.faults for dashboard in seen] == [[]]
    # What it was put through, or the rest says nothing.
    crashes = report.figures["crashes injected"]
    assert {"submit", "status", "finalize"} <= crashes.keys()
    assert report.figures["provider faults injected"] > 0
    assert report.figures["duplicates delivered"] > 0
    assert report.figures["done by the operator"]["pauses"] == 1
    assert min(report.figures["jobs that waited for"].values()) > 0
    assert report.figures["micro-dollars"]["spent"] > 0
    assert set(report.figures["outcomes"]) > {"completed", "failed"}


def test_the_same_seed_is_the_same_plan() -> None:
    assert make_plan(50, 3) == make_plan(50, 3) != make_plan(50, 4)


def test_a_plan_puts_every_fault_and_function_to_the_test() -> None:
    jobs = make_plan(1000, 1)
    assert {fault for job in jobs for fault in job.faults} == OUTCOMES.keys()
    assert {crash[0] for job in jobs for crash in job.crashes} == set("stfw")
    assert max(len(job.name) for job in jobs) <= 38


# ---- The checks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def evidence() -> Evidence:
    """One job that was paid once, stored and told."""
    verdict = {"outcome": "completed", "money": "moved", "message": "Stored 1 of 1 pictures."}
    recipe = JOB.recipe(MARK)
    job: dict[str, Any] = {"job_id": ID, "preset": JOB.preset, "source": {"key": JOB.key}, "recipe": recipe}
    share = {"month": MONTH, "reserved": 0, "spent": 20_000}
    costs = {"resends": 0, "estimated": 15_000, "billed": 20_000, "share": share}
    pictures = [{"key": PICTURE, "sha256": "ab12"}]
    told = json.dumps(
        {"job_id": ID, "reason": None, **verdict, "preset": JOB.preset, "source": job["source"], "pictures": pictures}
    )
    task: Any = {"id": "tsk_img_1", "client_business_id": ID, "at": 100.0}
    return Evidence(
        seed=1,
        mark=MARK,
        key=KEY,
        limit=50_000,
        closed=(100.5, 106.0),
        plan=[JOB],
        crashes=[],
        rows={ID: {**job, **costs, "state": "ended", "verdict": verdict}},
        budgets={MONTH: {"committed": 20_000, "spent": 20_000}},
        attempts=set(),
        tasks={ID: [task]},
        results={
            ID: {**job, "reason": None, **verdict, "pictures": pictures, "estimated_usd": 0.015, "billed_usd": None}
        },
        executions={ID: {"status": "SUCCEEDED", "error": None}},
        objects={PICTURE: ["v1"], f"results/{ID}/result.json": ["v1"]},
        digests={PICTURE: "ab12"},
        messages={ID: [told, told]},
        events={ID: [told]},
        texts={"logs": ["job ended"], "messages": [told]},
        histories={ID: "ExecutionStarted"},
    )


def _told(change: dict[str, Any]) -> Callable[[Evidence], None]:
    def forge(evidence: Evidence) -> None:
        evidence.messages[ID].append(json.dumps({**json.loads(evidence.messages[ID][0]), **change}))

    return forge


def _ended(**verdict: str) -> Callable[[Evidence], None]:
    """It ended so, and everything says so."""

    def forge(evidence: Evidence) -> None:
        evidence.results[ID] |= verdict
        evidence.rows[ID]["verdict"] |= verdict
        evidence.executions[ID] = {"status": "FAILED", "error": verdict["outcome"]}
        for told in (evidence.messages, evidence.events):
            told[ID] = [json.dumps({**json.loads(told[ID][0]), **verdict})]

    return forge


FORGED: dict[str, tuple[str, Callable[[Evidence], Any]]] = {
    "a second task": ("tasks paid twice", lambda it: it.tasks[ID].append(it.tasks[ID][0])),
    "a task of nobody": ("tasks paid twice", lambda it: it.tasks.update(other=it.tasks[ID])),
    "an open row": ("jobs without outcome", lambda it: it.rows[ID].update(state="unstored")),
    "no row": ("jobs without outcome", lambda it: it.rows.pop(ID)),
    "no result.json": ("jobs without outcome", lambda it: it.results.pop(ID)),
    "an execution without end": ("jobs without outcome", lambda it: it.executions[ID].update(status="RUNNING")),
    "an attempt that never was": ("jobs without outcome", lambda it: it.attempts.add(f"{ID}-2")),
    "another ledger": ("jobs with two outcomes", lambda it: it.rows[ID]["verdict"].update(outcome="lost")),
    "a failed execution": (
        "jobs with two outcomes",
        lambda it: it.executions[ID].update(status="FAILED", error="lost"),
    ),
    "a second result.json": ("jobs with two outcomes", lambda it: it.objects[f"results/{ID}/result.json"].append("v2")),
    "a changed message": ("announcements that differ", _told({"message": "Stored."})),
    "no event": ("announcements that differ", lambda it: it.events.pop(ID)),
    "the same in other bytes": (
        "announcements that differ",
        lambda it: it.messages[ID].append(it.messages[ID][0] + " "),
    ),
    "a missing picture": ("pictures lost", lambda it: it.digests.pop(PICTURE)),
    "half a picture": ("pictures lost", lambda it: it.digests.update({PICTURE: "cd34"})),
    "a picture stored twice": ("pictures lost", lambda it: it.objects[PICTURE].append("v2")),
    "a picture beside": ("pictures lost", lambda it: it.objects.update({f"results/{ID}/2.png": ["v1"]})),
    "an end without a cause": ("ends that nothing explains", _ended(outcome="lost")),
    "unknown with a task": ("ends that nothing explains", _ended(outcome="unknown", money="unknown")),
    "money without a task": ("ends that nothing explains", lambda it: it.tasks.clear()),
    "a job's share in no budget": ("budgets that differ", lambda it: it.budgets.clear()),
    "more committed than is held": ("budgets that differ", lambda it: it.budgets[MONTH].update(committed=20_001)),
    "a budget exceeded": ("budgets that differ", lambda it: setattr(it, "limit", 19_999)),
    "a share that is kept": ("budgets that differ", _ended(outcome="failed", money="not moved")),
    "a share of another amount": ("budgets that differ", lambda it: it.rows[ID].update(billed=15_000)),
    "another estimate told": ("budgets that differ", lambda it: it.results[ID].update(estimated_usd=0.03)),
    "another bill told": ("budgets that differ", lambda it: it.results[ID].update(billed_usd=0.03)),
    "a task in the pause": ("tasks sent while paused", lambda it: it.tasks[ID][0].update({"at": 101.0})),
    "the key in a log": ("secrets found", lambda it: it.texts["logs"].append(f"Bearer {KEY}")),
    "a link in a history": ("secrets found", lambda it: it.histories.update({ID: "?X-Amz-Signature=1"})),
    "a prompt in a message": ("secrets found", lambda it: it.texts["messages"].append(MARK)),
    "a prompt in the ledger": ("secrets found", lambda it: it.rows[ID].update(progress=MARK)),
    "a token in result.json": ("secrets found", lambda it: it.results[ID].update(x="X-Amz-Security-Token")),
}


def test_a_run_without_fault_has_no_violation(evidence: Evidence) -> None:
    assert check(evidence) == []


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_violation_is_seen(evidence: Evidence, name: str) -> None:
    rule, forge = FORGED[name]
    forged = copy.deepcopy(evidence)
    forge(forged)
    found = check(forged)
    assert rule in {violation.rule for violation in found}
    assert {violation.job_id for violation in found} <= {ID, f"{ID}-2", JOB.name, "other", ""}


def test_every_rule_is_tried() -> None:
    assert {rule for rule, _ in FORGED.values()} == RULES.keys()


def test_a_crash_explains_what_nothing_else_does(evidence: Evidence) -> None:
    _ended(outcome="unknown", money="unknown")(evidence)
    evidence.tasks.clear()
    evidence.rows[ID]["share"] |= {"reserved": 15_000, "spent": 0}
    evidence.budgets[MONTH] = {"committed": 15_000, "spent": 0}
    assert [violation.rule for violation in check(evidence)] == ["ends that nothing explains"]
    assert check(replace(evidence, crashes=[{"name": "0000-s3b", "request": "POST"}])) == []


def test_a_callers_own_document_may_stand_in_its_history(evidence: Evidence) -> None:
    evidence.histories[ID] = MARK
    assert [violation.rule for violation in check(evidence)] == ["secrets found"]
    for place in (evidence.rows[ID], evidence.results[ID]):
        place.pop("source")
    evidence.messages[ID] = evidence.events[ID] = [json.dumps({**json.loads(evidence.events[ID][0]), "source": None})]
    evidence.results[ID]["source"] = None
    assert check(evidence) == []
