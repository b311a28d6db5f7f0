"""The API key, in the forms that people store it in."""

from __future__ import annotations

import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.retries.standard import ExponentialBackoff

from bucketbrush.adapters.secrets import read_api_key
from bucketbrush.domain.errors import ApiKeyMissing
from tests.contract.aws import client, on_engine, secret

__all__ = ["on_engine"]
pytestmark = pytest.mark.usefixtures("on_engine")
KEY = "sk-live-0123456789"
GONE = "arn:aws:secretsmanager:us-east-1:000000000000:secret:gone-AbCdEf"


@pytest.mark.parametrize("value", [KEY, f" {KEY}\n", f'{{"api_key": "{KEY}"}}', f' {{"n": 1, "api_key": "{KEY}"}}'])
def test_the_key_is_read(value: str) -> None:
    assert read_api_key(secret(value)) == KEY


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
        read_api_key(arn)
    said = str(caught.value).replace(arn, "")
    assert arn in str(caught.value)
    assert [word for word in ("two words", "clé", "break", "sk-live") if word in said] == []


def test_an_empty_value_is_no_key() -> None:
    with pytest.raises(ApiKeyMissing, match="found no key"):
        read_api_key(secret(" "))


def test_no_secret_at_all() -> None:
    with pytest.raises(ApiKeyMissing, match=f"{GONE}: found no value"):
        read_api_key(GONE)


def test_the_key_is_kept_and_its_client_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Powertools keeps a value for five minutes; left alone, its client would wait a minute for each read."""
    arn = secret(KEY)
    assert read_api_key(arn) == KEY
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    client("secretsmanager").put_secret_value(SecretId=arn, SecretString="sk-live-another")
    assert read_api_key(arn) == KEY
    config = DEFAULT_PROVIDERS["secrets"].client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 20)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_a_fault_of_the_service_is_not_taken_for_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    clear_caches()
    with pytest.raises(GetParameterError):
        read_api_key(GONE)
