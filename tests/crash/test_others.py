"""Everything else that a job can live through, with a crash at every point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bucketbrush.adapters import objects
from tests.crash.points import ALL, Points, some
from tests.crash.proof import run
from tests.crash.scenarios import DEAD_DOCUMENT, DROP, LATE_BILL, OTHERS, SENT_AGAIN

if TYPE_CHECKING:
    from tests.crash.rig import Rig
    from tests.crash.scenarios import Scenario


@pytest.mark.parametrize("scenario", OTHERS, ids=lambda scenario: scenario.name)
def test_a_crash_at_every_point(rig: Rig, scenario: Scenario) -> None:
    points = Points(rig, scenario)
    points.prove(some(points.crashes(points.every() if ALL else points.distinct()), 14))


def test_a_crash_while_pictures_are_stored_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 20_000)
    points = Points(rig, DROP)
    places = [(effect, how) for effect, how in points.distinct() if effect.what.startswith("s3 P")]
    assert len(places) > 8
    points.prove(some(points.crashes(places), 3))


def test_a_crash_after_a_documents_execution_died(rig: Rig) -> None:
    points = Points(rig, DEAD_DOCUMENT)
    points.prove(points.crashes(points.distinct()))


def test_a_late_bill_takes_the_place_of_the_estimate(rig: Rig) -> None:
    rows = [effect.row for effect in run(rig, LATE_BILL).tap.effects if effect.row.get("state") == "ended"]
    assert [(row.get("billed"), row["share"]["spent"]) for row in (rows[0], rows[-1])] == [
        (None, 30_000),
        (20_000, 20_000),
    ]


def test_what_is_sent_again_is_reserved_twice_until_its_bill_is_there(rig: Rig) -> None:
    rows = [effect.row for effect in run(rig, SENT_AGAIN).tap.effects if "share" in effect.row]
    held = [(row["share"]["reserved"], row["share"]["spent"]) for row in rows]
    assert list(dict.fromkeys(held)) == [(30_000, 0), (60_000, 0), (0, 30_000)]
