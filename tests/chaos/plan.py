"""What happens to each job of a run: all of it follows from the seed."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from tests.provider_faults import OUTCOMES, asked, preset, stands_still

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-image-2-vip"
_HARMLESS = [fault for fault, outcome in OUTCOMES.items() if outcome == "completed" and fault != "late-lookup"]
_AT_SUBMIT = [fault for fault in _HARMLESS if fault.startswith("submit-")]
_LATER = [fault for fault in _HARMLESS if not fault.startswith("submit-")]
_ONE = ("top-level-url", "odd-link=")  # what has room for one picture, and what spoils the first of several
_REJECTED = ("no-preset", "bad-preset", "no-picture")
# Requests of one invocation: crashes strike at one of so many.
_REQUESTS = {"s": 8, "t": 2, "f": 9, "w": 6}


@dataclass(frozen=True)
class Job:
    """One job: what it is, what is done to it, and how it may end. Times are in seconds."""

    number: int
    kind: str  # "drop", "document", or one of the ways to be rejected
    faults: tuple[str, ...]
    n: int
    crashes: tuple[str, ...]
    stop_after: float | None  # from its row on
    deliveries: tuple[float, ...]  # of its event once more, from its drop on
    redrive: bool
    again: bool

    @property
    def name(self) -> str:
        """The file's stem or the execution's name: how its job id begins."""
        return "-".join([f"{self.number:04}", *self.crashes])

    @property
    def preset(self) -> str:
        words = [*map(preset, self.faults), f"n{self.n}"] if self.kind == "drop" else [self.kind]
        return "-".join(words)

    @property
    def key(self) -> str:
        return f"inbox/{self.preset}/{self.name}.png"

    def recipe(self, mark: str) -> dict[str, Any]:
        """What a preset or a caller's document says."""
        # Sound in itself, else it would be told when it is uploaded; no file of this plan has metadata.
        lacking = ["{metadata.mood}"] if self.kind == "bad-preset" else []
        prompt = " ".join([f"{mark} paint it", *lacking, *(f"fault:{fault}" for fault in self.faults)])
        return {"model": MODEL, "prompt": prompt, "n": self.n}

    @property
    def stands_still(self) -> str | None:
        """The state that it leaves only when a deadline passes or links die."""
        return next(filter(None, map(stands_still, self.faults)), None)

    def may_end(self, crashed: set[str]) -> set[str]:
        """The outcomes that explain themselves; ``crashed`` are the letters of the functions that died."""
        if self.kind in _REJECTED:
            allowed = {"rejected"}
        else:
            allowed = {outcome for fault in self.faults if (outcome := OUTCOMES[fault]) != "completed"} or {"completed"}
            if "s" in crashed:
                # It died between the intent and the POST, and nobody can know.
                allowed.add("unknown")
            if "links-die" in self.faults and "f" in crashed:
                # The one download that the links allowed was thrown away.
                allowed.add("lost")
        return allowed | ({"cancelled"} if self.stop_after is not None else set())

    def line(self) -> str:
        """The plan in one line."""
        facts = {
            "faults": list(self.faults),
            "crashes": list(self.crashes),
            "stop_after": self.stop_after,
            "deliveries": list(self.deliveries),
        }
        return f"plan: {self.kind} n={self.n} redrive={self.redrive} again={self.again} {json.dumps(facts)}"


def make_plan(jobs: int, seed: int) -> list[Job]:
    """The jobs of this run."""
    chance = Random(seed)
    deck = itertools.cycle(chance.sample(list(OUTCOMES), len(OUTCOMES)))
    return [_job(number, chance, deck) for number in range(jobs)]


def _job(number: int, chance: Random, deck: Iterator[str]) -> Job:
    kind = chance.choices(["drop", "document", chance.choice(_REJECTED)], [84, 10, 6])[0]
    faults = _faults(chance, deck) if kind in ("drop", "document") else ()
    pictures = chance.choice([1, 1, 2, 3])
    if any(asked(fault) > 1 or fault.startswith(_ONE) for fault in faults):
        pictures = max(map(asked, faults))
    crashes = {crash[0]: crash for crash in (_crash(chance) for _ in range(chance.choices([0, 1, 2], [60, 30, 10])[0]))}
    return Job(
        number=number,
        kind=kind,
        faults=faults,
        n=pictures,
        crashes=tuple(crashes.values()),
        stop_after=round(chance.uniform(0, 4), 1) if chance.random() < 0.06 else None,
        deliveries=_deliveries(chance) if kind != "document" else (),
        redrive=chance.random() < 0.3,
        again=kind != "document" and chance.random() < 0.3,
    )


def _faults(chance: Random, deck: Iterator[str]) -> tuple[str, ...]:
    """None, the next one of all, or two that harm nothing by themselves."""
    number = chance.choices([0, 1, 2], [45, 40, 15])[0]
    if number == 1:
        return (next(deck),)
    return (chance.choice(_AT_SUBMIT), chance.choice(_LATER)) if number else ()


def _crash(chance: Random) -> str:
    letter = chance.choices("stfw", [40, 15, 40, 5])[0]
    return f"{letter}{chance.randint(1, _REQUESTS[letter])}{chance.choice('ba')}"


def _deliveries(chance: Random) -> tuple[float, ...]:
    if chance.random() > 0.15:
        return ()
    return chance.choice([(0.0, 0.0), (round(chance.uniform(0.2, 10), 1),), (0.0, 3.0, 6.0)])


def sweep_event(number: int, chance: Random) -> str:
    """What the schedule sends; now and then it names a crash of its own."""
    name = f"sweep{number}-{_sweep_crash(chance)}" if chance.random() < 0.15 else f"sweep{number}"
    return json.dumps({"source": "aws.events", "detail-type": "Scheduled Event", "id": name})


def _sweep_crash(chance: Random) -> str:
    return f"w{chance.randint(1, _REQUESTS['w'])}{chance.choice('ba')}"
