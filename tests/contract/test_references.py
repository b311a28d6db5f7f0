"""Links that really work, for the version they were made for and for as long as they say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.config import Config

from bucketbrush.adapters.references import MAX_LINK_BYTES, SESSION_SECONDS, Presigner
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion
from tests.contract.aws import bucket, client, engine, role

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
        self.requests: list[dict[str, Any]] = []

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        ends = datetime.fromtimestamp(self.time + request["DurationSeconds"], UTC)
        token = f"token{len(self.requests)}"
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
