"""Which requests the simulator takes: the two model pages, row by row."""

from __future__ import annotations

import hashlib
from itertools import product

import pytest

from tests.samples import mask_picture, picture

OFFICIAL, VIP = "gpt-image-1.5-official", "gpt-image-2-vip"
RATIOS = ("1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
RATIOS_4K = ("16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
TIERS = ("1k", "2k", "4k")
QUALITIES = ("low", "medium", "high")
URL = "http://127.0.0.1:9/a.png"
HTTPS = "https://files.toapis.com/uploads/1/1768381061_c55c1bbb.png?token=a%2Fb&x=1"
BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DATA_URI = f"data:image/png;base64,{BASE64}"
UNPAINTED = "fault:task-failed"  # spares the painting: this is about the answer to the POST

# Every value that a page lists, or the ends and the middle of the range that it gives.
LISTED = {
    OFFICIAL: {
        "prompt": ["x", "Replace the sky", "\u628a\u5929\u7a7a\u6362\u6210\u661f\u7a7a", "two\nlines", "x" * 32_001],
        "image_urls": [[URL], [HTTPS], [URL] * 2, [URL] * 16],
        "size": [*RATIOS, "auto"],
        "resolution": ["1k", "2k"],
        "quality": QUALITIES,
        "n": range(1, 11),
        "output_format": ["png", "jpeg"],
        "output_compression": [0, 50, 100],
        "client_business_id": ["order-1", "x" * 128],
        "metadata": [{}, {"mine": [1]}, {"client_business_id": "order-1"}],
    },
    VIP: {
        "prompt": ["x", "\u4e00\u5ea7\u672a\u6765\u57ce\u5e02", "x" * 32_000, "\U0001f3a8" * 32_000],
        "size": RATIOS,
        "resolution": TIERS,
        "quality": QUALITIES,
        "n": range(1, 11),
        "response_format": ["url"],
        "reference_images": [[URL], [HTTPS], [URL] * 16, [URL] * 17],
        "image_urls": [[URL], [URL] * 17],
        "client_business_id": ["order-1"],
        "metadata": [{}],
    },
}
VALID = [
    {"model": model, field: value}
    for model, fields in LISTED.items()
    for field, values in fields.items()
    for value in values
] + [
    {"model": OFFICIAL},
    {"model": OFFICIAL, "image_urls": [URL], "mask_url": HTTPS},
    {"model": OFFICIAL, "output_format": "png", "output_compression": 80},  # "only applies" to jpeg: no effect
    {"model": VIP},
]

NOT_URLS = (
    *(
        DATA_URI,
        BASE64,
        "",
        " ",
        "a.png",
        "/a.png",
        "//127.0.0.1/a.png",
        "http://",
        "https:///a.png",
        "http://[::1/a.png",
    ),
    *("ftp://127.0.0.1/a.png", "file:///etc/hosts", "s3://bucket/a.png", f"{URL} {URL}", "http://127.0.0.1/a\nb.png"),
    *(None, 7, True, {"url": URL}, [URL]),
)
NOT_LISTS = (URL, DATA_URI, [], {}, None, 7, {"url": URL})
LISTS = ((OFFICIAL, "image_urls"), (VIP, "image_urls"), (VIP, "reference_images"))

INVALID = [
    *(({"model": model}, "model") for model in ("gpt-image-9", "", None, 7, [OFFICIAL], "GPT-IMAGE-2-VIP")),
    *(({"model": model, "prompt": prompt}, "prompt") for model in LISTED for prompt in (None, "", "  ", 7, ["x"])),
    ({"model": VIP, "prompt": "x" * 32_001}, "prompt"),
    *(
        ({"model": model, "n": n}, "n")
        for model in LISTED
        for n in (0, -1, 11, 1.0, 1.5, "1", "2", "", True, None, [1], 10**30)
    ),
    *(
        ({"model": model, "size": size}, "size")
        for model in LISTED
        for size in ("7:5", "1:3", "16:10", "1x1", "1024x1024", "1:1 ", "AUTO", "", 1, None, ["1:1"])
    ),
    ({"model": VIP, "size": "auto"}, "size"),
    *(
        ({"model": model, "resolution": tier}, "resolution")
        for model in LISTED
        for tier in ("8k", "0.5k", "1K", "4K", "1024", "", 1, None)
    ),
    *(({"resolution": "4k", "size": size}, "size") for size in (*RATIOS, "auto") if size not in RATIOS_4K),
    ({"resolution": "4k"}, "size"),
    *(
        ({"model": model, "quality": quality}, "quality")
        for model in LISTED
        for quality in ("hd", "standard", "auto", "High", "", 1, None)
    ),
    *(({"output_format": name}, "output_format") for name in ("webp", "jpg", "PNG", "gif", "", None)),
    *(
        ({"output_format": "jpeg", "output_compression": level}, "output_compression")
        for level in (-1, 101, 80.5, "80", True, None)
    ),
    ({"output_format": "png", "output_compression": 101}, "output_compression"),
    ({"model": VIP, "output_format": "jpeg"}, "output_format"),
    ({"model": VIP, "output_compression": 80}, "output_compression"),
    ({"response_format": "url"}, "response_format"),
    *(({"model": VIP, "response_format": word}, "response_format") for word in ("b64_json", "URL", "", None)),
    *(({"model": model, field: [URL, url]}, field) for (model, field), url in product(LISTS, NOT_URLS)),
    *(({"model": model, field: found}, field) for (model, field), found in product(LISTS, NOT_LISTS)),
    ({"image_urls": [URL] * 17}, "image_urls"),
    ({"reference_images": [URL]}, "reference_images"),
    ({"model": VIP, "reference_images": [URL], "image_urls": [URL]}, "image_urls"),
    *(({"image_urls": [URL], "mask_url": url}, "mask_url") for url in NOT_URLS),
    ({"mask_url": URL}, "mask_url"),
    *(({"model": VIP, field: [URL], "mask_url": URL}, "mask_url") for field in ("image_urls", "reference_images")),
    *(({"client_business_id": name}, "client_business_id") for name in (7, "", None, ["a"])),
    *(({"metadata": found}, "metadata") for found in ("x", None, [1])),
    ({"callback_url": "https://example.com/hook"}, "callback_url"),
    *(({"model": model, field: "x"}, field) for model in LISTED for field in ("promt", "background", "seed", "stream")),
    ({"prompt": "fault:no-such-thing"}, "no-such-thing"),
    ({"prompt": "fault:submit-shape=no-such-shape"}, "submit-shape"),
    ({"prompt": "fault:submit-slow=soon"}, "submit-slow"),
]


def short(value: object) -> str:
    """A test's name for a body or a field."""
    return str(value)[:60]


@pytest.mark.parametrize("fields", VALID, ids=short)
def test_a_request_that_the_pages_allow_is_queued_as_one_task(simulator, simulator_api, fields):
    prompt = {} if "prompt" in fields else {"prompt": UNPAINTED}
    answer = simulator_api.submit(**fields, **prompt)

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
    assert [task["id"] for task in simulator.tasks()] == [task_id]


@pytest.mark.parametrize(("fields", "named"), INVALID, ids=short)
def test_a_request_that_breaks_a_rule_is_refused_by_name_and_makes_no_task(simulator, simulator_api, fields, named):
    answer = simulator_api.submit(**fields)

    assert answer.status_code == 400
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "type"}
    assert all(isinstance(text, str) and text for text in body["error"].values())
    assert named in body["error"]["message"]
    assert simulator.tasks() == []


@pytest.mark.parametrize("model", LISTED)
def test_size_and_resolution_go_together_as_the_pages_say(simulator, simulator_api, model):
    pairs = list(product((*RATIOS, "auto"), TIERS))
    taken = [
        (size, tier)
        for size, tier in pairs
        if simulator_api.submit(model=model, size=size, resolution=tier, prompt=UNPAINTED).status_code == 200
    ]

    if model == OFFICIAL:
        assert taken == [(size, tier) for size, tier in pairs if tier != "4k" or size in RATIOS_4K]
    else:
        assert taken == [(size, tier) for size, tier in pairs if size != "auto"]
    assert [(task["size"], task["resolution"]) for task in simulator.tasks()] == taken


def test_every_compression_from_0_to_100_goes_with_jpeg(simulator, simulator_api):
    order = {"output_format": "jpeg", "prompt": UNPAINTED}
    taken = [level for level in range(-2, 104) if not simulator_api.submit(output_compression=level, **order).is_error]

    assert taken == list(range(101))
    assert len(simulator.tasks()) == 101


@pytest.mark.parametrize(("model", "quality"), [(OFFICIAL, "high"), (VIP, "medium")])
def test_the_defaults_of_a_page(simulator, simulator_api, model, quality):
    simulator_api.accepted(model=model, prompt=UNPAINTED)

    (task,) = simulator.tasks()
    assert {name: task[name] for name in ("size", "resolution", "quality", "n", "output_format")} == {
        "size": "1:1",
        "resolution": "1k",
        "quality": quality,
        "n": 1,
        "output_format": "png",
    }


@pytest.mark.parametrize("missing", ["model", "prompt"])
@pytest.mark.parametrize("model", LISTED)
def test_required_fields(simulator, simulator_api, model, missing):
    body = {"model": model, "prompt": "x"}
    del body[missing]
    answer = simulator_api.client.post("/v1/images/generations", json=body)

    assert answer.status_code == 400
    assert missing in answer.json()["error"]["message"]
    assert simulator.tasks() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'"text"',
        b"null",
        pytest.param(b'{"model":"gpt-image-2-vip","prompt":"x","n":' + b"9" * 5000 + b"}", id="thousands of digits"),
        pytest.param(b'{"model":"gpt-image-2-vip","prompt":"x","n":NaN}', id="NaN"),
        pytest.param(rb'{"model":"gpt-image-2-vip","prompt":"\ud800"}', id="half a surrogate pair"),
        pytest.param(b"[" * 100_000, id="a tower"),
        pytest.param(b'{"model":"gpt-image-2-vip","prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_in_the_shape_of_the_api(simulator, simulator_api, content):
    answer = simulator_api.client.post("/v1/images/generations", content=content)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert simulator.tasks() == []


@pytest.mark.parametrize("path", ["/v1/v1/images/generations", "/images/generations", "/v1/images/generations/x/y"])
def test_only_one_v1_leads_to_the_endpoint(simulator, simulator_api, path):
    answer = simulator_api.client.post(path, json={"model": VIP, "prompt": "x"})

    assert answer.status_code in (404, 405)
    assert answer.json()["error"].keys() == {"code", "message", "type"}
    assert simulator_api.client.get("/v1/v1/images/generations/x").json()["error"]["code"] == 404
    assert simulator.tasks() == []


@pytest.mark.parametrize(("model", "field"), [(OFFICIAL, "image_urls"), (VIP, "reference_images"), (VIP, "image_urls")])
def test_a_task_shows_what_its_references_were_in_their_order(simulator, simulator_api, picture_host, model, field):
    shades = [picture("PNG" if shade % 2 else "JPEG", (shade * 40, 90, 40)) for shade in range(5)]
    links = [picture_host.serve(f"/{shade}?X-Signature=secret", content) for shade, content in enumerate(shades)]
    links[3] = simulator_api.client.post("/v1/uploads/images", files={"file": shades[3]}).json()["data"]["url"]
    order = [3, 0, 4, 2, 1, 0]
    simulator_api.finished(simulator_api.accepted(model=model, **{field: [links[number] for number in order]}))

    (task,) = simulator.tasks()
    assert task["status"] == "completed"
    assert task["references"] == [
        {
            "kind": "uploaded" if number == 3 else "linked",
            "bytes": len(shades[number]),
            "sha256": hashlib.sha256(shades[number]).hexdigest(),
        }
        for number in order
    ]


def test_a_task_shows_its_mask(simulator, simulator_api, picture_host):
    content, mask = picture(), mask_picture()
    urls = [picture_host.serve("/a.png", content)]
    simulator_api.finished(
        simulator_api.accepted(image_urls=urls, mask_url=picture_host.serve("/m.png?X-Signature=secret", mask))
    )

    (task,) = simulator.tasks()
    assert (task["status"], [it["bytes"] for it in task["references"]]) == ("completed", [len(content)])
    assert task["mask"] == {"kind": "linked", "bytes": len(mask), "sha256": hashlib.sha256(mask).hexdigest()}
