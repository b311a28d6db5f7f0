"""What `make bench SECTION=polling` computes with, and a small grid of it; `make bench` takes the large one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.bench import calls
from tests.bench.distributions import Distribution, Gamma, Lognormal, schedule_of
from tests.bench.polling import Table, draw, measure
from tests.bench.schedules import DEADLINE, OTHERS, PRICE, Grid, best_fixed, exponential, fixed, walk
from tests.crash.machine import Walk
from tests.template.stack import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.distributions import Kind

SAMPLES = 100_000
KINDS: dict[str, Kind] = {"lognormal": Lognormal(40, 0.5), "gamma": Gamma(4, 15)}
MEANS = {"lognormal": 40 * np.exp(0.125), "gamma": 60}
MEMORYLESS = Distribution((1.0, Gamma(1, 30)))


# ---- Distributions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_what_its_samples_are(name: str) -> None:
    kind = KINDS[name]
    durations = kind.sample(np.random.default_rng(1), SAMPLES)
    at = np.arange(1.0, 200.0)

    assert kind.done(at) == pytest.approx([np.mean(durations <= time) for time in at], abs=0.005)
    assert kind.mean(at) == pytest.approx([np.mean(durations * (durations <= time)) for time in at], abs=0.5)
    assert kind.mean(np.array([1e6])) == pytest.approx(MEANS[name])


def test_what_a_schedule_costs_is_the_mean_over_its_tasks() -> None:
    truth = Distribution((0.7, Lognormal(15, 0.3)), (0.3, Gamma(4, 15)))
    looks = exponential(truth.end)
    durations = truth.sample(np.random.default_rng(2), SAMPLES)
    seen = np.searchsorted(looks, durations)

    expected = truth.expected(looks)

    assert expected.polls == pytest.approx(np.mean(seen + 1), rel=0.01)
    assert expected.lateness == pytest.approx(np.mean(looks[seen] - durations), rel=0.01)
    assert expected.cost(0.5) == expected.polls + 0.5 * expected.lateness


def test_a_memoryless_task_costs_what_the_geometric_distribution_says() -> None:
    expected = MEMORYLESS.expected(fixed(12, MEMORYLESS.end))

    polls = 1 / (1 - np.exp(-12 / 30))
    assert expected.polls == pytest.approx(polls, rel=1e-5)
    assert expected.lateness == pytest.approx(12 * polls - 30, rel=1e-5)


def test_the_optimum_for_a_memoryless_task_is_the_best_fixed_wait() -> None:
    looks = MEMORYLESS.optimum(PRICE)

    assert len({*np.diff(looks, prepend=0)[:8]}) == 1
    assert MEMORYLESS.expected(looks).cost(PRICE) == pytest.approx(best_fixed(MEMORYLESS).cost(PRICE), rel=1e-4)


@pytest.mark.parametrize(("price", "bound"), [(1000.0, "min"), (1e-6, "max")])
def test_the_optimum_stays_within_the_bounds_of_a_plan(price: float, bound: str) -> None:
    waits = np.diff(OTHERS[1].truth.optimum(price), prepend=0)

    assert {"min": 2, "max": 300}[bound] == getattr(waits, bound)()
    assert all(2 <= wait <= 300 for wait in waits)


# ---- Schedules -----------------------------------------------------------------------------------------------------


def test_the_walk_is_the_workflows() -> None:
    template: Any = load()
    definition = template["Resources"]["JobsMachine"]["Properties"]["Definition"]
    look = {"Payload": {"seen": "waiting", "least": 0, "most": DEADLINE}}
    known = {"job_id": "cat", "task_id": "task_1", "polls": 0, "step": 0, "least": 0, "most": 900, "plan": [90, 31, 7]}
    workflow = Walk(definition, "cat", {}, lambda *_: look, lambda: 0.0, known)

    waits = [*islice(workflow.run("Wait", {}), 18)]

    assert waits == [*islice(walk([90, 31, 7]), 18)]
    assert waits[-1] == 900


def test_price_and_deadline_are_the_ones_that_are_deployed() -> None:
    defaults = {name: parameter.get("Default") for name, parameter in load()["Parameters"].items()}
    assert (defaults["LatenessPrice"], defaults["DeadlineSeconds"]) == (PRICE, DEADLINE)
    assert {name: str(defaults[name]) for name in calls._DEFAULTS} == calls._DEFAULTS


def test_others_wait_as_they_are_called() -> None:
    assert exponential(120).tolist() == [2, 5, 9, 15, 25, 40, 62, 92, 122]
    assert fixed(5, 12).tolist() == [5, 10, 15]
    assert schedule_of([5, 5, 5], 10).tolist() == [5, 10]


# ---- The section ---------------------------------------------------------------------------------------------------


def test_a_small_grid_meets_the_goals_every_time() -> None:
    steps: list[str] = []

    measured = measure(Grid(medians=(40, 120), seeds=1), OTHERS[1:], steps.append)

    assert not measured.missed, [*measured.lines()]
    assert len(steps) == len(measured.figures["cost"]) == 6 + 2 + 6
    for case, costs in measured.figures["cost"].items():
        assert min(costs, key=costs.__getitem__) == "optimum", case
    assert all(min(row.values()) >= 1 for row in measured.figures["cost / optimum"].values())


def test_a_table_is_printed_by_rows_and_columns() -> None:
    table = Table({"one": {"a": 1.0, "long name": 2.5}, "another": {"a": 0.12345}})
    assert str(table).splitlines() == [
        "",
        "                  a  long name",
        "    one      1.0000     2.5000",
        "    another  0.1235           ",
    ]


def test_the_picture_has_every_schedule_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        draw(tmp_path / name)

    text = (tmp_path / "one.svg").read_text()
    assert (tmp_path / "two.svg").read_text() == text
    for name in ("computed, after 200 jobs", "every 5 s", "exponential, 2 to 30 s", "optimum"):
        assert name in text
