"""`python -m tests.permissions [Role:Sid[:action] ...]`: take each permission from its role; its test must fail.

At last those that only AWS asks for are taken all at once, and nobody may notice. The exit code is how many things were
not as they should be.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from contextlib import nullcontext
from unittest import mock

import pytest

from tests import waiting
from tests.permissions.permissions import Permission, Roles
from tests.permissions.table import BATCH, DROPPED, STOPPED, noticed_by
from tests.workflow import conftest
from tests.workflow.conftest import System, running_system

# The workflow tests' session is not this process's first: modules are there that pytest would have rewritten.
_QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "-n", "0", "-q", "-x")
_COLD_START = 5.0  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.permissions", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="Role:Sid[:action]", help="what to take (default: all)")
    options = parser.parse_args()
    with running_system() as system:
        roles = Roles(system)
        chosen = [it for it in roles.permissions() if not options.names or {*it.names} & {*options.names}]
        taken = {it: test for it in chosen if (test := noticed_by(it))}
        unasked = [it for it in chosen if it not in taken]
        faults = sum(not _is_noticed(system, roles, it, test) for it, test in taken.items())
        _say(f"{len(taken) - faults} of {len(taken)} were noticed")
        with roles.without(*unasked):
            faults += not _runs(system, f"without the {len(unasked)} that only AWS asks for")
        faults += not _runs(system, "with all put back")
    return faults


def _runs(system: System, how: str) -> bool:
    """Whether a drop, a batch and a cancelled job end as they should."""
    runs = all(_run(system, test, waiting.PATIENCE) == pytest.ExitCode.OK for test in (DROPPED, BATCH, STOPPED))
    _say(f"{how} the pipeline {'runs' if runs else 'DOES NOT RUN'}")
    return runs


def _is_noticed(system: System, roles: Roles, permission: Permission, test: str) -> bool:
    """Whether the named test passes with the permission and fails without it.

    It is given three times as long as it took and some seconds more, because it starts in new environments.
    """
    began = time.monotonic()
    before = _run(system, test, waiting.PATIENCE)
    patience = _COLD_START + 3 * (time.monotonic() - began)
    with roles.without(permission):
        after = _run(system, test, patience)
    is_noticed = (before, after) == (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    how = "noticed" if is_noticed else f"NOT NOTICED ({before.name} with it, {after.name} without)"
    _say(f"{permission}: {how} by {test}")
    return is_noticed


def _run(system: System, test: str, patience: float) -> pytest.ExitCode:
    """Run a test on this system as if nothing had happened there before."""
    system.known = {row["job_id"]["S"] for row in system.stack.rows()}
    system.inbox.clear()
    with (
        mock.patch.object(conftest, "running_system", return_value=nullcontext(system)),
        mock.patch.object(waiting, "PATIENCE", patience),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        return pytest.ExitCode(pytest.main([*_QUIET, test]))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
