"""The batch function's use case."""

import time

from bucketbrush.adapters.announcements import Bus, Topic
from bucketbrush.adapters.batches import BatchAnnouncements, Batches, Reports
from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.queues import Queue
from bucketbrush.batch import LookAfterBatch
from bucketbrush.domain.life import Actor
from bucketbrush.settings import BatchSettings
from bucketbrush.wiring.shared import CONFIG, delay, dynamodb, ledger_of, session, settings_of


def build_batch() -> LookAfterBatch:
    settings = settings_of(BatchSettings)
    s3, sqs = session().client("s3", config=CONFIG), session().client("sqs", config=CONFIG)
    topic = Topic(session().client("sns", config=CONFIG), settings.topic_arn)
    bus = Bus(session().client("events", config=CONFIG))
    return LookAfterBatch(
        settings=settings,
        batches=Batches(dynamodb(), settings.batches_table, settings.keep_days),
        ledger=ledger_of(settings, Actor.BATCH),
        inbox=Objects(s3, settings.inbox_bucket),
        reports=Reports(s3, settings.results_bucket),
        turns=Queue(sqs, settings.batch_queue_url),
        submits=Queue(sqs, settings.submit_queue_url, delay),
        announcements=BatchAnnouncements(topic, bus),
        now=time.time,
    )
