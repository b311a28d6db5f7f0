"""The upload endpoint: the Upload Image page, the record of what came, and its faults."""

from __future__ import annotations

import hashlib
import io
import re
import time

import httpx
import pytest
from PIL import Image

from tests.samples import picture

PATH = "/v1/uploads/images"
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}
LARGEST = 10 * 1024 * 1024


def drawn(file_format: str) -> bytes:
    """A small picture file."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, file_format)
    return buffer.getvalue()


@pytest.fixture
def upload(simulator_api):
    """Uploads bytes as form field `file`."""
    return lambda content=b"", **fields: simulator_api.client.post(
        PATH, files={"file": ("whatever.bin", content or picture())}, data=fields
    )


@pytest.mark.parametrize("file_format", SUFFIXES)
def test_an_upload_gets_a_public_url(simulator, simulator_api, upload, file_format):
    content = drawn(file_format)
    answer = upload(content, purpose="generation")

    assert answer.status_code == 200
    body = answer.json()
    data = body.pop("data")
    assert body == {"success": True, "message": ""}
    assert data.keys() == {"id", "url", "mime_type", "size"}
    assert data["id"].startswith("upload_")
    assert (data["mime_type"], data["size"]) == (f"image/{file_format.lower()}", len(content))
    link = rf"{simulator.files_url}/uploads/\d+/\d+_[0-9a-f]{{8}}\.{SUFFIXES[file_format]}"
    assert re.fullmatch(link, data["url"])
    assert simulator_api.anyone.get(data["url"]).content == content


def test_an_upload_serves_as_reference_and_comes_before_its_task(simulator, simulator_api, upload):
    assert simulator_api.files(image_urls=[upload().json()["data"]["url"]])

    (record,), (task,) = simulator.uploads(), simulator.tasks()
    assert task["references"] == [{"kind": "uploaded", "bytes": record["bytes"], "sha256": record["sha256"]}]
    assert record["at"] <= task["at"]


def refused(answer: httpx.Response) -> str:
    """The message of an answer in the shape of both upload faults."""
    assert answer.status_code == 400
    body = answer.json()
    assert body.keys() == {"success", "message"}
    assert body["success"] is False
    return str(body["message"])


@pytest.mark.parametrize("content", [b"GIF", b"<svg/>", b"<html>", b"%PDF-1.7", b"RIFF0000WAVE", b"II*\0"])
def test_an_upload_that_is_no_picture_is_refused(simulator, upload, content):
    assert "unsupported file type" in refused(upload(content))
    assert [record["stored"] for record in simulator.uploads()] == [False]


@pytest.mark.parametrize("body", [{"data": {"file": "text"}}, {"files": {"image": b"x"}}, {"json": {}}, {}])
def test_an_upload_without_a_file_is_refused(simulator_api, body):
    assert "unsupported file type" in refused(simulator_api.client.post(PATH, **body))


def test_an_upload_may_have_10_mb_and_no_byte_more(upload):
    assert upload(picture().ljust(LARGEST, b"\0")).json()["data"]["size"] == LARGEST
    assert "larger than 10MB" in refused(upload(picture().ljust(LARGEST + 1, b"\0")))
    assert "larger than 10MB" in refused(upload(picture().ljust(LARGEST + 100_000, b"\0")))


def test_uploads_are_recorded_in_their_order_with_how_they_came(simulator, simulator_api):
    contents = [picture(colour=(shade, 0, 0)) for shade in (10, 20)]
    request = simulator_api.client.build_request("POST", PATH, files={"file": contents[0]})
    whole = request.read()
    in_pieces = (whole[start : start + 64] for start in range(0, len(whole), 64))
    headers = {"Content-Type": request.headers["content-type"]}
    assert simulator_api.client.post(PATH, content=in_pieces, headers=headers).status_code == 200
    assert simulator_api.client.post(PATH, files={"file": contents[1]}).status_code == 200

    records = simulator.uploads()
    assert records == [
        {
            "at": record["at"],
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "chunked": chunked,
            "stored": True,
        }
        for record, content, chunked in zip(records, contents, (True, False), strict=True)
    ]
    assert records[0]["at"] < records[1]["at"]


# By fault: HTTP status, and what its body holds.
FAULTS = {
    "upload-400": (400, {"success": False, "message": "unsupported file type; allowed: JPEG, PNG, WebP, GIF"}),
    "upload-too-large": (400, {"success": False, "message": "the file is larger than 10MB"}),
    "upload-success-false": (200, {"success": False, "message": "the image could not be stored"}),
    "upload-500": (
        500,
        {"error": {"code": "internal_error", "message": "internal server error", "type": "internal_error"}},
    ),
    "upload-401": (
        401,
        {"error": {"code": "unauthorized", "message": "invalid API key", "type": "authentication_error"}},
    ),
    "upload-402": (
        402,
        {
            "error": {
                "code": "insufficient_quota",
                "message": "the balance is not sufficient",
                "type": "insufficient_quota",
            }
        },
    ),
    "upload-429": (
        429,
        {"error": {"code": "rate_limit_exceeded", "message": "too many requests", "type": "rate_limit_error"}},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_upload_that_is_refused_once(simulator, upload, name):
    simulator.fault(name)
    answer = upload()

    assert (answer.status_code, answer.json()) == FAULTS[name]
    assert upload().json()["success"] is True
    assert [record["stored"] for record in simulator.uploads()] == [False, True]


def test_upload_429_says_when(simulator, upload):
    simulator.fault("upload-429", value=7)

    assert upload().headers["Retry-After"] == "7"


def test_upload_drop(simulator, upload):
    simulator.fault("upload-drop", times=2)

    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            upload()
    assert upload().status_code == 200


def test_upload_html(simulator, upload):
    simulator.fault("upload-html")
    answer = upload()

    assert (answer.status_code, answer.headers["content-type"]) == (524, "text/html; charset=utf-8")


def test_upload_slow(simulator, upload):
    simulator.fault("upload-slow", value=0.3)
    began = time.monotonic()

    assert upload().json()["success"] is True
    assert time.monotonic() - began > 0.27


def test_upload_no_url(simulator, upload):
    simulator.fault("upload-no-url")

    assert upload().json()["data"].keys() == {"id", "mime_type", "size"}
    assert upload().json()["data"].keys() == {"id", "mime_type", "size", "url"}


def test_upload_json(simulator, upload):
    simulator.fault("upload-json", value="array")

    assert isinstance(upload().json(), list)
    assert simulator.uploads()[0]["stored"] is True
