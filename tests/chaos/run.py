"""One run from its seed to its report."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.engine.controller import Engine
from local.simulator.process import Simulator
from local.stack import running_stack
from tests.chaos.checks import RULES, Violation, check
from tests.chaos.drive import Drive, mount_crashes
from tests.chaos.evidence import LOG_GROUPS, Evidence, gather, history, letter, logs
from tests.chaos.plan import make_plan
from tests.crash.shares import sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import Stack

_BUDGET_USD = 1000  # a month's: enough for every job
# A killed submit holds its job for its own timeout and five seconds; a request may take the provider's timeout and
# ten. Departures are so far apart that many jobs find the schedule ahead.
_PACE = {
    "ProviderTimeoutSeconds": "5",
    "SubmitTimeoutSeconds": "20",
    "SubmitVisibilitySeconds": "3",
    "LookupSeconds": "5",
    "LatenessPrice": "2",
    "SweepAfterSeconds": "3",
    "MaximumConcurrency": "4",
    "SubmitsPerSecond": "10",
    "MonthlyBudgetUsd": str(_BUDGET_USD),
    "AssumedPriceUsd": "0.015",
}
_WAIT_SCALE = 0.1
_FUNCTIONS = {"s": "submit", "t": "status", "f": "finalize", "w": "sweep"}
_MOST_TIMELINES, _MOST_LINES = 10, 50  # printed; build/chaos.json lists every violation


@dataclass(frozen=True)
class Report:
    """What a run shows."""

    figures: dict[str, Any]
    violations: list[Violation]
    timelines: dict[str, list[str]]

    def lines(self) -> Iterator[str]:
        """The report as it is printed."""
        for name, value in self.figures.items():
            shown = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
            yield f"{name:28} {shown}"
        for violation in self.violations[:_MOST_LINES]:
            yield f"VIOLATION seed {self.figures['seed']}: {violation.rule}: {violation.job_id}: {violation.what}"
        for job_id, lines in self.timelines.items():
            yield f"---- {job_id}"
            yield from lines


def chaos(
    jobs: int, seed: int, say: Callable[[str], None] = lambda _: None, look: Callable[[Stack], object] = lambda _: None
) -> Report:
    """Run so many jobs, and check what they leave behind. ``look`` is called when they have ended."""
    began = time.monotonic()
    mark, key = f"quokkamoss{seed:x}", f"sk-chaos-{seed:08x}"
    engine = Engine(wait_scale=_WAIT_SCALE, auth=True, seed=seed, environments=3)
    simulator = Simulator(queue_seconds=0.1, task_seconds=0.5, jitter=0.8, seed=seed, api_key=key, paint=False)
    with tempfile.TemporaryDirectory() as folder, running_stack(engine, simulator, _PACE, say) as stack:
        mount_crashes(stack, Path(folder))
        drive = Drive(stack, make_plan(jobs, seed), seed, mark)
        say(f"running {jobs} jobs")
        driven = time.monotonic()
        drive.run()
        say("looking at what they left behind")
        looked = time.monotonic()
        look(drive.stack)
        evidence = gather(drive, seed, key, _BUDGET_USD * 1_000_000, Path(folder))
        violations = check(evidence)
        bad = list(dict.fromkeys(violation.job_id for violation in violations if violation.job_id))[:_MOST_TIMELINES]
        timelines = {job_id: list(timeline(drive, evidence, job_id)) for job_id in bad}
    figures = _figures(drive, evidence, violations)
    figures["seconds"] = {"deploying": round(driven - began), "running": round(looked - driven)}
    figures["wall time"] = f"{time.monotonic() - began:.0f} s"
    return Report(figures, violations, timelines)


def _figures(drive: Drive, evidence: Evidence, violations: list[Violation]) -> dict[str, Any]:
    timeouts = [crash for crash in evidence.crashes if crash["request"] == "timeout"]
    crashes = Counter(_FUNCTIONS[letter(crash)] for crash in evidence.crashes if crash not in timeouts)
    sent = [row for row in evidence.rows.values() if "submitting_at" in row]
    broken = Counter(violation.rule for violation in violations)
    acts = ("stops", "redrives", "again", "aged", "dead letters redriven", "sweeps", "throttles", "pauses")
    reserved, spent = sums(evidence.rows.values())
    return {
        "seed": evidence.seed,
        "jobs": len(evidence.plan),
        "attempts besides": len(evidence.attempts),
        "provider faults injected": sum(len(evidence.plan[int(row["job_id"][:4])].faults) for row in sent),
        "crashes injected": {"in all": crashes.total(), **crashes},
        "killed by their timeout": len(timeouts),
        "duplicates delivered": drive.counts["duplicates"],
        "done by the operator": {name: drive.counts[name] for name in acts},
        "jobs that waited for": _waited(evidence),
        "micro-dollars": {"reserved": reserved.total(), "spent": spent.total()},
        "bills": {"late": len(list(evidence.late_bills())), "awaited": len(list(evidence.awaited_bills()))},
        **{rule: broken[rule] for rule in RULES},
        "outcomes": dict(Counter(result["outcome"] for result in evidence.results.values()).most_common()),
    }


def _waited(evidence: Evidence) -> dict[str, int]:
    """How many jobs waited for their departure, and for the end of a pause."""
    lines = [json.loads(line) for line in evidence.texts["logs"] if '"message":"submit waits"' in line]
    return {
        what: len({line["job_id"] for line in lines if line["reason"].startswith(start)})
        for what, start in {"departure": "departure: in ", "resume": "intake: found paused"}.items()
    }


def timeline(drive: Drive, evidence: Evidence, job_id: str) -> Iterator[str]:
    """What is known of one job, in short lines without its prompt."""
    yield drive.jobs[int(job_id[:4])].line()
    yield from (f"crash: {crash}" for crash in evidence.crashes if crash["name"][:4] == job_id[:4])
    row = evidence.rows.get(job_id, {})
    yield f"ledger: {json.dumps({name: value for name, value in row.items() if name != 'recipe'})}"
    for task in evidence.tasks.get(job_id, []):
        yield f"task: {json.dumps({name: task[name] for name in ('id', 'status', 'posts', 'polls', 'downloads')})}"
    if job_id in evidence.executions:
        yield f"execution: {evidence.executions[job_id]}"
        yield from _steps(history(drive, job_id))
    for group in LOG_GROUPS:
        for line in logs(drive, group):
            if job_id in line and '"_aws"' not in line:
                yield f"{group.rsplit('/', 1)[1]}: {line[:400]}"


def _steps(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        details: dict[str, Any] = next((value for name, value in event.items() if name.endswith("Details")), {})
        words = [str(details[name])[:120] for name in ("name", "error", "cause") if details.get(name)]
        if "Exited" not in event["type"]:
            yield f"  {event['timestamp']:%H:%M:%S.%f} {event['type']} {' '.join(words)}"
