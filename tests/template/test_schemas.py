"""docs/schemas say what the code reads and writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bucketbrush.adapters.answers import Bill
from bucketbrush.domain import batches
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import Job, Line, ObjectVersion, Outcome, Verdict
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.life import State
from bucketbrush.domain.recipe import Place, read_job, read_preset
from bucketbrush.domain.result import TaskFacts, announcement_of, make_result, submitted_notice
from bucketbrush.status import LateNotice
from local import schemas
from tests import interface
from tests.models import OURS
from tests.properties import PROPERTIES
from tests.template.stack import ROOT

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in schemas.FOLDER.glob("*.json")
}
PLACE = Place("document", Inbox("inbox-bucket"))


def problems(name: str, document: Any) -> list[str]:
    """What a schema says against a document."""
    return [error.message for error in Draft202012Validator(SCHEMAS[name]).iter_errors(document)]


def test_the_schemas_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert schemas.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert (SCHEMAS[name]["$schema"], SCHEMAS[name]["$id"]) == (
        "https://json-schema.org/draft/2020-12/schema",
        f"{name}.schema.json",
    )


def test_a_difference_is_told(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    (tmp_path / "old.schema.json").write_text("{}")
    assert schemas.main([]) == 0
    assert schemas.main(["--check"]) == 0
    assert not (tmp_path / "old.schema.json").exists()
    (tmp_path / "result.schema.json").write_text("{}")
    (tmp_path / "more.schema.json").write_text("{}")
    assert schemas.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == [
        "docs/schemas/more.schema.json",
        "docs/schemas/result.schema.json",
    ]


# ---- What comes out --------------------------------------------------------------------------------------------------

SOURCE = ObjectVersion(bucket="inbox-bucket", key="inbox/of/night.jobs.jsonl", version_id="1", etag="e", size=9)
BARE = Job(job_id="cat-1", state=State.DECIDED, created_at=900)
FULL = Job(
    job_id="night-3",
    state=State.WAITING,
    created_at=900,
    requested_at=899,
    submitting_at=940,
    submitted_at=950,
    task_id="tsk_1",
    source=SOURCE,
    batch="night-1",
    line=Line(number=3, start=40, length=20),
    preset="poster",
    preset_version=SOURCE,
    sidecar=SOURCE,
    references=(SOURCE,),
    mask=SOURCE,
    recipe={"model": "gpt-image-2-vip", "prompt": "x", "n": 2},
    estimated=15_000,
    polls=3,
)
FACTS = TaskFacts(model="other", created_at=941, completed_at=980, seen_at=985, billed=Bill(15_000).amount)
PICTURE = {"key": "results/1.png", "bytes": 5, "format": "png", "pixels": {"width": 3, "height": 2}, "sha256": "0" * 64}


def told(job: Job, outcome: Outcome, **options: Any) -> dict[str, BaseModel]:
    verdict = Verdict(outcome=outcome, reason=None if outcome.succeeded else "RecipeInvalid", message="m")
    result = make_result(job, verdict, 1000, **options)
    return {"result": result, "announcement": announcement_of(result, "results-bucket", "results/result.json")}


def of_batch(*outcomes: Outcome) -> dict[str, BaseModel]:
    batch = batches.Batch(batch_id="night-1", source=SOURCE, created_at=900, requested_at=899, results_at="r/n/{index}")
    tally = batches.Tally()
    for number, outcome in enumerate(outcomes, 1):
        verdict = Verdict(outcome=outcome, message="m")
        job = FULL.model_copy(update={"verdict": verdict, "ended_at": 1000})
        end = batches.line_end(Line(number=number, start=0, length=2), f"night-{number}", job)
        tally.add(end, job)
    missing = batches.line_end(Line(number=9, start=0, length=2), "night-9", None)
    tally.add(missing, None)
    summary = (
        batches.summarise(batch, tally, "of", 1000)
        if outcomes
        else batches.summarise_unread(batch, RecipeInvalid("found nothing."), "", 1000)
    )
    announcement = batches.announcement_of(summary, "results-bucket", "results/batch.json")
    return {"batch": summary, "batch-line": missing, "batch-announcement": announcement}


LATE = LateNotice(job_id="cat-1", task_id="tsk_1", preset=None, submitted_at=None, message="m")
OUT = [
    *told(BARE, Outcome.REJECTED).items(),
    *told(FULL, Outcome.COMPLETED, task=FACTS, pictures=(PICTURE,), folder="of").items(),
    *of_batch().items(),
    *of_batch(Outcome.COMPLETED, Outcome.FAILED).items(),
    ("submitted", submitted_notice(FULL)),
    ("late", LATE),
]


def test_everything_that_comes_out_is_here() -> None:
    assert {name for name, _ in OUT} == set(schemas.OUTPUTS)


@pytest.mark.parametrize(("name", "document"), OUT)
def test_what_comes_out_is_as_its_schema_says(name: str, document: BaseModel) -> None:
    written = json.loads(document.model_dump_json())
    assert problems(name, written) == []
    assert problems(name, {**written, "of_a_later_version": 1}) == []
    for field in written:
        assert problems(name, {key: value for key, value in written.items() if key != field}), field


PAGES = {"line": "batch-line"}  # what the page calls otherwise
SHOWN = [
    (PAGES.get(block.output, block.output), block.text)
    for heading in interface.sections()
    for block in interface.blocks(heading)
    if block.output and PAGES.get(block.output, block.output) in SCHEMAS
]


@pytest.mark.parametrize(("name", "text"), SHOWN, ids=[name for name, _ in SHOWN])
def test_what_the_page_shows_is_as_its_schema_says(name: str, text: str) -> None:
    assert problems(name, json.loads(text)) == []


def test_the_page_shows_everything_that_comes_out() -> None:
    assert {name for name, _ in SHOWN} == set(schemas.OUTPUTS)
    assert {name for name in SCHEMAS if f"](schemas/{name}.schema.json)" not in interface.PAGE} == set()


# ---- What goes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "part"),
    [
        ("request", "request-message.json", None),
        ("request", "request-call.json", None),
        ("requested-detail", "image-job-requested.json", "detail"),
        ("job-document", "job-document.json", None),
        ("job-document", "request-call.json", "job"),
    ],
)
def test_a_sample_is_as_its_schema_says(name: str, file: str, part: str | None) -> None:
    sample = json.loads((ROOT / "events" / file).read_text())
    assert problems(name, sample[part] if part else sample) == []


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("again", {"again": "cat-1", "attempt": 1}),
        ("request", {"job": {}}),
        ("request", {"request_id": "a b", "job": {}}),
        ("request", {"request_id": "a", "job": {}, "model": "x"}),
        ("requested-detail", {"request_id": "a", "job": {}}),
        ("job-document", {"prompt": "x"}),
        ("job-document", {"preset": None, "prompt": "x"}),
        ("preset", {"model": "gpt-image-2-vip", "prompt": "x", "mask": "required"}),
    ],
)
def test_a_mistake_is_seen(name: str, document: Any) -> None:
    assert problems(name, document)


def test_a_document_with_a_preset_may_leave_out_what_that_says() -> None:
    assert problems("job-document", {"preset": "poster"}) == []
    assert problems("job-document", {"preset": "poster", "output_format": "jpeg"}) == []
    assert problems("job-document", {"preset": "poster", "output_format": "bmp"})


VALUES: dict[str, list[Any]] = {
    "model": [*OURS, "other", None],
    "prompt": ["x", " ", "", None, 5],
    "size": ["1:1", "16:9", "auto", "7:5", None, 1],
    "resolution": ["1k", "4k", None, "8k"],
    "quality": ["low", "high", None],
    "n": [1, 10, 11, 0, "1", True, None],
    "output_format": ["png", "jpeg", None],
    "output_compression": [0, 100, 101, None],
    "response_format": ["url", "b64", None],
    "references": [[], ["inbox/a.png"], ["inbox/a.png"] * 17, "inbox/a.png", None],
    "mask": [None],
    "surprise": [1],
}
DOCUMENTS = st.fixed_dictionaries(
    {"model": st.sampled_from(VALUES["model"][:2]), "prompt": st.just("x")},
    optional={name: st.sampled_from(values) for name, values in VALUES.items() if name not in ("model", "prompt")},
) | st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})


def is_taken(read: Any, *arguments: Any) -> bool:
    try:
        read(*arguments)
    except RecipeInvalid:
        return False
    return True


@pytest.mark.properties
@PROPERTIES
@given(DOCUMENTS)
def test_a_job_document_is_sound_when_its_schema_says_so(document: dict[str, Any]) -> None:
    assert (problems("job-document", document) == []) is is_taken(read_job, document, PLACE, OURS), document


@pytest.mark.properties
@PROPERTIES
@given(DOCUMENTS, st.fixed_dictionaries({}, optional={"sidecar": st.sampled_from(["required", "yes", None])}))
def test_a_preset_is_sound_when_its_schema_says_so(document: dict[str, Any], more: dict[str, Any]) -> None:
    asked = {**document, **more}
    assert (problems("preset", asked) == []) is is_taken(read_preset, asked, "preset", OURS), asked
