"""Prepare: from a job's documents to a recipe and pictures that are pinned and looked into."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bucketbrush.documents import Documents
from bucketbrush.domain import layout
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import JOB_ID, Job, ObjectVersion

_LONGEST = 16_000  # characters; the cause of an execution's failure holds 32,768 ("Fail workflow state")


@dataclass(frozen=True)
class Prepare:
    """The use case."""

    documents: Documents

    def __call__(self, job: Job, document: Any) -> dict[str, Any]:
        """The fields of the row that the first intent to submit fixes: recipe, references, mask, and whence they are.

        ``document`` is what a caller's execution brought. Raises RecipeInvalid with everything that is wrong, and
        CompanionAwaited.
        """
        if not JOB_ID.fullmatch(job.job_id):
            raise RecipeInvalid(f"execution name: found {json.dumps(job.job_id)}; allowed: 1 to 64 of a-z, 0-9 and -.")
        wanted = self.documents(job, document)
        references, mask = self._pictures(wanted.references, wanted.mask)
        kept = {"document": None} if job.document else {}
        return {"recipe": wanted.recipe, "references": references, "mask": mask, **wanted.facts, **kept}

    def _pictures(
        self, references: Sequence[ObjectVersion | str], mask: ObjectVersion | str | None
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
                read = partial(self.documents.objects.read_range, version)
                versions.append(version)
                seen.append(inspect(version.key, version.size or 0, read, is_mask=is_mask))
            except RecipeInvalid as problem:
                name = "mask: " if is_mask else f"references[{index}]: " if isinstance(picture, str) else ""
                problems.append(f"{name}{problem.message}")
        if mask and not problems and (unfit := mask_problem(versions[-1].key, seen[-1], seen[0])):
            problems.append(f"mask: {unfit}")
        if problems:
            said = " ".join(problems)
            raise RecipeInvalid(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}... and more.")
        pinned_mask = versions.pop() if mask else None
        return tuple(versions), pinned_mask

    def _pinned(self, key: str) -> ObjectVersion:
        version = self.documents.objects.current(key)
        if version is None:
            raise RecipeInvalid(
                f"{key}: found no such object in bucket {self.documents.inbox.bucket}; allowed: a key of one that was "
                "put there before the document."
            )
        if problem := layout.drop_problem(key, version.size or 0, self.documents.most_bytes):
            raise RecipeInvalid(problem)
        return version
