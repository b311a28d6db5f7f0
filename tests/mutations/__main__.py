"""`make mutations`: break what keeps each promise and stops each threat on purpose and see that its test fails.

Each mutation works on a copy of the working tree; the tree itself is never touched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutations.mutations import MUTATIONS, ROOT, Mutation
from tests.mutations.threats import THREATS

_FAILED = 1  # pytest's exit code for tests that ran and failed; every other one is a fault of ours
_LEFT_OUT = (".venv", "build", ".aws-sam", "__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache")


def main() -> int:
    """Run all mutations, or those that are named; the exit code is how many were not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="mutations to run (default: all)")
    parser.add_argument("--times", type=int, default=1, help="how often each must be noticed")
    options = parser.parse_args()
    chosen = [mutation for mutation in (*MUTATIONS, *THREATS) if not options.names or mutation.name in options.names]
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        (copy / ".venv").symlink_to(ROOT / ".venv")
        survivors = [mutation.name for mutation in chosen if not _noticed(copy, mutation, options.times)]
    sys.stdout.write(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations were noticed every time\n")
    return len(survivors)


def _noticed(copy: Path, mutation: Mutation, times: int) -> bool:
    file = copy / mutation.file
    whole = file.read_text()
    file.write_text(mutation.applied_to(whole))
    try:
        codes = [_run(copy, mutation.test) for _ in range(times)]
    finally:
        file.write_text(whole)
    noticed = all(code == _FAILED for code in codes)
    how = "noticed" if noticed else f"NOT NOTICED (pytest ended with {codes})"
    sys.stdout.write(f"{mutation.name}: {how} by {mutation.test}\n")
    sys.stdout.flush()
    return noticed


def _run(copy: Path, test: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", test]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
