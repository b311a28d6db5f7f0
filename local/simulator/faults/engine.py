"""How a fault is asked for, counted, and let loose at its hook."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from local.simulator.answers import Json, RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from local.simulator.files import StoredFile
    from local.simulator.tasks import Task


class Hook(StrEnum):
    """Where a fault strikes."""

    SUBMIT = "submit"  # a POST, before a task is made: there is none
    ACCEPTED = "accepted"  # a POST whose task is made: only the answer suffers
    TASK = "task"  # the life of an accepted task
    STATUS = "status"  # a status query of a known task
    UNKNOWN = "unknown"  # a status query of an unknown task
    FILE = "file"  # the download of a result
    UPLOAD = "upload"  # an upload, before it is stored; it has no prompt, so only the control endpoint reaches it
    UPLOADED = "uploaded"  # an upload that is stored: only the answer suffers


@dataclass
class Scene:
    """What a fault sees and may change: its value, and the task, answer body or file of its hook.

    `request` and `sent`, its JSON body, are there to be echoed.
    """

    value: str
    task: Task | None = None
    body: Json = field(default_factory=dict)
    file: StoredFile | None = None
    request: Request | None = None
    sent: Json = field(default_factory=dict)


Effect = Callable[[Scene], "Response | None"]  # an answer instead of the usual one, or None after a change in place


@dataclass(frozen=True)
class Fault:
    """`times` is how often it strikes unless told (None: always); in a prompt, `=value` sets times if `counts`.

    `values` are those that it understands (empty: any text, or any number where the default is one).
    """

    name: str
    hook: Hook
    description: str
    effect: Effect
    times: int | None = 1
    value: str = ""
    counts: bool = False
    only: str | None = None  # STATUS hook: strikes only at tasks of this status
    values: tuple[str, ...] = ()

    def armed(self, times: int | None, value: str) -> Armed:
        """This fault, waiting for its moment. A value that it does not understand is refused."""
        if self.values and value not in self.values:
            allowed = ", ".join(self.values)
            raise RefusedError(400, "invalid_request", f"the value of {self.name} must be one of {allowed}")
        if not self.values and _is_number(self.value) and not _is_number(value):
            raise RefusedError(400, "invalid_request", f"the value of {self.name} must be a number")
        return Armed(self, times, value)


@dataclass
class Armed:
    """A fault that waits for its moment."""

    fault: Fault
    left: int | None
    value: str


class Faults:
    """What is armed now: by the control endpoint for everybody, by prompts for their own orders."""

    def __init__(self, known: Mapping[str, Fault]) -> None:
        self.known = known
        self.armed: list[Armed] = []
        # By order, so that a repeated POST does not begin the count anew.
        self._marked: dict[tuple[str | None, str], list[Armed]] = {}

    def arm(self, fault: Fault, times: int | None, value: str | None) -> None:
        """Strike at the next `times` requests at the fault's hook; None is every one."""
        self.armed.append(fault.armed(times, fault.value if value is None else value))

    def clear(self) -> None:
        """Forget everything."""
        self.armed.clear()
        self._marked.clear()

    def of_order(self, business_id: str | None, prompt: str) -> list[Armed]:
        """The faults that a prompt asks for; the same list for every POST of one order."""
        asked = list(self._asked_for(prompt))
        return self._marked.setdefault((business_id, prompt), asked) if asked else []

    def strike(self, hook: Hook, own: list[Armed], status: str | None = None, **scene: Any) -> Response | None:
        """Let the due faults work on the scene until one of them answers."""
        for armed in self._striking(hook, own, status):
            answer = armed.fault.effect(Scene(armed.value, **scene))
            if answer is not None:
                return answer
        return None

    def _striking(self, hook: Hook, own: list[Armed], status: str | None) -> Iterator[Armed]:
        """Each fault that is due at this hook; taking one from the iterator uses up one of its times."""
        for armed in [*own, *self.armed]:
            fault = armed.fault
            if fault.hook is not hook or armed.left == 0 or fault.only not in (None, status):
                continue
            if armed.left is not None:
                armed.left -= 1
            yield armed

    def _asked_for(self, prompt: str) -> Iterator[Armed]:
        """`fault:status-500=2 fault:hang`; an unknown name is refused, because a typing error hides a test."""
        for name, text in _MARKER.findall(prompt):
            fault, value = self.known.get(name), text.rstrip(".")
            if fault is None:
                message = f"no fault is named {name}; GET /_simulator/faults lists them"
                raise RefusedError(400, "invalid_request", message)
            if fault.counts and value.isdecimal():
                yield fault.armed(int(value), fault.value)
            else:
                yield fault.armed(fault.times, value or fault.value)


_MARKER = re.compile(r"\bfault:([a-z0-9-]+)(?:=([^\s,;]+))?")


def for_task(faults: list[Armed]) -> list[Armed]:
    """Copies of those faults that strike after the POST, with counts of their own: each task suffers its own faults."""
    return [replace(armed) for armed in faults if armed.fault.hook not in (Hook.SUBMIT, Hook.ACCEPTED)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
