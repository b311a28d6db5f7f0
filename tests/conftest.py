"""What holds for every layer of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

# The same examples every time, as with every other chance in these tests.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# These share servers: each runs in one worker, or every worker would start its own.
SHARING = ("workflow", "engine", "contract")
# These do not: they have servers of their own.
ALONE = ("tests/workflow/test_alarms.py", "tests/workflow/test_existing_bucket.py")


class LayerScheduling(LoadScopeScheduling):
    """A sharing layer goes to one worker as a whole, everything else file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        layer = file.split("/")[1]
        return layer if layer in SHARING and file not in ALONE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LayerScheduling:
    return LayerScheduling(config, log)
