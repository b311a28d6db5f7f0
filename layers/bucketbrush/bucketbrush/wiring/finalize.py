"""The finalize function's use cases."""

import time

from botocore.config import Config

from bucketbrush.adapters.announcements import Announcements, Bus, Topic
from bucketbrush.adapters.durations import Durations
from bucketbrush.adapters.objects import Objects
from bucketbrush.bill import LookForBill
from bucketbrush.display import Display
from bucketbrush.domain.life import Actor
from bucketbrush.finalize import Finalize
from bucketbrush.knowledge import Knowledge
from bucketbrush.settings import FinalizeSettings
from bucketbrush.store import Store
from bucketbrush.wiring.provider import provider_of
from bucketbrush.wiring.shared import ASIDE, BRIEFLY, CONFIG, ledger_of, session, settings_of

# What is put carries its own SHA-256 in a header that the signature covers: to hash all bytes once more for that would
# add nothing (Amazon S3 API Reference, "Signature Calculations for the Authorization Header").
_STORING = CONFIG.merge(Config(s3={"payload_signing_enabled": False}))


def build_finalize() -> Finalize:
    settings = settings_of(FinalizeSettings)
    results = Objects(session().client("s3", config=_STORING), settings.results_bucket)
    aside = Objects(session().client("s3", config=ASIDE), settings.results_bucket)
    topic = Topic(session().client("sns", config=CONFIG), settings.topic_arn)
    bus = Bus(session().client("events", config=CONFIG))
    return Finalize(
        settings=settings,
        ledger=ledger_of(settings, Actor.FINALIZE),
        results=results,
        store=Store(results, time.time),
        display=Display(settings.result_page, aside, time.time),
        announcements=Announcements(topic, bus),
        knowledge=Knowledge(Durations(session().client("dynamodb", config=BRIEFLY), settings.durations_table)),
        connect=lambda: provider_of(settings, settings.result_hosts),
        now=time.time,
    )


def build_look_for_bill() -> LookForBill:
    settings = settings_of(FinalizeSettings)
    return LookForBill(ledger_of(settings, Actor.FINALIZE), lambda: provider_of(settings), time.time)
