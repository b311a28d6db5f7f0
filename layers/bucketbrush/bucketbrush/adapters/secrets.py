"""The API key, from Secrets Manager."""

import json

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config
from botocore.exceptions import ClientError

from bucketbrush.domain.errors import ApiKeyMissing

# Left alone, a client waits 60 seconds for each of its reads.
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


def read_api_key(secret_arn: str) -> str:
    """The key, cached for five minutes by Powertools. The secret is the key itself or JSON ``{"api_key": "..."}``.

    Raises ApiKeyMissing naming the secret when it is not there or holds no key; a fault of the service passes through.
    """
    if "secrets" not in DEFAULT_PROVIDERS:  # where Powertools keeps its own
        DEFAULT_PROVIDERS["secrets"] = parameters.SecretsProvider(boto_config=_CONFIG)
    try:
        secret: object = parameters.get_secret(secret_arn)
    except GetParameterError as error:
        if _has_no_value(error.__context__):
            raise ApiKeyMissing(f"secret {secret_arn}: found no value.") from None
        raise
    value = secret.strip() if isinstance(secret, str) else ""
    if value.startswith("{"):
        value = _field(value)
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ApiKeyMissing(f'secret {secret_arn}: found no key; allowed: the key, or {{"api_key": "..."}}.')
    return value


def _has_no_value(cause: BaseException | None) -> bool:
    """A secret that was never filled: AWS knows no current version, the local engine answers without a value."""
    if isinstance(cause, ClientError):
        return cause.response["Error"]["Code"] == "ResourceNotFoundException"
    return isinstance(cause, KeyError)


def _field(value: str) -> str:
    try:
        key = json.loads(value).get("api_key")
    except ValueError:
        return ""
    return key if isinstance(key, str) else ""
