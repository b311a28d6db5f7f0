"""Hand-over: how the provider gets to a job's pictures, as a link for each that it can read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bucketbrush.adapters.objects import Objects
from bucketbrush.adapters.references import Presigner
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain import layout
from bucketbrush.domain.errors import HandoverUnfinished, RecipeInvalid
from bucketbrush.domain.jobs import Invocation, Job, ObjectVersion
from bucketbrush.settings import ReferenceHandover

REUSE_SECONDS = 3600  # how long the provider keeps an upload is not documented
_SLOWEST = 1_000_000  # bytes a second that an upload is expected to reach at least
_START_SECONDS = 5
_CLOSING_SECONDS = 5  # of an invocation, kept for the ledger


@dataclass(frozen=True)
class HandOver:
    """``sending_seconds`` is how long the request that follows may take; ``now`` is in seconds since 1970."""

    strategy: ReferenceHandover
    presigner: Presigner
    inbox: Objects
    sending_seconds: int
    now: Callable[[], float]

    @property
    def most_bytes(self) -> int:
        """The largest picture that can be handed over."""
        is_upload = self.strategy is ReferenceHandover.UPLOAD
        return layout.MAX_UPLOAD_BYTES if is_upload else layout.MAX_REFERENCE_BYTES

    def uploads(self, job: Job) -> dict[str, str]:
        """The links to what earlier invocations have uploaded, by the picture's index, while they are young."""
        return dict(job.uploads) if self.now() - (job.uploaded_at or 0) < REUSE_SECONDS else {}

    def __call__(
        self, pictures: Sequence[ObjectVersion], uploads: dict[str, str], provider: ToApis, invocation: Invocation
    ) -> list[str]:
        """A link for each picture, in order. What is uploaded is added to ``uploads``, also when the rest fails.

        Raises HandoverUnfinished when the uploads and the request do not both fit the invocation, RecipeInvalid for a
        picture that can be handed over neither way, and what ``ToApis.upload`` raises.
        """
        links, before = [], len(uploads)
        for index, version in enumerate(pictures):
            link = uploads.get(str(index)) or self._signed(version)
            if link is None:
                link = uploads[str(index)] = self._upload(version, provider, invocation)
            links.append(link)
        if len(uploads) > before:
            self.demand_time(invocation)
        return links

    def demand_time(self, invocation: Invocation) -> None:
        """Raises HandoverUnfinished when the request does not fit the invocation any more."""
        if self.now() + self.sending_seconds > invocation.ends_at:
            raise HandoverUnfinished("submit: what came before took the time that sending needs.")

    def _signed(self, version: ObjectVersion) -> str | None:
        if self.strategy is ReferenceHandover.UPLOAD:
            return None
        try:
            return self.presigner.link(version)
        except RecipeInvalid as problem:
            if self.strategy is ReferenceHandover.PRESIGN:
                raise
            if too_large := self._too_large(version):
                raise RecipeInvalid(f"{problem.message} Nor can it be uploaded: {too_large}") from None
            return None

    def _upload(self, version: ObjectVersion, provider: ToApis, invocation: Invocation) -> str:
        if too_large := self._too_large(version):  # looked into when another strategy was deployed
            raise RecipeInvalid(f"{version.key}: {too_large}")
        size, until = version.size or 0, invocation.ends_at - _CLOSING_SECONDS
        if self.now() + _START_SECONDS + size / _SLOWEST > until:
            raise HandoverUnfinished(f"{version.key}: its upload of {size:,} bytes does not fit this invocation.")
        name = version.key.rpartition("/")[2]
        chunks = self._within(version, until)
        return provider.upload(name, layout.content_type(version.key), size, chunks)

    def _too_large(self, version: ObjectVersion) -> str | None:
        size = version.size or 0
        most = layout.MAX_UPLOAD_BYTES
        return f"found {size:,} bytes; allowed for an upload: {most:,}." if size > most else None

    def _within(self, version: ObjectVersion, until: float) -> Iterator[bytes]:
        for chunk in self.inbox.chunks(version):
            if self.now() > until:
                raise HandoverUnfinished(f"{version.key}: its upload took longer than the invocation has time.")
            yield chunk
