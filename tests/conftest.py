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


# What takes longest goes first, or one worker would end with it alone; the other layers are quick.
LONGEST = ("workflow", "upgrade", "crash", "chaos", "bench", "engine", "contract")


def _layer(file: str) -> str:
    return file.split("/")[1]


class LayerScheduling(LoadScopeScheduling):
    """A sharing layer goes to one worker as a whole, everything else file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return layer if (layer := _layer(file)) in SHARING and file not in ALONE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LayerScheduling:
    config.option.loadscopereorder = False  # by the number of tests, which says nothing of the time
    return LayerScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        layer = _layer(item.nodeid)
        return LONGEST.index(layer) if layer in LONGEST else len(LONGEST)

    items.sort(key=place)
