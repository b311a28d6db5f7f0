"""Verdicts, result.json and the announcement."""

from __future__ import annotations

import pytest

from bucketbrush.domain import verdicts
from bucketbrush.domain.errors import ApiKeyMissing, ProviderRefused, RecipeInvalid
from bucketbrush.domain.jobs import Job, ObjectVersion, Outcome, State, Verdict
from bucketbrush.domain.pictures import PictureFormat
from bucketbrush.domain.result import Picture, Result, announce, make_result

PROMPT = "paint a starry sky behind the cat"
SOURCE = ObjectVersion(bucket="in", key="inbox/cat é.png", version_id="v1", etag="e", size=9)
JOB = Job(
    job_id="cat-1",
    state=State.WAITING,
    created_at=100,
    source=SOURCE,
    preset="poster",
    recipe={"model": "gpt-image-2-vip", "prompt": PROMPT, "n": 2},
    references=(SOURCE,),
    task_id="tsk_1",
    polls=3,
    submitted_at=101,
)
PICTURES = tuple(Picture(key=f"results/cat-1/{i}.png", bytes=7, format=PictureFormat.PNG, sha256="0") for i in (1, 2))
SUBMITTING = JOB.model_copy(update={"state": State.SUBMITTING})
ACCEPTED = JOB.model_copy(update={"state": State.ACCEPTED})


@pytest.mark.parametrize(
    ("verdict", "outcome", "words"),
    [
        (
            verdicts.explained(Outcome.REJECTED, RecipeInvalid("n: found 0.")),
            "rejected",
            ["n: found 0.", "nothing was paid"],
        ),
        (
            verdicts.explained(Outcome.REJECTED, ApiKeyMissing("secret x: found no value.")),
            "rejected",
            ["put-secret-value", "not paid"],
        ),
        (verdicts.explained(Outcome.FAILED, ProviderRefused("HTTP 402.")), "failed", ["HTTP 402.", "Nothing was paid"]),
        (verdicts.failed("generation_failed: boom"), "failed", ["generation_failed: boom", "refunds"]),
        (verdicts.unknown("cat-1", "Lost."), "unknown", ["Lost.", "may have been paid", "client_business_id cat-1"]),
        (verdicts.without_task(ACCEPTED, "States.Timeout"), "rejected", ["States.Timeout", "nothing was paid"]),
        (verdicts.without_task(SUBMITTING, "States.Timeout"), "unknown", ["States.Timeout", "may have been paid"]),
        (verdicts.without_task(ACCEPTED, None), "rejected", ["no answer", "nothing was paid"]),
        (verdicts.stored(JOB, 2, []), "completed", ["2 of 2"]),
        (verdicts.stored(JOB, 3, []), "completed", ["3 of 2"]),
        (verdicts.stored(JOB, 1, []), "partial", ["1 of 2", "delivered no more", "is paid"]),
        (verdicts.stored(JOB, 1, ["picture 2: found HTML."]), "partial", ["picture 2: found HTML.", "is paid"]),
        (verdicts.stored(JOB, 2, ["picture 3: found HTML."]), "partial", ["2 of 2", "picture 3"]),
        (verdicts.stored(JOB.model_copy(update={"recipe": None}), 1, []), "completed", ["1 of 1"]),
    ],
)
def test_a_verdict_says_what_happened_and_whether_money_moved(verdict: Verdict, outcome: str, words: list[str]) -> None:
    assert verdict.outcome == outcome
    assert [word for word in words if word not in verdict.message] == []


def result(outcome: Outcome = Outcome.COMPLETED) -> Result:
    return make_result(JOB, Verdict(outcome=outcome, message="2 of 2."), 200, PICTURES, (110, 190))


def test_the_result_tells_the_whole_story() -> None:
    assert result().model_dump(mode="json") == {
        "schema_version": 1,
        "job_id": "cat-1",
        "outcome": "completed",
        "message": "2 of 2.",
        "preset": "poster",
        "source": SOURCE.model_dump(),
        "recipe": JOB.recipe,
        "references": [SOURCE.model_dump()],
        "task_id": "tsk_1",
        "pictures": [picture.model_dump() for picture in PICTURES],
        "polls": 3,
        "created_at": 100,
        "submitted_at": 101,
        "task_created_at": 110,
        "task_completed_at": 190,
        "ended_at": 200,
    }


def test_telling_twice_tells_the_same_bytes() -> None:
    reread = Result.model_validate_json(result().model_dump_json())
    texts = {announce(it, "out", "results/cat-1/result.json").model_dump_json() for it in (result(), result(), reread)}
    assert len(texts) == 1


def test_the_announcement_points_and_holds_no_prompt() -> None:
    told = announce(result(), "out", "results/cat-1/result.json")
    assert PROMPT not in told.model_dump_json()
    assert "http" not in told.model_dump_json()
    assert (told.id, told.job_id, told.outcome, told.preset, told.model) == (
        "cat-1",
        "cat-1",
        "completed",
        "poster",
        "gpt-image-2-vip",
    )
    assert told.result.model_dump() == {"bucket": "out", "key": "results/cat-1/result.json"}
    assert [picture.key for picture in told.pictures] == [picture.key for picture in PICTURES]


def test_a_job_without_recipe_is_announced_too() -> None:
    bare = Job(job_id="x", state=State.DECIDED, created_at=1)
    told = announce(make_result(bare, Verdict(outcome=Outcome.REJECTED, message="m"), 2), "out", "k")
    assert (told.model, told.preset, told.source, told.pictures) == (None, None, None, ())
