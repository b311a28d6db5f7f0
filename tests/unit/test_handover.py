"""How the provider gets to the pictures: by link or by upload, in order, within the time that there is."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.deadlines import LINK_SECONDS
from bucketbrush.domain.errors import (
    ApiKeyMissing,
    HandoverUnfinished,
    KeyRefused,
    KeyReplaced,
    Money,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RateLimited,
    SubmitUnanswered,
)
from bucketbrush.domain.jobs import Job, Outcome
from bucketbrush.domain.life import State
from bucketbrush.handover import REUSE_SECONDS
from bucketbrush.prepare import Prepare
from bucketbrush.settings import ReferenceHandover, UnknownPolicy
from bucketbrush.submit import Order
from tests.models import OURS
from tests.samples import mask_picture
from tests.unit.fakes import LINK, PNG, PROMPT, SUBMIT_SETTINGS

if TYPE_CHECKING:
    from tests.unit.fakes import World

KEYS = ["references/b.png", "references/a.png", "references/c.png"]
DOCUMENT = {"model": "gpt-image-1.5-official", "prompt": PROMPT, "references": KEYS, "mask": "references/m.png"}


@pytest.fixture(autouse=True)
def pictures(world: World) -> None:
    for key in KEYS:
        world.inbox.put(key, PNG)
    world.inbox.put("references/m.png", mask_picture())


def strategy(world: World, value: ReferenceHandover, **settings: Any) -> None:
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"reference_handover": value, **settings})


def submit(world: World, document: Any = None, seconds: int = 60) -> Job:
    order = Order("direct-1", document=DOCUMENT if document is None else document)
    return world.submit(order, world.invocation(seconds))


def sent(world: World) -> list[str]:
    """The links of the last request, the mask's last."""
    return [*world.api.bodies[-1]["image_urls"], world.api.bodies[-1]["mask_url"]]


def test_links_are_signed_unless_told_otherwise(world: World) -> None:
    submit(world)
    assert sent(world) == [LINK.format(key=key) for key in [*KEYS, "references/m.png"]]
    assert world.api.uploaded == []


def test_uploads_keep_the_order(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    assert submit(world).state is State.WAITING
    assert sent(world) == [f"https://files.toapis.com/uploads/{number}.png" for number in (1, 2, 3, 4)]
    assert [name for name, _, _ in world.api.uploaded] == ["b.png", "a.png", "c.png", "m.png"]
    assert {kind for _, kind, _ in world.api.uploaded} == {"image/png"}
    assert [content for _, _, content in world.api.uploaded] == [PNG, PNG, PNG, mask_picture()]
    assert world.presigner.links == []


def test_auto_uploads_only_what_has_too_long_a_link(world: World) -> None:
    world.presigner.too_long = {"references/a.png"}
    submit(world)
    assert sent(world)[1] == "https://files.toapis.com/uploads/1.png"
    assert [sent(world)[index] for index in (0, 2)] == [LINK.format(key=KEYS[index]) for index in (0, 2)]
    assert len(world.api.uploaded) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ReferenceHandover.PRESIGN, ["references/a.png: found a signed link of 2,049 bytes; allowed: 2,048."]),
        (
            ReferenceHandover.AUTO,
            ["references/a.png: found a signed link", "Nor can it be uploaded", "10,000,001 bytes", "10,000,000"],
        ),
    ],
)
def test_what_can_be_handed_over_neither_way_is_rejected(
    world: World, value: ReferenceHandover, words: list[str]
) -> None:
    strategy(world, value)
    world.presigner.too_long = {"references/a.png"}
    world.inbox.put("references/a.png", _padded(10_000_001))
    verdict = submit(world).verdict
    assert verdict is not None
    assert (verdict.outcome, world.api.bodies) == (Outcome.REJECTED, [])
    assert [word for word in words if word not in verdict.message] == []


@pytest.mark.parametrize(("size", "outcome"), [(10_000_000, None), (10_000_001, Outcome.REJECTED)])
def test_an_upload_has_its_own_limit(world: World, size: int, outcome: Outcome | None) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.inbox.put("references/c.png", _padded(size))
    verdict = submit(world).verdict
    assert (verdict and verdict.outcome) == outcome
    assert verdict is None or "10,000,000 bytes when pictures are handed over by upload" in verdict.message


def test_uploads_that_do_not_fit_go_on_in_the_execution(world: World) -> None:
    """Three of 10 MB want 15 s each: an invocation of 25 s takes one, and keeps what it has."""
    strategy(world, ReferenceHandover.UPLOAD)
    for key in KEYS:
        world.inbox.put(key, _padded(10_000_000))
    world.api.upload_seconds = 8

    states = []
    for _ in range(6):
        job = submit(world, seconds=25)
        states.append((job.state, world.held(job), len(job.uploads)))
        if job.state is State.WAITING:
            break

    assert states[0] == (State.ACCEPTED, 1, 1)
    assert [(state, done) for state, _, done in states[1:]] == [
        (State.ACCEPTED, 2),
        (State.ACCEPTED, 4),
        (State.WAITING, 0),  # nobody needs the links any more
    ]
    assert [name for name, _, _ in world.api.uploaded] == ["b.png", "a.png", "c.png", "m.png"]
    assert sent(world) == [f"https://files.toapis.com/uploads/{number}.png" for number in (1, 2, 3, 4)]
    assert len(world.api.bodies) == 1


def test_a_job_that_waited_for_hours_still_gets_its_uploads_done(world: World) -> None:
    """Holds that grow with a job's age would outlive its uploads."""
    strategy(world, ReferenceHandover.UPLOAD)
    for key in KEYS:
        world.inbox.put(key, _padded(10_000_000))
    world.api.upload_seconds = 8
    world.api.submits = [ProviderBusy("503"), "tsk_1"]
    while submit(world, seconds=25).hold_reason == "HandoverUnfinished":
        world.time += 1
    world.time += 11 * 3600
    for _ in range(8):
        job = submit(world, seconds=25)
        if job.state is State.WAITING:
            break
        world.time = job.hold_until or 0
    assert job.state is State.WAITING
    assert len(world.api.bodies) == 2


def test_a_hand_over_that_never_fits_is_tried_more_and_more_rarely(world: World) -> None:
    """Each try is some events of an execution, which may have 25,000."""
    strategy(world, ReferenceHandover.UPLOAD)
    world.inbox.put(KEYS[0], _padded(10_000_000))
    holds = []
    for _ in range(5):
        held = submit(world, seconds=12)
        holds.append(world.held(held) or 0)
        world.time += 600
    assert (held.state, held.hold_reason) == (State.ACCEPTED, "HandoverUnfinished")
    assert holds == sorted(holds)
    assert holds[-1] > 200


def test_without_time_to_send_the_next_invocation_sends(world: World) -> None:
    """Looking into pictures took long: a request that is killed half-way would be looked for in vain."""
    first = submit(world, seconds=34)
    assert (first.state, first.hold_reason, world.api.bodies) == (State.ACCEPTED, "HandoverUnfinished", [])
    assert submit(world, seconds=34).state is State.WAITING


def test_a_model_that_takes_no_pictures_any_more_sends_nothing(world: World) -> None:
    world.api.submits = [ProviderBusy("503"), "tsk_1"]
    submit(world)
    changed = {**OURS, DOCUMENT["model"]: OURS["gpt-image-1.5-official"].model_copy(update={"mask": None})}
    documents = replace(world.submit.prepare.documents, catalogue=changed)
    use_case = replace(world.submit, prepare=Prepare(documents))
    verdict = use_case(Order("direct-1"), world.invocation()).verdict
    assert verdict is not None
    assert (verdict.outcome, len(world.api.bodies)) == (Outcome.REJECTED, 1)
    assert "takes no such pictures any more" in verdict.message


def test_what_is_handed_over_stays_what_was_looked_into(world: World) -> None:
    """A new version that comes meanwhile is not the job's."""
    strategy(world, ReferenceHandover.UPLOAD)
    world.api.uploads = [f"https://files.toapis.com/uploads/{n}.png" for n in (1, 2)] + [ProviderBusy("503")]
    first = submit(world)
    assert (first.state, len(first.uploads)) == (State.ACCEPTED, 2)
    world.inbox.put("references/c.png", b"no picture any more")
    world.api.uploads = ["https://files.toapis.com/uploads/3.png", "https://files.toapis.com/uploads/4.png"]
    job = submit(world)
    assert job.state is State.WAITING
    assert [content for _, _, content in world.api.uploaded][2] == PNG


def test_an_upload_that_drips_ends_with_the_invocation(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.inbox.put(KEYS[0], _padded(1_000_000))
    world.api.chunk_seconds = 30
    job = submit(world)
    assert (job.state, job.uploads, world.api.bodies) == (State.ACCEPTED, {}, [])
    assert world.held(job)


def test_old_uploads_are_made_anew(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.api.submits = [ProviderBusy("503", 60), "tsk_1"]
    assert len(submit(world).uploads) == 4
    world.time += REUSE_SECONDS
    assert submit(world).state is State.WAITING
    assert len(world.api.uploaded) == 8
    assert sent(world) == [f"https://files.toapis.com/uploads/{number}.png" for number in (5, 6, 7, 8)]


def test_young_uploads_are_used_again_after_a_refusal(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.api.submits = [ProviderBusy("503", 60), "tsk_1"]
    submit(world)
    world.time += REUSE_SECONDS - 1
    assert submit(world).state is State.WAITING
    assert len(world.api.uploaded) == 4


@pytest.mark.parametrize(
    ("answer", "state", "hold"),
    [
        (RateLimited("429", 40), State.ACCEPTED, 40),
        (ProviderBusy("503"), State.ACCEPTED, SUBMIT_SETTINGS.refused_wait_seconds),
        (ProviderUnreachable("broken off"), State.ACCEPTED, SUBMIT_SETTINGS.refused_wait_seconds),
        (KeyReplaced("401"), State.ACCEPTED, 1),
        (HandoverUnfinished("later"), State.ACCEPTED, 1),
    ],
)
def test_an_upload_that_fails_for_now_is_tried_again_and_nothing_is_sent(
    world: World, answer: Exception, state: State, hold: int
) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.api.uploads = [answer]
    job = submit(world)
    assert (job.state, world.held(job), world.api.bodies) == (state, hold, [])


@pytest.mark.parametrize("answer", [ProviderRefused("upload: HTTP 400."), KeyRefused("upload: HTTP 401.")])
def test_an_upload_that_is_refused_ends_the_job_unpaid(world: World, answer: Exception) -> None:
    strategy(world, ReferenceHandover.UPLOAD)
    world.api.uploads = [answer]
    verdict = submit(world).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.money, world.api.bodies) == (Outcome.FAILED, Money.NOT_MOVED, [])


def test_a_resend_uploads_again_what_is_old(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD, unknown_policy=UnknownPolicy.RESEND, lookup_seconds=REUSE_SECONDS)
    world.api.submits = [SubmitUnanswered("lost"), "tsk_2"]
    submit(world)
    world.time += REUSE_SECONDS
    assert submit(world).task_id == "tsk_2"
    assert len(world.api.uploaded) == 8


def test_a_resend_that_cannot_upload_for_a_day_ends_as_unknown(world: World) -> None:
    strategy(world, ReferenceHandover.UPLOAD, unknown_policy=UnknownPolicy.RESEND, lookup_seconds=REUSE_SECONDS)
    world.api.submits = [SubmitUnanswered("lost")]
    submit(world)
    world.api.uploads = [ProviderUnreachable("down")] * 100
    world.time += LINK_SECONDS - 1
    assert submit(world).state is State.SUBMITTING
    world.time += 1
    verdict = submit(world).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.money, len(world.api.bodies)) == (Outcome.UNKNOWN, Money.UNKNOWN, 1)


@pytest.mark.parametrize("answer", [ProviderRefused("upload: HTTP 400."), ApiKeyMissing("no key.")])
def test_a_resend_that_cannot_be_made_leaves_the_job_unknown(world: World, answer: Exception) -> None:
    """The first request may have been paid: a refusal of anything after it does not say that nothing was."""
    strategy(world, ReferenceHandover.UPLOAD, unknown_policy=UnknownPolicy.RESEND, lookup_seconds=REUSE_SECONDS)
    world.api.submits = [SubmitUnanswered("lost")]
    submit(world)
    world.time += REUSE_SECONDS
    world.api.uploads = [answer]
    verdict = submit(world).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.money) == (Outcome.UNKNOWN, Money.UNKNOWN)
    assert "could not be sent again" in verdict.message


def _padded(size: int) -> bytes:
    """A picture of so many bytes: PNG with a private chunk that every reader skips."""
    length = size - len(PNG) - 12
    chunk = length.to_bytes(4, "big") + b"prVt" + bytes(length)
    return PNG[:-12] + chunk + zlib.crc32(chunk[4:]).to_bytes(4, "big") + PNG[-12:]
