"""Display: the page beside a job's pictures, and copies of what they were made of for it to show.

It is for people and costs the job nothing: whatever fails here is logged, and the job ends without it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from bucketbrush.adapters.objects import Objects, Tags, reason_of
from bucketbrush.domain import layout
from bucketbrush.domain.jobs import ObjectVersion
from bucketbrush.domain.page import Shown, render
from bucketbrush.domain.result import Result
from bucketbrush.observability import logger
from bucketbrush.settings import ResultPage

_PAGE = "index.html"


@dataclass(frozen=True)
class Display:
    """``now`` is in seconds since 1970."""

    kind: ResultPage
    results: Objects
    now: Callable[[], float]

    def __call__(self, result: Result, at: str, there: Collection[str], tags: Tags, until: float) -> str | None:
        """The key of the page, None without one. Copies that are ``there``, among the keys beside ``at``, stay.

        The page is written anew, because an earlier try may have come to another end. No file is begun after
        ``until``.
        """
        if self.kind is ResultPage.NONE:
            return None

        def copied(version: ObjectVersion, name: str) -> str | None:
            # Without versions nobody knows whether it is still the picture that was sent.
            if self.kind is not ResultPage.WITH_REFERENCES or not version.version_id:
                return None
            name += PurePosixPath(version.key).suffix.lower()
            key = layout.beside(at, name)

            def copy() -> None:
                self.results.copy_once(version, key, layout.content_type(version.key), tags)

            return name if key in there or self._has_done(copy, key, until) else None

        references = tuple(
            copied(version, f"reference-{number}") for number, version in enumerate(result.references, 1)
        )
        shown = Shown(references, copied(result.mask, "mask") if result.mask else None)
        page = layout.beside(at, _PAGE)

        def write() -> None:
            self.results.write_page(page, render(result, shown), tags)

        return page if self._has_done(write, page, until) else None

    def _has_done(self, write: Callable[[], None], key: str, until: float) -> bool:
        """Whether the file was written."""
        if self.now() > until:
            logger.warning("no time is left for a file beside the pictures", key=key)
            return False
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the pictures are paid and stored, and must not wait for a page
            name, reason = type(error).__name__, reason_of(error)
            logger.warning("a file beside the pictures is not written", key=key, error=name, reason=reason)
            return False
        return True
