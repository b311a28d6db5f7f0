"""Every point of a scenario at which something can happen, and what can happen there."""

from __future__ import annotations

import os
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from tests.crash.proof import Trouble, run
from tests.crash.tap import How

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.crash.rig import Rig
    from tests.crash.scenarios import Scenario
    from tests.crash.tap import Effect
    from tests.crash.world import World

ALL = os.environ.get("CRASH") == "all"
KILLS = (How.BEFORE, How.AFTER)
_MOST = 2  # stories that go wrong are enough
_SOON = 30  # side effects after a crash within which the second one of a pair lies


class Points:
    """The side effects of a scenario's run without trouble. Each one is a point; ``given`` is there in every run."""

    def __init__(self, rig: Rig, scenario: Scenario) -> None:
        self._rig, self._scenario = rig, scenario
        self.given: Mapping[int, How] = {}
        if scenario.lost_effect:
            found = run(rig, scenario).tap.effects
            self.given = {next(effect.number for effect in found if effect.what == scenario.lost_effect): How.BEFORE}
        base = run(rig, scenario, Trouble(kills=self.given))
        self.effects = base.tap.effects
        self._first = max([base.mark, *self.given]) + 1

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.effects[self._first - 1 :])

    def prove(self, troubles: Iterable[Trouble]) -> None:
        """Run each. Fails with the stories that went wrong, and when there is nothing to prove."""
        wrong: list[str] = []
        count = 0
        for count, trouble in enumerate(troubles, 1):  # noqa: B007
            try:
                self._check(trouble, run(self._rig, self._scenario, trouble))
            except AssertionError as problem:
                wrong.append(str(problem))
            if len(wrong) == _MOST:
                break
        assert not wrong, "\n\n".join([f"{len(wrong)} of the first {count} went wrong", *wrong])
        assert count, "nothing was tried"

    def _check(self, trouble: Trouble, world: World) -> None:
        """Until something happens, every run is the same; else its point would not be the one that is meant."""
        first = min((*trouble.kills, *trouble.intruders))
        expected, found = (
            [(effect.invocation, effect.what.split("/")[0]) for effect in effects[:first]]
            for effects in (self.effects, world.tap.effects)
        )
        assert found == expected, f"{trouble.says}: before it this run is not like the first one"

    # ---- What can happen -----------------------------------------------------------------------------------------

    def every(self) -> Iterator[tuple[Effect, How]]:
        """Before and after each side effect."""
        return ((effect, how) for effect in self for how in KILLS)

    def distinct(self) -> Iterator[tuple[Effect, How]]:
        """The same without those that leave the same world: after one is before the next one of its invocation."""
        last = {effect.invocation: effect for effect in self}
        return ((effect, how) for effect, how in self.every() if how is How.BEFORE or effect in last.values())

    def crashes(self, places: Iterable[tuple[Effect, How]]) -> Iterator[Trouble]:
        """One crash, at each place."""
        for effect, how in places:
            yield Trouble(_says(how, effect), {**self.given, effect.number: how})

    def doubled(self, places: Iterable[tuple[Effect, How]]) -> Iterator[Trouble]:
        """One crash, and everything is delivered twice: the message at once, and all of it when all is over."""
        for effect, how in places:
            kills = {**self.given, effect.number: how}
            yield Trouble(f"{_says(how, effect)}, all twice", kills, {effect.number: _second_message}, again=True)

    def lost_answers(self) -> Iterator[Trouble]:
        """No crash: an answer gets lost, and boto3 asks again by itself."""
        return self.crashes((effect, How.LOST) for effect in self)

    def pairs(self, most: int) -> Iterator[Trouble]:
        """Two crashes, the second one soon after the first. Which ones is chance that is always the same."""
        chance = Random(self._scenario.name)
        points = list(self)
        for _ in range(most):
            effect, how, then = chance.choice(points), chance.choice(KILLS), chance.choice(KILLS)
            second = effect.number + chance.randint(1, _SOON)
            says = f"{_says(how, effect)}, and {then} effect {second}"
            yield Trouble(says, {**self.given, effect.number: how, second: then})

    def twins(self) -> Iterator[Trouble]:
        """Before each request of an invocation the same one runs to its end."""
        for effect in self:
            yield Trouble(f"a twin runs before {_at(effect)}", self.given, {effect.number: _twin})

    def frozen(self) -> Iterator[Trouble]:
        """Before each request the invocation stands still until the world has ended the job without it."""
        for effect in self:
            says = f"all else runs to its end before {_at(effect)}"
            yield Trouble(says, self.given, {effect.number: _all_else}, also=("unknown",))

    def stops(self) -> Iterator[Trouble]:
        """Before each request somebody stops the execution, and finalize hears of it at once."""
        for effect in self:
            says = f"the execution is stopped before {_at(effect)}"
            yield Trouble(says, self.given, {effect.number: _stop}, also=("cancelled",))


def some(troubles: Iterable[Trouble], one_of: int) -> Iterator[Trouble]:
    """One of so many, always the same; all of them with CRASH=all in the environment."""
    return islice(troubles, 0, None, 1 if ALL else one_of)


def _says(how: How, effect: Effect) -> str:
    return f"{how} {_at(effect)}"


def _at(effect: Effect) -> str:
    return f"effect {effect.number}, {effect.what} of {effect.invocation}"


def _second_message(world: World) -> None:
    if world.message:
        world.deliver(world.message)


def _twin(world: World) -> None:
    world.does(*world.calls[-1])


def _all_else(world: World) -> None:
    """What AWS does about an invocation that does not answer: both ways in try again."""
    world.try_again()
    world.work()


def _stop(world: World) -> None:
    for name in world.executions:
        world.stop(name)
        world.does("finalize", {"job_id": name, "fault": "ABORTED"})
