"""A job's life: its states, the steps between them, who may take each, and what each means for money.

The ledger refuses every step that is not in the table, and writes the others under the condition that the row is still
in the step's first state; so this table is all that can ever happen to a job's state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bucketbrush.domain.errors import Money, StepForbidden


class State(StrEnum):
    """Where a job stands in the ledger."""

    ACCEPTED = "accepted"  # known to us, nothing sent
    SUBMITTING = "submitting"  # the one POST may have been written: it is never sent again
    WAITING = "waiting"  # the provider's task id is known: from here on only GETs
    UNSTORED = "unstored"  # the pictures are made and paid, and not all of them are stored yet
    DECIDED = "decided"  # it ended before there was a task; the outcome is still to be told
    ENDED = "ended"  # result.json is written and announced

    @property
    def before_task(self) -> bool:
        """Whether no task is known and no end decided, so that a submit may still work on the job."""
        return self in (State.ACCEPTED, State.SUBMITTING)


# What Step Functions calls an execution that goes on, and one that was stopped (API reference, "DescribeExecution").
RUNNING, STOPPED = "RUNNING", "ABORTED"


class Actor(StrEnum):
    """Who writes to the ledger: one function each."""

    SUBMIT = "submit"
    STATUS = "status"
    FINALIZE = "finalize"
    SWEEP = "sweep"
    BATCH = "batch"  # it only reads


@dataclass(frozen=True)
class Step:
    """One way from a state to a state. ``money`` is what must be assumed of it until there is a verdict."""

    before: State | None
    after: State
    actors: tuple[Actor, ...]
    money: Money
    why: str


_SUBMIT, _STATUS, _FINALIZE = (Actor.SUBMIT,), (Actor.STATUS,), (Actor.FINALIZE,)
_NOT, _MAYBE, _MOVED = Money.NOT_MOVED, Money.UNKNOWN, Money.MOVED

STEPS = (
    Step(None, State.ACCEPTED, _SUBMIT, _NOT, "a job is seen for the first time"),
    Step(None, State.ACCEPTED, _FINALIZE, _NOT, "an execution died before its job was known"),
    Step(State.ACCEPTED, State.ACCEPTED, _SUBMIT, _NOT, "a lease is taken or given back, the job waits to be sent"),
    Step(State.ACCEPTED, State.SUBMITTING, _SUBMIT, _MAYBE, "the one POST is about to be written"),
    Step(State.ACCEPTED, State.DECIDED, (*_SUBMIT, *_FINALIZE), _NOT, "rejected, expired or cancelled before sending"),
    Step(State.SUBMITTING, State.SUBMITTING, _SUBMIT, _MAYBE, "the answer was lost, the task is looked up"),
    Step(State.SUBMITTING, State.ACCEPTED, _SUBMIT, _NOT, "refused for now, or the request was never written"),
    Step(State.SUBMITTING, State.WAITING, (*_SUBMIT, *_FINALIZE), _MOVED, "the task id came, or was found"),
    Step(State.SUBMITTING, State.DECIDED, (*_SUBMIT, *_FINALIZE), _MAYBE, "refused for good, or found by nobody"),
    Step(State.WAITING, State.WAITING, _STATUS, _MOVED, "a look is noted"),
    Step(State.WAITING, State.UNSTORED, _FINALIZE, _MOVED, "made, and not all of it could be stored yet"),
    Step(State.WAITING, State.ENDED, _FINALIZE, _MOVED, "stored, failed, expired or cancelled; told"),
    Step(State.UNSTORED, State.ENDED, _FINALIZE, _MOVED, "stored at last, or lost; told"),
    Step(State.DECIDED, State.ENDED, _FINALIZE, _MAYBE, "the decided outcome is told"),
    Step(State.ENDED, State.ENDED, _FINALIZE, _MOVED, "its bill is there, or is awaited no longer"),
)

# What is written once and never changed: a second value would be a second task, a second order or a second outcome.
WRITE_ONCE = ("source", "again_of", "recipe", "task_id", "submitted_at", "made_at", "verdict", "ended_at")


def demand_step(before: State | None, after: State, actor: Actor) -> None:
    """Raises StepForbidden unless the table lets ``actor`` take this step."""
    steps = [step for step in STEPS if step.before is before]
    if not any(step.after is after and actor in step.actors for step in steps):
        allowed = ", ".join(f"{step.after} by {'/'.join(step.actors)}" for step in steps)
        raise StepForbidden(f"ledger: found the step {before} to {after} by {actor}; allowed: {allowed}.")


def demand_once(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises StepForbidden when a row's change would replace or remove what is written once."""
    for name in WRITE_ONCE:
        if before.get(name) is not None and before[name] != after.get(name):
            raise StepForbidden(f"ledger: {name}: found a second value; allowed: the first one only.")
