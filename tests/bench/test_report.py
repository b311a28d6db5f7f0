"""What `make bench` computes, prints and writes down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bench import performance
from tests.bench.__main__ import SECTIONS, main
from tests.bench.figures import most_within, percentiles, rank_correlation
from tests.bench.measured import Goal, Measured

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.measured import Say


def fast(say: Say) -> Measured:
    say("measuring")
    return Measured({"seconds": 1.5, "jobs": 3}, {"seconds": Goal(most=2.0)})


PAGE = """# Figures

| fast | found | goal |
| --- | --- | --- |
| of another machine | 7 | |

Then:

| slow | found | goal |
| --- | --- | --- |
| of another machine | 7 | |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(PAGE)
    return path


def slow(_: Say) -> Measured:
    return Measured({"seconds": 2.5}, {"seconds": Goal(least=1.0, most=2.0)})


def test_figures_are_printed_with_their_goals_and_written_down(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "build" / "bench.json"
    assert main(["fast"], {"fast": fast, "slow": slow}, report, page) == 0

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "fast:",
        "seconds 1.5 (goal: at most 2)",
        "jobs 3",
        "Every goal holds.",
    ]
    assert json.loads(report.read_text()) == {
        "fast": {"figures": {"seconds": 1.5, "jobs": 3}, "goals": {"seconds": "at most 2"}, "missed": []}
    }


def test_a_missed_goal_is_said_and_other_sections_are_kept(
    tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "bench.json"
    report.write_text('{"polling": 1, "slow": 2}')
    assert main([], {"fast": fast, "slow": slow}, report, page) == 1

    out = capsys.readouterr().out
    assert "(MISSED: at least 1 and at most 2)" in out
    assert out.splitlines()[-1] == "MISSED: slow: seconds"
    written = json.loads(report.read_text())
    assert list(written) == ["polling", "slow", "fast"]
    assert written["slow"]["missed"] == ["seconds"]


def test_a_section_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fats"], {"fast": fast}, tmp_path / "bench.json")
    assert "found fats; allowed: fast" in capsys.readouterr().err


def test_a_sections_figures_take_the_place_of_those_on_the_page(tmp_path: Path, page: Path) -> None:
    deep = {"a table": {"row": {"column": 1}}, "by name": {"a": 1000, "b": 2.5}, "seconds": 2.5}

    def both(_: Say) -> Measured:
        return Measured(deep, {"seconds": Goal(most=2.0)})

    assert main(["slow"], {"fast": fast, "slow": both}, tmp_path / "bench.json", page) == 1
    before, after = PAGE.split("| slow")[0], page.read_text()
    assert after.startswith(before), "what another section has written stays"
    *rows, measured = after.removeprefix(before).splitlines()
    assert rows == [
        "| slow | found | goal |",
        "| --- | --- | --- |",
        "| by name | a 1,000, b 2.5 | |",
        "| seconds | 2.5, missed | at most 2 |",
    ]
    assert measured.startswith("| measured | 20")


def test_every_section_has_its_place_on_the_page() -> None:
    for name in SECTIONS:
        assert f"\n| {name} | found | goal |\n| --- | --- | --- |\n" in performance.PAGE.read_text()


@pytest.mark.parametrize(
    ("ranks", "correlation"), [([0, 1, 2, 3], 1.0), ([3, 2, 1, 0], -1.0), ([1, 0, 2], 0.5), ([1, 2, 0], -0.5)]
)
def test_the_rank_correlation_is_spearmans(ranks: list[int], correlation: float) -> None:
    assert rank_correlation(ranks) == correlation


def test_most_within_counts_the_busiest_stretch() -> None:
    assert most_within([0.0, 0.9, 1.0, 1.5, 1.9, 4.0], 1.0) == 4


def test_percentiles_are_of_what_was_measured() -> None:
    assert percentiles([*range(100, 0, -1)]) == {"min": 1, "p50": 51, "p95": 96, "max": 100}
    assert percentiles([7]) == {"min": 7, "p50": 7, "p95": 7, "max": 7}
