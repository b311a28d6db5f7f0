"""`python -m tests.chaos --jobs 1000 --seed 7`: jobs under seeded faults and crashes, and what must hold.

With `--dashboard FILE` the deployed dashboard is drawn at the end; that it shows every metric of ours, and that saved
queries read what is written, must hold too.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from local.engine.controller import ROOT
from tests.chaos.run import chaos
from tests.dashboard.plot import MISSING, draw
from tests.dashboard.seen import look

if TYPE_CHECKING:
    from local.stack import Stack

_REPORT = ROOT / "build" / "chaos.json"


def _say(stream: TextIO, *lines: str) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def main() -> int:
    """Run, print and write the report; 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Jobs under seeded faults and crashes.")
    parser.add_argument("--jobs", type=int, default=1000, help="how many, up to 9999")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="of everything that goes wrong")
    parser.add_argument("--dashboard", type=Path, metavar="FILE", help="draw the deployed dashboard there, as PNG")
    options = parser.parse_args()
    faults: list[str] = []

    def look_at_dashboard(stack: Stack) -> None:
        seen = look(stack)
        draw(
            options.dashboard,
            seen,
            f"The template's dashboard after a chaos run on this machine: {options.jobs} jobs, faults and crashes, "
            f"seed {options.seed}; some jobs were made a day older, and where that shows an axis goes by factors. "
            f"Graphs have a point for every {seen.period} s and minutes since the first job below. "
            f'"{MISSING}": the engine has no such metric, or it had no occasion.',
        )
        faults.extend(seen.faults)

    report = chaos(
        options.jobs,
        options.seed,
        lambda step: _say(sys.stderr, f"... {step}"),
        *([look_at_dashboard] if options.dashboard else []),
    )
    _say(sys.stdout, *report.lines(), *(f"DASHBOARD: {fault}" for fault in faults))
    content = {
        **report.figures,
        "violations": [vars(violation) for violation in report.violations],
        "timelines": report.timelines,
    }
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if report.violations or faults else 0


if __name__ == "__main__":
    sys.exit(main())
