"""The API key, in the forms that people store it in."""

from __future__ import annotations

import json

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.retries.standard import ExponentialBackoff

from bucketbrush.adapters.secrets import ApiKey
from bucketbrush.domain.errors import ApiKeyMissing
from bucketbrush.wiring import provider, shared
from tests.contract.aws import client, on_engine, secret

__all__ = ["on_engine"]
pytestmark = pytest.mark.usefixtures("on_engine")
KEY = "sk-live-0123456789"
NEW_KEY = "sk-live-9876543210"
GONE = "arn:aws:secretsmanager:us-east-1:000000000000:secret:gone-AbCdEf"


def api_key(arn: str) -> ApiKey:
    return ApiKey(provider.secrets(), arn)


def put(arn: str, value: str) -> None:
    client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)


@pytest.mark.parametrize("value", [KEY, f" {KEY}\n", f'{{"api_key": "{KEY}"}}', f' {{"n": 1, "api_key": "{KEY}"}}'])
def test_the_key_is_read(value: str) -> None:
    assert api_key(secret(value)).read() == KEY


@pytest.mark.parametrize(
    "value",
    [
        "{}",
        "two words",
        "clé",
        "line\nbreak",
        '{"api_key": ""}',
        '{"api_key": null}',
        '{"api_key": 7}',
        '{"api_key": "two words"}',
        '{"other": "sk-live-0123456789"}',
        '{"api_key": "sk-live',
    ],
)
def test_what_is_no_key_is_named_and_not_quoted(value: str) -> None:
    arn = secret(value)
    with pytest.raises(ApiKeyMissing, match="put-secret-value") as caught:
        api_key(arn).read()
    said = str(caught.value).replace(arn, "")
    assert arn in str(caught.value)
    assert [word for word in ("two words", "clé", "break", "sk-live") if word in said] == []


def test_an_empty_value_is_no_key() -> None:
    with pytest.raises(ApiKeyMissing, match="found no key"):
        api_key(secret(" ")).read()


def test_no_secret_at_all() -> None:
    with pytest.raises(ApiKeyMissing, match=f"{GONE}: found no value"):
        api_key(GONE).read()


def test_the_key_is_kept_and_its_client_is_bounded() -> None:
    """Powertools keeps a value for five minutes; left alone, its client would wait a minute for each read."""
    arn = secret(KEY)
    assert api_key(arn).read() == KEY
    put(arn, NEW_KEY)
    assert api_key(arn).read() == KEY
    config = provider.secrets().client.meta.config
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) <= 6, "it is read between a refusal and its row"


def test_a_key_that_is_read_anew_is_kept_from_then_on() -> None:
    arn = secret(KEY)
    assert api_key(arn).read() == KEY
    put(arn, json.dumps({"api_key": NEW_KEY}))
    assert api_key(arn).read_anew() == NEW_KEY
    put(arn, KEY)
    assert api_key(arn).read() == NEW_KEY


def test_what_cannot_be_read_anew_is_none_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = secret(KEY)
    assert api_key(arn).read() == KEY
    put(arn, "two words")
    assert api_key(arn).read_anew() is None
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for made in (shared.session, provider.secrets):
        made.cache_clear()
    assert api_key(arn).read_anew() is None


def test_a_fault_of_the_service_is_not_taken_for_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    with pytest.raises(GetParameterError):
        api_key(GONE).read()
