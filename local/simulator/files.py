"""The file host: result pictures and uploads by their public URL, kept in a temporary folder."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MEDIA_TYPES = {".png": "image/png", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}

PIECES = 10  # of a slow download
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class StoredFile:
    """A picture on disk and the task that made it (None for an upload)."""

    path: Path
    media_type: str
    task_id: str | None


class FileStore:
    """URL path -> file. `origin` is the scheme, host and port that links begin with."""

    def __init__(self, origin: str, folder: Path) -> None:
        self.origin, self.folder = origin, folder
        self.keys_received = 0  # downloads that carried an Authorization header: a client's mistake
        self._files: dict[str, StoredFile] = {}

    def add_result(self, task_id: str, picture: Path) -> str:
        """Publish a picture as `/images/<task id>/<unix>_<8 hex>.<png|jpeg>` and return its URL."""
        return self._add(f"/images/{task_id}", picture, task_id)

    def add_upload(self, content: bytes, suffix: str) -> str:
        """Publish an upload as `/uploads/<n>/<unix>_<8 hex>.<suffix>` (ToAPIs Upload Image page) and return its URL."""
        path = self.folder / f"upload-{secrets.token_hex(8)}{suffix}"
        path.write_bytes(content)
        return self._add("/uploads/1", path, None)

    def get(self, url_path: str) -> StoredFile | None:
        """The file behind a URL path such as `/images/tsk_img_.../1768381061_c55c1bbb.png`."""
        return self._files.get(url_path)

    def clear(self) -> None:
        """Delete every file."""
        for file in self._files.values():
            file.path.unlink(missing_ok=True)
        self._files.clear()
        self.keys_received = 0

    def _add(self, folder: str, path: Path, task_id: str | None) -> str:
        url_path = f"{folder}/{int(time.time())}_{secrets.token_hex(4)}{path.suffix}"
        self._files[url_path] = StoredFile(path, MEDIA_TYPES[path.suffix], task_id)
        return self.origin + url_path


class SlowAnswer(StreamingResponse):
    """A file in pieces, evenly over some seconds."""

    def __init__(self, file: StoredFile, seconds: float) -> None:
        content = file.path.read_bytes()
        super().__init__(
            _slowly(content, seconds), media_type=file.media_type, headers={"Content-Length": str(len(content))}
        )


async def _slowly(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    piece = len(content) // PIECES + 1
    for start in range(0, len(content), piece):
        await asyncio.sleep(seconds / PIECES)
        yield content[start : start + piece]


class OversizeAnswer(StreamingResponse):
    """A file and then zero bytes, some MiB in all (infinity is allowed unless `announced`), never held in memory."""

    def __init__(self, file: StoredFile, mebibytes: float, *, announced: bool) -> None:
        size = mebibytes * MEBIBYTE
        headers = {"Content-Length": str(int(size))} if announced else None
        super().__init__(_padded(file.path.read_bytes(), size), media_type=file.media_type, headers=headers)


async def _padded(content: bytes, size: float) -> AsyncIterator[bytes]:
    yield content[: int(min(size, len(content)))]
    left, zeros = size - len(content), bytes(MEBIBYTE // 4)
    while left > 0:
        await asyncio.sleep(0)  # let the server see that the client has gone: nothing else here would wait then
        piece = zeros[: int(min(left, len(zeros)))]
        yield piece
        left -= len(piece)
