"""Whatever happens to an upload, nothing is sent and nothing is paid until all pictures are handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.life import State
from bucketbrush.settings import ReferenceHandover
from bucketbrush.submit import Order
from local.simulator import Simulator
from local.simulator.faults import FAULTS
from tests.samples import mask_picture, picture
from tests.unit.fakes import SUBMIT_SETTINGS, World
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bucketbrush.domain.jobs import Job

DOCUMENT = {
    "model": "gpt-image-1.5-official",
    "prompt": "paint it",
    "references": ["references/b.png", "references/a.jpg"],
    "mask": "references/m.png",
}
CONTENTS = {
    "references/b.png": picture(colour=(1, 2, 3)),
    "references/a.jpg": picture("JPEG"),
    "references/m.png": mask_picture(),
}
REFUSALS = {
    "upload-400": "ProviderRefused",
    "upload-too-large": "ProviderRefused",
    "upload-success-false": "ProviderRefused",
    "upload-401": "KeyRefused",
    "upload-402": "AccountEmpty",
}
# An answer that cannot be read, or is not there: the picture is uploaded again.
PASSING = ("upload-500", "upload-429", "upload-drop", "upload-html", "upload-slow", "upload-no-url", "upload-json")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(queue_seconds=0, task_seconds=0) as running:
        yield running


@pytest.fixture
def world(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> World:
    """The use case on fakes, but for the API and the client."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Bucketbrush")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "bucketbrush")
    simulator.reset()
    world = World()
    client: Any = ToApis(simulator.base_url, simulator.api_key, timeout=0.5)
    world.api = client
    world.submit_settings = SUBMIT_SETTINGS.model_copy(update={"reference_handover": ReferenceHandover.UPLOAD})
    for key, content in CONTENTS.items():
        world.inbox.put(key, content)
    return world


def submit(world: World) -> Job:
    return world.submit(Order("direct-1", document=DOCUMENT), world.invocation())


def test_every_fault_of_an_upload_is_tried_here() -> None:
    assert {name for name in FAULTS if name.startswith("upload-")} == {*REFUSALS, *PASSING}


@pytest.mark.parametrize(("fault", "reason"), REFUSALS.items())
def test_a_refused_upload_ends_the_job_unpaid(world: World, simulator: Simulator, fault: str, reason: str) -> None:
    simulator.fault(fault)
    job = submit(world)
    assert (job.state, job.verdict and job.verdict.reason) == (State.DECIDED, reason)
    assert simulator.tasks() == []


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_waited_out_and_pictures_keep_their_order(
    world: World, simulator: Simulator, fault: str
) -> None:
    simulator.fault(fault, times=1)
    held = submit(world)
    assert (held.state, held.uploads, simulator.tasks()) == (State.ACCEPTED, {}, [])

    job = submit(world)

    assert job.state is State.WAITING
    (task,) = until(simulator.tasks, "the task has its pictures", lambda tasks: tasks[0]["status"] == "completed")
    sizes = [len(content) for content in CONTENTS.values()]
    assert [reference["bytes"] for reference in task["references"]] + [task["mask"]["bytes"]] == sizes
    assert {reference["kind"] for reference in task["references"]} == {"uploaded"}
    assert all(not upload["chunked"] for upload in simulator.uploads())
