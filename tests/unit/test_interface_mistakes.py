"""What docs/interface.md says that a newcomer is told is what a newcomer is told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.batches import Mark, count_jobs, lines
from bucketbrush.domain.errors import (
    AGAIN,
    OF_LINE,
    AgainRefused,
    BucketbrushError,
    EventUnreadable,
    RecipeInvalid,
    RequestConflict,
    SettingsInvalid,
)
from bucketbrush.domain.jobs import Job, Line, Outcome
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.life import State
from bucketbrush.intake import BatchLine
from bucketbrush.messages import parse_message, parse_request
from bucketbrush.settings import SubmitSettings, read_settings
from bucketbrush.submit import Order
from tests import interface
from tests.samples import mask_picture
from tests.unit.fakes import INBOX, PNG, SUBMIT_SETTINGS, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bucketbrush.intake import Message

EDITING = "gpt-image-1.5-official"
DOCUMENT = {"model": "gpt-image-2-vip", "prompt": "x"}
MISTAKES = interface.mistakes()
# What stands behind each message and not in the tables.
ADVICE = [kind.advice for kind in (AgainRefused, EventUnreadable, RecipeInvalid, RequestConflict, SettingsInvalid)]


# Each mistake is made in a world with the preset "poster", and gives what is said of it.


def rejected(job: Job) -> str:
    assert job.verdict is not None
    assert job.verdict.outcome is Outcome.REJECTED
    return job.verdict.message


def taken(world: World, message: Message) -> str:
    world.time += 1
    world.intake(message, world.invocation())
    return rejected(world.ledger.rows[world.executions.started[-1]])


def dropped(key: str, content: Any = None, **metadata: str) -> Callable[[World], str]:
    def drop(world: World) -> str:
        world.inbox.metadata[key] = metadata
        text = json.dumps(content).encode() if isinstance(content, dict) else content
        return taken(world, world.drop(key, text))

    return drop


def late_sidecar(world: World) -> str:
    drop = world.drop("inbox/poster/boat.jpg")
    world.time += 5
    world.inbox.put("inbox/poster/boat.jpg.json", b"{}")
    return taken(world, drop)


def unasked_mask(world: World) -> str:
    world.inbox.put("inbox/poster/cat.mask.png", mask_picture())
    return taken(world, world.drop("inbox/poster/cat.jpg"))


def first_line(text: str) -> Callable[[World], str]:
    def batch(world: World) -> str:
        drop = world.drop("inbox/night/boats.jobs.jsonl", text.encode())
        place = Line(number=1, start=0, length=len(text.partition("\n")[0]))
        return taken(world, BatchLine(drop.source, place, "boats-1", 1000))

    return batch


def empty_batch(world: World) -> str:
    drop = world.drop("inbox/night/boats.jobs.jsonl", b"\n")
    with pytest.raises(RecipeInvalid) as refused:
        count_jobs(drop.source, lines([b"\n"], Mark()))
    return str(refused.value)


def started(name: str, document: dict[str, Any]) -> Callable[[World], str]:
    return lambda world: rejected(world.submit(Order(name, document=document), world.invocation()))


def needs_a_file(world: World) -> str:
    world.preset("poster", prompt="A poster of {stem}")
    return started("poster-1", {"preset": "poster"})(world)


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(BucketbrushError) as problem:
        action()
    return str(problem.value)


def message(body: dict[str, Any]) -> Callable[[World], str]:
    return lambda _: refused(lambda: parse_message(json.dumps(body)))


def event(**detail: Any) -> Callable[[World], str]:
    return message({"source": "shop", "detail-type": "Image Job Requested", "detail": {"stack": "here", **detail}})


def call(body: dict[str, Any]) -> Callable[[World], str]:
    return lambda _: refused(lambda: parse_request(body))


def used_id(world: World) -> str:
    request = {"request_id": "order-4712", "caller": "shop", "job": DOCUMENT}
    world.intake.request(parse_request(request), world.invocation())
    other = parse_request({**request, "job": {**DOCUMENT, "n": 2}})
    return refused(lambda: world.intake.request(other, world.invocation()))


def again_when(world: World, job: Job, outcome: str, money: str) -> str:
    verdict = {"outcome": outcome, "money": money, "message": "m"}
    ended = Job.model_validate({**job.model_dump(), "state": State.ENDED, "verdict": verdict})
    world.ledger.rows[job.job_id] = ended
    return refused(lambda: world.again(job.job_id))


def paid(world: World) -> str:
    drop = world.drop("inbox/poster/cat.jpg")
    world.intake(drop, world.invocation())
    return again_when(world, world.row(drop), "partial", "moved")


def no_file(world: World) -> str:
    request = parse_request({"request_id": "order-4711", "job": {"model": "none"}})
    job, _ = world.intake.request(request, world.invocation())
    return again_when(world, job, "rejected", "not moved")


def unversioned(world: World) -> str:
    world.preset("repaint", model=EDITING, mask="required")
    drop = world.drop("inbox/repaint/cat.png")
    source = drop.source.model_copy(update={"version_id": None})
    return taken(world, type(drop)(source, drop.sequencer, drop.at))


def prefix_in_prefix(world: World) -> str:
    given = SUBMIT_SETTINGS.model_dump(mode="json")
    given |= {"lateness_price": "0.2", "inbox_prefix": "photos/", "presets_prefix": "photos/presets/"}
    environment = {name.upper(): str(value) for name, value in given.items()}
    return refused(lambda: read_settings(SubmitSettings, environment))


def presets_elsewhere(world: World) -> str:
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"presets_prefix": "settings/presets/"})
    assert world.submit_settings.inbox == Inbox(INBOX, presets="settings/presets/")
    return taken(world, world.drop("inbox/poster/cat.jpg"))


PROVOKED: dict[str, list[Callable[[World], str]]] = {
    "Drop a picture": [
        dropped("inbox/postr/cat.jpg"),
        dropped("presets/poster.json", {"model": "gpt-image-2-vip", "promt": "x"}),
        dropped("inbox/poster/IMG_1234.HEIC", b"ftypheic"),
    ],
    "What lies beside a picture": [
        late_sidecar,
        dropped("inbox/poster/cat.jpg", **{"bb-promt": "x"}),
        unasked_mask,
    ],
    "Drop a job document": [
        dropped("inbox/stars/starry.job.json", {**DOCUMENT, "references": ["references/cat.png"]}),
        dropped("inbox/stars/starry.job.json", {**DOCUMENT, "references": ["https://example.com/cat.png"]}),
        dropped("inbox/stars/starry.job.json", b'{"model": "gpt-image-2-vip", "prompt": "x",}'),
    ],
    "Drop a batch": [
        first_line(json.dumps(DOCUMENT, indent=2)),
        first_line(json.dumps([DOCUMENT])),
        empty_batch,
    ],
    "Start an execution": [
        started("Starry_Cat", DOCUMENT),
        started("starry-cat-1", {**DOCUMENT, "references": ["cat.png"]}),
        needs_a_file,
    ],
    "Send a message": [
        message({"job": DOCUMENT}),
        message({"request_id": "order-4711", "job": json.dumps(DOCUMENT)}),
        message({"request_id": "order-4711", **DOCUMENT}),
    ],
    "Call the function": [
        call({"job": DOCUMENT}),
        call({"request_id": 4712, "job": DOCUMENT}),
        used_id,
    ],
    "Put an event": [
        event(job=DOCUMENT),
        event(request_id="order-4713", job=json.dumps(DOCUMENT)),
        event(request_id="order-4713", job=DOCUMENT, priority=1),
    ],
    "Run a job again": [
        lambda world: refused(lambda: world.again("cat-5751f74eab2825519149")),
        paid,
        no_file,
    ],
    "Buckets that exist": [unversioned, prefix_in_prefix, presets_elsewhere],
}


@pytest.fixture
def world() -> World:
    made = World()
    made.preset("poster")
    made.inbox.put("references/cat.png", PNG)
    return made


def test_every_table_is_provoked_and_has_three_rows() -> None:
    assert {heading: len(messages) for heading, messages in MISTAKES.items()} == dict.fromkeys(PROVOKED, 3)


@pytest.mark.parametrize(("heading", "row"), [(heading, row) for heading in PROVOKED for row in range(3)])
def test_a_mistake_is_answered_as_documented(world: World, heading: str, row: int) -> None:
    documented = MISTAKES[heading][row].replace("<output InboxBucket>", INBOX)
    said = PROVOKED[heading][row](world)
    pattern = re.escape(documented).replace("<hash>", "[0-9a-f]{20}")
    found = re.fullmatch(f"{pattern} (.+)", said)
    assert found, said
    assert found[1].replace(OF_LINE, AGAIN) in ADVICE
