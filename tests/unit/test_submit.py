"""One object version pays at most once, whatever is delivered how often, and every end is told."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.durations import PRIOR, Histogram, believed, levels
from bucketbrush.domain.errors import (
    AgainRefused,
    ApiKeyMissing,
    JobBusy,
    KeyReplaced,
    Money,
    ProviderBusy,
    ProviderRefused,
    ProviderUnreachable,
    RateLimited,
    SubmitUnanswered,
    TaskUnreadable,
)
from bucketbrush.domain.jobs import Departure, Job, ObjectVersion, Outcome, Share, Verdict, dropped_job_id
from bucketbrush.domain.life import State
from bucketbrush.domain.money import Budget
from bucketbrush.domain.polling import poll_plan
from bucketbrush.domain.verdicts import LINK_SECONDS
from bucketbrush.settings import UnknownPolicy
from bucketbrush.submit import Order
from tests.samples import mask_picture, picture
from tests.unit.fakes import (
    API_KEY,
    DEADLINE_SECONDS,
    INBOX,
    LEASE_SECONDS,
    LINK,
    PNG,
    PROMPT,
    SUBMIT_SETTINGS,
    SWEEP_AFTER_SECONDS,
    emitted,
    looked_at,
    task,
)

if TYPE_CHECKING:
    import io

    from bucketbrush.intake import Drop
    from tests.unit.fakes import World

LOOKUP_SECONDS = SUBMIT_SETTINGS.lookup_seconds
MAX_QUEUE_SECONDS = SUBMIT_SETTINGS.max_queue_seconds
START = 1000
EDITING = {"model": "gpt-image-1.5-official", "prompt": PROMPT}
REFUSED_FOR_NOW = [RateLimited("429"), ProviderBusy("503"), ProviderUnreachable("refused"), KeyReplaced("401")]


def order(drop: Drop) -> Order:
    return Order(dropped_job_id(drop.source, drop.sequencer), source=drop.source)


def submit(world: World, order: Order) -> Job:
    return world.submit(order, world.invocation())


def direct(world: World, document: Any, job_id: str = "direct-1") -> Job:
    """As the workflow calls for a caller's job document."""
    return submit(world, Order(job_id, document=document))


def left_submitting(world: World, drop: Drop) -> None:
    """The answer to the POST is lost."""
    world.api.submits = [SubmitUnanswered("submit: lost.")]
    assert submit(world, order(drop)).state is State.SUBMITTING


def verdict_of(job: Job) -> Verdict:
    """The verdict of a job that ended before there was a task."""
    assert (job.state, job.owner, job.lease_until, job.hold_until) == (State.DECIDED, "", 0, None)
    assert job.verdict is not None
    return job.verdict


def test_a_drop_becomes_one_paid_task(world: World) -> None:
    drop = world.drop("inbox/poster/Cat.JPG", picture("JPEG"))
    world.preset("poster", n=2)
    job = submit(world, order(drop))
    assert world.api.bodies == [
        {
            "model": "gpt-image-2-vip",
            "prompt": PROMPT,
            "size": "1:1",
            "resolution": "1k",
            "quality": "medium",
            "n": 2,
            "response_format": "url",
            "reference_images": [LINK.format(key="inbox/poster/Cat.JPG")],
            "client_business_id": job.job_id,
        }
    ]
    assert world.presigner.links == [looked_at(drop)]
    row = world.row(drop)
    assert row == job
    assert (row.state, row.task_id, row.submitted_at, row.answered_at) == (State.WAITING, "tsk_1", 1000, 1000)
    assert (row.preset, row.source, row.references) == ("poster", drop.source, (looked_at(drop),))
    assert (row.owner, row.lease_until) == ("", 0)


def test_looks_are_planned_by_what_is_known_when_the_job_is_sent(world: World) -> None:
    price, deadline = SUBMIT_SETTINGS.lateness_price, SUBMIT_SETTINGS.deadline_seconds
    world.preset("poster")
    first = submit(world, order(world.drop("inbox/poster/cat.png")))
    assert first.plan == poll_plan(PRIOR, price, deadline)
    quick = Histogram()
    for _ in range(50):
        quick = quick.added({24: 1.0})  # 8 seconds
    world.durations.rows[levels(first)[0]] = quick
    world.time += 10
    second = submit(world, order(world.drop("inbox/poster/more.png")))
    assert second.plan == poll_plan(believed([quick]), price, deadline)
    assert sum(second.plan[:2]) < first.plan[0]


def test_a_plan_needs_no_knowledge(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.durations.is_gone = True
    world.preset()
    job = submit(world, order(world.drop()))
    assert (job.state, job.plan[0]) == (State.WAITING, poll_plan(PRIOR, 0.2, DEADLINE_SECONDS)[0])
    assert len(emitted(capsys.readouterr().out, "DurationsUnavailable")) == 1


def test_five_deliveries_pay_once(world: World) -> None:
    drop = world.drop()
    jobs = [submit(world, order(drop)) for _ in range(5)]
    assert len(world.api.bodies) == 1
    assert {job.task_id for job in jobs} == {"tsk_1"}


def test_the_row_says_submitting_while_the_request_is_under_way(world: World) -> None:
    drop = world.drop()
    seen: list[Job] = []
    world.api.during_submit = lambda: seen.append(world.row(drop))
    submit(world, order(drop))
    assert [(row.state, row.submitting_at, row.recipe is not None) for row in seen] == [(State.SUBMITTING, 1000, True)]


def test_a_live_lease_keeps_others_out_and_an_expired_one_does_not(world: World) -> None:
    drop = world.drop()
    holder = world.invocation()
    world.ledger.put(
        Job(
            job_id=order(drop).job_id,
            state=State.ACCEPTED,
            created_at=1000,
            source=drop.source,
            owner=holder.id,
            lease_until=holder.lease_until,
        )
    )
    world.time += LEASE_SECONDS - 1
    with pytest.raises(JobBusy, match="1 s more"):
        submit(world, order(drop))
    assert world.row(drop).owner == holder.id
    world.time += 1
    assert submit(world, order(drop)).state is State.WAITING
    assert len(world.api.bodies) == 1


def test_two_that_see_the_same_free_row_do_not_both_go_on(world: World) -> None:
    drop = world.drop()
    world.api.submits = [ProviderBusy("503"), "tsk_1"]
    submit(world, order(drop))

    def another() -> None:
        with pytest.raises(JobBusy):
            submit(world, order(drop))

    world.api.during_submit = another
    assert submit(world, order(drop)).state is State.WAITING
    assert len(world.api.bodies) == 2


def test_a_killed_submit_is_looked_up_and_never_sent_again(world: World) -> None:
    drop = world.drop()
    world.api.during_submit = _killed
    with pytest.raises(KeyboardInterrupt):
        submit(world, order(drop))
    assert world.row(drop).state is State.SUBMITTING
    with pytest.raises(JobBusy):
        submit(world, order(drop))
    world.time += LEASE_SECONDS
    world.api.found = task()
    assert submit(world, order(drop)).state is State.WAITING
    assert (len(world.api.bodies), world.api.finds) == (1, [order(drop).job_id])


def _killed() -> None:
    raise KeyboardInterrupt


def test_a_lost_answer_is_looked_up_until_found(world: World) -> None:
    drop = world.drop()
    left_submitting(world, drop)
    world.time += LOOKUP_SECONDS - 1
    held = submit(world, order(drop))
    assert (held.state, world.held(held)) == (State.SUBMITTING, 29)  # a tenth of the time that it took so far
    world.api.found = TaskUnreadable("status: HTTP 500.")
    assert submit(world, order(drop)).state is State.SUBMITTING
    world.api.found = task()
    found = submit(world, order(drop))
    assert (found.state, found.task_id, found.hold_until) == (State.WAITING, "tsk_1", None)
    assert len(world.api.bodies) == 1


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 20), (5, 20), (77, 77)])
def test_a_look_up_waits_as_long_as_the_provider_asks(world: World, retry_after: int | None, seconds: int) -> None:
    world.preset()
    drop = world.drop()
    left_submitting(world, drop)
    world.time += 30
    world.api.found = TaskUnreadable("status: HTTP 429.", None, retry_after)
    assert world.held(submit(world, order(drop))) == seconds


@pytest.mark.parametrize("answer", [ProviderUnreachable("refused"), RateLimited("429")])
def test_holds_grow_with_the_trouble(world: World, answer: Exception) -> None:
    """An execution ends with its 25,000th event; a round of Hold, Submit and Known takes nine."""
    drop = world.drop()
    world.api.submits = [answer]
    rounds, began = 0, world.time
    while world.time - began < 86_400:
        world.time = submit(world, order(drop)).hold_until or 0
        rounds += 1
    assert rounds < 25_000 / 9 / 10


def test_the_wait_that_the_provider_asks_for_is_the_least(world: World) -> None:
    drop = world.drop()
    world.api.submits = [RateLimited("429", retry_after=40)]
    assert world.held(submit(world, order(drop))) == 40
    world.time += 1000
    assert world.held(submit(world, order(drop))) == 100


def test_a_lost_answer_that_nobody_finds_is_unknown(world: World) -> None:
    drop = world.drop()
    left_submitting(world, drop)
    world.time += LOOKUP_SECONDS
    verdict = verdict_of(submit(world, order(drop)))
    assert (verdict.outcome, verdict.money) == (Outcome.UNKNOWN, Money.UNKNOWN)
    assert "300 s later" in verdict.message
    assert (len(world.api.bodies), world.api.finds) == (1, [order(drop).job_id])


@pytest.mark.parametrize("policy", UnknownPolicy)
@pytest.mark.parametrize("problem", [TaskUnreadable("status: HTTP 500."), ApiKeyMissing("secret: none.")])
def test_not_being_able_to_look_is_not_finding_nothing_for_a_day(
    world: World, problem: Exception, policy: UnknownPolicy
) -> None:
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"unknown_policy": policy})
    drop = world.drop()
    left_submitting(world, drop)
    if isinstance(problem, ApiKeyMissing):
        world.no_key = problem
    world.api.found = problem
    world.time += LINK_SECONDS - 1
    assert submit(world, order(drop)).state is State.SUBMITTING
    world.time += 1
    verdict = verdict_of(submit(world, order(drop)))
    assert (verdict.outcome, verdict.money, len(world.api.bodies)) == (Outcome.UNKNOWN, Money.UNKNOWN, 1)
    assert problem.args[0] in verdict.message


@pytest.mark.parametrize(
    ("answer", "state", "hold"),
    [
        (RateLimited("429", 7), State.ACCEPTED, 7),
        (RateLimited("429"), State.ACCEPTED, SUBMIT_SETTINGS.refused_wait_seconds),
        (ProviderBusy("503", 7), State.ACCEPTED, 7),
        (ProviderBusy("503"), State.ACCEPTED, SUBMIT_SETTINGS.refused_wait_seconds),
        (ProviderUnreachable("refused"), State.ACCEPTED, SUBMIT_SETTINGS.refused_wait_seconds),
        (KeyReplaced("401"), State.ACCEPTED, 1),
        (SubmitUnanswered("lost"), State.SUBMITTING, SUBMIT_SETTINGS.lookup_wait_seconds),
    ],
)
def test_what_is_not_an_end_waits(world: World, answer: Exception, state: State, hold: int) -> None:
    drop = world.drop()
    world.api.submits = [answer]
    job = submit(world, order(drop))
    assert (job.state, world.held(job), job.owner, job.lease_until) == (state, hold, "", 0)
    assert job.hold_reason == type(answer).__name__
    assert world.row(drop) == job


def test_a_refusal_for_now_is_sent_again_with_the_same_recipe_and_a_new_link(world: World) -> None:
    drop = world.drop()
    world.api.submits = [RateLimited("429", 5), "tsk_2"]
    world.time = submit(world, order(drop)).hold_until or 0
    world.preset(prompt="another one by now")
    job = submit(world, Order(order(drop).job_id, document={"job_id": "as the workflow sends it"}))
    assert (job.state, job.task_id, job.submitting_at, job.hold_until) == (State.WAITING, "tsk_2", 1005, None)
    assert world.api.bodies[0] == world.api.bodies[1]
    assert len(world.presigner.links) == 2


def test_a_clear_no_is_an_end(world: World) -> None:
    drop = world.drop()
    world.api.submits = [ProviderRefused("submit: HTTP 402, insufficient_quota.")]
    verdict = verdict_of(submit(world, order(drop)))
    assert (verdict.outcome, verdict.money) == (Outcome.FAILED, Money.NOT_MOVED)
    assert "402" in verdict.message
    assert "Nothing was paid" in verdict.message
    submit(world, order(drop))
    assert len(world.api.bodies) == 1


def rejection(world: World, job: Job) -> str:
    verdict = verdict_of(job)
    assert (verdict.outcome, verdict.money, world.api.bodies) == (Outcome.REJECTED, Money.NOT_MOVED, [])
    return verdict.message


@pytest.mark.parametrize(
    ("key", "content", "preset", "words"),
    [
        ("inbox/cat.gif", b"GIF89a", {}, ["inbox/cat.gif", ".gif", ".png, .jpg, .jpeg"]),
        ("inbox/cat.png", b"", {}, ["0 bytes", "1 to 50,000,000"]),
        ("inbox/cat.png", b"<html>", {}, ["inbox/cat.png: found ", "HTML", "PNG"]),
        ("inbox/art/cat.png", PNG, {}, ["preset art", f"no object s3://{INBOX}/presets/art.json", '"model"']),
        ("inbox/cat.png", PNG, {"n": 11}, ["presets/default.json: n: found 11", "1 to 10"]),
        ("inbox/cat.png", PNG, {"model": "gpt-5"}, ['model: found "gpt-5"', "gpt-image-2-vip"]),
        ("inbox/cat.png", PNG, {"references": []}, ["references: found for a dropped picture"]),
    ],
)
def test_a_wrong_drop_is_rejected_with_what_is_allowed(
    world: World, key: str, content: bytes, preset: dict[str, Any], words: list[str]
) -> None:
    world.preset(**preset)
    message = rejection(world, submit(world, order(world.drop(key, content))))
    assert [word for word in words if word not in message] == []
    assert PROMPT not in message


def test_a_preset_that_is_no_json_is_rejected(world: World) -> None:
    world.inbox.put("presets/default.json", b"{prompt: 1}")
    assert "no JSON at line 1, column 2" in rejection(world, submit(world, order(world.drop())))


def test_a_version_that_was_deleted_is_rejected(world: World) -> None:
    drop = world.drop()
    del world.inbox.versions["inbox/cat.png"]
    assert "deleted" in rejection(world, submit(world, order(drop)))


def test_without_a_key_nothing_is_sent(world: World) -> None:
    world.no_key = ApiKeyMissing("secret arn:secret: found no value.")
    message = rejection(world, submit(world, order(world.drop())))
    assert "arn:secret" in message
    assert "put-secret-value" in message


def test_a_caller_may_bring_a_document(world: World) -> None:
    first, second = world.drop("inbox/a.png"), world.drop("inbox/b.png")
    document = {
        "model": "gpt-image-1.5-official",
        "prompt": PROMPT,
        "references": ["inbox/b.png", f"s3://{INBOX}/inbox/a.png"],
    }
    job = direct(world, document)
    assert (job.state, job.source, job.preset) == (State.WAITING, None, None)
    assert job.references == (second.source, first.source)
    assert world.api.bodies[0]["image_urls"] == [LINK.format(key="inbox/b.png"), LINK.format(key="inbox/a.png")]


def dropped(world: World, document: Any, key: str = "inbox/poster/cat.job.json") -> Job:
    """A job document comes as a file."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return submit(world, order(world.drop(key, content)))


def test_a_job_document_may_be_dropped(world: World) -> None:
    pictures = [world.drop(f"inbox/poster/references/{name}.png").source for name in ("b", "a")]
    mask = world.drop("inbox/poster/references/m.png", mask_picture()).source
    document = {
        "model": "gpt-image-1.5-official",
        "prompt": PROMPT,
        "references": ["references/b.png", "references/a.png"],
        "mask": "references/m.png",
        "n": 2,
    }
    job = dropped(world, document, "inbox/poster/Cat.JOB.json")
    assert (job.state, job.preset, job.references, job.mask) == (State.WAITING, None, tuple(pictures), mask)
    body = world.api.bodies[0]
    assert body["image_urls"] == [LINK.format(key=picture.key) for picture in pictures]
    assert (body["mask_url"], body["n"]) == (LINK.format(key="inbox/poster/references/m.png"), 2)
    assert "references" not in body


def test_the_document_is_read_in_the_version_that_was_dropped(world: World) -> None:
    drop = world.drop("inbox/a.job.json", json.dumps({"model": "gpt-image-2-vip", "prompt": "first"}).encode())
    world.inbox.put("inbox/a.job.json", json.dumps({"model": "gpt-image-2-vip", "prompt": "second"}).encode())
    submit(world, order(drop))
    assert [body["prompt"] for body in world.api.bodies] == ["first"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", ["inbox/poster/cat.job.json: found no JSON at line 1"]),
        (b"", ["inbox/poster/cat.job.json: found no JSON"]),
        (b" " * 262_145, ["more than 262,144 bytes"]),
        ([], ["found a list of 0; allowed: a JSON object"]),
        (
            {"model": "gpt-image-2-vip", "prompt": "", "size": "7:5", "n": 0, "references": ["../../x.png"], "a": 1},
            ["prompt: found", "size: found", "n: found", "references: found [0]", '"a"'],
        ),
        (
            {**EDITING, "references": ["no.png", "notes.txt", "page.png"], "mask": "gone.png"},
            [
                "poster/no.png: found no such object",
                "the suffix .txt",
                "page.png: found ",
                "HTML",
                "gone.png: found no",
            ],
        ),
        ({**EDITING, "references": ["cat.png"], "mask": "cat.png"}, ["inbox/poster/cat.png: found ", "alpha"]),
        ({**EDITING, "references": ["cat.png"], "mask": "m.png"}, ["m.png: found a PNG picture", "9 x 9", "96 x 64"]),
    ],
)
def test_one_message_says_everything_that_is_wrong_with_a_document(
    world: World, document: Any, words: list[str]
) -> None:
    world.inbox.put("inbox/poster/notes.txt", b"hello")
    world.inbox.put("inbox/poster/page.png", b"<!DOCTYPE html><html></html>")
    world.inbox.put("inbox/poster/cat.png", PNG)
    world.inbox.put("inbox/poster/m.png", mask_picture((9, 9)))
    message = rejection(world, dropped(world, document))
    assert [word for word in words if word not in message] == []


def test_text_alone_needs_no_reference(world: World) -> None:
    direct(world, {"model": "gpt-image-2-vip", "prompt": PROMPT})
    assert "reference_images" not in world.api.bodies[0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "execution input: model: found no such field"),
        (None, "execution input: model: found no such field"),
        ([1, 2], "execution input: found a list of 2; allowed: a JSON object"),
        ("text", 'execution input: found "text"; allowed: a JSON object'),
        (
            {"model": "gpt-image-2-vip", "prompt": PROMPT, "references": ["inbox/no.png"]},
            "inbox/no.png: found no such object in bucket inbox-bucket",
        ),
        ({"model": "gpt-image-2-vip", "prompt": PROMPT, "references": ["inbox/a.txt"]}, "the suffix .txt"),
        ({"model": "gpt-image-2-vip", "prompt": PROMPT, "references": 0}, "references: found 0"),
    ],
)
def test_a_wrong_document_is_rejected(world: World, document: Any, words: str) -> None:
    world.drop("inbox/a.txt")
    assert words in rejection(world, direct(world, document))


@pytest.mark.parametrize("name", ["Upper", "a_b", "a" * 65, "猫"])
def test_an_execution_name_that_is_no_job_id_is_rejected(world: World, name: str) -> None:
    document = {"model": "gpt-image-2-vip", "prompt": PROMPT}
    assert "a-z, 0-9 and -" in rejection(world, direct(world, document, name))


def test_a_fault_frees_the_lease_so_that_the_next_try_begins_at_once(world: World) -> None:
    drop = world.drop()
    world.no_key = RuntimeError("the secret service is down")
    with pytest.raises(RuntimeError):
        submit(world, order(drop))
    assert (world.row(drop).state, world.row(drop).owner, world.row(drop).lease_until) == (State.ACCEPTED, "", 0)
    world.no_key = None
    assert submit(world, order(drop)).state is State.WAITING


def test_a_fault_of_a_late_invocation_does_not_free_the_lease_of_another(world: World) -> None:
    drop = world.drop()

    def taken_over() -> None:
        world.ledger.rows[order(drop).job_id] = world.row(drop).model_copy(update={"owner": "other"})

    world.api.during_submit = taken_over
    with pytest.raises(JobBusy):
        submit(world, order(drop))
    assert world.row(drop).owner == "other"


@pytest.mark.parametrize(
    ("answer", "state", "wait"),
    [
        ("tsk_1", State.WAITING, 0),
        (RateLimited("429", 40), State.ACCEPTED, 40),
        (SubmitUnanswered("lost"), State.SUBMITTING, SUBMIT_SETTINGS.lookup_wait_seconds),
        (ProviderRefused("402"), State.DECIDED, 0),
    ],
)
def test_the_sweep_asks_some_time_after_the_next_step_is_due(
    world: World, answer: Any, state: State, wait: int
) -> None:
    world.api.submits = [answer]
    world.time += 7
    job = submit(world, order(world.drop()))
    assert (job.state, job.next_check) == (state, START + 7 + wait + SWEEP_AFTER_SECONDS)


def test_the_sweep_finds_a_job_whose_first_submit_was_killed(world: World) -> None:
    drop = world.drop()
    world.api.during_submit = _killed
    with pytest.raises(KeyboardInterrupt):
        submit(world, order(drop))
    assert world.row(drop).next_check == START + SWEEP_AFTER_SECONDS


# ---- MaxQueueSeconds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", REFUSED_FOR_NOW)
def test_a_job_that_could_not_be_sent_expires_unpaid_at_the_second(world: World, answer: Exception) -> None:
    drop = world.drop()
    world.api.submits = [answer]
    submit(world, order(drop))
    world.time = START + MAX_QUEUE_SECONDS - 1
    held = submit(world, order(drop))
    assert (held.state, world.held(held), len(world.api.bodies)) == (State.ACCEPTED, 1, 2)
    world.time += 1
    verdict = verdict_of(submit(world, order(drop)))
    assert (verdict.outcome, verdict.money, len(world.api.bodies)) == (Outcome.EXPIRED, Money.NOT_MOVED, 2)
    assert [word for word in ("86,400 s", "MaxQueueSeconds", "nothing was paid") if word not in verdict.message] == []


@pytest.mark.parametrize(("left", "hold"), [(8641, 8640), (8640, 8640), (8639, 8639), (3, 3), (1, 1)])
def test_nobody_waits_longer_to_be_sent_than_the_job_may(world: World, left: int, hold: int) -> None:
    drop = world.drop()
    world.api.submits = [RateLimited("429", 3)]
    submit(world, order(drop))
    world.api.submits = [RateLimited("429", 8640)]
    world.time = START + MAX_QUEUE_SECONDS - left
    assert world.held(submit(world, order(drop))) == hold


def test_what_was_sent_does_not_expire_while_it_is_looked_up(world: World) -> None:
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"max_queue_seconds": 100})
    drop = world.drop()
    left_submitting(world, drop)
    world.time += 200
    assert submit(world, order(drop)).state is State.SUBMITTING


# ---- UnknownPolicy ---------------------------------------------------------------------------------------------------


@pytest.fixture
def resending(world: World) -> World:
    """A world that sends a submit again whose task nobody finds."""
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"unknown_policy": UnknownPolicy.RESEND})
    return world


def resent(world: World, drop: Drop, answer: Any) -> Job:
    """The answer to the first POST is lost, nobody finds its task, and the second POST gets this answer."""
    left_submitting(world, drop)
    world.time += LOOKUP_SECONDS
    world.api.submits = [answer]
    return submit(world, order(drop))


def test_policy_hold_never_sends_twice(world: World) -> None:
    verdict = verdict_of(resent(world, world.drop(), "tsk_2"))
    assert (verdict.outcome, len(world.api.bodies)) == (Outcome.UNKNOWN, 1)


def test_policy_resend_sends_once_more_with_the_same_id_and_a_new_link(resending: World) -> None:
    drop = resending.drop()
    job = resent(resending, drop, "tsk_2")
    assert (job.state, job.task_id, job.resends, job.submitting_at) == (State.WAITING, "tsk_2", 1, START + 300)
    first, second = resending.api.bodies
    assert first == second
    assert second["client_business_id"] == job.job_id
    assert resending.presigner.links == [looked_at(drop)] * 2


def test_nothing_is_sent_again_that_is_found_or_not_yet_looked_for_long_enough(resending: World) -> None:
    drop = resending.drop()
    left_submitting(resending, drop)
    resending.time += LOOKUP_SECONDS - 1
    assert submit(resending, order(drop)).resends == 0
    resending.time += 1
    resending.api.found = TaskUnreadable("status: HTTP 500.")
    assert submit(resending, order(drop)).resends == 0
    resending.api.found = task()
    assert submit(resending, order(drop)).task_id == "tsk_1"
    assert len(resending.api.bodies) == 1


SECOND_ANSWERS = [
    RateLimited("429", 40),
    ProviderBusy("503", 40),
    ProviderUnreachable("refused"),
    KeyReplaced("401"),
    ProviderRefused("submit: HTTP 402."),
    SubmitUnanswered("lost"),
]


@pytest.mark.parametrize("answer", SECOND_ANSWERS, ids=lambda answer: type(answer).__name__)
def test_nothing_is_sent_a_third_time_or_called_unpaid(resending: World, answer: Exception) -> None:
    drop = resending.drop()
    held = resent(resending, drop, answer)
    while held.state is State.SUBMITTING:
        assert (held.owner, held.lease_until, held.resends, len(resending.api.bodies)) == ("", 0, 1, 2)
        assert resending.held(held)
        resending.time = held.hold_until or 0
        held = submit(resending, order(drop))
    assert resending.time >= START + 2 * LOOKUP_SECONDS  # the second one has its time to be found
    verdict = verdict_of(held)
    assert (verdict.outcome, verdict.money) == (Outcome.UNKNOWN, Money.UNKNOWN)
    assert "othing was paid" not in verdict.message
    assert len(resending.api.bodies) == 2


@pytest.mark.parametrize("answer", SECOND_ANSWERS, ids=lambda answer: type(answer).__name__)
def test_whichever_of_the_two_is_found_is_the_task(resending: World, answer: Exception) -> None:
    drop = resending.drop()
    assert resent(resending, drop, answer).state is State.SUBMITTING
    resending.api.found = task()
    assert submit(resending, order(drop)).state is State.WAITING
    assert len(resending.api.bodies) == 2


def test_a_second_submit_that_is_killed_is_looked_up_and_never_sent_again(resending: World) -> None:
    drop = resending.drop()
    resending.api.during_submit = lambda: _killed() if len(resending.api.bodies) > 1 else None
    with pytest.raises(KeyboardInterrupt):
        resent(resending, drop, "tsk_2")
    for _ in range(2):
        resending.time += LOOKUP_SECONDS
        job = submit(resending, order(drop))
    assert (job.state, len(resending.api.bodies)) == (State.DECIDED, 2)


# ---- Money -----------------------------------------------------------------------------------------------------------

MONTH, NEXT_MONTH = "1970-01", "1970-02"
PRICE = 20_000  # millionths of a US dollar, what a picture is assumed to cost
UNPRICED: dict[str, Any] = {"assumed_price_usd": Decimal(0)}


def budgeted(world: World, usd: str, **settings: Any) -> None:
    """From now on a month may cost so much."""
    changes = {"monthly_budget_usd": Decimal(usd), **settings}
    world.submit_settings = world.submit_settings.model_copy(update=changes)


def budget(world: World, month: str = MONTH) -> tuple[int, int]:
    """What is committed, and how much of it is spent."""
    row = world.ledger.budgets.read(month)
    return row.committed, row.spent


def test_what_a_job_costs_is_reserved_with_the_intent(world: World) -> None:
    budgeted(world, "1")
    world.preset(n=3)
    drop = world.drop()
    seen: list[tuple[State, int | None, Share | None, tuple[int, int]]] = []

    def look() -> None:
        row = world.row(drop)
        seen.append((row.state, row.estimated, row.share, budget(world)))

    world.api.during_submit = look
    job = submit(world, order(drop))
    share = Share(month=MONTH, reserved=3 * PRICE)
    assert seen == [(State.SUBMITTING, 3 * PRICE, share, (3 * PRICE, 0))]
    assert (job.state, job.estimated, job.share, budget(world)) == (State.WAITING, 3 * PRICE, share, (3 * PRICE, 0))


def test_the_price_list_comes_before_what_is_assumed(world: World) -> None:
    world.preset(n=2, quality="low", resolution="1k")
    assert submit(world, order(world.drop())).estimated == 3800


def test_without_a_budget_nothing_is_reserved(world: World) -> None:
    job = submit(world, order(world.drop()))
    assert (job.state, job.estimated, job.share) == (State.WAITING, PRICE, None)
    assert world.ledger.budgets.months == {}


def test_without_a_price_and_a_budget_a_job_is_sent_without_an_estimate(world: World) -> None:
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update=UNPRICED)
    job = submit(world, order(world.drop()))
    assert (job.state, job.estimated, job.share) == (State.WAITING, None, None)


def test_under_a_budget_a_job_without_a_price_is_rejected_naming_what_has_none(world: World) -> None:
    budgeted(world, "1", **UNPRICED)
    drop = world.drop()
    message = rejection(world, submit(world, order(drop)))
    words = [
        "price: found none for model gpt-image-2-vip, resolution 1k, quality medium",
        "allowed under a budget: one in the model's price list, or AssumedPriceUsd above 0",
    ]
    assert [word for word in words if word not in message] == []
    verdict = verdict_of(world.row(drop))
    assert (verdict.reason, world.row(drop).share, world.ledger.budgets.months) == ("PriceUnknown", None, {})
    assert world.departures.asked == 0


def test_under_a_budget_a_job_of_known_price_needs_no_assumed_one(world: World) -> None:
    budgeted(world, "1", **UNPRICED)
    world.preset(quality="low", resolution="1k")
    job = submit(world, order(world.drop()))
    assert (job.state, job.share, budget(world)) == (State.WAITING, Share(month=MONTH, reserved=1900), (1900, 0))


def test_a_job_that_fits_to_the_last_millionth_is_sent_and_the_next_is_rejected_and_free_again(world: World) -> None:
    budgeted(world, "0.04")
    world.preset(n=2)
    assert submit(world, order(world.drop("inbox/a.png"))).state is State.WAITING
    world.time += 1
    world.preset(n=1)
    drop = world.drop("inbox/b.png")
    job = submit(world, order(drop))
    verdict = verdict_of(job)
    assert (verdict.outcome, verdict.reason, verdict.money) == (Outcome.REJECTED, "BudgetExceeded", Money.NOT_MOVED)
    words = ["found 40000", "allowed: 40000", "MonthlyBudgetUsd", "Nothing was sent and nothing was paid"]
    assert [word for word in words if word not in verdict.message] == []
    assert (len(world.api.bodies), job.share, budget(world)) == (1, None, (2 * PRICE, 0))
    told = world.finalize(job.job_id, None, world.invocation())
    assert (told.model, told.estimated_usd, told.billed_usd) == ("gpt-image-2-vip", 0.02, None)
    budgeted(world, "0.06")
    world.time += 1
    world.again(job.job_id)
    second = world.ledger.rows[f"{job.job_id}-2"]
    assert (second.state, second.share) == (State.WAITING, Share(month=MONTH, reserved=PRICE))
    assert (len(world.api.bodies), budget(world)) == (2, (3 * PRICE, 0))


def test_each_month_has_its_own_budget(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    budgeted(world, "0.02")
    submit(world, order(world.drop("inbox/a.png")))
    assert emitted(capsys.readouterr().out, "JobsOverBudget") == []
    world.time = 31 * 86_400 - 1
    assert verdict_of(submit(world, order(world.drop("inbox/b.png")))).reason == "BudgetExceeded"
    assert len(emitted(capsys.readouterr().out, "JobsOverBudget")) == 1
    world.time += 1
    job = submit(world, order(world.drop("inbox/c.png")))
    assert (job.state, job.share) == (State.WAITING, Share(month=NEXT_MONTH, reserved=PRICE))
    assert (budget(world), budget(world, NEXT_MONTH)) == ((PRICE, 0), (PRICE, 0))


@pytest.mark.parametrize("answer", REFUSED_FOR_NOW)
def test_what_is_reserved_is_kept_over_a_refusal_for_now(world: World, answer: Exception) -> None:
    """Also when the month ends meanwhile, or the budget has no room left for it: it has its share."""
    budgeted(world, "0.02")
    drop = world.drop()
    world.api.submits = [answer, "tsk_1"]
    held = submit(world, order(drop))
    share = Share(month=MONTH, reserved=PRICE)
    assert (held.state, held.share, budget(world)) == (State.ACCEPTED, share, (PRICE, 0))
    budgeted(world, "0.01", max_queue_seconds=40 * 86_400)
    world.time = 31 * 86_400
    sent = submit(world, order(drop))
    assert (sent.state, sent.share, len(world.api.bodies)) == (State.WAITING, share, 2)
    assert world.ledger.budgets.months == {MONTH: Budget(month=MONTH, committed=PRICE)}


def test_what_is_reserved_is_kept_when_the_budget_is_taken_away(world: World) -> None:
    budgeted(world, "1")
    drop = world.drop()
    world.api.submits = [ProviderBusy("503"), "tsk_1"]
    submit(world, order(drop))
    budgeted(world, "0")
    sent = submit(world, order(drop))
    assert (sent.state, sent.share, budget(world)) == (State.WAITING, Share(month=MONTH, reserved=PRICE), (PRICE, 0))


@pytest.mark.parametrize("answer", ["tsk_2", *SECOND_ANSWERS], ids=lambda answer: type(answer).__name__)
def test_what_may_be_paid_twice_is_reserved_twice(resending: World, answer: Any) -> None:
    """In the month that has its share already, also when the next one has begun."""
    budgeted(resending, "0.04")
    resending.time = 31 * 86_400 - 1
    drop = resending.drop()
    left_submitting(resending, drop)
    assert (resending.row(drop).share, budget(resending)) == (Share(month=MONTH, reserved=PRICE), (PRICE, 0))
    resending.time += LOOKUP_SECONDS
    resending.api.submits = [answer]
    held = submit(resending, order(drop))
    while held.state is State.SUBMITTING:
        resending.time = held.hold_until or 0
        held = submit(resending, order(drop))
    assert held.share == Share(month=MONTH, reserved=2 * PRICE)
    assert resending.ledger.budgets.months == {MONTH: Budget(month=MONTH, committed=2 * PRICE)}
    assert len(resending.api.bodies) == 2


def test_what_cannot_be_reserved_twice_is_not_sent_twice_and_unknown(resending: World) -> None:
    budgeted(resending, "0.03")
    job = resent(resending, resending.drop(), "tsk_2")
    verdict = verdict_of(job)
    assert (verdict.outcome, verdict.money, verdict.reason) == (Outcome.UNKNOWN, Money.UNKNOWN, "SubmitUnanswered")
    words = [
        "300 s later",
        "could not be sent again: budget 1970-01: found 20000; allowed: 30000",
        "may have been paid",
    ]
    assert [word for word in words if word not in verdict.message] == []
    assert "othing was paid" not in verdict.message
    assert (len(resending.api.bodies), job.resends) == (1, 0)
    assert (job.share, budget(resending)) == (Share(month=MONTH, reserved=PRICE), (PRICE, 0))


def test_what_has_no_price_any_more_is_not_sent_twice_and_unknown(resending: World) -> None:
    budgeted(resending, "1")
    drop = resending.drop()
    left_submitting(resending, drop)
    resending.time += LOOKUP_SECONDS
    budgeted(resending, "1", **UNPRICED)
    job = submit(resending, order(drop))
    verdict = verdict_of(job)
    assert (verdict.outcome, len(resending.api.bodies)) == (Outcome.UNKNOWN, 1)
    assert "could not be sent again: price: found none" in verdict.message
    assert (job.share, budget(resending)) == (Share(month=MONTH, reserved=PRICE), (PRICE, 0))


def test_a_job_that_meets_a_crowd_at_the_budget_waits_and_sends_nothing(world: World) -> None:
    budgeted(world, "1")
    world.ledger.budgets.conflicts = 1
    drop = world.drop()
    held = submit(world, order(drop))
    assert (held.state, held.hold_reason, world.held(held)) == (State.ACCEPTED, "BudgetBusy", 6)  # 1 + 0.5 * 10 s
    assert (held.owner, held.lease_until, held.submitting_at) == ("", 0, None)
    assert (held.share, world.ledger.budgets.months, world.api.bodies) == (None, {}, [])
    assert held == world.row(drop)
    world.time = held.hold_until or 0
    sent = submit(world, order(drop))
    assert (sent.state, len(world.api.bodies)) == (State.WAITING, 1)
    assert sent.departure == Departure(at=1_006_000, in_front=True)  # it has missed its own
    assert (sent.share, budget(world)) == (Share(month=MONTH, reserved=PRICE), (PRICE, 0))


def test_a_second_sending_that_meets_a_crowd_at_the_budget_is_made_later(resending: World) -> None:
    budgeted(resending, "1")
    drop = resending.drop()
    left_submitting(resending, drop)
    resending.time += LOOKUP_SECONDS
    resending.ledger.budgets.conflicts = 1
    resending.api.submits = ["tsk_2"]
    held = submit(resending, order(drop))
    assert (held.state, held.hold_reason, held.resends) == (State.SUBMITTING, "BudgetBusy", 0)
    assert (len(resending.api.bodies), budget(resending)) == (1, (PRICE, 0))
    resending.time = held.hold_until or 0
    sent = submit(resending, order(drop))
    assert (sent.task_id, sent.resends, budget(resending)) == ("tsk_2", 1, (2 * PRICE, 0))


# ---- A new attempt ---------------------------------------------------------------------------------------------------


def test_a_new_attempt_is_a_job_of_its_own(world: World) -> None:
    drop = world.drop("inbox/poster/cat.png")
    world.preset("poster")
    job = submit(world, Order("cat-1-2", drop.source, again_of="cat-1", attempt=2))
    assert (job.state, job.again_of, job.attempt) == (State.WAITING, "cat-1", 2)
    assert (job.preset, job.source) == ("poster", drop.source)
    assert world.api.bodies[0]["client_business_id"] == "cat-1-2"


def test_an_attempt_that_the_workflow_calls_for_stays_one(world: World) -> None:
    drop = world.drop()
    world.api.submits = [ProviderBusy("503"), "tsk_1"]
    submit(world, Order("cat-1-2", drop.source, again_of="cat-1", attempt=2))
    job = submit(world, Order("cat-1-2", document={"job_id": "cat-1-2"}))
    assert (job.state, job.again_of, job.attempt) == (State.WAITING, "cat-1", 2)


@pytest.mark.parametrize("again_of", [None, "another"])
def test_an_attempt_whose_name_another_job_has_is_refused(world: World, again_of: str | None) -> None:
    taken = Job(job_id="cat-1-2", state=State.ACCEPTED, created_at=1, again_of=again_of)
    world.ledger.put(taken)
    source = ObjectVersion(bucket=INBOX, key="inbox/cat.png")
    with pytest.raises(AgainRefused, match="cat-1-2: found a job of that name that is no attempt at cat-1"):
        submit(world, Order("cat-1-2", source, again_of="cat-1", attempt=2))
    assert (world.ledger.rows["cat-1-2"], world.api.bodies) == (taken, [])


@pytest.mark.parametrize(
    "answer",
    ["tsk_1", RateLimited("429"), ProviderRefused("402"), SubmitUnanswered("lost"), ProviderUnreachable("refused")],
)
def test_logs_hold_no_secret(world: World, logs: io.StringIO, answer: Any) -> None:
    world.api.submits = [answer]
    world.intake(world.drop(), world.invocation())
    text = logs.getvalue()
    assert "cat-" in text
    assert [secret for secret in (API_KEY, LINK, "X-Amz", PROMPT) if secret in text] == []
