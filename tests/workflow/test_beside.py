"""What lies beside a dropped picture: metadata, a sidecar, a mask; and presets as they are uploaded."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.samples import mask_picture, picture
from tests.waiting import until

if TYPE_CHECKING:
    from tests.workflow.conftest import System

EDITING = "gpt-image-1.5-official"


def put(system: System, key: str, content: Any, **metadata: str) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    system.client("s3").put_object(Bucket=system.output("InboxBucket"), Key=key, Body=body, Metadata=metadata)


def ended(system: System, key: str) -> tuple[str, dict[str, Any]]:
    """A dropped file's job id and its result.json."""
    job_id = system.job_of(key)
    system.execution(job_id)
    return job_id, system.result(job_id)


def test_metadata_and_a_sidecar_override_the_preset(system: System) -> None:
    system.preset("beside", prompt="{stem} in {metadata.season}", size="3:2", resolution="1k")
    put(system, "inbox/beside/boat.png.json", {"resolution": "2k"})
    put(
        system,
        "inbox/beside/boat.png",
        picture(),
        **{"season": "=?UTF-8?B?RnLDvGhsaW5n?=", "bb-size": "16:9", "bb-n": "2"},
    )

    job_id, result = ended(system, "inbox/beside/boat.png")

    assert result["outcome"] == "completed"
    fields = {name: result["recipe"][name] for name in ("size", "resolution", "n")}
    assert fields == {"size": "16:9", "resolution": "2k", "n": 2}
    assert result["recipe"]["prompt"].endswith("boat in Frühling")
    assert result["sidecar"]["key"] == "inbox/beside/boat.png.json"
    assert result["preset_version"]["version_id"]
    assert result["source"]["checksum"]
    (task,) = system.tasks(job_id)
    assert (task["size"], task["n"]) == ("16:9", 2)


@pytest.mark.parametrize("is_mask_first", [True, False])
def test_a_mask_and_its_picture_come_in_any_order(system: System, is_mask_first: bool) -> None:
    name = f"order-{is_mask_first}".lower()
    system.preset("masking", model=EDITING, mask="required")
    files = {f"inbox/masking/{name}.png": picture(), f"inbox/masking/{name}.mask.png": mask_picture()}
    first, second = sorted(files, key=lambda key: key.endswith(".mask.png") is not is_mask_first)
    put(system, first, files[first])
    if not is_mask_first:
        system.until_state(system.job_of(first), "accepted")
        until(
            lambda: system.row(system.job_of(first)),
            "the picture waits for its mask",
            lambda row: row.get("hold_reason", {}).get("S") == "CompanionAwaited",
        )
    put(system, second, files[second])

    job_id, result = ended(system, f"inbox/masking/{name}.png")

    assert (result["outcome"], result["mask"]["key"]) == ("completed", f"inbox/masking/{name}.mask.png")
    (task,) = system.tasks(job_id)
    assert task["mask"]
    keys = [row["source"]["M"]["key"]["S"] for row in system.stack.rows() if "source" in row]
    assert f"inbox/masking/{name}.mask.png" not in keys


def test_a_second_upload_waits_for_a_mask_of_its_own(system: System) -> None:
    system.preset("masking", model=EDITING, mask="required")
    key, mask = "inbox/masking/twice.png", "inbox/masking/twice.mask.png"
    put(system, mask, mask_picture())
    put(system, key, picture())
    first, result = ended(system, key)
    assert result["outcome"] == "completed"
    put_at = system.client("s3").head_object(Bucket=system.output("InboxBucket"), Key=key)["LastModified"]
    until(lambda: time.time() >= int(put_at.timestamp()) + 2, "S3's seconds tell both uploads apart")

    put(system, key, picture(colour=(1, 2, 3)))
    second = until(
        lambda: next(
            (
                row["job_id"]["S"]
                for row in system.stack.rows()
                if row.get("source", {}).get("M", {}).get("key", {}).get("S") == key and row["job_id"]["S"] != first
            ),
            None,
        ),
        "the second upload is a job",
    )
    until(
        lambda: system.row(second),
        "it waits",
        lambda row: row.get("hold_reason", {}).get("S") == "CompanionAwaited",
    )
    assert system.tasks(second) == []
    system.age(second, 10_000)  # nobody uploads one

    execution = system.execution(second)

    assert (execution["status"], execution["error"]) == ("FAILED", "rejected")
    assert f"{mask}: found none that was uploaded for this picture" in execution["cause"]
    assert system.tasks(second) == []


def test_a_preset_with_a_mistake_is_told_when_it_is_uploaded(system: System) -> None:
    system.preset("mistaken", prompt="a {colour} boat", size="7:7")
    _, result = ended(system, "presets/mistaken.json")
    assert result["outcome"] == "rejected"
    assert "presets/mistaken.json: size: found" in result["message"]
    assert "prompt: found {colour}; allowed: {stem}" in result["message"]
