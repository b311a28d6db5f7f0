"""Faults of the file host: dead links, redirects, and downloads that are broken, huge or no picture."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

from PIL import Image
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from local.simulator.faults.effects import drop
from local.simulator.faults.engine import Fault, Hook
from local.simulator.wire import HalfAnswer, OversizeAnswer, SlowAnswer

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.simulator.faults.engine import Effect, Scene
    from local.simulator.files import StoredFile

_GONE = {401: "unauthorized", 403: "forbidden", 404: "not found", 410: "gone"}
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><script>alert(1)</script></svg>'


def _file(scene: Scene) -> StoredFile:
    if scene.file is None:
        raise TypeError("a fault of the file hook needs a file")
    return scene.file


def _request(scene: Scene) -> Request:
    if scene.request is None:
        raise TypeError("a fault of the file hook needs a request")
    return scene.request


def _plain(status: int, text: str) -> Effect:
    return lambda _: PlainTextResponse(text, status)


def _half(*, sized: bool) -> Effect:
    return lambda scene: HalfAnswer(_file(scene).path.read_bytes(), _file(scene).media_type, sized=sized)


def _oversize(*, announced: bool) -> Effect:
    def effect(scene: Scene) -> Response:
        file = _file(scene)
        content = file.path.read_bytes()
        return OversizeAnswer(content, file.media_type, float(scene.value), b"\0", announced=announced)

    return effect


def _slow(scene: Scene) -> Response:
    return SlowAnswer(_file(scene).path.read_bytes(), _file(scene).media_type, float(scene.value))


def _short(scene: Scene) -> Response:
    content = _file(scene).path.read_bytes()
    return Response(content[: len(content) // 2], media_type=_file(scene).media_type)


def _no_bytes(scene: Scene) -> Response:
    return Response(media_type=_file(scene).media_type)


def _dead_link(scene: Scene) -> Response | None:
    gone = scene.task is not None and scene.task.downloads > int(scene.value)
    return PlainTextResponse("not found", 404) if gone else None


def _other_type(scene: Scene) -> Response:
    return Response(_file(scene).path.read_bytes(), media_type=scene.value)


def _html_picture(scene: Scene) -> Response:
    return Response(b"<!DOCTYPE html><title>Checking your browser</title>", media_type=scene.value)


def _svg_picture(scene: Scene) -> Response:
    return Response(_SVG, media_type=scene.value)


def _webp_picture(scene: Scene) -> Response:
    buffer = io.BytesIO()
    with Image.open(_file(scene).path) as picture:
        picture.save(buffer, "WEBP")
    return Response(buffer.getvalue(), media_type=scene.value)


def _zipped(scene: Scene) -> Response:
    content = gzip.compress(_file(scene).path.read_bytes(), compresslevel=1)
    return Response(content, media_type=_file(scene).media_type, headers={"Content-Encoding": "gzip"})


def _redirect(scene: Scene) -> Response | None:
    """Within the host only the first request is sent on."""
    url = _request(scene).url
    if scene.value == "within":
        return None if "moved" in url.query else RedirectResponse(str(url.replace(query="moved")), 302)
    return RedirectResponse(str(url) if scene.value == "loop" else scene.value, 302)


FILE_FAULTS = (
    *(
        Fault(
            f"file-{status}",
            Hook.FILE,
            f"{status} for a result that exists",
            _plain(status, text),
            times=None,
            counts=True,
        )
        for status, text in _GONE.items()
    ),
    Fault(
        "links-die",
        Hook.FILE,
        "the first value downloads of a task pass; after them all its links answer 404",
        _dead_link,
        times=None,
        value="1",
    ),
    Fault("file-503", Hook.FILE, "503 from the file host", _plain(503, "try again"), counts=True),
    Fault(
        "file-redirect",
        Hook.FILE,
        "302: `within` the host to a link that works, to itself in a `loop`, or to the URL that is the value",
        _redirect,
        times=None,
        value="within",
    ),
    Fault("file-drop", Hook.FILE, "the connection closes without an answer", drop, counts=True),
    Fault("file-truncated", Hook.FILE, "half the bytes that Content-Length promises", _half(sized=True), counts=True),
    Fault("file-truncated-chunked", Hook.FILE, "a chunked answer without its end", _half(sized=False), counts=True),
    Fault(
        "file-lying-length",
        Hook.FILE,
        "half the bytes, and a Content-Length that says they are all",
        _short,
        counts=True,
    ),
    Fault("file-empty", Hook.FILE, "200 with no bytes", _no_bytes, counts=True),
    Fault(
        "file-oversize",
        Hook.FILE,
        "the right bytes, then zero bytes up to value MiB (inf: without end), chunked without Content-Length",
        _oversize(announced=False),
        times=None,
        value="300",
    ),
    Fault(
        "file-oversize-announced",
        Hook.FILE,
        "the right bytes, then zero bytes up to value MiB, as Content-Length says",
        _oversize(announced=True),
        times=None,
        value="300",
    ),
    Fault(
        "file-not-image",
        Hook.FILE,
        "an HTML page under the picture's name, labelled as value",
        _html_picture,
        times=None,
        value="image/png",
    ),
    Fault(
        "file-svg",
        Hook.FILE,
        "an SVG with a script under the picture's name, labelled as value",
        _svg_picture,
        times=None,
        value="image/png",
    ),
    Fault(
        "file-webp",
        Hook.FILE,
        "the picture as WebP under its old name, labelled as value",
        _webp_picture,
        times=None,
        value="image/png",
    ),
    Fault("file-gzip", Hook.FILE, "the right bytes with Content-Encoding gzip, unasked", _zipped, counts=True),
    Fault(
        "file-other-type", Hook.FILE, "the right bytes labelled as value", _other_type, times=None, value="text/plain"
    ),
    Fault("file-slow", Hook.FILE, "the bytes come in pieces over value seconds", _slow, times=None, value="5"),
)
