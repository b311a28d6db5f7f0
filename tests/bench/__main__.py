"""`python -m tests.bench [section ...]`: how fast, how fair and how cheap the system is, as figures with goals."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, TextIO

from local.engine.controller import ROOT
from tests.bench import batch, burst, cold, departures, performance, polling, scale, store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.bench.measured import Measured, Say

REPORT = ROOT / "build" / "bench.json"
SECTIONS: Mapping[str, Callable[[Say], Measured]] = {
    "cold": cold.bench,
    "store": store.bench,
    "burst": burst.bench,
    "departures": departures.bench,
    "batch": batch.bench,
    "polling": polling.bench,
    "scale": scale.bench,
}


def main(
    arguments: Sequence[str] | None = None,
    sections: Mapping[str, Callable[[Say], Measured]] = SECTIONS,
    report: Path = REPORT,
    page: Path = performance.PAGE,
) -> int:
    """Run the sections, print and write down what they measure; 1 when a goal does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure, and compare with the goals. The exit code is 1 when one is missed.",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"all unless named: {', '.join(sections)}")
    names = parser.parse_args(arguments).sections or list(sections)
    if unknown := [name for name in names if name not in sections]:
        parser.error(f"section: found {', '.join(unknown)}; allowed: {', '.join(sections)}")
    missed = []
    for name in names:
        _say(sys.stdout, f"{name}:")
        measured = sections[name](_stopwatch())
        _say(sys.stdout, *measured.lines())
        _write(report, name, measured)
        performance.write(name, measured, page)
        missed += [f"{name}: {figure}" for figure in measured.missed]
    _say(sys.stdout, f"MISSED: {'; '.join(missed)}" if missed else "Every goal holds.")
    return 1 if missed else 0


def _write(report: Path, name: str, measured: Measured) -> None:
    """Beside what other sections have written."""
    written = json.loads(report.read_bytes()) if report.exists() else {}
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({**written, name: measured.document()}, indent=2) + "\n")


def _stopwatch() -> Say:
    began = time.monotonic()
    return lambda step: _say(sys.stderr, f"{time.monotonic() - began:6.1f} s  {step}")


def _say(stream: TextIO, *lines: str) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
