"""Departures, a pause and a budget through the deployed template."""

from __future__ import annotations

import json
import re
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.engine.controller import ROOT
from tests.samples import picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "pace.md").read_text().replace("\\\n", " ")
DOCUMENT = {"model": "gpt-image-2-vip", "prompt": f"{PROMPT_MARK} a boat"}
PRICE = 15_000  # of a picture, in millionths of a dollar: assumed by the local deployment, billed by the simulator


def say(system: System, expression: str) -> None:
    """The page's line that sets or removes something, run as it stands there."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith("aws dynamodb") and f'"{expression} ' in line]
    line = line.replace("<output LimitsTable>", system.output("LimitsTable")).replace(
        "$(date +%s)", str(int(time.time()))
    )
    words = shlex.split(line)
    given = {words[index][2:]: words[index + 1] for index in range(len(words) - 1) if words[index].startswith("--")}
    values = {"ExpressionAttributeValues": json.loads(given["expression-attribute-values"])} if "SET" in line else {}
    system.client("dynamodb").update_item(
        TableName=given["table-name"],
        Key=json.loads(given["key"]),
        UpdateExpression=given["update-expression"],
        **values,
    )


@pytest.fixture
def slow(system: System) -> Iterator[None]:
    """So few a second that the order of arrival at the provider is that of leaving."""
    with deployed(system, SUBMITS_PER_SECOND="1"):
        yield


@pytest.fixture
def pause(system: System) -> Iterator[None]:
    say(system, "SET paused")
    yield
    say(system, "REMOVE")
    system.depart_at_once()


@contextmanager
def deployed(system: System, **variables: str) -> Iterator[None]:
    """Other parameters for the functions that heed them, as a deployment would set them."""
    functions = system.client("lambda")
    names = [system.output(f"{name}FunctionName") for name in ("Submit", "Sweep")]
    before = {name: functions.get_function_configuration(FunctionName=name)["Environment"] for name in names}
    for name in names:
        changed = {"Variables": {**before[name]["Variables"], **variables}}
        functions.update_function_configuration(FunctionName=name, Environment=changed)
    try:
        yield
    finally:
        for name in names:
            functions.update_function_configuration(FunctionName=name, Environment=before[name])


def budget(system: System) -> dict[str, int]:
    """The month's row; the engine and these tests began in one month or in two."""
    rows = system.client("dynamodb").scan(TableName=system.output("LimitsTable"))["Items"]
    months = [row for row in rows if row["name"]["S"].startswith("budget ")]
    return {name: sum(int(row[name]["N"]) for row in months) for name in ("committed", "spent")}


def run(system: System, name: str, **fields: Any) -> dict[str, Any]:
    """A caller's job, to its end: its result.json."""
    system.start(name, {**DOCUMENT, **fields})
    system.execution(name)
    return system.result(name)


def test_while_paused_nothing_is_sent_and_all_is_sent_in_order_afterwards(
    system: System, slow: None, pause: None
) -> None:
    names = [f"paused-{number}" for number in range(5)]
    for name in names:
        system.start(name, DOCUMENT)
        until(lambda name=name: system.row(name), "it is held", lambda row: "departure" in row)

    for _ in range(2):  # each has looked again
        before = {name: system.row(name) for name in names}
        until(
            lambda: {name: system.row(name) for name in names},
            "all of them look again",
            lambda rows, before=before: all(rows[name] != before[name] for name in names),
        )
    assert [row and row["hold_reason"]["S"] for row in map(system.row, names)] == ["IntakePaused"] * 5
    assert [system.tasks(name) for name in names] == [[]] * 5
    say(system, "REMOVE")

    assert {system.execution(name)["status"] for name in names} == {"SUCCEEDED"}
    sent = [task["client_business_id"] for task in system.stack.simulator.tasks()]
    assert [name for name in sent if name in names] == names


def test_a_schedule_that_is_ahead_holds_a_drop_once_and_pays_nothing_meanwhile(system: System) -> None:
    system.preset("ahead")
    now = int(time.time() * 1000)
    system.client("dynamodb").put_item(
        TableName=system.output("LimitsTable"),
        Item={"name": {"S": "departures"}, "next_departure": {"N": str(now + 6000)}},
    )
    system.stack.drop("inbox/ahead/cat.png", picture())
    job_id = system.job_of("inbox/ahead/cat.png")
    row = until(lambda: system.row(job_id), "it has a departure", lambda row: "departure" in row)

    assert (int(row["departure"]["M"]["at"]["N"]), row["hold_reason"]["S"]) == (now + 6000, "DepartureAhead")
    assert system.tasks(job_id) == []
    assert system.execution(job_id)["status"] == "SUCCEEDED"
    (task,) = system.tasks(job_id)
    assert task["posts"] == 1
    system.depart_at_once()


def test_a_job_says_what_it_was_expected_to_cost_and_what_was_billed(system: System) -> None:
    result = run(system, "priced", n=2)
    told = system.told("priced")
    assert (result["estimated_usd"], result["billed_usd"]) == (0.03, 0.03)
    assert (told["estimated_usd"], told["billed_usd"]) == (0.03, 0.03)
    row = system.row("priced") or {}
    assert (row["estimated"]["N"], row["billed"]["N"], "share" in row) == ("30000", "30000", False)


def test_a_budget_is_reserved_settled_and_ends_what_does_not_fit(system: System) -> None:
    before = budget(system)
    room = before["committed"] + 2 * PRICE
    with deployed(system, MONTHLY_BUDGET_USD=f"{room / 1_000_000:.6f}"):
        system.start("hanging", {**DOCUMENT, "prompt": f"{PROMPT_MARK} fault:hang"})
        system.until_state("hanging", "waiting")
        assert budget(system) == {**before, "committed": before["committed"] + PRICE}
        result = run(system, "too-much", n=2)
        assert (result["outcome"], result["reason"], result["money"]) == ("rejected", "BudgetExceeded", "not moved")
        assert re.search(r"0\.015 USD reserved.* needs 0\.03 USD; allowed: MonthlyBudgetUsd", result["message"])
        assert system.tasks("too-much") == []
        assert run(system, "fitting")["outcome"] == "completed"
        assert budget(system) == {"committed": room, "spent": before["spent"] + PRICE}
        assert run(system, "nothing-left")["reason"] == "BudgetExceeded"
        system.sweep()
        for name in ("local-BudgetAlarm", "local-OverBudgetAlarm"):
            assert json.loads(system.heard(system.messages_url, name)["Body"])["NewStateValue"] == "ALARM"
    system.stop("hanging")
    row = system.until_state("hanging", "ended")
    assert row["share"]["M"] == {
        "month": row["share"]["M"]["month"],
        "reserved": {"N": "0"},
        "spent": {"N": str(PRICE)},
    }
    assert budget(system) == {"committed": room, "spent": room - before["committed"] + before["spent"]}


def test_a_failed_job_gives_back_what_it_had_reserved(system: System) -> None:
    before = budget(system)
    with deployed(system, MONTHLY_BUDGET_USD="1000"):
        result = run(system, "given-back", prompt=f"{PROMPT_MARK} fault:task-failed")
    assert (result["outcome"], result["estimated_usd"], result["billed_usd"]) == ("failed", 0.015, 0.0)
    assert budget(system) == before
    assert "share" not in (system.row("given-back") or {})


def test_a_bill_that_comes_late_is_found_by_the_sweep(system: System) -> None:
    before = budget(system)
    with deployed(system, MONTHLY_BUDGET_USD="1000"):
        result = run(system, "late-bill", prompt=f"{PROMPT_MARK} fault:billing-pending=2 fault:billing-amount=0.007")
    assert (result["outcome"], result["estimated_usd"], result["billed_usd"]) == ("completed", 0.015, None)
    assert budget(system) == {name: amount + PRICE for name, amount in before.items()}
    counted = system.counted("BilledUsd")

    def swept() -> dict[str, Any]:
        system.age("late-bill", 60)
        system.sweep()
        return system.row("late-bill") or {}

    row = until(swept, "the bill", lambda row: "billed" in row, pause=0.2)
    assert (row["billed"]["N"], "next_check" in row, "open" in row) == ("7000", False, False)
    assert budget(system) == {name: amount + 7000 for name, amount in before.items()}
    until(lambda: system.counted("BilledUsd"), "the metric", lambda found: round(found - counted, 6) == 0.007)
    assert system.result("late-bill") == result
