"""Where tasks are worked on: wait for the turn, download the references, paint in a thread, publish the pictures."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

import httpx

from local.simulator.references import LARGEST_REFERENCE, UnusableReferenceError, examine

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from local.simulator.files import FileStore
    from local.simulator.rules import Order
    from local.simulator.tasks import Clock, Task

    # order, references, mask, folder -> order.n pictures in the folder
    Painter = Callable[[Order, list[Path], Path | None, Path], list[Path]]

DOWNLOADS_AT_ONCE = 16
DOWNLOAD_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Studio:
    """An async context: the work of a running simulator lives and ends inside it."""

    def __init__(self, clock: Clock, files: FileStore, painter: Painter) -> None:
        self._clock, self._files, self._painter = clock, files, painter
        self._painters = ThreadPoolExecutor(os.cpu_count() or 2, thread_name_prefix="painter")
        self._turns = asyncio.Semaphore(DOWNLOADS_AT_ONCE)
        # References on this machine are asked for directly even where a proxy is set, each on a connection of its own.
        direct = {"all://127.0.0.1": None, "all://*localhost": None}
        fresh = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(timeout=DOWNLOAD_SECONDS, mounts=direct, limits=fresh)
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Nothing to open: downloads connect when they begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the work that is left and wait for the brushes in hand."""
        self.clear()
        self._painters.shutdown(wait=True, cancel_futures=True)
        await self._http.aclose()

    def begin(self, task: Task) -> None:
        """Work on a task in the background."""
        work = asyncio.create_task(self._work(task))
        self._at_work.add(work)
        work.add_done_callback(partial(self._put_down, task))

    def clear(self) -> None:
        """Drop all work."""
        for work in self._at_work:
            work.cancel()

    async def _work(self, task: Task) -> None:
        while (left := task.starts - self._clock()) > 0:
            await asyncio.sleep(left)
        if task.failure is not None:  # a fault has decided already
            return
        try:
            with TemporaryDirectory(dir=self._files.folder) as folder:
                task.urls = await self._make(task, Path(folder))
        except UnusableReferenceError as error:
            task.failure = f"call upstream API failed: {error}"
        task.ends = max(task.ends, self._clock())

    def _put_down(self, task: Task, work: asyncio.Task[None]) -> None:
        """A fault of our own ends the task too, and stands in the log."""
        self._at_work.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("task %s broke the simulator", task.id, exc_info=error)
            task.failure = "internal error of the simulator, see its log"

    async def _make(self, task: Task, folder: Path) -> list[str]:
        """Download into `folder`, paint beside it; the result is the URLs."""
        order = task.order
        names = [f"reference image {number}" for number in range(1, len(order.references) + 1)]
        paths = [folder / name for name in [*names, "the mask"]][: len(order.links)]
        async with self._turns:
            for url, path in zip(order.links, paths, strict=True):
                task.received.append(await self._download(url, path))
        mask = paths.pop() if order.mask else None
        gallery = self._files.folder / task.id
        gallery.mkdir()
        made = await asyncio.get_running_loop().run_in_executor(
            self._painters, self._commission, order, paths, mask, gallery
        )
        return [self._files.add_result(task.id, path) for path in made[: task.pictures]]

    def _commission(self, order: Order, references: list[Path], mask: Path | None, gallery: Path) -> list[Path]:
        examine(references, mask)
        return self._painter(order, references, mask, gallery)

    async def _download(self, url: str, path: Path) -> tuple[int, str]:
        """One plain GET into a file: its bytes and their SHA-256.

        Messages give the file's name, never the URL: its query may be a signature.
        """
        name, digest, size = path.name, hashlib.sha256(), 0
        try:
            async with self._http.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise UnusableReferenceError(f"{name} could not be downloaded: HTTP {answer.status_code}")
                with path.open("wb") as file:
                    async for piece in answer.aiter_bytes():
                        file.write(piece)
                        digest.update(piece)
                        size += len(piece)
                        if size > LARGEST_REFERENCE:
                            raise UnusableReferenceError(f"{name} is larger than 50MB")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnusableReferenceError(f"{name} could not be downloaded: {type(error).__name__}") from error
        return size, digest.hexdigest()
