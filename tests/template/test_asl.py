"""The checker of the workflow finds what it is there to find: each broken definition names its fault."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.template.asl import problems

GOOD: dict[str, Any] = {
    "QueryLanguage": "JSONata",
    "TimeoutSeconds": 60,
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:${Partition}:states:::lambda:invoke",
            "Arguments": {"FunctionName": "${Ask}", "Payload": {"id": "{% $states.context.Execution.Name %}"}},
            "TimeoutSeconds": 10,
            "Retry": [
                {"ErrorEquals": ["Busy"], "MaxAttempts": 0, "MaxDelaySeconds": 1, "JitterStrategy": "FULL"},
                {"ErrorEquals": ["States.ALL"], "MaxDelaySeconds": 5, "JitterStrategy": "FULL"},
            ],
            "Catch": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "Assign": {"fault": "{% $states.errorOutput.Error %}"},
                    "Next": "Broken",
                }
            ],
            "Assign": {"polls": 0, "plan": "{% $states.result.Payload.plan %}"},
            "Output": {"done": "{% $states.result.Payload.done %}"},
            "Next": "Ready",
        },
        "Ready": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Told"}],
            "Default": "Rest",
        },
        "Rest": {
            "Type": "Wait",
            "Seconds": "{% $plan[$min([$polls, $count($plan) - 1])] %}",
            "Assign": {"polls": "{% ($more := function($n) { $n + 1 }; $more($polls)) %}"},
            "Next": "Ready",
        },
        "Told": {"Type": "Pass", "Output": "{% $states.input.{'names': items.name} %}", "End": True},
        "Broken": {"Type": "Fail", "Error": "{% $fault %}", "Cause": "asking failed"},
    },
}

REMOVED = object()


def _changed(path: str, value: Any) -> dict[str, Any]:
    """A copy of the good definition with the value at a path such as "States/Ask/Retry/0" replaced."""
    definition = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place: Any = definition
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    if value is REMOVED:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return definition


RETRY, CATCH, RULE = "States/Ask/Retry", "States/Ask/Catch/0", "States/Ready/Choices/0"

BROKEN = [
    # the graph
    ("StartAt", "Begin", "the machine.StartAt: there is no state Begin"),
    ("StartAt", REMOVED, "the machine.StartAt: is missing"),
    ("States/Ask/Next", "Redy", "Ask.Next: there is no state Redy"),
    ("States/Ready/Default", "Rst", "Ready.Default: there is no state Rst"),
    (f"{RULE}/Next", "Tell", "Ready.Choices[0].Next: there is no state Tell"),
    (f"{CATCH}/Next", "Brken", "Ask.Catch[0].Next: there is no state Brken"),
    ("States/Lost", {"Type": "Succeed"}, "Lost: no way from Ask leads here"),
    (f"{RULE}/Next", "Rest", "Ready: no way from here ends the execution"),
    # fields
    ("QueryLanguage", REMOVED, "the machine.QueryLanguage: must be JSONata"),
    ("TimeoutSeconds", REMOVED, "the machine.TimeoutSeconds: is missing"),
    ("Timeout", 5, "the machine.Timeout: is no field of this"),
    ("States/Ask/Type", "Map", "Ask.Type: found Map; allowed: Task, Choice, Wait, Pass, Succeed, Fail"),
    ("States/Told/QueryLanguage", "JSONPath", "Told.QueryLanguage: must be JSONata"),
    *[
        (f"States/{state}/{field}", "$.x", f"{state}.{field}: is a field of JSONPath")
        for state, fields in {
            "Ask": "InputPath OutputPath Parameters ResultSelector ResultPath TimeoutSecondsPath HeartbeatSecondsPath",
            "Rest": "InputPath OutputPath SecondsPath TimestampPath",
            "Told": "Parameters Result ResultPath",
            "Broken": "ErrorPath CausePath",
        }.items()
        for field in fields.split()
    ],
    (f"{RULE}/Variable", "$.x", "Ready.Choices[0].Variable: is a field of JSONPath"),
    (f"{RULE}/StringEquals", "x", "Ready.Choices[0].StringEquals: is no field of this"),
    (f"{RETRY}/0/MaxDelay", 5, "Ask.Retry[0].MaxDelay: is no field of this"),
    (f"{CATCH}/ResultPath", "$.x", "Ask.Catch[0].ResultPath: is a field of JSONPath"),
    ("States/Ready/Next", "Rest", "Ready.Next: is no field of this"),
    ("States/Broken/Next", "Told", "Broken.Next: is no field of this"),
    ("States/Broken/Output", "x", "Broken.Output: is no field of this"),
    ("States/Rest/Retry", [], "Rest.Retry: is no field of this"),
    ("States/Ask/Resource", REMOVED, "Ask.Resource: is missing"),
    ("States/Ask/TimeoutSeconds", REMOVED, "Ask.TimeoutSeconds: is missing"),
    ("States/Ask/Retry", REMOVED, "Ask.Retry: is missing"),
    ("States/Ask/Retry", [], "Ask.Retry: is empty"),
    ("States/Ready/Default", REMOVED, "Ready.Default: is missing"),
    ("States/Ready/Choices", [], "Ready.Choices: is empty"),
    (f"{RULE}/Condition", REMOVED, "Ready.Choices[0].Condition: is missing"),
    (f"{RULE}/Next", REMOVED, "Ready.Choices[0].Next: is missing"),
    (f"{CATCH}/Next", REMOVED, "Ask.Catch[0].Next: is missing"),
    (f"{CATCH}/ErrorEquals", REMOVED, "Ask.Catch[0].ErrorEquals: is missing"),
    ("States/Told/End", REMOVED, "Told.Next: exactly one of Next and End is needed"),
    ("States/Told/End", False, "Told.End: can only be true"),
    ("States/Ask/End", True, "Ask.Next: exactly one of Next and End is needed"),
    ("States/Rest/Seconds", REMOVED, "Rest.Seconds: exactly one of Seconds and Timestamp is needed"),
    ("States/Rest/Timestamp", "{% $now() %}", "Rest.Seconds: exactly one of Seconds and Timestamp is needed"),
    # retriers
    (f"{RETRY}/0/ErrorEquals", [], "Ask.Retry[0].ErrorEquals: names no error"),
    (f"{RETRY}/0/ErrorEquals", ["States.ALL"], "Ask.Retry[0].ErrorEquals: States.ALL must stand alone and last"),
    (f"{RETRY}/1/ErrorEquals", ["States.ALL", "A"], "Ask.Retry[1].ErrorEquals: States.ALL must stand alone and last"),
    (f"{CATCH}/ErrorEquals", ["A", "States.ALL"], "Ask.Catch[0].ErrorEquals: States.ALL must stand alone and last"),
    (f"{RETRY}/1/MaxDelaySeconds", REMOVED, "Ask.Retry[1].MaxDelaySeconds: is missing"),
    (f"{RETRY}/1/JitterStrategy", REMOVED, "Ask.Retry[1].JitterStrategy: is missing"),
    (f"{RETRY}/1/JitterStrategy", "NONE", "Ask.Retry[1].JitterStrategy: found NONE; must be FULL"),
    (f"{RETRY}/1/BackoffRate", 0.5, "Ask.Retry[1].BackoffRate: found 0.5; must be 1 or more"),
    (f"{RETRY}/1/IntervalSeconds", 6, "Ask.Retry[1].MaxDelaySeconds: is shorter than IntervalSeconds"),
    # expressions
    (f"{RULE}/Condition", "{% $states.input.done = %}", "Ready.Choices[0].Condition: is no JSONata: "),
    (
        "States/Broken/Cause",
        "it was {% $fault %}",
        "Broken.Cause: an expression must be the whole text, found it was {% $fault %}",
    ),
    (
        "States/Broken/Cause",
        "{% $fault %}{% $fault %}",
        "Broken.Cause: an expression must be the whole text, found {% $fault %}{% $fault %}",
    ),
    ("States/Ask/Resource", "{% $states.input.arn %}", "Ask.Resource: takes no expression"),
    ("States/Ask/Next", "{% $states.input.next %}", "Ask.Next: takes no expression"),
    ("States/Ask/Arguments/Payload", {"id.$": "$.id"}, "Ask.Arguments.Payload.id.$: a key that ends in .$ is JSONPath"),
    (
        "States/Ask/Arguments/Payload",
        {"id": "{% $states.result.id %}"},
        "Ask.Arguments.Payload.id: $states.result is not known here; known: $states.context, $states.input",
    ),
    (
        "States/Told/Output",
        "{% $states.errorOutput.Error %}",
        "Told.Output: $states.errorOutput is not known here; known: $states.context, $states.input",
    ),
    (
        f"{CATCH}/Assign/fault",
        "{% $states.result %}",
        (
            "Ask.Catch[0].Assign.fault: $states.result is not known here; "
            "known: $states.context, $states.errorOutput, $states.input"
        ),
    ),
    (
        f"{RULE}/Condition",
        "{% done = true %}",
        "Ready.Choices[0].Condition: done is read of no document; start with $states or a variable",
    ),
    ("States/Told/Output", "{% $ %}", "Told.Output: $ is read of no document; start with $states or a variable"),
    # variables
    ("States/Ask/Assign/states", 1, "Ask.Assign.states: is no name for a variable"),
    ("States/Ask/Assign/two words", 1, "Ask.Assign.two words: is no name for a variable"),
    ("States/Rest/Assign", "{% $states.input %}", "Rest.Assign: must name variables"),
    (f"{RULE}/Condition", "{% $dnoe %}", "Ready.Choices[0].Condition: $dnoe is not assigned on every way to here"),
    (f"{RULE}/Condition", "{% $eval('1') %}", "Ready.Choices[0].Condition: $eval is not assigned on every way to here"),
    (
        "States/Told/Output",
        "{% $map([1], function($x) { $x + $y }) %}",
        "Told.Output: $y is not assigned on every way to here",
    ),
    (
        "States/Told/Output",
        "{% ($y := 1; $y) + ($y) %}",
        "Told.Output: $y is not assigned on every way to here",
    ),
    # assigned on the way over Next, not on the way over Catch
    (
        "States/Broken/Cause",
        "{% $string($polls) %}",
        "Broken.Cause: $polls is not assigned on every way to here",
    ),
    # only assigned by the state that reads it
    ("States/Ask/Output", "{% $fault %}", "Ask.Output: $fault is not assigned on every way to here"),
    (
        "States/Rest/Assign",
        {"polls": 1, "next": "{% $polls %}"},
        "Rest.Assign.next: reads $polls, which is assigned in the same step",
    ),
    ("States/Rest/Output", "{% $polls %}", "Rest.Output: reads $polls, which is assigned in the same step"),
]


def test_a_sound_definition_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"), BROKEN, ids=[f"{path}-{n}" for n, (path, *_) in enumerate(BROKEN)]
)
def test_a_broken_definition_names_its_fault(path: str, value: Any, problem: str) -> None:
    found = problems(_changed(path, value))
    assert any(line == problem or (problem.endswith(": ") and line.startswith(problem)) for line in found), found


def test_every_fault_is_told_not_only_the_first() -> None:
    definition = _changed("States/Ask/TimeoutSeconds", REMOVED)
    definition["States"]["Ready"]["Default"] = "Nowhere"
    assert problems(definition) == ["Ready.Default: there is no state Nowhere", "Ask.TimeoutSeconds: is missing"]
