"""A bucket that was there before the stack, for drops and results alike, with folders of other names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.engine.controller import Engine
from local.simulator.process import Simulator
from local.stack import Stack, running_stack
from tests.engine.workbench import Workbench
from tests.samples import picture
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "photo-archive"
PLACES = {
    "ExistingInboxBucket": BUCKET,
    "InboxPrefix": "photos/",
    "PresetsPrefix": "settings/presets/",
    "ReferencesPrefix": "settings/references/",
    "ExistingResultsBucket": BUCKET,
    # Among the drops, where each result is an event of the kind that starts jobs.
    "ResultsKey": "photos/done/{date}/{job_id}/picture-{index}.{ext}",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    engine = Engine(wait_scale=0.1, auth=True)

    def make_bucket(step: str) -> None:
        if "deploying" in step:
            s3 = engine.client("s3")
            s3.create_bucket(Bucket=BUCKET)
            s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
            s3.put_bucket_notification_configuration(
                Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )

    with running_stack(engine, Simulator(queue_seconds=0.1, task_seconds=0.3), PLACES, make_bucket) as stack:
        yield stack


def test_a_bucket_that_exists_serves_for_everything(stack: Stack) -> None:
    s3 = stack.engine.client("s3")
    preset = {"model": "gpt-image-2-vip", "prompt": "{stem} of {folder}", "n": 2}
    s3.put_object(Bucket=BUCKET, Key="settings/presets/poster.json", Body=json.dumps(preset).encode())
    s3.put_object(Bucket=BUCKET, Key="photos/poster/may/cat.png", Body=picture())

    row = until(lambda: next(iter(stack.rows()), None), "the job has ended", lambda row: row["state"]["S"] == "ended")

    job_id, at = row["job_id"]["S"], row["results_at"]["S"]
    assert at.startswith("photos/done/2")
    assert at.endswith(f"/{job_id}/picture-{{index}}.{{ext}}")
    result = json.loads(stack.result(at.replace("picture-{index}.{ext}", "result.json")))
    assert (result["outcome"], result["recipe"]["prompt"]) == ("completed", "cat of poster/may")
    assert [stored["key"] for stored in result["pictures"]] == [
        at.replace("{index}.{ext}", f"{number}.png") for number in (1, 2)
    ]
    # Both pictures, result.json and what lies beside them were dropped too, as far as S3 knows.
    bench = Workbench(stack.engine)
    stored = s3.list_objects_v2(Bucket=BUCKET, Prefix="photos/done/")["KeyCount"]
    ignored = until(
        lambda: bench.metric_sum("Bucketbrush", "DropsIgnored", {"service": "bucketbrush-local"}),
        "results are ignored",
        lambda number: number >= stored,
    )
    assert (ignored, stored) == (stored, max(stored, 3))
    assert [found["job_id"]["S"] for found in stack.rows()] == [job_id]
    assert len(stack.simulator.tasks()) == 1
