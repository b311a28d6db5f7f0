"""What the functions are deployed with, as `sam build` has made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.engine.controller import ROOT
from local.stack import build_dir
from tests.bench.cold import MOST_MB, zipped

if TYPE_CHECKING:
    from tests.workflow.conftest import System


def test_the_dependencies_are_light_and_leave_out_what_lambda_has(system: System) -> None:
    sizes = zipped(build_dir(ROOT / "template.yaml") / "DependenciesLayer" / "python")
    assert sum(sizes.values()) <= MOST_MB * 10**6, f"the largest are {[*sizes.items()][:5]}"
    assert {"pydantic", "httpx", "aws_lambda_powertools"} < {*sizes}
    assert {"boto3", "botocore", "aws_xray_sdk"} & {*sizes} == set()
    assert system.stack.outputs["StatusFunctionName"]
