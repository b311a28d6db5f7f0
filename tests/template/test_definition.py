"""The workflow in template.yaml: sound, in step with the code, and its expressions give what is meant."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from bucketbrush import depart
from bucketbrush.adapters import answers, ledger
from bucketbrush.domain import deadlines, errors, polling, verdicts
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome
from bucketbrush.domain.life import State
from bucketbrush.domain.result import Announcement, StoredObject
from bucketbrush.events import FinalizeCall, StatusCall, parse
from bucketbrush.messages import SubmitCall, next_step
from bucketbrush.status import Look, Seen
from tests.template.asl import problems
from tests.template.stack import Json, Resources, longest, most, strings

JOB = Job(
    job_id="cat-0123456789abcdef0123",
    state=State.WAITING,
    created_at=1_790_000_000,
    source=ObjectVersion(bucket="inbox", key="inbox/cat.png", version_id="v1"),
    recipe={"prompt": "a secret"},
    owner="request",
    lease_until=1_790_000_065,
    task_id="task_1",
    plan=(20, 10, 5),
    polls=2,
)
NEW = Job(job_id=JOB.job_id, state=State.ACCEPTED, created_at=JOB.created_at)
HELD = NEW.model_copy(update={"state": State.SUBMITTING, "hold_until": 1_790_000_009})
UNTIL = "2026-09-21T14:13:29.000Z"  # the same in a Wait's own words
LONGEST_WAIT = 900
# What Read assigns whatever the row says, and what it assigns while there is no task.
UNTOUCHED: Json = {"fault": None, "least": 0, "most": LONGEST_WAIT}
TASKLESS: Json = {"task_id": None, "polls": 0, "step": 0}


def evaluate(text: str, states: Json, variables: Json) -> Any:
    """One `{% %}` text. A result that is missing fails: AWS raises States.QueryEvaluationError for it."""

    def run(source: str) -> Any:
        expression = Jsonata(source)
        for name, value in {"states": states, **variables}.items():
            expression.assign(name, Utils.NULL_VALUE if value is None else value)
        return expression.evaluate(None)

    source = text.removeprefix("{%").removesuffix("%}").strip()
    assert run(f"$exists({source})"), f"{text} gives nothing"
    return json.loads(json.dumps(run(source)))


def filled(value: Any, states: Json, **variables: Any) -> Any:
    """A JSON value with its expressions evaluated."""
    if isinstance(value, dict):
        return {key: filled(item, states, **variables) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, states, **variables) for item in value]
    return evaluate(value, states, variables) if isinstance(value, str) and "{%" in value else value


def chosen(choice: Json, states: Json, **variables: Any) -> str:
    """Where a Choice leads."""
    for rule in choice["Choices"]:
        found = filled(rule["Condition"], states, **variables)
        assert isinstance(found, bool), rule
        if found:
            return str(rule["Next"])
    return str(choice["Default"])


def projected(read: Json, job: Job) -> Json:
    """What getItem answers for a job's row: the attributes that the Read state asks for, as the ledger writes them."""
    names = read["Arguments"]["ExpressionAttributeNames"]
    wanted = {names.get(part, part) for part in read["Arguments"]["ProjectionExpression"].split(", ")}
    item = ledger._to_item(ledger._row(job))
    return {"Item": {name: value for name, value in item.items() if name in wanted}}


@pytest.fixture(scope="module")
def states(definition: Json) -> dict[str, Json]:
    found: dict[str, Json] = definition["States"]
    return found


# ---- Sound -------------------------------------------------------------------------------------------------------


def test_the_definition_has_no_problems(definition: Json) -> None:
    assert problems(definition) == []


def test_every_variable_read_is_needed_where_it_is_assigned(definition: Json) -> None:
    """Without one of Read's assignments the checker complains, so none is there for nothing."""
    for name in definition["States"]["Read"]["Assign"]:
        broken = copy.deepcopy(definition)
        del broken["States"]["Read"]["Assign"][name]
        assert any(f"${name} is not assigned" in line for line in problems(broken)), name


def test_every_placeholder_is_substituted_and_every_substitution_used(template: Json, definition: Json) -> None:
    used = {name for text in strings(definition) for name in re.findall(r"\$\{(\w+)\}", text)}
    assert used == set(template["Resources"]["JobsMachine"]["Properties"]["DefinitionSubstitutions"])


def test_cloudformation_gets_the_very_definition(resources: Resources, definition: Json) -> None:
    machine = resources.properties("JobsMachine")
    assert machine["Definition"] == definition
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(definition))) == set(machine["DefinitionSubstitutions"])


# ---- Faults ------------------------------------------------------------------------------------------------------


def _own_names(state: Json) -> dict[str, bool]:
    """The names of our own errors in a state's Retry, each with whether it is retried."""
    found = {}
    for retrier in state.get("Retry", []):
        for name in retrier["ErrorEquals"]:
            if not name.startswith(("States.", "Lambda.")):
                found[name] = retrier.get("MaxAttempts", 3) != 0
    return found


def test_own_errors_are_retried_as_their_classes_say(states: dict[str, Json]) -> None:
    seen = set()
    for state in states.values():
        for name, retried in _own_names(state).items():
            kind = getattr(errors, name)
            assert issubclass(kind, errors.BucketbrushError)
            assert kind.retryable is retried, name
            seen.add(name)
    assert seen == {"EventUnreadable", "SettingsInvalid", "StepForbidden", "JobBusy"}


def test_a_failed_submit_is_finalized_with_its_fault(states: dict[str, Json]) -> None:
    (caught,) = states["Submit"]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Finalize")
    assert filled(caught["Assign"], {"errorOutput": {"Error": "JobBusy", "Cause": "..."}}) == {"fault": "JobBusy"}


def test_a_failed_look_is_only_a_missed_look(states: dict[str, Json]) -> None:
    (caught,) = states["Status"]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Wait")
    # Else what the look before has asked for would hold for ever.
    assert caught["Assign"] == {name: UNTOUCHED[name] for name in ("least", "most")}


def test_finalize_is_never_caught_so_that_a_redrive_runs_it_again(states: dict[str, Json]) -> None:
    assert "Catch" not in states["Finalize"]


# Step Functions Developer Guide, "Service quotas".
# Of 25,000; what is left is for what nobody has thought of.
ENOUGH_EVENTS = 20_000
# Wait and Choice: entered, exited. Task: entered, scheduled, started, succeeded, exited.
ROUND_EVENTS = 2 + 5 + 2
# Read and Known, Submit and Known, Finalize and Outcome, and the execution itself.
OTHER_EVENTS = 50


def _walk(states: dict[str, Json], plan: list[int], seconds: int) -> list[int]:
    """The waits that Wait gives until so many seconds have passed, when no look takes any."""
    waits: list[int] = []
    while sum(waits) < seconds:
        waits.append(filled(states["Wait"]["Seconds"], {}, plan=plan, step=len(waits), least=0, most=seconds))
    return waits


def _holds(seconds: int, longest: int) -> int:
    """How often a job is held in that time: a hold is a tenth of the time that the trouble lasts, or the longest."""
    passed = number = 0
    while passed < seconds:
        passed += min(longest, max(1, passed // 10))
        number += 1
    return number


def _others(template: Json, states: dict[str, Json]) -> int:
    """The events of an execution that waits as long as it can before there is a task, and retries all that it can."""
    parameters = template["Parameters"]
    queue, lookup = parameters["MaxQueueSeconds"]["MaxValue"], parameters["LookupSeconds"]["Default"]
    held = _holds(queue, depart._LONGEST_STOP) + _holds(lookup, lookup)  # a paused intake is looked at most often
    retries = sum(_retries_events(states[name]) for name in ("Read", "Submit", "Finalize"))
    return held * ROUND_EVENTS + retries + OTHER_EVENTS


def _retries_events(state: Json) -> int:
    """Scheduled, started and failed, once for each."""
    return sum(3 * retrier.get("MaxAttempts", 3) for retrier in state["Retry"])


SHORT_PLAN = [polling.SHORTEST] * polling.MOST_LOOKS


def test_the_history_of_an_execution_holds_the_longest_job(template: Json, states: dict[str, Json]) -> None:
    deadline = template["Parameters"]["DeadlineSeconds"]["MaxValue"]
    looks = len(_walk(states, SHORT_PLAN, deadline))
    assert looks > deadline / LONGEST_WAIT
    assert looks * ROUND_EVENTS + _others(template, states) < ENOUGH_EVENTS


def test_looks_that_find_nobody_fit_the_history_too(template: Json, states: dict[str, Json]) -> None:
    """The status function fails for as long as a task may take, with all retries, and these come at once by jitter."""
    deadline, retrier = template["Parameters"]["DeadlineSeconds"]["MaxValue"], states["Status"]["Retry"][-1]
    events = ROUND_EVENTS - 2 + 3 * retrier["MaxAttempts"]
    assert len(_walk(states, SHORT_PLAN, deadline)) * events + _others(template, states) < ENOUGH_EVENTS


def test_looks_that_read_nothing_fit_the_history_too(template: Json, states: dict[str, Json]) -> None:
    deadline = template["Parameters"]["DeadlineSeconds"]["MaxValue"]
    job, age, looks = JOB.model_copy(update={"submitted_at": JOB.created_at}), 0, 0
    while age < deadline:
        age += deadlines.back_off(job, JOB.created_at + age)
        looks += 1
    assert deadline / LONGEST_WAIT < looks
    assert looks * ROUND_EVENTS + _others(template, states) < ENOUGH_EVENTS


def test_every_other_look_may_fail(template: Json, states: dict[str, Json]) -> None:
    """A look that failed is repeated, and the plan goes on where it was."""
    deadline, begun = template["Parameters"]["DeadlineSeconds"]["MaxValue"], JOB.created_at
    now = looks = 0
    for wait in _walk(states, SHORT_PLAN, deadline):
        job = JOB.model_copy(update={"looked_at": begun + now})
        now += wait
        now += deadlines.back_off(job, begun + now)
        looks += 2
        if now > deadline:
            break
    assert looks > deadline / LONGEST_WAIT
    assert looks * ROUND_EVENTS + _others(template, states) < ENOUGH_EVENTS


def test_no_job_outlives_its_execution(template: Json, definition: Json, states: dict[str, Json]) -> None:
    """The longest wait to be sent, look-ups before and after a resend, the longest task, and every retry by the way."""
    parameters = template["Parameters"]
    longest_job = (
        parameters["MaxQueueSeconds"]["MaxValue"]
        + 2 * parameters["LookupSeconds"]["Default"]
        + parameters["DeadlineSeconds"]["MaxValue"]
        + answers._LONGEST_WAIT
        + sum(longest(states[name]) for name in ("Read", "Submit", "Status", "Finalize"))
    )
    assert longest_job < definition["TimeoutSeconds"]


def test_pictures_of_the_last_look_can_still_be_fetched(template: Json) -> None:
    """Links live from the task's end at the latest; an hour is left to store what came just before the deadline."""
    deadline = template["Parameters"]["DeadlineSeconds"]
    assert deadline["MaxValue"] + 3600 <= verdicts.LINK_SECONDS
    assert template["Parameters"]["LateSeconds"]["Default"] < deadline["Default"] <= deadline["MaxValue"]


def test_a_killed_submit_is_delivered_again_while_it_is_still_looked_up(template: Json) -> None:
    defaults = {name: template["Parameters"][name]["Default"] for name in ("LookupSeconds", "SubmitVisibilitySeconds")}
    assert defaults["LookupSeconds"] > 2 * defaults["SubmitVisibilitySeconds"]


def test_a_busy_job_is_waited_for_longer_than_a_lease(
    template: Json, states: dict[str, Json], resources: Resources
) -> None:
    """Full jitter halves the waits on average; the lease of a killed invocation is its timeout and five seconds."""
    busy = next(item for item in states["Submit"]["Retry"] if item["ErrorEquals"] == ["JobBusy"])
    waits = [
        min(busy["IntervalSeconds"] * busy["BackoffRate"] ** turn, busy["MaxDelaySeconds"])
        for turn in range(busy["MaxAttempts"])
    ]
    timeout = most(template, resources.properties("SubmitFunction")["Timeout"])
    assert sum(waits) / 2 > 2 * (timeout + 5)


def test_a_task_outlives_its_function(template: Json, states: dict[str, Json], resources: Resources) -> None:
    substitutions = template["Resources"]["JobsMachine"]["Properties"]["DefinitionSubstitutions"]
    functions = {}
    for name, state in states.items():
        if placeholder := re.fullmatch(r"\$\{(\w+)\}", state.get("Arguments", {}).get("FunctionName", "")):
            function, attribute = substitutions[placeholder[1]]["Fn::GetAtt"]
            assert attribute == "Arn"
            assert state["TimeoutSeconds"] > most(template, resources.properties(function)["Timeout"]), name
            functions[name] = function
    assert functions == {"Submit": "SubmitFunction", "Status": "StatusFunction", "Finalize": "FinalizeFunction"}


# ---- Read --------------------------------------------------------------------------------------------------------


def test_read_asks_for_the_executions_own_row_and_never_for_the_prompt(states: dict[str, Json]) -> None:
    arguments = states["Read"]["Arguments"]
    assert filled(arguments["Key"], {"context": {"Execution": {"Name": "cat"}}}) == {"job_id": {"S": "cat"}}
    assert arguments["ConsistentRead"] is True
    item = projected(states["Read"], JOB)["Item"]
    assert set(item) < set(Job.model_fields)
    assert not set(item) & {"recipe", "references", "source", "verdict", "owner"}
    names = arguments["ExpressionAttributeNames"]
    assert set(names) <= set(arguments["ProjectionExpression"].split(", "))


@pytest.mark.parametrize(
    ("job", "variables", "word"),
    [
        pytest.param(
            JOB,
            {"hold_until": None, "plan": [20, 10, 5], "task_id": "task_1", "polls": 2, "step": 2},
            "waiting",
            id="full",
        ),
        pytest.param(
            JOB.model_copy(update={"plan": (7,), "polls": 0}),
            {"hold_until": None, "plan": [7], "task_id": "task_1", "polls": 0, "step": 0},
            "waiting",
            id="a plan of one",
        ),
        pytest.param(NEW, {**TASKLESS, "hold_until": None, "plan": [60]}, "accepted", id="fresh"),
        pytest.param(HELD, {**TASKLESS, "hold_until": UNTIL, "plan": [60]}, "submitting", id="held"),
    ],
)
def test_read_takes_over_what_the_row_says(states: dict[str, Json], job: Job, variables: Json, word: str) -> None:
    known = {"result": projected(states["Read"], job), "context": {"Execution": {"Name": job.job_id}}}
    assert filled(states["Read"]["Assign"], known) == {"job_id": job.job_id, **UNTOUCHED, **variables}
    assert filled(states["Read"]["Output"], known) == {"state": word}


@pytest.mark.parametrize(
    "result", [{}, {"Item": {"state": {"S": "accepted"}}}], ids=["no row", "a row of nothing else"]
)
def test_read_needs_no_row_and_no_field(states: dict[str, Json], result: Json) -> None:
    known = {"result": result, "context": {"Execution": {"Name": "by-hand"}}}
    empty = {**UNTOUCHED, **TASKLESS, "hold_until": None, "plan": []}
    assert filled(states["Read"]["Assign"], known) == {"job_id": "by-hand", **empty}
    assert filled(states["Read"]["Output"], known) == {"state": "accepted" if result else "new"}


# ---- Calls: what is sent is what the function parses, what it answers is what the next state reads -----------------


def test_submit_is_called_with_an_order(states: dict[str, Json]) -> None:
    document = {"model": "m", "prompt": "p"}
    payload = filled(
        states["Submit"]["Arguments"]["Payload"], {"context": {"Execution": {"Input": document}}}, job_id="j"
    )
    assert parse(SubmitCall, payload) == SubmitCall(job_id="j", document=document)


@pytest.mark.parametrize(("job", "until"), [(JOB, None), (NEW, None), (HELD, UNTIL)], ids=["task", "none", "held"])
def test_what_submit_answers_is_taken_over(states: dict[str, Json], job: Job, until: str | None) -> None:
    known = {"result": {"Payload": next_step(job)}}
    assert filled(states["Submit"]["Assign"], known) == {
        "hold_until": until,
        "plan": list(job.plan),
        "task_id": job.task_id,
        "polls": job.polls,
        "step": job.polls,
    }
    assert filled(states["Submit"]["Output"], known) == {"state": job.state.value}


@pytest.mark.parametrize("job", [JOB, NEW, HELD], ids=["task", "none", "held"])
def test_submits_answer_and_the_row_say_the_same(states: dict[str, Json], job: Job) -> None:
    """A redriven or repeated execution that begins with the row goes on as the first one did after submit."""
    read, submit = states["Read"], states["Submit"]
    row = filled(read["Assign"], {"result": projected(read, job), "context": {"Execution": {"Name": job.job_id}}})
    answer = filled(submit["Assign"], {"result": {"Payload": next_step(job)}})
    assert answer == {name: row[name] for name in answer}


def test_status_is_called_with_the_task_and_how_often_it_was_asked(states: dict[str, Json]) -> None:
    payload = filled(states["Status"]["Arguments"]["Payload"], {}, job_id="j", task_id="task_1", polls=3)
    assert parse(StatusCall, payload) == StatusCall(job_id="j", task_id="task_1", polls=3)


def test_what_status_answers_is_taken_over(states: dict[str, Json]) -> None:
    known = {"result": {"Payload": json.loads(json.dumps(Look(Seen.WAITING, 3, 70)._asdict()))}}
    assert filled(states["Status"]["Output"], known) == {"seen": "waiting"}
    assert filled(states["Status"]["Assign"], known) == {"least": 3, "most": 70}


def test_an_older_status_function_says_nothing_of_the_next_wait(states: dict[str, Json]) -> None:
    """CloudFormation rolls functions back, and executions keep the definition that they began with."""
    known = {"result": {"Payload": {"seen": "waiting"}}}
    assert filled(states["Status"]["Assign"], known) == {"least": 0, "most": LONGEST_WAIT}


@pytest.mark.parametrize("fault", [None, "States.Timeout", "JobBusy"])
def test_finalize_is_called_with_the_fault_if_there_was_one(states: dict[str, Json], fault: str | None) -> None:
    payload = filled(states["Finalize"]["Arguments"]["Payload"], {}, job_id="j", fault=fault)
    assert parse(FinalizeCall, payload) == FinalizeCall(job_id="j", fault=fault)


# ---- Waits and choices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "waits"),
    [
        ([20, 10, 5], [20, 10, 5, 7, 11, 16, 25]),
        ([7], [7, 10, 15, 23]),
        ([2], [2, 3, 4, 6, 10]),
        ([300], [300, 450, 675, 900, 900, 900]),
    ],
)
def test_wait_walks_the_plan_and_goes_on_behind_it(states: dict[str, Json], plan: list[int], waits: list[int]) -> None:
    walk: Json = {"polls": 5, "step": 0}  # five looks have failed
    found = []
    for _ in waits:
        found.append(filled(states["Wait"]["Seconds"], {}, plan=plan, least=0, most=82_800, **walk))
        walk = filled(states["Wait"]["Assign"], {}, **walk)
    assert found == waits
    assert walk == {"polls": 5 + len(waits), "step": len(waits)}


@pytest.mark.parametrize("plan", [[2], [300], [2] * 100])
def test_no_walk_is_too_long_for_a_number(states: dict[str, Json], plan: list[int]) -> None:
    given = {"plan": plan, "least": 0, "most": 82_800}
    assert filled(states["Wait"]["Seconds"], {}, step=25_000, **given) == LONGEST_WAIT


@pytest.mark.parametrize(("least", "most", "wait"), [(0, 82_800, 20), (0, 7, 7), (30, 30, 30), (3, 3, 3), (60, 9, 60)])
def test_wait_keeps_within_what_the_last_look_says(states: dict[str, Json], least: int, most: int, wait: int) -> None:
    assert filled(states["Wait"]["Seconds"], {}, plan=[20], step=0, least=least, most=most) == wait


def test_the_first_wait_is_the_plans(states: dict[str, Json]) -> None:
    read = filled(states["Read"]["Assign"], {"result": {}, "context": {"Execution": {"Name": "x"}}})
    limits = {name: read[name] for name in ("least", "most")}
    assert filled(states["Wait"]["Seconds"], {}, plan=[polling.LONGEST], step=0, **limits) == polling.LONGEST


def test_a_look_that_failed_is_not_one_of_the_plans(states: dict[str, Json]) -> None:
    (rule,) = [rule for rule in states["Seen"]["Choices"] if "Assign" in rule]
    assert filled(rule["Condition"], {"input": {"seen": Seen.UNREAD.value}}) is True
    assert filled(rule["Assign"], {}, step=4) == {"step": 3}


@pytest.mark.parametrize("seconds", [1, HELD.hold_until, 253_402_300_799])
def test_hold_waits_until_the_second_that_it_was_told(states: dict[str, Json], seconds: int) -> None:
    """Amazon States Language, "Wait State": a timestamp of RFC 3339, with capital T and Z."""
    held = NEW.model_copy(update={"hold_until": seconds})
    variables = filled(states["Submit"]["Assign"], {"result": {"Payload": next_step(held)}})
    timestamp = filled(states["Hold"]["Timestamp"], {}, **variables)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", timestamp)
    assert datetime.fromisoformat(timestamp) == datetime.fromtimestamp(seconds, UTC)
    assert states["Hold"]["Next"] == "Submit"


AFTER_KNOWN = {
    "new": ("Submit", "Hold"),
    State.ACCEPTED: ("Submit", "Hold"),
    State.SUBMITTING: ("Submit", "Hold"),
    State.WAITING: ("Wait", "Wait"),
    State.UNSTORED: ("Finalize", "Finalize"),
    State.DECIDED: ("Finalize", "Finalize"),
    State.ENDED: ("Finalize", "Finalize"),
}


@pytest.mark.parametrize("word", ["new", *State])
def test_known_leads_every_state_where_it_belongs(states: dict[str, Json], word: str) -> None:
    at_once, held = AFTER_KNOWN[word]
    assert chosen(states["Known"], {"input": {"state": str(word)}}, hold_until=None) == at_once
    assert chosen(states["Known"], {"input": {"state": str(word)}}, hold_until=UNTIL) == held


AFTER_SEEN = {
    Seen.WAITING: "Wait",
    Seen.UNREAD: "Wait",
    "in_a_word_nobody_knows": "Wait",
    Seen.ENDED: "Finalize",
    Seen.OVERDUE: "Finalize",
}


@pytest.mark.parametrize("word", [*Seen, "in_a_word_nobody_knows"])
def test_seen_ends_the_waiting_only_for_an_end(states: dict[str, Json], word: str) -> None:
    assert chosen(states["Seen"], {"input": {"seen": str(word)}}) == AFTER_SEEN[word]


@pytest.mark.parametrize("outcome", [*Outcome])
def test_outcome_ends_the_execution_as_the_job_ended(states: dict[str, Json], outcome: Outcome) -> None:
    told = Announcement(
        id="1",
        job_id="j",
        outcome=outcome,
        money=errors.Money.UNKNOWN,
        message="why",
        preset=None,
        model=None,
        source=None,
        result=StoredObject(bucket="results", key="results/j/result.json"),
        pictures=(),
    ).model_dump(mode="json")
    output = filled(states["Finalize"]["Output"], {"result": {"Payload": told}})
    assert output == told
    end = chosen(states["Outcome"], {"input": output})
    assert end == ("Done" if outcome.succeeded else "Failed")
    failed = {field: filled(states["Failed"][field], {"input": output}) for field in ("Error", "Cause")}
    assert failed == {"Error": outcome.value, "Cause": "why"}


def test_an_unknown_outcome_is_no_success(states: dict[str, Json]) -> None:
    assert chosen(states["Outcome"], {"input": {"outcome": "a word of a later version"}}) == "Failed"
