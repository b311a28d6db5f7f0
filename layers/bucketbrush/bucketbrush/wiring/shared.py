"""What the functions have in common: their settings, their row in the ledger, and clients of one session."""

import os
import random
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.domain.life import Actor
from bucketbrush.observability import name_machine
from bucketbrush.settings import FunctionSettings, read_settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_Settings = TypeVar("_Settings", bound=FunctionSettings)
_Client = TypeVar("_Client")
CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    user_agent="bucketbrush",  # as CloudTrail shows it; botocore composes its own anew for each request
)
# For what a job can do without: 30 seconds at most.
ASIDE = CONFIG.merge(Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}))
# For what stands between a job and its one request, or between that and the row: 6 seconds at most.
BRIEFLY = CONFIG.merge(Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}))


def settings_of(kind: type[_Settings]) -> _Settings:
    """What the environment says to one function. Raises SettingsInvalid."""
    settings = read_settings(kind, os.environ)
    name_machine(settings.jobs_machine_arn)
    return settings


def ledger_of(settings: FunctionSettings, actor: Actor) -> Ledger:
    """The ledger in the hands of one function."""
    budgets = Budgets(dynamodb(), settings.limits_table)
    return Ledger(dynamodb(), settings.jobs_table, settings.keep_days, actor, budgets, delay)


class _Loader(Loader):
    """Botocore's own data and no other; to say which services it has, botocore looks into the folders of all 400."""

    @cached_property
    def _services(self) -> list[str]:
        return [folder.name for folder in Path(self.BUILTIN_DATA_PATH).iterdir()]

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        return self._services


@cache
def session() -> boto3.Session:
    """The one session of a function: each reads what is common to all services, which takes longer than a client."""
    made = botocore.session.Session()
    made.register_component("data_loader", _Loader())
    return boto3.Session(botocore_session=made)


@cache
def dynamodb() -> "DynamoDBClient":
    """The one client of the tables."""
    return session().client("dynamodb", config=CONFIG)


class _Lazy:
    def __init__(self, make: Callable[[], object]) -> None:
        self._made = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)


def lazily(make: Callable[[], _Client]) -> _Client:
    """A client that is made when it is first used, for what few jobs need."""
    return _Lazy(make)  # type: ignore[return-value]


def delay(longest: float) -> None:
    """A random part of it, so that those who met do not meet again."""
    time.sleep(random.uniform(0, longest))  # noqa: S311  # nosec B311 # no secret
