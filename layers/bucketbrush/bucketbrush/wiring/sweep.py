"""The sweep function's use case."""

import time

from bucketbrush.adapters.budgets import Budgets
from bucketbrush.adapters.departures import Departures
from bucketbrush.adapters.executions import Executions
from bucketbrush.adapters.finalizer import Finalizer
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.life import Actor
from bucketbrush.settings import SweepSettings
from bucketbrush.sweep import Sweep
from bucketbrush.wiring.shared import CONFIG, dynamodb, ledger_of, session, settings_of


def build_sweep() -> Sweep:
    settings = settings_of(SweepSettings)
    return Sweep(
        settings=settings,
        ledger=ledger_of(settings, Actor.SWEEP),
        executions=Executions(session().client("stepfunctions", config=CONFIG), settings.jobs_machine_arn),
        budgets=Budgets(dynamodb(), settings.limits_table),
        departures=Departures(dynamodb(), settings.limits_table, step_between(settings.submits_per_second)),
        finalizer=Finalizer(session().client("lambda", config=CONFIG), settings.finalize_function),
        now=time.time,
    )
