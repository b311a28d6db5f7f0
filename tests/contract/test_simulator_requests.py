"""Which requests the simulator takes: the two model pages, row by row."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OFFICIAL, VIP = "gpt-image-1.5-official", "gpt-image-2-vip"
RATIOS = ("1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
RATIOS_4K = ("16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
URL = "http://127.0.0.1:9/a.png"
DATA_URI = "data:image/png;base64,iVBORw0KGgo="

VALID = [
    {"model": OFFICIAL},
    {"model": OFFICIAL, "size": "auto", "image_urls": [URL]},
    {"model": OFFICIAL, "image_urls": [URL] * 16, "mask_url": URL},
    {"model": OFFICIAL, "prompt": "x" * 32_001},
    {"model": OFFICIAL, "n": 10, "quality": "low"},
    {"model": OFFICIAL, "output_format": "jpeg", "output_compression": 0},
    {"model": OFFICIAL, "output_format": "png", "output_compression": 100},
    {"model": OFFICIAL, "size": "21:9", "resolution": "4k"},
    {"model": VIP},
    {"model": VIP, "prompt": "x" * 32_000},
    {"model": VIP, "size": "1:1", "resolution": "4k"},
    {"model": VIP, "response_format": "url", "reference_images": [URL]},
    {"model": VIP, "image_urls": [URL] * 17},
    {"model": VIP, "client_business_id": "order-1", "metadata": {"mine": 1}},
]

INVALID = [
    ({"model": "gpt-image-9"}, "model"),
    ({"model": None}, "model"),
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"model": VIP, "prompt": "x" * 32_001}, "prompt"),
    ({"n": 0}, "n"),
    ({"n": 11}, "n"),
    ({"n": "2"}, "n"),
    ({"n": 1.5}, "n"),
    ({"n": True}, "n"),
    ({"model": VIP, "n": "2"}, "n"),
    ({"size": "7:5"}, "size"),
    ({"size": "1024x1024"}, "size"),
    ({"size": ["1:1"]}, "size"),
    ({"model": VIP, "size": "auto"}, "size"),
    ({"resolution": "8k"}, "resolution"),
    ({"resolution": "1K"}, "resolution"),
    ({"resolution": "4k"}, "size"),
    ({"quality": "hd"}, "quality"),
    ({"output_format": "webp"}, "output_format"),
    ({"output_format": "jpeg", "output_compression": 101}, "output_compression"),
    ({"output_format": "jpeg", "output_compression": "80"}, "output_compression"),
    ({"output_compression": 80}, "output_compression"),
    ({"model": VIP, "output_format": "jpeg"}, "output_format"),
    ({"response_format": "url"}, "response_format"),
    ({"model": VIP, "response_format": "b64_json"}, "response_format"),
    ({"image_urls": URL}, "image_urls"),
    ({"image_urls": []}, "image_urls"),
    ({"image_urls": [URL] * 17}, "image_urls"),
    ({"image_urls": [DATA_URI]}, "image_urls"),
    ({"image_urls": ["iVBORw0KGgo="]}, "image_urls"),
    ({"image_urls": ["ftp://127.0.0.1/a.png"]}, "image_urls"),
    ({"image_urls": [{"url": URL}]}, "image_urls"),
    ({"reference_images": [URL]}, "reference_images"),
    ({"model": VIP, "reference_images": [DATA_URI]}, "reference_images"),
    ({"model": VIP, "reference_images": [URL], "image_urls": [URL]}, "image_urls"),
    ({"mask_url": URL}, "mask_url"),
    ({"image_urls": [URL], "mask_url": DATA_URI}, "mask_url"),
    ({"model": VIP, "image_urls": [URL], "mask_url": URL}, "mask_url"),
    ({"client_business_id": 7}, "client_business_id"),
    ({"metadata": "x"}, "metadata"),
    ({"callback_url": "https://example.com/hook"}, "callback_url"),
    ({"promt": "typing error"}, "promt"),
    ({"prompt": "fault:no-such-thing"}, "no-such-thing"),
]


@pytest.mark.parametrize("fields", VALID, ids=str)
def test_a_request_that_the_pages_allow_is_queued(simulator_api, fields):
    answer = simulator_api.submit(**fields)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    task_id, created_at = body.pop("id"), body.pop("created_at")
    assert task_id.startswith("tsk_img_")
    assert len(task_id) == len("tsk_img_") + 26
    assert isinstance(created_at, int)
    assert body == {
        "object": "generation.task",
        "model": fields["model"],
        "status": "queued",
        "progress": 0,
        "metadata": {},
    }


@pytest.mark.parametrize(("fields", "named"), INVALID, ids=lambda value: str(value)[:60])
def test_a_request_that_breaks_a_rule_is_refused_by_name_and_makes_no_task(simulator, simulator_api, fields, named):
    answer = simulator_api.submit(**fields)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "type"}
    assert named in error["message"]
    assert simulator.tasks() == []


@pytest.mark.parametrize("missing", ["model", "prompt"])
def test_required_fields(simulator, simulator_api, missing):
    body = {"model": OFFICIAL, "prompt": "x"}
    del body[missing]

    assert simulator_api.client.post("/v1/images/generations", json=body).status_code == 400
    assert simulator.tasks() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"text"'])
def test_a_body_that_is_no_json_object_is_refused_in_the_shape_of_the_api(simulator_api, content):
    answer = simulator_api.client.post("/v1/images/generations", content=content)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    model=st.sampled_from([OFFICIAL, VIP]),
    size=st.sampled_from([*RATIOS, "auto", "16:10", "1:1 ", ""]),
    resolution=st.sampled_from(["1k", "2k", "4k", "1K", "4096"]),
)
def test_size_and_resolution_go_together_as_the_pages_say(simulator_api, model, size, resolution):
    # The fault spares the painting: this is about the answer to the POST alone.
    answer = simulator_api.submit(model=model, size=size, resolution=resolution, prompt="fault:task-failed")

    sizes = (*RATIOS, "auto") if model == OFFICIAL else RATIOS
    if model == OFFICIAL and resolution == "4k":
        sizes = RATIOS_4K
    allowed = size in sizes and resolution in ("1k", "2k", "4k")
    assert answer.status_code == (200 if allowed else 400), answer.text
