"""Each fault of the file host does what its description says."""

from __future__ import annotations

import gzip
import io
import time

import httpx
import pytest
from PIL import Image

from tests.waiting import until


@pytest.fixture
def result_url(simulator_api):
    """The URL of the one picture of an order whose prompt is the fault."""
    return lambda prompt: simulator_api.finished(simulator_api.accepted(prompt=prompt))["result"]["data"][0]["url"]


@pytest.mark.parametrize(
    ("name", "status"), [("file-401", 401), ("file-403", 403), ("file-404", 404), ("file-410", 410), ("file-503", 503)]
)
def test_a_result_that_cannot_be_had_for_a_while(simulator_api, result_url, name, status):
    url = result_url(f"fault:{name}=2")

    assert [simulator_api.anyone.get(url).status_code for _ in range(3)] == [status, status, 200]


@pytest.mark.parametrize("name", ["file-401", "file-403", "file-404", "file-410"])
def test_a_result_that_can_never_be_had(simulator_api, result_url, name):
    url = result_url(f"fault:{name}")

    assert [simulator_api.anyone.get(url).is_error for _ in range(5)] == [True] * 5


def test_links_die(simulator, simulator_api):
    task_id = simulator_api.accepted(prompt="fault:links-die=3", n=2)
    urls = [picture["url"] for picture in simulator_api.finished(task_id)["result"]["data"]]

    assert [simulator_api.anyone.get(url).status_code for url in urls * 3] == [200, 200, 200, 404, 404, 404]
    assert [picture["url"] for picture in simulator_api.finished(task_id)["result"]["data"]] == urls
    assert simulator.tasks()[0]["downloads"] == 6


def test_file_redirect_within_the_host(simulator, simulator_api, result_url):
    url = result_url("fault:file-redirect")
    moved = simulator_api.anyone.get(url)
    answer = simulator_api.anyone.get(moved.headers["location"])

    assert (moved.status_code, moved.headers["location"]) == (302, f"{url}?moved")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert simulator_api.anyone.get(url).status_code == 302
    assert simulator.tasks()[0]["downloads"] == 3


def test_file_redirect_loop(simulator_api, result_url):
    url = result_url("fault:file-redirect=loop")
    answer = simulator_api.anyone.get(url)

    assert (answer.status_code, answer.headers["location"]) == (302, url)


def test_file_redirect_off_the_host(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-redirect=https://files.example.org/a.png?b=1, please"))

    assert (answer.status_code, answer.headers["location"]) == (302, "https://files.example.org/a.png?b=1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file-drop", "without sending a response"),
        ("file-truncated", r"received \d+ bytes, expected \d+"),
        ("file-truncated-chunked", "incomplete chunked read"),
    ],
)
def test_a_download_that_breaks_once(simulator_api, result_url, name, message):
    url = result_url(f"fault:{name}")

    with pytest.raises(httpx.RemoteProtocolError, match=message):
        simulator_api.anyone.get(url)
    assert Image.open(io.BytesIO(simulator_api.anyone.get(url).content)).size == (1024, 1024)


def test_file_lying_length(simulator_api, result_url):
    url = result_url("fault:file-lying-length")
    short, whole = (simulator_api.anyone.get(url) for _ in range(2))

    assert len(short.content) == int(short.headers["content-length"]) == len(whole.content) // 2
    assert whole.content.startswith(short.content)


def test_file_empty(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-empty"))

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "0", b"")


@pytest.mark.parametrize(("name", "announced"), [("file-oversize", None), ("file-oversize-announced", str(3 << 20))])
def test_a_file_that_is_too_large(simulator_api, result_url, name, announced):
    answer = simulator_api.anyone.get(result_url(f"fault:{name}=3"))

    assert answer.headers.get("content-length") == announced
    assert len(answer.content) == 3 << 20
    assert Image.open(io.BytesIO(answer.content)).size == (1024, 1024)


def test_a_file_without_end(simulator, simulator_api, result_url):
    received, wanted, url = 0, 64 << 20, result_url("fault:file-oversize=inf")
    with simulator_api.anyone.stream("GET", url) as answer:
        for piece in answer.iter_raw():
            received += len(piece)
            if received > wanted:
                break

    assert received > wanted
    line = f"{url.removeprefix(simulator.files_url)} 200"
    until(lambda: line in simulator.log_text(), "the line of the download, which ends when its client has gone")


def test_file_not_image(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-not-image"))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_file_svg(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-svg"))

    assert answer.headers["content-type"] == "image/png"
    assert answer.text.startswith("<svg ")


def test_file_webp(simulator_api, result_url):
    url = result_url("fault:file-webp")
    answer = simulator_api.anyone.get(url)

    assert url.endswith(".png")
    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size) == ("WEBP", (1024, 1024))


def test_file_other_type(simulator_api, result_url):
    answer = simulator_api.anyone.get(result_url("fault:file-other-type"))

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.content.startswith(b"\x89PNG")


def test_file_gzip(simulator_api, result_url):
    url = result_url("fault:file-gzip")
    with simulator_api.anyone.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
        raw = b"".join(answer.iter_raw())
    whole = simulator_api.anyone.get(url)

    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == whole.content
    assert "content-encoding" not in whole.headers


def test_file_slow(simulator_api, result_url):
    url = result_url("fault:file-slow=0.3")
    began = time.monotonic()
    answer = simulator_api.anyone.get(url)

    assert time.monotonic() - began > 0.27
    assert len(answer.content) == int(answer.headers["content-length"])
