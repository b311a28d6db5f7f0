"""The API key is rotated under jobs that wait and jobs that come, and nothing is deployed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workflow.conftest import System


class Rotation:
    """From the first key to the second, in two places: at the provider and in the secret."""

    def __init__(self, system: System, name: str) -> None:
        self.system = system
        self.first = system.stack.simulator.api_key
        self.second = f"{self.first}-{name}"

    def at_provider(self, key: str) -> None:
        self.system.stack.simulator.change_key(key)

    def in_secret(self, key: str) -> None:
        arn = self.system.output("ApiKeySecretArn")
        self.system.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=key)


@pytest.fixture
def rotation(system: System, request: pytest.FixtureRequest) -> Iterator[Rotation]:
    """To a key that no environment can have in its cache from another test."""
    made = Rotation(system, request.node.name)
    yield made
    made.at_provider(made.first)
    made.in_secret(made.first)


def drop(system: System, name: str) -> str:
    system.stack.drop(f"inbox/{name}.png", picture())
    return system.job_of(f"inbox/{name}.png")


def waiting(system: System, name: str) -> str:
    """A job that waits for its task, three of whose looks fail before it can be seen done."""
    system.preset(name, prompt="fault:status-500=3")
    job_id = drop(system, f"{name}/cat")
    system.until_state(job_id, "waiting")
    return job_id


def completed(system: System, *jobs: str) -> None:
    """All are, and each was paid for once."""
    ended = {job_id: (system.execution(job_id)["status"], len(system.tasks(job_id))) for job_id in jobs}
    assert ended == dict.fromkeys(jobs, ("SUCCEEDED", 1))
    assert {system.result(job_id)["outcome"] for job_id in jobs} == {"completed"}


def held_for_a_new_key(system: System) -> list[str]:
    """The lines of the submits that were refused for the old key while there was a new one."""
    group = "/bucketbrush/bucketbrush-local/submit"
    pages = system.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    return [line for line in lines if "the secret holds another API key by now" in line]


def test_a_rotated_key_ends_no_job(system: System, rotation: Rotation) -> None:
    """Every environment has the old key in its cache: what it sends is refused, and sent again with the new one."""
    system.preset("default")
    looked_at = waiting(system, "before")
    with system.gate.closed():
        held = drop(system, "held")
        until(lambda: "hold_until" in (system.row(held) or {}), "it is held")
        rotation.in_secret(rotation.second)
        rotation.at_provider(rotation.second)
    sent = [drop(system, f"rotated-{number}") for number in range(2)]
    completed(system, looked_at, held, *sent)
    until(lambda: held_for_a_new_key(system), "a submit was refused for the old key")


def test_while_the_secret_has_the_old_key_what_is_sent_fails_unpaid_and_what_was_sent_waits(
    system: System, rotation: Rotation
) -> None:
    system.preset("default")
    looked_at = waiting(system, "meanwhile")
    rotation.at_provider(rotation.second)
    refused = drop(system, "refused")
    assert system.execution(refused)["status"] == "FAILED"
    result = system.result(refused)
    assert (result["outcome"], result["reason"], result["money"]) == ("failed", "KeyRefused", "not moved")
    assert system.tasks(refused) == []
    assert (system.row(looked_at) or {})["state"] == {"S": "waiting"}
    rotation.in_secret(rotation.second)
    completed(system, looked_at, drop(system, "rotated"))
