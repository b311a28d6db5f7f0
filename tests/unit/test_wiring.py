"""What the AWS clients are told."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from bucketbrush import wiring

CREDENTIALS: Any = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s" * 40, "SessionToken": "token"}


@pytest.mark.parametrize("region", ["eu-west-1", "eu-central-1", "me-south-1", "ap-east-1", "cn-north-1"])
def test_a_link_names_the_region_of_the_bucket(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The global host answers a new bucket's link with a redirect, which the signature does not survive."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    link = wiring._signing_client(CREDENTIALS).generate_presigned_url("get_object", {"Bucket": "my-inbox", "Key": "k"})
    assert cast("str", urlsplit(link).hostname).removesuffix(".cn") == f"my-inbox.s3.{region}.amazonaws.com"
