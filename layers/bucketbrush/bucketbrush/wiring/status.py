"""The status function's use case."""

import random
import time

from bucketbrush.adapters.announcements import Bus
from bucketbrush.domain.life import Actor
from bucketbrush.settings import StatusSettings
from bucketbrush.status import Status
from bucketbrush.wiring.provider import provider_of
from bucketbrush.wiring.shared import CONFIG, lazily, ledger_of, session, settings_of


def build_status() -> Status:
    settings = settings_of(StatusSettings)
    return Status(
        settings=settings,
        ledger=ledger_of(settings, Actor.STATUS),
        bus=Bus(lazily(lambda: session().client("events", config=CONFIG))),
        connect=lambda: provider_of(settings),
        now=time.time,
        jitter=random.random,
    )
