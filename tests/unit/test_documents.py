"""Whatever way a job comes in, its documents make one recipe: preset, metadata, sidecar and job document in turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.domain.errors import EventUnreadable, RequestConflict
from bucketbrush.domain.jobs import Line, ObjectVersion, Outcome, dropped_job_id, line_job_id
from bucketbrush.domain.life import State
from bucketbrush.intake import BatchLine, Request
from bucketbrush.submit import Order
from tests.samples import mask_picture, picture
from tests.unit.fakes import CHECKSUM, INBOX, PNG, PROMPT, looked_at

if TYPE_CHECKING:
    from bucketbrush.domain.jobs import Job
    from bucketbrush.intake import Message
    from tests.unit.fakes import World

EDITING = "gpt-image-1.5-official"
CAT = "inbox/cat.png"


def taken(world: World, message: Message) -> Job:
    """The row of the job that a message is, once it is taken in."""
    world.time += 1  # its own departure
    world.intake(message, world.invocation())
    return world.ledger.rows[world.executions.started[-1]]


def sidecar(world: World, fields: Any, key: str = CAT) -> ObjectVersion:
    content = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return world.inbox.put(f"{key}.json", content)


def sent(world: World) -> dict[str, Any]:
    """The body of the last request."""
    return world.api.bodies[-1]


def said(job: Job) -> str:
    """Why a job was rejected."""
    assert job.verdict is not None
    assert (job.state, job.verdict.outcome) == (State.DECIDED, Outcome.REJECTED)
    return job.verdict.message


# ---- Overrides beside a picture --------------------------------------------------------------------------------------


def test_the_last_document_wins_field_by_field(world: World) -> None:
    world.preset(size="3:2", resolution="1k", quality="low")
    world.inbox.metadata[CAT] = {"bb-size": "16:9", "bb-resolution": "2k", "bb-n": "2", "season": "spring"}
    version = sidecar(world, {"size": "1:1", "prompt": "from the sidecar"})
    job = taken(world, world.drop())
    fields = {name: sent(world)[name] for name in ("size", "resolution", "quality", "n", "prompt")}
    assert fields == {"size": "1:1", "resolution": "2k", "quality": "low", "n": 2, "prompt": "from the sidecar"}
    assert (job.sidecar, job.preset, job.checksum) == (version, "default", CHECKSUM)
    assert job.preset_version == world.inbox.current("presets/default.json")


def test_metadata_is_read_as_it_was_meant(world: World) -> None:
    world.inbox.metadata[CAT] = {"bb-prompt": "=?UTF-8?B?w6TDtsO8?="}
    taken(world, world.drop())
    assert sent(world)["prompt"] == "äöü"


def test_null_takes_the_models_default_instead_of_the_presets_value(world: World) -> None:
    world.preset(size="3:2")
    sidecar(world, {"size": None})
    taken(world, world.drop())
    assert sent(world)["size"] == "1:1"


def test_another_model_is_taken_with_its_own_rules(world: World) -> None:
    sidecar(world, {"model": EDITING, "output_format": "jpeg"})
    taken(world, world.drop())
    assert (sent(world)["model"], sent(world)["output_format"]) == (EDITING, "jpeg")


@pytest.mark.parametrize(
    ("metadata", "beside", "words"),
    [
        ({"bb-promt": "x"}, None, ["the metadata of inbox/cat.png: other fields", '"promt"', "prompt, size"]),
        ({"bb-n": "four"}, None, ['n: found "four"', "a whole number from 1 to 10"]),
        ({"bb-references": "x"}, None, ["references: found for a dropped picture", "job document"]),
        ({}, {"promt": "x"}, ['inbox/cat.png.json: other fields: found "promt"']),
        ({}, {"mask": "references/mask.png"}, ["inbox/cat.png.json: other fields", '"mask"']),
        ({}, {"preset": "other"}, ["inbox/cat.png.json: other fields", '"preset"']),
        ({}, b"{", ["inbox/cat.png.json: found no JSON at line 1"]),
        ({}, b"[]", ["inbox/cat.png.json: found a list of 0"]),
        ({"bb-size": "9:9"}, {"n": 0}, ["the metadata of inbox/cat.png and inbox/cat.png.json: ", "size: ", "n: "]),
    ],
)
def test_a_wrong_override_is_named_with_where_it_stands(
    world: World, metadata: dict[str, str], beside: Any, words: list[str]
) -> None:
    world.inbox.metadata[CAT] = metadata
    if beside is not None:
        sidecar(world, beside)
    message = said(taken(world, world.drop()))
    assert [word for word in words if word not in message] == []
    assert world.api.bodies == []


def test_metadata_that_s3_cannot_say_is_not_guessed(world: World) -> None:
    world.inbox.unsaid = 1
    assert "inbox/cat.png: found 1 metadata that S3 cannot say" in said(taken(world, world.drop()))


def test_a_sidecar_that_comes_too_late_is_not_paid_without(world: World) -> None:
    drop = world.drop()
    world.time += 5
    sidecar(world, {"size": "1:1"})
    assert "inbox/cat.png.json: found that it was uploaded after its picture" in said(taken(world, drop))


def test_a_sidecar_for_the_next_upload_is_not_the_last_ones(world: World) -> None:
    sidecar(world, {"n": 1})
    first = world.drop()
    world.time += 5
    sidecar(world, {"n": 2})
    second = world.drop()
    taken(world, first)
    assert sent(world)["n"] == 1
    taken(world, second)
    assert sent(world)["n"] == 2


def test_run_again_it_leaves_the_sidecar_of_a_newer_upload_alone(world: World) -> None:
    sidecar(world, {"n": 2})
    job = taken(world, world.drop())
    day = world.time
    world.time += 100_000
    sidecar(world, {"n": 3})
    taken(world, world.drop())
    verdict = {"outcome": Outcome.FAILED, "money": "not moved", "message": "m"}
    world.ledger.rows[job.job_id] = job.model_validate({**job.model_dump(), "state": "ended", "verdict": verdict})
    world.time += 1
    world.again(job.job_id)
    again = world.ledger.rows[world.executions.started[-1]]
    assert (sent(world)["n"], again.requested_at) == (2, int(day) - 1)


def test_a_suffix_in_capitals_is_the_same_companion(world: World) -> None:
    world.inbox.put("inbox/cat.png.JSON", b'{"n": 2}')
    taken(world, world.drop())
    assert sent(world)["n"] == 2


def test_run_again_it_takes_the_sidecar_that_is_there_now(world: World) -> None:
    sidecar(world, {"n": 0})
    job = taken(world, world.drop())
    world.time += 5
    sidecar(world, {"n": 3})
    world.ledger.rows[job.job_id] = job.model_copy(update={"state": State.ENDED})
    world.again(job.job_id)
    assert sent(world)["n"] == 3


# ---- Masks and sidecars that are required ----------------------------------------------------------------------------


def masking(world: World, **fields: Any) -> None:
    world.preset(model=EDITING, mask="required", **fields)


def look_again(world: World, job: Job) -> Job:
    """Its execution wakes when its time comes."""
    assert job.hold_until is not None
    world.time = max(world.time, job.hold_until)
    return world.submit(Order(job.job_id), world.invocation())


@pytest.mark.parametrize("is_mask_first", [True, False])
def test_a_picture_is_sent_with_its_mask_whatever_came_first(world: World, is_mask_first: bool) -> None:
    masking(world)
    if is_mask_first:
        world.inbox.put("inbox/cat.mask.png", mask_picture())
        job = taken(world, world.drop())
    else:
        job = taken(world, world.drop())
        assert (job.state, job.hold_reason, world.api.bodies) == (State.ACCEPTED, "CompanionAwaited", [])
        world.inbox.put("inbox/cat.mask.png", mask_picture())
        job = look_again(world, job)
    assert job.state is State.WAITING
    assert job.mask == world.inbox.current("inbox/cat.mask.png")
    assert sent(world)["mask_url"].endswith("?X-Amz-Signature=0f0f0f0f")


def test_a_picture_whose_mask_never_comes_is_rejected_unpaid(world: World) -> None:
    masking(world)
    job = taken(world, world.drop())
    looks = 0
    while job.state is State.ACCEPTED:
        job, looks = look_again(world, job), looks + 1
    assert "inbox/cat.mask.png: found none that was uploaded for this picture" in said(job)
    assert (world.api.bodies, 5 < looks <= 20) == ([], True)


def test_a_new_upload_never_meets_the_mask_of_the_last_one(world: World) -> None:
    masking(world)
    world.inbox.put("inbox/cat.mask.png", mask_picture())
    first = taken(world, world.drop())
    second = taken(world, world.drop())
    assert (first.state, second.state) == (State.WAITING, State.ACCEPTED)
    world.inbox.put("inbox/cat.mask.png", mask_picture())
    second = look_again(world, second)
    assert [job.mask and job.mask.version_id for job in (first, second)] == ["0", "1"]


def test_a_mask_is_not_used_again_for_a_picture_of_another_suffix(world: World) -> None:
    masking(world)
    world.inbox.put("inbox/cat.MASK.png", mask_picture())
    first = taken(world, world.drop("inbox/cat.jpg"))
    second = taken(world, world.drop("inbox/cat.png"))
    assert (first.state, second.state, second.hold_reason) == (State.WAITING, State.ACCEPTED, "CompanionAwaited")


def test_run_again_it_has_the_mask_that_it_had(world: World) -> None:
    masking(world)
    world.inbox.put("inbox/cat.mask.png", mask_picture())
    job = taken(world, world.drop())
    world.time += 500
    verdict = {"outcome": Outcome.FAILED, "money": "not moved", "message": "m"}
    world.ledger.rows[job.job_id] = job.model_validate({**job.model_dump(), "state": "ended", "verdict": verdict})
    world.again(job.job_id)
    assert world.ledger.rows[world.executions.started[-1]].mask == job.mask


def test_a_mask_starts_no_job(world: World) -> None:
    masking(world)
    world.intake(world.drop("inbox/cat.mask.png", mask_picture()), world.invocation())
    assert (world.executions.started, world.ledger.rows) == ([], {})


def test_a_mask_that_nothing_asks_for_is_not_passed_over(world: World) -> None:
    world.inbox.put("inbox/cat.mask.png", mask_picture())
    message = said(taken(world, world.drop()))
    assert "inbox/cat.mask.png: found a mask beside the picture" in message
    assert '"mask": "required" in presets/default.json' in message


def test_a_mask_of_other_pixels_is_rejected(world: World) -> None:
    masking(world)
    world.inbox.put("inbox/cat.mask.png", mask_picture((9, 9)))
    assert "mask: inbox/cat.mask.png: found a PNG picture with alpha channel of 9 x 9" in said(
        taken(world, world.drop())
    )


def test_a_model_without_masks_is_told_to_whoever_chose_it(world: World) -> None:
    masking(world)
    world.inbox.put("inbox/cat.mask.png", mask_picture())
    sidecar(world, {"model": "gpt-image-2-vip"})
    assert "inbox/cat.png.json: model: found one without masks" in said(taken(world, world.drop()))


def test_a_bucket_without_versions_cannot_tell_uploads_apart(world: World) -> None:
    masking(world)
    drop = world.drop()
    source = drop.source.model_copy(update={"version_id": None})
    world.time += 1
    world.intake(type(drop)(source, drop.sequencer, drop.at), world.invocation())
    assert "found a bucket without versioning" in said(world.ledger.rows[world.executions.started[-1]])


def test_a_required_sidecar_may_come_in_any_order(world: World) -> None:
    world.preset(sidecar="required")
    job = taken(world, world.drop())
    assert job.hold_reason == "CompanionAwaited"
    sidecar(world, {"n": 4})
    job = look_again(world, job)
    assert (job.state, sent(world)["n"]) == (State.WAITING, 4)


# ---- Presets ---------------------------------------------------------------------------------------------------------


def test_a_presets_variables_are_filled(world: World) -> None:
    world.time = 1_795_219_200  # 2026-11-21
    world.preset("poster", prompt="{stem} in {folder}, {metadata.season}, on {date}; {{stem}} stays")
    world.inbox.metadata["inbox/poster/may/My cat.png"] = {"season": "=?UTF-8?Q?Fr=C3=BChling?="}
    taken(world, world.drop("inbox/poster/may/My cat.png"))
    assert sent(world)["prompt"] == "My cat in poster/may, Frühling, on 2026-11-21; {stem} stays"


def test_the_day_is_that_of_the_drop(world: World) -> None:
    world.time = 1_795_219_199  # a second before
    world.preset(prompt="{date}")
    drop = world.drop()
    world.time += 7200
    taken(world, drop)
    assert sent(world)["prompt"] == "2026-11-20"


def test_what_a_value_holds_is_never_a_field(world: World) -> None:
    world.preset(prompt="A {metadata.x} cat")
    world.inbox.metadata[CAT] = {"x": 'big", "n": 10, "size": "9:16", "y": "'}
    taken(world, world.drop())
    assert sent(world)["prompt"] == 'A big", "n": 10, "size": "9:16", "y": " cat'
    assert (sent(world)["n"], sent(world)["size"]) == (1, "1:1")


def test_variables_do_not_make_a_flood_of_a_preset(world: World) -> None:
    world.preset(model=EDITING, prompt="{metadata.x}" * 1000)
    world.inbox.metadata[CAT] = {"x": "é" * 900}
    message = said(taken(world, world.drop()))
    assert "preset default: prompt: found 1,800,000 bytes with its variables filled; allowed: at most 262," in message


def test_metadata_that_a_variable_needs_is_asked_for(world: World) -> None:
    world.preset(prompt="in {metadata.season}")
    message = said(taken(world, world.drop()))
    assert "preset default: prompt: found {metadata.season}, which inbox/cat.png does not have" in message


def test_a_text_that_is_replaced_needs_no_values(world: World) -> None:
    world.preset(prompt="in {metadata.season}")
    sidecar(world, {"prompt": "by itself {stem}"})
    taken(world, world.drop())
    assert sent(world)["prompt"] == "by itself {stem}"  # only presets have variables


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("presets/p.json", {"prompt": "a {colour} {stem}"}, ["prompt: found {colour}", "{stem}, {folder}, {date}"]),
        ("presets/p.json", {"size": "7:7"}, ["s3://inbox-bucket/presets/p.json: size: found"]),
        ("presets/p.json", {"mask": "required"}, ["mask"]),  # a model that takes none
        ("presets/p.json", {"sidecar": "yes"}, ['sidecar: found "yes" in a preset; allowed: "required"']),
        (
            "presets/p.json",
            {"model": EDITING, "mask": "m.png"},
            ['mask: found "m.png" in a preset; allowed: "required"'],
        ),
        ("presets/p.json", {"references": ["a.png"]}, ["references: found for a dropped picture"]),
        ("presets/p.json", b"{", ["found no JSON"]),
        ("presets/p.txt", b"{}", ["presets/p.txt: found no suffix .json"]),
        ("presets/p.jobs.jsonl", b"{}", ["presets/p.jobs.jsonl: found no suffix .json"]),
    ],
)
def test_a_preset_with_a_mistake_is_reported_when_it_is_uploaded(
    world: World, key: str, content: Any, words: list[str]
) -> None:
    recipe = content if isinstance(content, bytes) else {"model": "gpt-image-2-vip", "prompt": PROMPT, **content}
    text = recipe if isinstance(recipe, bytes) else json.dumps(recipe).encode()
    job = taken(world, world.drop(key, text))
    assert [word for word in words if word not in said(job)] == []
    assert (job.preset, job.source and job.source.key) == (None, key)


@pytest.mark.parametrize("fields", [{}, {"prompt": "{stem} {{x}} {metadata.a-b}"}, {"sidecar": "required"}])
def test_a_sound_preset_starts_nothing(world: World, fields: dict[str, Any]) -> None:
    recipe = {"model": "gpt-image-2-vip", "prompt": PROMPT, **fields}
    world.intake(world.drop("presets/p.json", json.dumps(recipe).encode()), world.invocation())
    assert (world.executions.started, world.ledger.rows) == ([], {})


# ---- Documents -------------------------------------------------------------------------------------------------------


def test_a_job_document_may_name_a_preset(world: World) -> None:
    world.preset("poster", prompt="{stem}!", size="3:2", n=2)
    world.inbox.put("inbox/a/references/cat.png", PNG)
    document = {"preset": "poster", "references": ["references/cat.png"], "n": 3}
    job = taken(world, world.drop("inbox/a/two.job.json", json.dumps(document).encode()))
    assert (sent(world)["prompt"], sent(world)["size"], sent(world)["n"]) == ("two!", "3:2", 3)
    assert (job.preset, job.preset_version) == ("poster", world.inbox.current("presets/poster.json"))
    assert job.checksum == CHECKSUM
    assert "preset" not in sent(world)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"preset": "nobody"}, ["preset nobody: found no object s3://inbox-bucket/presets/nobody.json"]),
        ({"preset": 5}, ["inbox/x.job.json: preset: found 5; allowed: one in presets/"]),
        ({"preset": ""}, ['preset: found ""']),
        ({"preset": "p" * 2000}, ["preset: found 2,000 characters"]),
        ({"preset": "\ud800"}, ['preset: found "\\ud800"']),
        ({"preset": "masked"}, ["inbox/x.job.json: mask: found none; preset masked requires one"]),
        ({"prompt": "x"}, ["inbox/x.job.json: model: found no such field"]),
    ],
)
def test_a_wrong_document_is_rejected_by_its_name(world: World, document: Any, words: list[str]) -> None:
    world.preset("masked", model=EDITING, mask="required")
    message = said(taken(world, world.drop("inbox/x.job.json", json.dumps(document).encode())))
    assert [word for word in words if word not in message] == []


def test_a_line_of_a_batch_is_a_job_of_its_own(world: World) -> None:
    world.preset("poster", prompt="{stem} {folder} {metadata.season}")
    lines = [b'{"preset": "poster", "n": 1}', b"{ not JSON", b'{"preset": "poster", "n": 2}']
    drop = world.drop("inbox/of/night.jobs.jsonl", b"\n".join(lines))
    world.inbox.metadata[drop.source.key] = {"season": "spring"}
    jobs, start = [], 0
    for number, line in enumerate(lines, 1):
        place = Line(number=number, start=start, length=len(line))
        jobs.append(taken(world, BatchLine(drop.source, place, "night-1", 1000)))
        start += len(line) + 1
    assert [body["n"] for body in world.api.bodies] == [1, 2]
    assert sent(world)["prompt"] == "night of spring"
    assert "inbox/of/night.jobs.jsonl line 2: found no JSON at line 1, column 3" in said(jobs[1])
    assert [job.job_id for job in jobs] == [line_job_id(drop.source, "night-1", number) for number in (1, 2, 3)]
    assert {(job.batch, job.source) for job in jobs} == {("night-1", drop.source)}
    assert jobs[2].results_at == f"results/of/night/{jobs[2].job_id}/{{index}}.{{ext}}"


def test_of_an_endless_line_no_more_is_read_than_a_document_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, lengths = world.drop("inbox/night.jobs.jsonl", b"x" * 300_000), []
    read = world.inbox.read_range
    monkeypatch.setattr(world.inbox, "read_range", lambda *place: lengths.append(place[-1]) or read(*place))
    line = BatchLine(drop.source, Line(number=1, start=0, length=900_000_000), "night-1", 1000)
    assert "found more than 262,144 bytes" in said(taken(world, line))
    assert lengths == [262_145]


def test_a_batch_is_handed_to_its_own_queue(world: World) -> None:
    drop = world.drop("inbox/of/night.JOBS.jsonl", b"{}\n")
    world.intake(drop, world.invocation())
    (message,) = world.batches.sent
    assert message["batch"]["source"] == drop.source.model_dump()
    assert (world.executions.started, world.ledger.rows) == ([], {})


# ---- Requests --------------------------------------------------------------------------------------------------------

REQUEST = Request("shop", "order-4711", '{"model":"gpt-image-2-vip","prompt":"a boat"}')


def test_a_request_is_one_job_whichever_way_and_how_often_it_comes(world: World) -> None:
    job = taken(world, REQUEST)
    again, arn = world.intake.request(REQUEST, world.invocation())
    assert (again.job_id, arn) == (job.job_id, f"arn:execution:{job.job_id}")
    assert len(world.api.bodies) == len(world.ledger.rows) == 1
    assert job.job_id.startswith("order-4711-")
    assert (job.source, job.document) == (None, None)
    assert job.results_at == f"results/{job.job_id}/{{index}}.{{ext}}"


def test_what_a_request_asks_for_is_kept_until_it_is_sent(world: World) -> None:
    """Its execution knows the job's id only."""
    world.no_key = RuntimeError("a crash")
    with pytest.raises(RuntimeError):
        world.intake(REQUEST, world.invocation())
    world.no_key = None
    world.intake(REQUEST, world.invocation())
    assert sent(world)["prompt"] == "a boat"


def test_two_callers_may_use_one_id(world: World) -> None:
    assert taken(world, REQUEST).job_id != taken(world, Request("till", REQUEST.request_id, REQUEST.document)).job_id


def test_one_id_is_not_two_documents(world: World) -> None:
    taken(world, REQUEST)
    with pytest.raises(RequestConflict, match="request_id: found one that job order-4711-"):
        world.intake(Request("shop", "order-4711", '{"prompt":"another"}'), world.invocation())
    assert len(world.api.bodies) == 1


def test_a_wrong_request_is_rejected_as_any_other_job(world: World) -> None:
    job = taken(world, Request("shop", "1", '{"prompt":"x"}'))
    assert said(job).startswith("request: model: found no such field")
    assert job.document is None  # it has done its work, and a row of a request stays for good


def test_a_request_has_no_file_for_a_presets_variables(world: World) -> None:
    world.preset("poster", prompt="{stem} on {date}")
    message = said(taken(world, Request("shop", "1", '{"preset":"poster"}')))
    assert "preset poster: prompt: found {stem}, which a job without a file does not have" in message


def test_a_requests_pictures_start_from_the_buckets_root(world: World) -> None:
    world.inbox.put("references/cat.png", picture())
    document = {"model": EDITING, "prompt": "x", "references": ["references/cat.png"]}
    job = taken(world, Request("shop", "1", json.dumps(document)))
    assert [reference.key for reference in job.references] == ["references/cat.png"]


def test_a_file_of_another_bucket_is_nobodys_job(world: World) -> None:
    drop = world.drop()
    foreign = drop.source.model_copy(update={"bucket": "somebody-elses"})
    for message in (type(drop)(foreign, "1", 1), BatchLine(foreign, Line(number=1, start=0, length=2), "x-1", 1)):
        with pytest.raises(EventUnreadable, match=f"bucket: found somebody-elses; allowed: {INBOX}"):
            world.intake(message, world.invocation())
    assert world.ledger.rows == {}


@pytest.mark.parametrize("key", ["presets/poster.json", "private/diary.jobs.jsonl", "diary.jobs.jsonl"])
def test_a_line_lies_among_the_drops(world: World, key: str) -> None:
    source = ObjectVersion(bucket=INBOX, key=key, version_id="v1")
    with pytest.raises(EventUnreadable, match=f"key: found {key}; allowed: one below inbox/"):
        world.intake(BatchLine(source, Line(number=1, start=0, length=2), "x-1", 1), world.invocation())
    assert world.ledger.rows == {}


# ---- Executions that somebody else has started -----------------------------------------------------------------------

FOREIGN = {"model": "gpt-image-2-vip", "prompt": "something dear", "n": 10, "resolution": "4k", "size": "1:1"}


def test_a_document_for_the_name_of_a_drops_job_is_not_read(world: World) -> None:
    world.no_key = RuntimeError("a crash")
    drop = world.drop()
    with pytest.raises(RuntimeError):
        world.intake(drop, world.invocation())
    world.no_key = None
    world.intake.step(Order(dropped_job_id(drop.source, drop.sequencer), document=FOREIGN), world.invocation())
    assert sent(world)["prompt"] == PROMPT


def test_a_drop_whose_name_an_execution_took_is_not_passed_over(world: World) -> None:
    """It stays in the queue, goes to the dead letters, and rings an alarm."""
    drop = world.drop()
    name = dropped_job_id(drop.source, drop.sequencer)
    world.intake.step(Order(name, document=FOREIGN), world.invocation())
    with pytest.raises(RequestConflict, match=f"inbox/cat.png: found that an execution without it is named {name}"):
        world.intake(drop, world.invocation())
    assert world.executions.started == []


def test_listeners_hear_of_a_task_and_cannot_hold_it_up(world: World) -> None:
    drop = world.drop()
    job = taken(world, drop)
    (notice,) = world.bus.submitted
    assert (notice.job_id, notice.task_id, notice.model) == (job.job_id, "tsk_1", "gpt-image-2-vip")
    assert notice.source == drop.source
    assert PROMPT not in notice.model_dump_json()
    world.bus.problem = RuntimeError("no bus")
    assert taken(world, world.drop("inbox/dog.png")).state is State.WAITING


def test_a_picture_is_sent_as_it_was_looked_at(world: World) -> None:
    drop = world.drop()
    assert taken(world, drop).references == (looked_at(drop),)
