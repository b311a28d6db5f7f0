"""What the AWS clients are told, and whose name each function has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from bucketbrush.domain.errors import SettingsInvalid
from bucketbrush.domain.life import Actor
from bucketbrush.settings import BatchSettings, FinalizeSettings, StatusSettings, SubmitSettings, SweepSettings
from bucketbrush.wiring import shared
from bucketbrush.wiring.batch import build_batch
from bucketbrush.wiring.finalize import build_finalize
from bucketbrush.wiring.status import build_status
from bucketbrush.wiring.submit import build_intake, signing_client
from bucketbrush.wiring.sweep import build_sweep
from tests.unit.test_settings import BATCH, FINALIZE, STATUS, SUBMIT, SWEEP

if TYPE_CHECKING:
    from collections.abc import Callable

    from bucketbrush.settings import FunctionSettings

CREDENTIALS: Any = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s" * 40, "SessionToken": "token"}


@pytest.mark.parametrize("region", ["eu-west-1", "eu-central-1", "me-south-1", "ap-east-1", "cn-north-1"])
def test_a_link_names_the_region_of_the_bucket(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The global host answers a new bucket's link with a redirect, which the signature does not survive."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    link = signing_client(CREDENTIALS).generate_presigned_url("get_object", {"Bucket": "my-inbox", "Key": "k"})
    assert cast("str", urlsplit(link).hostname).removesuffix(".cn") == f"my-inbox.s3.{region}.amazonaws.com"


ENVIRONMENT = {**SUBMIT, **STATUS, **FINALIZE, **BATCH, **SWEEP}
BUILT: list[tuple[Callable[[], Any], Actor, type[FunctionSettings]]] = [
    (build_intake, Actor.SUBMIT, SubmitSettings),
    (build_status, Actor.STATUS, StatusSettings),
    (build_finalize, Actor.FINALIZE, FinalizeSettings),
    (build_batch, Actor.BATCH, BatchSettings),
    (build_sweep, Actor.SWEEP, SweepSettings),
]


@pytest.mark.parametrize(("build", "actor", "kind"), BUILT)
def test_each_function_writes_to_the_ledger_in_its_own_name(
    build: Callable[[], Any], actor: Actor, kind: type[FunctionSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    built = build()
    use_case = getattr(built, "submit", built)
    assert (use_case.ledger._actor, type(use_case.settings)) == (actor, kind)


def test_there_is_one_dynamodb_client_for_everything_in_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's row and its month's are written in one transaction, and connections are used again."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    submit, sweep = build_intake().submit, build_sweep()
    clients = [submit.ledger, submit.ledger._budgets, submit.depart.departures, sweep.ledger, sweep.budgets]
    assert {id(owner._client) for owner in clients} == {id(shared.dynamodb())}
    assert {owner._table for owner in clients if owner not in (submit.ledger, sweep.ledger)} == {"limits"}


def test_nobody_waits_long_for_what_is_known_of_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request needs 35 of an invocation's 60 seconds."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    durations = build_intake().submit.knowledge.durations
    config = durations._client.meta.config
    assert durations._table == "durations"
    assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) <= 6


def test_the_signature_of_a_part_covers_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing is lost when it leaves out the part itself, which would be hashed once more."""
    environment = {**ENVIRONMENT, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shared.session.cache_clear()
    client = build_finalize().results._client
    sent: list[AWSPreparedRequest] = []

    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        answer = AWSResponse(request.url, 200, {"ETag": "etag"}, None)
        answer._content = b""
        return answer

    client.meta.events.register("before-send.s3.UploadPart", send)
    part = {"Key": "1.png", "UploadId": "id", "PartNumber": 1, "Body": b"part", "ChecksumSHA256": "c" * 44}
    client.upload_part(Bucket="results", **part)
    shared.session.cache_clear()
    (headers,) = [request.headers for request in sent]
    assert headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
    signed = headers["Authorization"].decode().partition("SignedHeaders=")[2].partition(",")[0]
    assert {"x-amz-checksum-sha256", "x-amz-content-sha256"} < {*signed.split(";")}


@pytest.mark.parametrize(("rate", "step"), [("4", 250), ("0.5", 2000), ("3", 334)])
def test_departures_are_so_far_apart_that_no_second_has_more(
    rate: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**ENVIRONMENT, "SUBMITS_PER_SECOND": rate}.items():
        monkeypatch.setenv(name, value)
    depart = build_intake().submit.depart
    assert depart.departures._step == step
    assert (depart.queue_seconds, depart.look_seconds) == (86_400, 10)


@pytest.mark.parametrize("build", [build for build, _, _ in BUILT])
def test_without_its_environment_nothing_is_built(build: Callable[[], Any]) -> None:
    with pytest.raises(SettingsInvalid, match="JOBS_TABLE: not set"):
        build()
