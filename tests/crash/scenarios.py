"""The stories that are told with a crash at every point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.crash.world import Process, World

_RARE_SWEEP = {"SweepAfterSeconds": "40000"}
_OVERDUE = {"DeadlineSeconds": "90", "LateSeconds": "40"}
_RARE = 20_000


def _recipe(prompt: str = "paint it", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-image-2-vip", "prompt": prompt, "n": 2, **fields}


def _drop(world: World) -> None:
    world.drop(world.preset())


def _drop_behind_others(world: World) -> None:
    world.depart_behind(7.3)
    _drop(world)


def _drop_behind_too_many(world: World) -> None:
    world.depart_behind(90_000)
    _drop(world)


def _drop_while_paused(world: World) -> None:
    world.pause(15)
    _drop(world)


def _document(world: World) -> None:
    world.start({**world.scenario.recipe, "references": [world.reference()]})


def _dropped_document(world: World) -> None:
    world.drop_document(world.scenario.recipe)


def _request(world: World) -> None:
    world.request({"job": world.scenario.recipe})


def _drop_before_its_mask(world: World) -> None:
    preset = world.preset()
    world.drop(preset)

    def putting() -> Process:
        yield 5
        world.put_mask(preset)

    world.begin(putting())


def _again(world: World) -> None:
    preset = world.preset()
    world.drop(preset)

    def asking() -> Process:
        while not world.jobs() or world.open_jobs():
            yield 60
        world.replace_preset(preset, _recipe())
        world.mark = len(world.tap.effects)
        world.deliver({"again": world.jobs()[0]["job_id"]})

    world.begin(asking(), 60)


@dataclass(frozen=True)
class Scenario:
    """``outcomes`` are its jobs', in the order of their making.

    ``stop_after`` is how many seconds after its start a user stops an execution.
    Dead executions fail at once, which the sweep is told or must find out. With ``lost_effect`` the message comes once
    only, and is killed before that side effect. The sweep's schedule is slower where a story takes days.
    """

    name: str
    recipe: dict[str, Any] = field(default_factory=_recipe)
    outcomes: tuple[str, ...] = ("completed",)
    begin: Callable[[World], None] = _drop
    parameters: Mapping[str, str] = field(default_factory=dict)
    stop_after: int | None = None
    is_dead: bool = False
    is_told: bool = True
    lost_effect: str = ""
    sweep_every: int = 300


DROP = Scenario("a drop")
LOST_ANSWER = Scenario("a lost answer", _recipe("fault:submit-drop-answer"))
DEAD_DOCUMENT = Scenario("a document's dead execution", outcomes=("rejected",), begin=_document, is_dead=True)
BEHIND_OTHERS = Scenario("behind others", begin=_drop_behind_others)
PAUSED = Scenario("paused", begin=_drop_while_paused)
SENT_AGAIN = Scenario("sent again", _recipe("fault:submit-500"), parameters={"UnknownPolicy": "resend-same-id"})
LATE_BILL = Scenario("a late bill", _recipe("fault:billing-pending=2 fault:billing-amount=0.02"))
OTHERS = (
    Scenario("a caller's document", begin=_document),
    Scenario("a request", begin=_request),
    Scenario("a request without an execution", begin=_request, lost_effect="states StartExecution"),
    Scenario(
        "a mask that comes later",
        _recipe(model="gpt-image-1.5-official", mask="required"),
        begin=_drop_before_its_mask,
    ),
    Scenario(
        "a dropped document with uploads",
        _recipe(model="gpt-image-1.5-official"),
        begin=_dropped_document,
        parameters={"ReferenceHandover": "upload"},
    ),
    Scenario("refused for now", _recipe("fault:submit-429")),
    Scenario("a wrong recipe", _recipe(size="7:5"), ("rejected",)),
    Scenario("a wrong document", _recipe(size="7:5"), ("rejected",), _document),
    Scenario("a failed task", _recipe("fault:task-failed"), ("failed",)),
    Scenario("stored at the second try", _recipe("fault:file-503")),
    Scenario(
        "stopped while waiting",
        _recipe("fault:hang"),
        ("cancelled",),
        stop_after=10,
        parameters=_RARE_SWEEP,
        sweep_every=_RARE,
    ),
    Scenario("stopped while submitting", _recipe("fault:submit-500"), ("cancelled",), stop_after=10),
    Scenario("stopped while looking up", _recipe("fault:submit-drop-answer"), ("cancelled",), stop_after=10),
    Scenario("overdue", _recipe("fault:hang"), ("expired",), parameters={**_OVERDUE, **_RARE_SWEEP}, sweep_every=_RARE),
    Scenario("found by nobody", _recipe("fault:submit-500"), ("unknown",)),
    Scenario("a dead execution", is_dead=True, is_told=False),
    Scenario("a dead execution that is told", is_dead=True),
    Scenario("a drop without an execution", lost_effect="states StartExecution"),
    Scenario(
        "never stored", _recipe("fault:file-404"), ("lost",), parameters=_RARE_SWEEP, is_dead=True, sweep_every=_RARE
    ),
    Scenario("run again", _recipe("fault:task-failed"), ("failed", "completed"), _again),
    BEHIND_OTHERS,
    Scenario("behind too many", outcomes=("expired",), begin=_drop_behind_too_many),
    PAUSED,
    Scenario("over budget", outcomes=("rejected",), parameters={"MonthlyBudgetUsd": "0.02"}),
    SENT_AGAIN,
    LATE_BILL,
)
