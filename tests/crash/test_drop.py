"""A dropped file, its answer lost or not: a crash at every point, and what else can happen there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.points import ALL, Points, some
from tests.crash.scenarios import DROP, LOST_ANSWER

if TYPE_CHECKING:
    from tests.crash.rig import Rig
    from tests.crash.scenarios import Scenario


@pytest.fixture(params=(DROP, LOST_ANSWER), ids=lambda scenario: scenario.name)
def points(request: pytest.FixtureRequest, rig: Rig) -> Points:
    scenario: Scenario = request.param
    return Points(rig, scenario)


def test_a_crash_before_and_after_every_side_effect(points: Points) -> None:
    points.prove(points.crashes(points.every() if ALL else points.distinct()))


def test_a_crash_and_then_everything_twice(points: Points) -> None:
    points.prove(some(points.doubled(points.distinct()), 10))


def test_two_crashes(points: Points) -> None:
    points.prove(points.pairs(500 if ALL else 8))


def test_a_twin_at_every_side_effect(points: Points) -> None:
    points.prove(some(points.twins(), 4))


def test_an_answer_lost_at_every_side_effect(points: Points) -> None:
    points.prove(some(points.lost_answers(), 8))


def test_all_else_goes_on_at_every_side_effect(points: Points) -> None:
    points.prove(some(points.frozen(), 8))


def test_a_stop_at_every_side_effect(points: Points) -> None:
    points.prove(some(points.stops(), 8))
