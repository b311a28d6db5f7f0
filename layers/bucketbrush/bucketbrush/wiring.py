"""Builds each use case from its settings: the only place that makes AWS clients.

Each builder is called once per Lambda environment.
"""

import os
import random
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from botocore.config import Config

from bucketbrush.adapters.announcements import Announcements, Bus, Topic
from bucketbrush.adapters.batches import BatchAnnouncements, Batches, Reports
from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.departures import Departures
from bucketbrush.adapters.durations import Durations
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.finalizer import Finalizer
from bucketbrush.adapters.ledger import Ledger
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.queues import Queue
from bucketbrush.adapters.references import Presigner
from bucketbrush.adapters.secrets import ApiKey
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.batch import LookAfterBatch
from bucketbrush.bill import LookForBill
from bucketbrush.depart import Depart
from bucketbrush.display import Display
from bucketbrush.documents import Documents
from bucketbrush.domain.catalogue import Catalogue, read_catalogue
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.life import Actor
from bucketbrush.finalize import Finalize
from bucketbrush.handover import HandOver
from bucketbrush.intake import Intake
from bucketbrush.knowledge import Knowledge
from bucketbrush.observability import name_machine
from bucketbrush.prepare import Prepare
from bucketbrush.settings import (
    BatchSettings,
    FinalizeSettings,
    FunctionSettings,
    ProviderSettings,
    StatusSettings,
    SubmitSettings,
    SweepSettings,
    read_settings,
)
from bucketbrush.status import Status
from bucketbrush.store import Store
from bucketbrush.submit import Submit
from bucketbrush.sweep import Sweep

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

_Settings = TypeVar("_Settings", bound=FunctionSettings)
_AROUND_SENDING = 10  # seconds for connecting before the request and for the ledger behind it
_MODELS = Path(__file__).parent / "models"
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
# For what a job can do without: 30 seconds at most.
_ASIDE = _CONFIG.merge(Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}))
# For what stands between a job and its one request, or between that and the row: 6 seconds at most.
_BRIEFLY = _CONFIG.merge(
    Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
)
# A signed link cannot follow a redirect, because the signature covers the host: it must name the bucket's own region
# (S3 User Guide, "Virtual hosting of buckets"), which boto3 does for this style only.
_SIGNING = _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


def build_intake() -> Intake:
    settings = _settings(SubmitSettings)
    objects = Objects(boto3.client("s3", config=_CONFIG), settings.inbox_bucket)
    presigner = Presigner(boto3.client("sts", config=_CONFIG), settings.signer_role_arn, _signing_client)
    sending_seconds = settings.provider_timeout_seconds + _AROUND_SENDING
    handover = HandOver(settings.reference_handover, presigner, objects, sending_seconds, time.time)
    depart = Depart(
        _departures(settings), time.time, time.sleep, settings.max_queue_seconds, settings.refused_wait_seconds
    )
    documents = Documents(
        objects, settings.inbox, deployed_catalogue(), handover.most_bytes, settings.companion_seconds, time.time
    )
    submit = Submit(
        settings=settings,
        ledger=_ledger(settings, Actor.SUBMIT),
        prepare=Prepare(documents),
        depart=depart,
        handover=handover,
        knowledge=_knowledge(settings.durations_table),
        connect=lambda: _provider(settings),
        now=time.time,
        jitter=random.random,
    )
    batches = Queue(boto3.client("sqs", config=_CONFIG), settings.batch_queue_url)
    bus = Bus(boto3.client("events", config=_ASIDE))
    return Intake(submit, _executions(settings.jobs_machine_arn), batches, bus)


def build_status() -> Status:
    settings = _settings(StatusSettings)
    return Status(
        settings=settings,
        ledger=_ledger(settings, Actor.STATUS),
        bus=_bus(),
        connect=lambda: _provider(settings),
        now=time.time,
        jitter=random.random,
    )


def build_finalize() -> Finalize:
    settings = _settings(FinalizeSettings)
    results = Objects(boto3.client("s3", config=_CONFIG), settings.results_bucket)
    aside = Objects(boto3.client("s3", config=_ASIDE), settings.results_bucket)
    topic = Topic(boto3.client("sns", config=_CONFIG), settings.topic_arn)
    return Finalize(
        settings=settings,
        ledger=_ledger(settings, Actor.FINALIZE),
        results=results,
        store=Store(results, time.time),
        display=Display(settings.result_page, aside, time.time),
        announcements=Announcements(topic, _bus()),
        knowledge=_knowledge(settings.durations_table),
        connect=lambda: _provider(settings, settings.result_hosts),
        now=time.time,
    )


def build_look_for_bill() -> LookForBill:
    settings = _settings(FinalizeSettings)
    return LookForBill(_ledger(settings, Actor.FINALIZE), lambda: _provider(settings), time.time)


def build_batch() -> LookAfterBatch:
    settings = _settings(BatchSettings)
    s3, sqs = boto3.client("s3", config=_CONFIG), boto3.client("sqs", config=_CONFIG)
    return LookAfterBatch(
        settings=settings,
        batches=Batches(_dynamodb(), settings.batches_table, settings.keep_days),
        ledger=_ledger(settings, Actor.BATCH),
        inbox=Objects(s3, settings.inbox_bucket),
        reports=Reports(s3, settings.results_bucket),
        turns=Queue(sqs, settings.batch_queue_url),
        submits=Queue(sqs, settings.submit_queue_url, _delay),
        announcements=BatchAnnouncements(Topic(boto3.client("sns", config=_CONFIG), settings.topic_arn), _bus()),
        now=time.time,
    )


def build_sweep() -> Sweep:
    settings = _settings(SweepSettings)
    return Sweep(
        settings=settings,
        ledger=_ledger(settings, Actor.SWEEP),
        executions=_executions(settings.jobs_machine_arn),
        budgets=Budgets(_dynamodb(), settings.limits_table),
        departures=_departures(settings),
        finalizer=Finalizer(boto3.client("lambda", config=_CONFIG), settings.finalize_function),
        now=time.time,
    )


def deployed_catalogue() -> Catalogue:
    """The models of the documents that the layer holds, read in the order of their names, ``toapis.json`` first."""
    files = sorted(_MODELS.glob("*.json"), key=lambda file: (file.name != "toapis.json", file.name))
    return read_catalogue((f"models/{file.name}", file.read_bytes()) for file in files)


def _settings(kind: type[_Settings]) -> _Settings:
    settings = read_settings(kind, os.environ)
    name_machine(settings.jobs_machine_arn)
    return settings


def _departures(settings: SubmitSettings | SweepSettings) -> Departures:
    return Departures(_dynamodb(), settings.limits_table, step_between(settings.submits_per_second))


def _bus() -> Bus:
    return Bus(boto3.client("events", config=_CONFIG))


def _knowledge(table: str) -> Knowledge:
    return Knowledge(Durations(boto3.client("dynamodb", config=_BRIEFLY), table))


def _executions(machine_arn: str) -> Executions:
    return Executions(boto3.client("stepfunctions", config=_CONFIG), machine_arn)


def _ledger(settings: FunctionSettings, actor: Actor) -> Ledger:
    dynamodb = _dynamodb()
    budgets = Budgets(dynamodb, settings.limits_table)
    return Ledger(dynamodb, settings.jobs_table, settings.keep_days, actor, budgets, _delay)


@cache
def _dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_CONFIG)


def _delay(longest: float) -> None:
    """A random part of it, so that those who met do not meet again."""
    time.sleep(random.uniform(0, longest))  # noqa: S311  # nosec B311 # no secret


def _provider(settings: ProviderSettings, result_hosts: tuple[str, ...] = ()) -> ToApis:
    key = ApiKey(_secrets(), settings.api_key_secret_arn)
    return ToApis(settings.api_base_url, key.read(), settings.provider_timeout_seconds, result_hosts, key.read_anew)


@cache
def _secrets() -> SecretsProvider:
    """The key may be read anew between a refusal and the row that says so, for which seconds are left."""
    return SecretsProvider(boto_config=_BRIEFLY)


def _signing_client(credentials: "CredentialsTypeDef") -> "S3Client":
    return boto3.client(
        "s3",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=_SIGNING,
    )
