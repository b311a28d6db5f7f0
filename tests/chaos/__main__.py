"""`python -m tests.chaos --jobs 1000 --seed 7`: jobs under seeded faults and crashes, and what must hold."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from typing import TextIO

from local.engine.controller import ROOT
from tests.chaos.run import chaos

_REPORT = ROOT / "build" / "chaos.json"


def _say(stream: TextIO, *lines: str) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def main() -> int:
    """Run, print and write the report; 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Jobs under seeded faults and crashes.")
    parser.add_argument("--jobs", type=int, default=1000, help="how many, up to 9999")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="of everything that goes wrong")
    options = parser.parse_args()
    report = chaos(options.jobs, options.seed, lambda step: _say(sys.stderr, f"... {step}"))
    _say(sys.stdout, *report.lines())
    content = {
        **report.figures,
        "violations": [vars(violation) for violation in report.violations],
        "timelines": report.timelines,
    }
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
