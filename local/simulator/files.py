"""The file host: result pictures and uploads by their public URL, kept in a temporary folder."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MEDIA_TYPES = {".png": "image/png", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}


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
        """Publish a picture as `/images/<task id>/<unix>_<8 hex>.<png|jpg>` and return its URL."""
        return self._add(f"/images/{task_id}", picture, task_id)

    def add_upload(self, content: bytes, suffix: str) -> str:
        """Publish an upload as `/uploads/<n>/<unix>_<8 hex>.<suffix>` (ToAPIs Upload Image page) and return its URL."""
        path = self.folder / f"upload-{secrets.token_hex(8)}{suffix}"
        path.write_bytes(content)
        return self._add("/uploads/1", path, None)

    def get(self, url_path: str) -> StoredFile | None:
        """The file behind a URL path such as `/images/tsk_img_.../1768381061_c55c1bbb.png`."""
        return self._files.get(url_path)

    def is_upload(self, url: str) -> bool:
        """Whether a URL is that of an upload."""
        file = self.get(url.removeprefix(self.origin))
        return file is not None and file.task_id is None

    def clear(self) -> None:
        """Delete every file."""
        for file in self._files.values():
            file.path.unlink(missing_ok=True)
        self._files.clear()
        self.keys_received = 0

    def _add(self, folder: str, path: Path, task_id: str | None) -> str:
        suffix = ".jpg" if path.suffix == ".jpeg" else path.suffix
        url_path = f"{folder}/{int(time.time())}_{secrets.token_hex(4)}{suffix}"
        self._files[url_path] = StoredFile(path, MEDIA_TYPES[path.suffix], task_id)
        return self.origin + url_path
