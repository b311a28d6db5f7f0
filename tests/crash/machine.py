"""Walks the workflow of template.yaml, state by state, in simulated time.

It knows what that definition uses and no more; that the real Step Functions reads it the same way is shown by the
workflow tests, which run the definition on the engine.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.template.stack import Json


class TaskFailed(Exception):
    """A task's error, by the name that Retry and Catch match."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error


@dataclass
class Walk:
    """One execution. ``task`` does what a Task state names: resource and arguments to result. ``now`` is in seconds
    since 1970.
    """

    definition: Json
    name: str
    document: Any
    task: Callable[[str, Json], Json]
    now: Callable[[], float]
    variables: Json = field(default_factory=dict)

    def run(self, start: str, given: Any) -> Generator[float, None, str]:
        """From a state to the end, whose type is returned; yields the seconds that it waits."""
        state, value = start, given
        while (node := self.definition["States"][state])["Type"] not in ("Succeed", "Fail"):
            if node["Type"] == "Choice":
                state = self._leave(self._chosen(node, value), value)[0]
                continue
            if node["Type"] == "Wait":
                yield self._wait(node, value)
                state, value = self._leave(node, value)
            else:
                state, value = yield from self._task(node, value)
        return str(node["Type"])

    def _chosen(self, node: Json, value: Any) -> Json:
        """The rule that leads on."""
        rules = (rule for rule in node["Choices"] if self._filled(rule["Condition"], input=value))
        return next(rules, {"Next": node["Default"]})

    def _wait(self, node: Json, value: Any) -> float:
        """The seconds of a Wait state; a timestamp that has passed is not waited for."""
        if "Seconds" in node:
            return float(self._filled(node["Seconds"], input=value))
        until = datetime.fromisoformat(self._filled(node["Timestamp"], input=value))
        return max(0.0, until.timestamp() - self.now())

    def _task(self, node: Json, value: Any) -> Generator[float, None, tuple[str, Any]]:
        tries: Counter[int] = Counter()
        while True:
            try:
                result = self.task(node["Resource"], self._filled(node["Arguments"], input=value))
            except TaskFailed as failure:
                matching = [rule for rule in node["Retry"] if _matches(rule, failure)][:1]
                if matching and tries[id(matching[0])] < matching[0]["MaxAttempts"]:
                    yield _delay(matching[0], tries[id(matching[0])])
                    tries[id(matching[0])] += 1
                    continue
                catching = [rule for rule in node.get("Catch", []) if _matches(rule, failure)]
                if not catching:
                    raise
                return self._leave(catching[0], value, errorOutput={"Error": failure.error})
            return self._leave(node, result, result=result)

    def _leave(self, holder: Json, value: Any, **states: Any) -> tuple[str, Any]:
        """The next state and its input."""
        output = self._filled(holder["Output"], input=value, **states) if "Output" in holder else value
        self.variables |= self._filled(holder.get("Assign", {}), input=value, **states)
        return holder["Next"], output

    def _filled(self, value: Any, **states: Any) -> Any:
        """A value with its expressions evaluated."""
        if isinstance(value, dict):
            return {key: self._filled(item, **states) for key, item in value.items()}
        if not (isinstance(value, str) and value.startswith("{%")):
            return value
        expression = _expression(value[2:-2].strip())
        context = {"Execution": {"Name": self.name, "Input": self.document}}
        for name, known in {**self.variables, "states": {**states, "context": context}}.items():
            expression.assign(name, Utils.NULL_VALUE if known is None else known)
        return json.loads(json.dumps(expression.evaluate(None)))


_expression = cache(Jsonata)


def _matches(rule: Json, failure: TaskFailed) -> bool:
    return bool({failure.error, "States.ALL"} & set(rule["ErrorEquals"]))


def _delay(rule: Json, tried: int) -> int:
    """Full jitter may wait any time up to this; half of it is as good as any."""
    longest: float = min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** tried)
    return max(1, round(longest / 2))
