"""The submit function's use cases."""

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.config import Config

from bucketbrush.adapters.announcements import Bus
from bucketbrush.adapters.departures import Departures
from bucketbrush.adapters.durations import Durations
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.queues import Queue
from bucketbrush.adapters.references import Presigner
from bucketbrush.depart import Depart
from bucketbrush.documents import Documents
from bucketbrush.domain.catalogue import Catalogue, read_catalogue
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.life import Actor
from bucketbrush.handover import HandOver
from bucketbrush.intake import Intake
from bucketbrush.knowledge import Knowledge
from bucketbrush.prepare import Prepare
from bucketbrush.settings import SubmitSettings
from bucketbrush.submit import Submit
from bucketbrush.wiring.provider import provider_of
from bucketbrush.wiring.shared import ASIDE, BRIEFLY, CONFIG, dynamodb, lazily, ledger_of, session, settings_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

_AROUND_SENDING = 10  # seconds for connecting before the request and for the ledger behind it
_MODELS = Path(__file__).parents[1] / "models"
# A signed link cannot follow a redirect, because the signature covers the host: it must name the bucket's own region
# (S3 User Guide, "Virtual hosting of buckets"), which boto3 does for this style only.
_SIGNING = CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


def build_intake() -> Intake:
    settings = settings_of(SubmitSettings)
    objects = Objects(session().client("s3", config=CONFIG), settings.inbox_bucket)
    sts = lazily(lambda: session().client("sts", config=CONFIG))
    presigner = Presigner(sts, settings.signer_role_arn, signing_client)
    sending_seconds = settings.provider_timeout_seconds + _AROUND_SENDING
    handover = HandOver(settings.reference_handover, presigner, objects, sending_seconds, time.time)
    departures = Departures(dynamodb(), settings.limits_table, step_between(settings.submits_per_second))
    depart = Depart(departures, time.time, time.sleep, settings.max_queue_seconds, settings.refused_wait_seconds)
    documents = Documents(
        objects, settings.inbox, deployed_catalogue(), handover.most_bytes, settings.companion_seconds, time.time
    )
    submit = Submit(
        settings=settings,
        ledger=ledger_of(settings, Actor.SUBMIT),
        prepare=Prepare(documents),
        depart=depart,
        handover=handover,
        knowledge=Knowledge(Durations(session().client("dynamodb", config=BRIEFLY), settings.durations_table)),
        connect=lambda: provider_of(settings),
        now=time.time,
        jitter=random.random,
    )
    batches = Queue(lazily(lambda: session().client("sqs", config=CONFIG)), settings.batch_queue_url)
    executions = Executions(session().client("stepfunctions", config=CONFIG), settings.jobs_machine_arn)
    return Intake(submit, executions, batches, Bus(session().client("events", config=ASIDE)))


def deployed_catalogue() -> Catalogue:
    """The models of the documents that the layer holds, read in the order of their names, ``toapis.json`` first."""
    files = sorted(_MODELS.glob("*.json"), key=lambda file: (file.name != "toapis.json", file.name))
    return read_catalogue((f"models/{file.name}", file.read_bytes()) for file in files)


def signing_client(credentials: "CredentialsTypeDef") -> "S3Client":
    """A client whose links are the signer role's."""
    return session().client(
        "s3",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=_SIGNING,
    )
