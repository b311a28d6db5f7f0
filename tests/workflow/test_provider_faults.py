"""Every row of docs/provider-faults.md, through the deployed template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from local.simulator.faults import FAULTS
from tests.provider_faults import OUTCOMES, PAGE, ROWS, asked, preset, stands_still
from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workflow.conftest import System

DAY = 86_400
# What other tests show: answers that come too late (contract), bytes without end (contract), uploads.
ELSEWHERE = {"submit-slow", "status-slow", "file-oversize", "unknown-400"}
ELSEWHERE |= {name for name in FAULTS if name.startswith("upload-")}


@pytest.fixture(scope="module")
def jobs(system: System) -> Iterator[dict[str, str]]:
    """One dropped file for each row, all at once: the job id by its fault."""
    keys = {}
    for fault in OUTCOMES:
        name = preset(fault)
        system.preset(name, prompt=f"fault:{fault}", n=asked(fault))
        keys[fault] = f"inbox/{name}/cat.png"
        system.stack.drop(keys[fault], picture())
    found = {fault: system.job_of(key) for fault, key in keys.items()}
    for fault, job_id in found.items():
        if state := stands_still(fault):
            # Now, because the longer a task goes on, the more rarely it is looked at.
            system.until_state(job_id, state)
            system.age(job_id, DAY)
    yield found
    assert system.stack.simulator.health()["reused_connections"] == 0


@pytest.mark.parametrize(("fault", "outcome", "tasks"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_says_what_happens(system: System, jobs: dict[str, str], fault: str, outcome: str, tasks: str) -> None:
    job_id = jobs[fault]

    execution = system.execution(job_id)

    result = system.result(job_id)
    assert (result["outcome"], len(system.tasks(job_id))) == (outcome, int(tasks)), result["message"]
    assert (execution["status"] == "SUCCEEDED") is (outcome in ("completed", "partial"))
    kept = {"completed": asked(fault), "partial": 1 if fault == "links-die" else 2}
    assert len(result["pictures"]) == kept.get(outcome, 0)
    until(lambda: (system.row(job_id) or {})["state"]["S"] == "ended", "the row is closed")


def test_every_fault_has_a_row() -> None:
    assert len(ROWS) == PAGE.count("\n| `")  # none is overlooked
    assert {row[0].partition("=")[0] for row in ROWS} == set(FAULTS) - ELSEWHERE
    assert [name for name, count in Counter(row[0] for row in ROWS).items() if count > 1] == []


def test_a_huge_wait_is_held_for_an_hour(system: System) -> None:
    system.preset("huge", prompt="fault:submit-429=86400")
    system.stack.drop("inbox/huge/cat.png", picture())
    job_id = system.job_of("inbox/huge/cat.png")
    row = until(lambda: system.row(job_id), "it holds", lambda row: "hold_until" in row)
    held = int(row["hold_until"]["N"]) - int(row["submitting_at"]["N"])
    assert 3600 <= held < 3660
    system.stop(job_id)
    system.depart_at_once()
    assert system.until_state(job_id, "ended")["verdict"]["M"]["outcome"] == {"S": "cancelled"}
