"""Prepare: from a dropped file or a job document to a recipe and pictures that are pinned and looked into."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bucketbrush.adapters.objects import Objects
from bucketbrush.domain import layout
from bucketbrush.domain.catalogue import Catalogue
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import JOB_ID, Job, ObjectVersion
from bucketbrush.domain.recipe import (
    MAX_DOCUMENT_BYTES,
    Asked,
    Place,
    check_document,
    parse_document,
    read_job,
    read_preset,
)

_INPUT = "execution input"  # how messages name a caller's document
_LONGEST = 16_000  # characters; the cause of an execution's failure holds 32,768 ("Fail workflow state")


@dataclass(frozen=True)
class Prepare:
    """``bucket`` is the inbox; ``most_bytes`` is the largest picture that can be handed over."""

    inbox: Objects
    bucket: str
    catalogue: Catalogue
    most_bytes: int

    def __call__(self, job: Job, document: Any) -> dict[str, Any]:
        """The fields of the row that the first intent to submit fixes: recipe, references, mask.

        ``document`` is what a caller's execution brought. Raises RecipeInvalid with everything that is wrong.
        """
        if not JOB_ID.fullmatch(job.job_id):
            raise RecipeInvalid(f"execution name: found {json.dumps(job.job_id)}; allowed: 1 to 64 of a-z, 0-9 and -.")
        if job.source is None or layout.is_job_document(job.source.key):
            asked = self._asked(job.source, document)
            references, mask = self._pictures(asked.references, asked.mask)
            return {"recipe": asked.recipe, "references": references, "mask": mask}
        if problem := layout.drop_problem(job.source.key, job.source.size or 0, self.most_bytes):
            raise RecipeInvalid(problem)
        recipe = self._preset(job.preset or layout.DEFAULT_PRESET)
        references, _ = self._pictures([job.source], None)
        return {"recipe": recipe, "references": references}

    def _asked(self, source: ObjectVersion | None, document: Any) -> Asked:
        if source is None:
            document = check_document({} if document is None else document, _INPUT)
            return read_job(document, Place(_INPUT, self.bucket), self.catalogue)
        text = self.inbox.read_range(source, 0, MAX_DOCUMENT_BYTES + 1)
        folder = source.key[: source.key.rindex("/") + 1]
        return read_job(parse_document(text, source.key), Place(source.key, self.bucket, folder), self.catalogue)

    def _preset(self, preset: str) -> dict[str, Any]:
        key = layout.preset_key(preset)
        name = f"s3://{self.bucket}/{key}"
        text = self.inbox.read(key, MAX_DOCUMENT_BYTES + 1)
        if text is None:
            raise RecipeInvalid(
                f"preset {preset}: found no object {name}; put one there, such as "
                '{"model": "gpt-image-2-vip", "prompt": "..."}.'
            )
        return read_preset(parse_document(text, name), name, self.catalogue)

    def _pictures(
        self, references: Sequence[ObjectVersion | str], mask: str | None
    ) -> tuple[tuple[ObjectVersion, ...], ObjectVersion | None]:
        """The pictures, each pinned to a version and looked into. One message names all that are wrong."""
        if not references:
            return (), None
        from bucketbrush.domain.inspection import inspect, mask_problem  # of no use to jobs without pictures

        versions, seen, problems = [], [], []
        given = [*references, *([mask] if mask else [])]
        for index, picture in enumerate(given):
            is_mask = index == len(references)
            try:
                version = self._pinned(picture) if isinstance(picture, str) else picture
                read = partial(self.inbox.read_range, version)
                versions.append(version)
                seen.append(inspect(version.key, version.size or 0, read, is_mask=is_mask))
            except RecipeInvalid as problem:
                name = "mask: " if is_mask else f"references[{index}]: " if isinstance(picture, str) else ""
                problems.append(f"{name}{problem.message}")
        if mask and not problems and (unfit := mask_problem(mask, seen[-1], seen[0])):
            problems.append(f"mask: {unfit}")
        if problems:
            said = " ".join(problems)
            raise RecipeInvalid(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}... and more.")
        pinned_mask = versions.pop() if mask else None
        return tuple(versions), pinned_mask

    def _pinned(self, key: str) -> ObjectVersion:
        version = self.inbox.current(key)
        if version is None:
            raise RecipeInvalid(
                f"{key}: found no such object in bucket {self.bucket}; allowed: a key of one that was put there before "
                "the document."
            )
        if problem := layout.drop_problem(key, version.size or 0, self.most_bytes):
            raise RecipeInvalid(problem)
        return version
