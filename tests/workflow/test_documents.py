"""Job documents that are dropped, through the deployed template: their pictures, by link or by upload."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops

from tests.samples import mask_picture, picture
from tests.waiting import until
from tests.workflow.conftest import PROMPT_MARK, System

COLOURS = {"red": (200, 60, 40), "green": (40, 160, 60), "blue": (40, 60, 200)}
# Its signed link is longer than the API takes: each letter is nine there.
LONG_NAME = "猫" * 300 + ".png"


def put(system: System, key: str, content: bytes) -> str:
    """Put a picture where a document finds it; its SHA-256."""
    system.client("s3").put_object(Bucket=system.output("InboxBucket"), Key=key, Body=content)
    return hashlib.sha256(content).hexdigest()


def document(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-image-1.5-official", "prompt": f"{PROMPT_MARK} stars", **fields}).encode()


def test_a_dropped_document_is_a_job_with_its_pictures_in_order_however_they_are_handed_over(system: System) -> None:
    hashes = [
        put(system, "inbox/trips/references/red.png", picture(colour=COLOURS["red"])),
        put(system, f"references/{LONG_NAME}", picture(colour=COLOURS["green"])),
        put(system, "inbox/trips/references/blue.jpg", picture("JPEG", COLOURS["blue"])),
    ]
    mask = put(system, "inbox/trips/references/mask.png", mask_picture())
    asked = document(
        references=["references/red.png", f"../../references/{LONG_NAME}", "references/blue.jpg"],
        mask="references/mask.png",
        size="3:2",
        n=2,
        output_format="jpeg",
        output_compression=90,
    )

    job_id, execution, result = system.dropped("inbox/trips/Stars.job.json", asked)

    assert (execution["status"], result["outcome"], len(result["pictures"])) == ("SUCCEEDED", "completed", 2)
    (task,) = system.tasks(job_id)
    assert [reference["sha256"] for reference in task["references"]] == hashes
    assert [reference["kind"] for reference in task["references"]] == ["linked", "uploaded", "linked"]
    assert task["mask"]["sha256"] == mask
    assert (result["preset"], result["source"]["key"]) == (None, "inbox/trips/Stars.job.json")
    assert [reference["key"] for reference in result["references"]][1] == f"references/{LONG_NAME}"
    assert result["mask"]["key"] == "inbox/trips/references/mask.png"
    with Image.open(BytesIO(system.stack.result(f"{system.folder(job_id)}/1.jpg"))) as image:
        assert (image.format, image.size) == ("JPEG", (1536, 1024))


def test_what_lies_in_a_folder_for_references_starts_no_job(system: System) -> None:
    before = system.counted("DropsIgnored")
    put(system, "inbox/kept/references/cat.png", picture())
    system.settled()
    until(lambda: system.counted("DropsIgnored") >= before + 1, "it is counted")
    assert not [row for row in system.stack.rows() if "kept/references" in json.dumps(row)]


def test_without_references_a_document_is_text_to_image(system: System) -> None:
    _, _, result = system.dropped("inbox/boat.JOB.json", document(model="gpt-image-2-vip"))
    assert (result["outcome"], result["references"], result["recipe"]["response_format"]) == ("completed", [], "url")


def test_one_message_says_everything_that_is_wrong(system: System) -> None:
    put(system, "inbox/wrong/references/page.png", b"<!DOCTYPE html><title>no picture</title>")
    put(system, "inbox/wrong/references/small.png", mask_picture((9, 9)))
    job_id, _, fields = system.dropped(
        "inbox/wrong/fields.job.json", document(size="7:5", n="2", references=["/cat.png"], mask=5, seed=1)
    )
    _, _, pictures = system.dropped(
        "inbox/wrong/pictures.job.json",
        document(references=["references/none.png", "references/page.png"], mask="references/small.png"),
    )
    named = ['size: found "7:5"', 'n: found "2"', "references: found [0]", "mask: found 5", '"seed"']
    assert [word for word in named if word not in fields["message"]] == []
    named = ["references/none.png: found no such object", "references/page.png: found ", "HTML"]
    assert [word for word in named if word not in pictures["message"]] == []
    assert {fields["outcome"], pictures["outcome"]} == {"rejected"}
    assert system.tasks(job_id) == []


def test_an_edit_with_a_mask_changes_only_what_is_transparent(system: System) -> None:
    put(system, "inbox/masked/references/cat.png", picture())
    put(system, "inbox/masked/references/mask.png", mask_picture())
    job_id, _, result = system.dropped(
        "inbox/masked/cat.job.json", document(references=["references/cat.png"], mask="references/mask.png", size="3:2")
    )
    assert result["outcome"] == "completed"
    with Image.open(BytesIO(system.stack.result(f"{system.folder(job_id)}/1.png"))) as image:
        half = image.convert("RGB").crop((image.width // 2 + 40, 40, image.width - 40, image.height - 40))
    plain = Image.new("RGB", half.size, COLOURS["red"])
    assert max(high for _, high in ImageChops.difference(half, plain).getextrema()) <= 2
