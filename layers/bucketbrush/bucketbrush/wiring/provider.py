"""The provider, with the key from Secrets Manager."""

from functools import cache

from aws_lambda_powertools.utilities.parameters import SecretsProvider

from bucketbrush.adapters.secrets import ApiKey
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.settings import ProviderSettings
from bucketbrush.wiring.shared import BRIEFLY, session


def provider_of(settings: ProviderSettings, result_hosts: tuple[str, ...] = ()) -> ToApis:
    """A client with the key as it is now. Raises ApiKeyMissing."""
    key = ApiKey(secrets(), settings.api_key_secret_arn)
    return ToApis(settings.api_base_url, key.read(), settings.provider_timeout_seconds, result_hosts, key.read_anew)


@cache
def secrets() -> SecretsProvider:
    """The key may be read anew between a refusal and the row that says so, for which seconds are left.

    Without a client it would make a second session.
    """
    return SecretsProvider(boto3_client=session().client("secretsmanager", config=BRIEFLY))
