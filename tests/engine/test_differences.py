"""Each closed difference: what AWS does is seen on our engine, and still not on the stock one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.engine.differences import NAMES
from tests.engine.observations import OBSERVATIONS

if TYPE_CHECKING:
    from tests.engine.observations import Observation
    from tests.engine.workbench import Workbench


@pytest.mark.parametrize("observation", OBSERVATIONS, ids=str)
def test_our_engine_behaves_like_aws(observation: Observation, ours: Workbench) -> None:
    assert observation.see(ours) == observation.aws


@pytest.mark.parametrize("observation", OBSERVATIONS, ids=str)
def test_the_stock_engine_still_differs(observation: Observation, stock: Workbench) -> None:
    module = f"local/engine/differences/{observation.difference}.py"
    assert observation.see(stock) != observation.aws, (
        f"upstream closed {observation}: delete {module}, or this part of it"
    )


def test_every_difference_is_observed() -> None:
    # These take engines of their own: `test_controller.py` and `test_iam.py` observe them.
    elsewhere = {"reset_executions", "queue_permissions", "transport"}
    assert {observation.difference for observation in OBSERVATIONS} | elsewhere == set(NAMES)
