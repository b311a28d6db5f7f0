"""A small crowd at a fast pace, every time; `make bench` drops a large one."""

from __future__ import annotations

from tests.bench.departures import COMPLETED, LATE, ORDER, PAID_TWICE, REFUSED, THROUGHPUT, Crowd, measure

# The burst is as large as the crowd: how many a slow machine lets leave together must not matter.
CROWD = Crowd(jobs=40, rate=10, provider_rate=12.5, provider_burst=40)
_CLOCK_MS = 50  # between the clock of the departures and the simulator's


def test_a_crowd_leaves_in_order_at_its_rate_and_everybody_comes_home_once() -> None:
    steps: list[str] = []

    figures = measure(CROWD, steps.append)

    assert figures[COMPLETED] == CROWD.jobs, figures
    assert figures[PAID_TWICE] == 0, figures
    assert figures[REFUSED] == 0, figures
    assert figures[ORDER] >= 0.8, figures  # 40 in any order: 0, give or take 0.16
    assert figures[LATE]["min"] >= -_CLOCK_MS, figures
    assert figures[THROUGHPUT] <= 1.02, figures
    assert f"{CROWD.jobs} ended" in steps
