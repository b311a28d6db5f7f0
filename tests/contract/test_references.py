"""Links that really work, for the version they were made for and for as long as they say."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.config import Config

from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.references import SESSION_SECONDS, Presigner
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.addresses import MAX_LINK_BYTES
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import Invocation, ObjectVersion
from bucketbrush.handover import HandOver
from bucketbrush.settings import ReferenceHandover
from local.simulator import Simulator
from tests.contract.aws import bucket, client, engine, new_bucket, role
from tests.samples import picture

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bucket", "role"]
START = 1_700_000_000.0


def signing(credentials: Any) -> Any:
    """As the wiring makes it, on the engine."""
    return (
        engine()
        .session()
        .client(
            "s3",
            endpoint_url=engine().endpoint,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(signature_version="s3v4"),
        )
    )


class Sessions:
    """An STS whose sessions begin at a time that the test moves."""

    def __init__(self) -> None:
        self.time = START
        self.token = ""
        self.requests: list[dict[str, Any]] = []

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        ends = datetime.fromtimestamp(self.time + request["DurationSeconds"], UTC)
        token = self.token or f"token{len(self.requests)}"
        keys = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s" * 40, "SessionToken": token}
        return {"Credentials": {**keys, "Expiration": ends}}


def presigner(sessions: Any, role_arn: str, now: Callable[[], float]) -> Presigner:
    return Presigner(sessions, role_arn, signing, now)


def query(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


@pytest.mark.parametrize("key", ["inbox/cat.png", "inbox/a b+c%20&d=é/猫.png"])
def test_a_link_gives_the_pinned_version_after_the_key_was_overwritten(bucket: str, role: str, key: str) -> None:
    first = client("s3").put_object(Bucket=bucket, Key=key, Body=b"first")["VersionId"]
    version = ObjectVersion(bucket=bucket, key=key, version_id=first)
    link = Presigner(client("sts"), role, signing).link(version)
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"second")
    with httpx.Client(trust_env=False) as anyone:
        assert anyone.get(link).content == b"first"
        assert anyone.get(link.replace("X-Amz-Signature=", "X-Amz-Signature=0")).status_code == 403
    assert query(link)["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query(link)["X-Amz-Security-Token"]


def test_an_object_without_versions_has_a_link_too(bucket: str, role: str) -> None:
    link = Presigner(client("sts"), role, signing).link(ObjectVersion(bucket=bucket, key="inbox/a.png"))
    assert "versionId" not in query(link)


@pytest.mark.parametrize(
    ("passed", "life", "session"),
    [
        (0, 3300, 1),
        (240, 3300, 1),
        (241, 3299, 1),
        (1800, 1740, 1),
        (SESSION_SECONDS - 900, 840, 1),
        (SESSION_SECONDS - 899, 3300, 2),
        (SESSION_SECONDS * 10, 3300, 2),
    ],
)
def test_a_link_never_outlives_its_session(bucket: str, passed: int, life: int, session: int) -> None:
    sessions = Sessions()
    made = presigner(sessions, "arn:aws:iam::123456789012:role/signer", lambda: sessions.time)
    version = ObjectVersion(bucket=bucket, key="inbox/a.png", version_id="v")
    made.link(version)
    sessions.time += passed
    found = query(made.link(version))
    assert (found["X-Amz-Expires"], found["X-Amz-Security-Token"]) == (str(life), f"token{session}")
    assert found["versionId"] == "v"
    assert (
        sessions.requests
        == [
            {
                "RoleArn": "arn:aws:iam::123456789012:role/signer",
                "RoleSessionName": "bucketbrush-references",
                "DurationSeconds": SESSION_SECONDS,
            }
        ]
        * session
    )


@pytest.mark.parametrize(("letters", "fits"), [(20, True), (60, False)])
def test_a_long_session_token_and_a_key_in_chinese_are_uploaded_when_their_link_is_too_long(
    letters: int, fits: bool
) -> None:
    """A token of 1,200 characters is what AWS gives a role session; nine characters of a link are one of the key."""
    home = new_bucket()
    key = f"references/{'猫' * letters}.png"
    stored = client("s3").put_object(Bucket=home, Key=key, Body=picture())
    version = ObjectVersion(bucket=home, key=key, version_id=stored["VersionId"], size=len(picture()))
    sessions = Sessions()
    sessions.token = base64.b64encode(Random(1).randbytes(900)).decode()
    signer = presigner(sessions, "arn:role", lambda: sessions.time)
    inbox = Objects(client("s3"), home)
    end = Invocation(id="i", ends_at=int(START) + 60)
    with Simulator() as simulator:
        provider = ToApis(simulator.base_url, simulator.api_key, timeout=5)
        auto = HandOver(ReferenceHandover.AUTO, signer, inbox, 30, lambda: sessions.time)
        (link,) = auto([version], {}, provider, end)
        with httpx.Client(trust_env=False) as anyone:
            uploaded = not fits and anyone.get(link).content
    if fits:
        assert len(link) <= MAX_LINK_BYTES
        assert query(link)["X-Amz-Security-Token"] == sessions.token
    else:
        assert uploaded == picture()
        presign = HandOver(ReferenceHandover.PRESIGN, signer, inbox, 30, lambda: sessions.time)
        with pytest.raises(RecipeInvalid, match=r"found a signed link of 2,\d\d\d bytes; allowed: 2,048"):
            presign([version], {}, provider, end)


def test_a_link_that_the_provider_does_not_take_is_refused_before_anything_is_paid(bucket: str) -> None:
    sessions = Sessions()
    made = presigner(sessions, "arn:role", lambda: sessions.time)
    for length in range(1, 330):
        version = ObjectVersion(bucket=bucket, key=f"inbox/{'猫' * length}.png", version_id="v")
        try:
            assert len(made.link(version)) <= MAX_LINK_BYTES
        except RecipeInvalid as refusal:
            problem = str(refusal)
            break
    else:
        pytest.fail("every link was short enough")
    assert version.uri in problem
    assert "allowed: 2,048" in problem
    assert "X-Amz" not in problem
    assert "http" not in problem
