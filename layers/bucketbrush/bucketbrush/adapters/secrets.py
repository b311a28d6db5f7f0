"""The API key, from Secrets Manager."""

import json
from dataclasses import dataclass

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError

from bucketbrush.domain.errors import ApiKeyMissing


@dataclass(frozen=True)
class ApiKey:
    """A secret that is the key itself or JSON ``{"api_key": "..."}``. ``provider`` keeps what it has read."""

    provider: SecretsProvider
    secret_arn: str

    def read(self, *, anew: bool = False) -> str:
        """The key, at most five minutes old (Powertools, "Parameters"), or as the secret holds it now.

        Raises ApiKeyMissing naming the secret when it is not there or holds no key; a fault of the service passes
        through.
        """
        try:
            secret: object = self.provider.get(self.secret_arn, force_fetch=anew)
        except GetParameterError as error:
            if _has_no_value(error.__context__):
                raise ApiKeyMissing(f"secret {self.secret_arn}: found no value.") from None
            raise
        value = secret.strip() if isinstance(secret, str) else ""
        if value.startswith("{"):
            value = _field(value)
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            allowed = 'the key, or {"api_key": "..."}'
            raise ApiKeyMissing(f"secret {self.secret_arn}: found no key; allowed: {allowed}.")
        return value

    def read_anew(self) -> str | None:
        """The key as the secret holds it now, which is kept from then on; None when it cannot be read.

        Whoever asks has something worse to tell: that the key it had was refused.
        """
        try:
            return self.read(anew=True)
        except (ApiKeyMissing, GetParameterError):
            return None


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
