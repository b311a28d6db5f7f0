"""From a dropped file to its end, through the deployed template."""

from __future__ import annotations

import hashlib
import json
import shlex
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from local.engine.controller import ROOT
from tests.samples import picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System


def test_a_dropped_picture_comes_back_edited(system: System) -> None:
    system.preset("official", model="gpt-image-1.5-official", size="3:2", output_format="jpeg", output_compression=90)

    job_id, execution, result = system.dropped("inbox/official/holiday/Cat.PNG", picture())

    assert execution["status"] == "SUCCEEDED"
    assert result["outcome"] == "completed"
    assert result["preset"] == "official"
    assert result["recipe"]["quality"] == "high"
    (stored,) = result["pictures"]
    content = system.stack.result(stored["key"])
    assert stored["key"] == f"results/official/holiday/Cat/{job_id}/1.jpg"
    assert stored["pixels"] == {"width": 1536, "height": 1024}
    assert (stored["bytes"], stored["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (1536, 1024))
    assert len(system.tasks(job_id)) == 1


def test_the_other_model_gives_several_pictures(system: System) -> None:
    system.preset("wide", size="16:9", n=2)

    job_id, _, result = system.dropped("inbox/wide/harbour.jpeg", picture("JPEG"))

    assert (result["outcome"], result["recipe"]["quality"]) == ("completed", "medium")
    contents = [system.stack.result(f"{system.folder(job_id)}/{index}.png") for index in (1, 2)]
    assert [Image.open(BytesIO(content)).size for content in contents] == [(1536, 864)] * 2
    assert contents[0] != contents[1]


def test_an_end_is_told_three_times_alike(system: System) -> None:
    system.preset("default")

    job_id, execution, result = system.dropped("inbox/told.png", picture())

    message = system.heard(system.messages_url, job_id)
    event = json.loads(system.heard(system.events_url, job_id, "Image Job Completed")["Body"])
    told = json.loads(message["Body"])
    assert told == event["detail"] == json.loads(execution["output"])
    bucket, folder = system.output("ResultsBucket"), f"results/told/{job_id}"
    assert told["result"] == {"bucket": bucket, "key": f"{folder}/result.json"}
    assert told["page"] == {"bucket": bucket, "key": f"{folder}/index.html"}
    assert [item["key"] for item in told["pictures"]] == [item["key"] for item in result["pictures"]]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"outcome": "completed", "model": "gpt-image-2-vip", "preset": "default"}


def test_what_lies_beside_the_pictures(system: System) -> None:
    """The role of the finalize function lets it copy and tag, and nothing that it wrote says more than it should."""
    system.preset("beside")

    job_id, _, result = system.dropped("inbox/beside/Cat.PNG", picture())

    s3, bucket, folder = system.client("s3"), system.output("ResultsBucket"), system.folder(job_id)
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/")["Contents"]]
    names = ["1.png", "index.html", "reference-1.png", "result.json"]
    assert sorted(keys) == [f"{folder}/{name}" for name in names]
    assert system.stack.result(f"{folder}/reference-1.png") == picture()
    page = system.stack.result(result["page"]).decode()
    assert [name for name in ("1.png", "reference-1.png", "result.json", job_id) if name not in page] == []
    for key in keys:
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
        assert tags == {"job": job_id, "model": "gpt-image-2-vip", "preset": "beside"}, key
    assert (result["preset_version"]["key"], result["model"]) == ("presets/beside.json", "gpt-image-2-vip")
    assert "http" not in json.dumps(result)


@pytest.mark.parametrize(
    "name", ["with space.png", "a+b.png", "100%.png", "%2B+ %20.png", "été 猫.JPG", "deep/er/Ünder.jpeg", "q?&=#.png"]
)
def test_any_key_works(system: System, name: str) -> None:
    system.preset("keys")

    _, _, result = system.dropped(f"inbox/keys/{name}", picture("PNG" if name.endswith(".png") else "JPEG"))

    assert result["outcome"] == "completed"
    assert result["source"]["key"] == f"inbox/keys/{name}"


@pytest.mark.parametrize(
    ("key", "preset", "content", "said"),
    [
        (
            "inbox/bad/recipe.png",
            {"size": "7:5", "n": 11},
            picture(),
            ['size: found "7:5"', "21:9", "n: found 11", "1 to 10"],
        ),
        ("inbox/no-such/cat.png", None, picture(), ["preset no-such", "presets/no-such.json"]),
        ("inbox/keys/notes.txt", None, b"hello", ["found the suffix .txt", ".png, .jpg, .jpeg"]),
        ("inbox/keys/page.png", None, b"<html></html>", ["inbox/keys/page.png: found ", "HTML", "PNG or JPEG"]),
        ("inbox/keys/empty.png", None, b"", ["found 0 bytes", "1 to 50,000,000"]),
    ],
)
def test_what_cannot_be_sent_is_rejected(
    system: System, key: str, preset: dict[str, Any] | None, content: bytes, said: list[str]
) -> None:
    system.preset("keys")
    if preset is not None:
        system.preset(key.split("/")[1], **preset)

    job_id, execution, result = system.dropped(key, content)

    assert result["outcome"] == "rejected"
    assert all(part in result["message"] for part in said), result["message"]
    assert "nothing was paid" in result["message"]
    assert (execution["status"], execution["error"], execution["cause"]) == ("FAILED", "rejected", result["message"])
    assert json.loads(system.heard(system.messages_url, job_id)["Body"])["message"] == result["message"]
    assert system.tasks(job_id) == []


def test_litter_is_no_job(system: System) -> None:
    system.preset("litter")
    before = system.counted("DropsIgnored")
    litter = ("inbox/litter/", "inbox/litter/.DS_Store", "inbox/litter/Thumbs.db")
    for key in litter:
        system.stack.drop(key, b"")
    system.dropped("inbox/litter/after.png", picture())

    system.settled()
    until(lambda: system.counted("DropsIgnored") >= before + len(litter), "every piece is counted")
    keys = {row["source"]["M"]["key"]["S"] for row in system.stack.rows() if "source" in row}
    assert {key for key in keys if key.startswith("inbox/litter/")} == {"inbox/litter/after.png"}


def test_a_failed_task_is_a_failed_job(system: System) -> None:
    system.preset("failing", prompt="fault:task-failed")

    job_id, execution, result = system.dropped("inbox/failing/cat.png", picture())

    assert (execution["status"], execution["error"], result["outcome"]) == ("FAILED", "failed", "failed")
    assert "generation_failed" in result["message"]
    assert "refunds" in result["message"]
    assert system.heard(system.events_url, job_id, "Image Job Failed")


@pytest.mark.parametrize(
    "fault",
    [
        "status-500",
        "status-drop",
        "status-429",
        "unknown-status",
        "undeliverable-yet",
        "top-level-url",
        "no-billing",
        "submit-pending",
        "submit-429",
        "submit-503-rate",
        "submit-drop-answer",
        "submit-500-accepted",
    ],
)
def test_what_a_job_lives_through_without_paying_twice(system: System, fault: str) -> None:
    system.preset(fault, prompt=f"fault:{fault}")

    job_id, _, result = system.dropped(f"inbox/{fault}/cat.png", picture())

    assert result["outcome"] == "completed", result["message"]
    assert len(system.tasks(job_id)) == 1


def test_a_provider_that_goes_and_comes_back_while_a_job_waits_is_outlived(system: System) -> None:
    system.preset("gone")

    def polls() -> int:
        row = system.row(job_id) or {}
        return int(row.get("polls", {"N": "0"})["N"]) if row.get("state") == {"S": "waiting"} else 0

    system.stack.simulator.fault("undeliverable-yet", times=None)
    try:
        system.stack.drop("inbox/gone/cat.png", picture())
        job_id = system.job_of("inbox/gone/cat.png")
        until(lambda: polls() >= 1, "the first look at the task")
        with system.gate.closed():
            system.stack.simulator.clear_faults()
            before = polls()
            until(lambda: polls() >= before + 3, "three looks at a provider that is not there")
    finally:
        system.stack.simulator.clear_faults()

    execution = system.execution(job_id)
    assert (execution["status"], system.result(job_id)["outcome"]) == ("SUCCEEDED", "completed")
    assert len(system.tasks(job_id)) == 1


def test_what_was_measured_can_be_seen_and_forgotten(system: System) -> None:
    """By the page's own lines."""
    page = (
        (ROOT / "docs" / "waiting.md").read_text().replace("<output DurationsTable>", system.output("DurationsTable"))
    )
    scan, delete = (shlex.split(line) for line in page.splitlines() if line.startswith("aws dynamodb "))
    said = [dict(zip(words[3::2], words[4::2], strict=True)) for words in (scan, delete)]
    assert ([words[2] for words in (scan, delete)], [*said[1]]) == (["scan", "delete-item"], ["--table-name", "--key"])
    key = json.loads(said[1]["--key"])
    system.start("measured", {"model": "gpt-image-2-vip", "prompt": PROMPT_MARK})
    system.execution("measured")
    table = {"TableName": said[0]["--table-name"]}

    def rows() -> dict[str, int]:
        found = system.client("dynamodb").scan(
            **table,
            ProjectionExpression=said[0]["--projection-expression"],
            ExpressionAttributeNames=json.loads(said[0]["--expression-attribute-names"]),
        )
        return {row["name"]["S"]: int(row["jobs"]["N"]) for row in found["Items"]}

    assert rows()[key["name"]["S"].replace("references", "text")] > 0
    system.preset("measured")
    system.dropped("inbox/measured/cat.png", picture())
    assert rows()[key["name"]["S"]] > 0
    gone = system.client("dynamodb").delete_item(**table, Key=key, ReturnValues="ALL_OLD")
    assert gone["Attributes"]["name"] == key["name"]


def test_a_lost_submit_that_nobody_finds_is_unknown(system: System) -> None:
    system.preset("lost", prompt="fault:submit-500")

    job_id, execution, result = system.dropped("inbox/lost/cat.png", picture())

    assert (result["outcome"], execution["error"]) == ("unknown", "unknown")
    assert f"client_business_id {job_id}" in result["message"]
    assert system.tasks(job_id) == []


def test_fewer_pictures_than_asked_for_are_kept(system: System) -> None:
    system.preset("fewer", prompt="fault:fewer-pictures", n=3)

    _, execution, result = system.dropped("inbox/fewer/cat.png", picture())

    assert (result["outcome"], execution["status"]) == ("partial", "SUCCEEDED")
    assert 0 < len(result["pictures"]) < 3


def test_the_prompt_is_in_the_ledger_and_in_the_result(system: System) -> None:
    system.preset("prompted")

    job_id, _, result = system.dropped("inbox/prompted/cat.png", picture())

    row = system.row(job_id)
    assert row is not None
    assert PROMPT_MARK in row["recipe"]["M"]["prompt"]["S"]
    assert PROMPT_MARK in result["recipe"]["prompt"]
