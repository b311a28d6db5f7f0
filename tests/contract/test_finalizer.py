"""The finalize function is called and not waited for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from bucketbrush.adapters.finalizer import Finalizer
from bucketbrush.events import FinalizeCall, parse
from tests.contract.aws import scripted_client
from tests.contract.scripted import Answer, Scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lambdas() -> Iterator[Scripted]:
    """What takes calls as Lambda does."""
    with serving() as script:
        script.answer = Answer(202)
        yield script


@pytest.mark.parametrize("fault", ["ABORTED", "no execution", None])
def test_the_call_is_the_workflows_own_and_asynchronous(lambdas: Scripted, fault: str | None) -> None:
    Finalizer(scripted_client("lambda", lambdas.url), "finalize-1").start("cat-猫", fault)
    (asked,) = lambdas.asked
    assert (asked.method, asked.path) == ("POST", "/2015-03-31/functions/finalize-1/invocations")
    assert asked.headers["x-amz-invocation-type"] == "Event"
    assert parse(FinalizeCall, json.loads(asked.body)) == FinalizeCall(job_id="cat-猫", fault=fault)


def test_a_bill_is_looked_for_by_a_call_of_its_own(lambdas: Scripted) -> None:
    Finalizer(scripted_client("lambda", lambdas.url), "finalize-1").look_for_bill("cat-猫")
    (asked,) = lambdas.asked
    assert asked.headers["x-amz-invocation-type"] == "Event"
    assert parse(FinalizeCall, json.loads(asked.body)) == FinalizeCall(job_id="cat-猫", fault=None, bill=True)


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ResourceNotFoundException"])
def test_a_refused_call_is_not_hidden(lambdas: Scripted, code: str) -> None:
    lambdas.answer = Answer(429, {"message": "no"}, {"x-amzn-ErrorType": code})
    with pytest.raises(ClientError, match=code):
        Finalizer(scripted_client("lambda", lambdas.url), "finalize-1").start("cat", None)
    assert len(lambdas.asked) == 1
