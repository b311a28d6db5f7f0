"""What the section burst reads from /proc; `make bench` drops the thousand pictures."""

from __future__ import annotations

import os

import pytest

from tests.bench.burst import cpu_of

TICK = 1 / os.sysconf("SC_CLK_TCK")


def stat(pid: int, group: int, own: tuple[int, int], ended: tuple[int, int], name: str = "python") -> str:
    """A process's line, with ticks in user and system mode: its own, and those of children that have ended."""
    return f"{pid} ({name}) S 1 {group} {pid} 0 -1 4194560 1 2 3 4 {own[0]} {own[1]} {ended[0]} {ended[1]} 20 0 9\n"


def test_the_cpu_time_of_the_engine_and_of_its_functions() -> None:
    engine = stat(40, 40, (100, 20), (7, 3))  # an environment has ended and was reaped
    lines = [stat(1, 1, (900, 900), (900, 900)), engine, stat(41, 40, (30, 5), (2, 1)), stat(42, 40, (60, 4), (0, 0))]

    assert cpu_of(40, lines) == pytest.approx((120 * TICK, 112 * TICK))


def test_a_name_may_hold_what_separates_the_fields() -> None:
    assert cpu_of(40, [stat(40, 40, (8, 1), (0, 0), name="a) S 1 (7 b")]) == pytest.approx((9 * TICK, 0))


def test_what_was_used_between_two_looks() -> None:
    before, after = (cpu_of(40, [stat(40, 40, (own, 0), (own, 0))]) for own in (50, 80))
    assert after - before == pytest.approx((30 * TICK, 30 * TICK))
