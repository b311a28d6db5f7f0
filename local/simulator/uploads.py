"""What the Upload Image page takes and answers, and a record of what came."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from starlette.responses import JSONResponse, Response

from local.simulator.files import MEDIA_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import UploadFile
    from starlette.requests import Request

    from local.simulator.answers import Json
    from local.simulator.files import FileStore

LARGEST_UPLOAD = 10 * 1024 * 1024  # bytes; ToAPIs Upload Image page: "maximum 10 MB"
UNSUPPORTED = "unsupported file type; allowed: JPEG, PNG, WebP, GIF"
TOO_LARGE = "the file is larger than 10MB"


class UploadRecord(TypedDict):
    """One upload as `/_simulator/uploads` shows it: never its link, which is public to all who have it."""

    at: float  # seconds on the clock that task records use too
    bytes: int
    sha256: str
    chunked: bool  # the request came without a Content-Length
    stored: bool


class NotUploadedError(Exception):
    """An upload that the API refuses; the message is fit for its answer."""


def not_uploaded(message: str, status: int = 400) -> Response:
    """ToAPIs Upload Image page: both faults are HTTP 400 with this shape."""
    return JSONResponse({"success": False, "message": message}, status)


@dataclass
class UploadDesk:
    """Where uploads are handed in. `clock` gives seconds on a monotonic scale."""

    clock: Callable[[], float]
    files: FileStore
    records: list[UploadRecord] = field(default_factory=list)

    async def receive(self, request: Request) -> bytes:
        """The bytes of the form's `file`, noted; raises NotUploadedError when they are too many to be read."""
        announced = request.headers.get("content-length")
        if int(announced or 0) > LARGEST_UPLOAD + 4096:  # room for the form's own lines
            raise NotUploadedError(TOO_LARGE)
        async with request.form() as form:
            file: UploadFile | str | None = form.get("file")
            content = b"" if file is None or isinstance(file, str) else await file.read()
        digest = hashlib.sha256(content).hexdigest()
        self.records.append(
            {
                "at": self.clock(),
                "bytes": len(content),
                "sha256": digest,
                "chunked": announced is None,
                "stored": False,
            }
        )
        return content

    def store(self, content: bytes) -> Json:
        """Publish what `receive` gave last and return the answer; raises NotUploadedError."""
        if len(content) > LARGEST_UPLOAD:
            raise NotUploadedError(TOO_LARGE)
        suffix = _suffix_of(content)
        if suffix is None:
            raise NotUploadedError(UNSUPPORTED)
        self.records[-1]["stored"] = True
        data = {
            "id": f"upload_{secrets.token_hex(8)}",
            "url": self.files.add_upload(content, suffix),
            "mime_type": MEDIA_TYPES[suffix],
            "size": len(content),
        }
        return {"success": True, "message": "", "data": data}


def _suffix_of(content: bytes) -> str | None:
    """The file type by its first bytes."""
    signatures = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpeg", b"GIF8": ".gif"}
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for signature, suffix in signatures.items() if content.startswith(signature)), None)
