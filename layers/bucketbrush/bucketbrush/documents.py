"""Documents: whatever way a job came in, from its documents to the one recipe, and the pictures that it is about.

A later document overrides an earlier one, field by field: the preset, a dropped picture's metadata, its sidecar, the
job document.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from bucketbrush.adapters.objects import Objects
from bucketbrush.domain import companions, layout, metadata, variables
from bucketbrush.domain.catalogue import Catalogue
from bucketbrush.domain.companions import History, Put
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import Job, ObjectVersion
from bucketbrush.domain.recipe import (
    MAX_DOCUMENT_BYTES,
    Place,
    Preset,
    Recipe,
    check_document,
    described,
    find_model,
    parse_document,
    read_job,
    read_preset,
    read_recipe,
)

_INPUT, _REQUEST = "execution input", "request"  # how messages name a caller's document


@dataclass(frozen=True)
class Wanted:
    """What a job is to do. Pictures are pinned versions, or keys of the inbox. ``facts`` are for the job's row."""

    recipe: Recipe
    references: tuple[ObjectVersion | str, ...]
    mask: ObjectVersion | str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Documents:
    """``most_bytes`` is the largest picture that can be handed over; ``companion_seconds`` is how long a picture waits
    for a mask or sidecar that its preset requires; ``now`` is in seconds since 1970.
    """

    objects: Objects
    inbox: layout.Inbox
    catalogue: Catalogue
    most_bytes: int
    companion_seconds: int
    now: Callable[[], float]

    def __call__(self, job: Job, document: Any) -> Wanted:
        """What the job is to do; ``document`` is what a caller's execution brought.

        Raises RecipeInvalid naming the document and everything that is wrong with it, and CompanionAwaited.
        """
        source = job.source
        if source is None:
            name, given = (_REQUEST, json.loads(job.document)) if job.document else (_INPUT, document)
            return self._asked(job, check_document({} if given is None else given, name), Place(name, self.inbox))
        if source.key.startswith(self.inbox.presets):
            raise RecipeInvalid(self.preset_problem(source) or f"{source.key}: found nothing wrong with it any more.")
        if job.line or layout.is_job_document(source.key):
            name = f"{source.key} line {job.line.number}" if job.line else source.key
            start, length = (job.line.start, job.line.length) if job.line else (0, MAX_DOCUMENT_BYTES + 1)
            text = self.objects.read_range(source, start, min(length, MAX_DOCUMENT_BYTES + 1))
            folder = source.key[: source.key.rindex("/") + 1]
            return self._asked(job, parse_document(text, name), Place(name, self.inbox, folder))
        return self._dropped(job, source)

    def preset_problem(self, version: ObjectVersion) -> str | None:
        """What is wrong with a file among the presets, or None."""
        if not self.inbox.is_preset(version.key):
            return f"{version.key}: found no suffix .json; allowed: presets named <name>.json."
        try:
            text = self.objects.read_range(version, 0, MAX_DOCUMENT_BYTES + 1)
            read_preset(parse_document(text, version.uri), version.uri, self.catalogue)
        except RecipeInvalid as problem:
            return problem.message
        return None

    def _asked(self, job: Job, document: dict[str, Any], place: Place) -> Wanted:
        facts: dict[str, Any] = {}
        if job.source and not job.line:
            facts["checksum"] = self.objects.facts(job.source).checksum
        requires_mask = False
        if (name := document.get("preset")) is not None:
            if not self.inbox.takes_preset(name):
                raise RecipeInvalid(
                    f"{place.name}: preset: found {described(name)}; allowed: one in {self.inbox.presets}."
                )
            preset, facts["preset_version"] = self._preset(name)
            facts["preset"] = name
            requires_mask = preset.requires_mask
            document = {**self._filled(name, preset, job, document), **document}
        asked = read_job(document, place, self.catalogue)
        if requires_mask and not asked.mask:
            raise RecipeInvalid(f"{place.name}: mask: found none; preset {name} requires one.")
        return Wanted(asked.recipe, asked.references, asked.mask, facts)

    def _dropped(self, job: Job, source: ObjectVersion) -> Wanted:
        if problem := layout.drop_problem(source.key, source.size or 0, self.most_bytes):
            raise RecipeInvalid(problem)
        name = job.preset or layout.DEFAULT_PRESET
        preset, preset_version = self._preset(name)
        given, checksum = self._metadata(source)
        history = self.objects.history(f"{layout.without_suffix(source.key)}.")
        sidecar = self._sidecar(job, source, history, is_required=preset.requires_sidecar)
        own = metadata.overrides(given, preset.fields.get("model"), self.catalogue)
        names = [f"the metadata of {source.key}"] if own else []
        if sidecar:
            text = self.objects.read_range(sidecar, 0, MAX_DOCUMENT_BYTES + 1)
            own |= parse_document(text, sidecar.key)
            names.append(sidecar.key)
        fields = {**self._filled(name, preset, job, own, given), **own}
        recipe = read_recipe(fields, " and ".join(names) or f"preset {name}", self.catalogue)
        mask = self._mask(job, source, history, is_required=preset.requires_mask)
        if mask and not find_model(recipe["model"], self.catalogue).mask:
            raise RecipeInvalid(f"{' and '.join(names)}: model: found one without masks; preset {name} requires one.")
        facts = {"preset_version": preset_version, "sidecar": sidecar, "checksum": checksum}
        return Wanted(recipe, (source.model_copy(update={"checksum": checksum}),), mask, facts)

    def _preset(self, name: str) -> tuple[Preset, ObjectVersion]:
        key = self.inbox.preset_key(name)
        uri = f"s3://{self.inbox.bucket}/{key}"
        current = self.objects.read_current(key, MAX_DOCUMENT_BYTES + 1)
        if current is None:
            raise RecipeInvalid(
                f"preset {name}: found no object {uri}; put one there, such as "
                '{"model": "gpt-image-2-vip", "prompt": "..."}.'
            )
        version, text = current
        return read_preset(parse_document(text, uri), uri, self.catalogue), version

    def _filled(
        self, name: str, preset: Preset, job: Job, own: Mapping[str, Any], given: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The preset's fields, the variables in its texts replaced, but those that ``own`` overrides.

        ``given`` is the source's metadata, when known.
        """
        texts = {what: text for what, text in preset.fields.items() if isinstance(text, str) and what not in own}
        values = {"date": layout.date_of(job.requested_at or job.created_at)}
        if source := job.source:
            values |= {"stem": layout.stem(source.key), "folder": self.inbox.folder(source.key)}
            if given is None and any(map(variables.uses_metadata, texts.values())):
                given, _ = self._metadata(source)
        values |= variables.of_metadata(given or {})
        filled: dict[str, str] = {}
        for what, text in texts.items():
            if missing := variables.missing(text, values):
                whose = source.key if source else "a job without a file"
                raise RecipeInvalid(f"preset {name}: {what}: found {', '.join(missing)}, which {whose} does not have.")
            filled[what] = variables.filled(text, values)
            if (size := len(filled[what].encode())) > MAX_DOCUMENT_BYTES:
                found = f"found {size:,} bytes with its variables filled"
                raise RecipeInvalid(f"preset {name}: {what}: {found}; allowed: at most {MAX_DOCUMENT_BYTES:,}.")
        return {**preset.fields, **filled}

    def _metadata(self, source: ObjectVersion) -> tuple[Mapping[str, str], str | None]:
        """An object's metadata as text, and its checksum."""
        facts = self.objects.facts(source)
        if facts.unsaid:
            raise RecipeInvalid(
                f"{source.key}: found {facts.unsaid} metadata that S3 cannot say in a header; allowed: text in UTF-8 "
                "or RFC 2047."
            )
        return {name.lower(): metadata.decode(value) for name, value in facts.metadata.items()}, facts.checksum

    def _sidecar(
        self, job: Job, source: ObjectVersion, history: Mapping[str, History], *, is_required: bool
    ) -> ObjectVersion | None:
        key, pictures = layout.sidecar_key(source.key), history.get(source.key, [])
        sidecars = _merged(history, lambda name: layout.is_sidecar(name) and layout.sidecar_of(name) == source.key)
        if is_required:
            return job.sidecar or self._required(key, job, source, pictures, sidecars)
        return companions.optional(key, _put(job, source), pictures, sidecars, is_first=job.attempt == 1)

    def _mask(
        self, job: Job, source: ObjectVersion, history: Mapping[str, History], *, is_required: bool
    ) -> ObjectVersion | None:
        key, stem = layout.mask_key(source.key), layout.without_suffix(source.key)
        masks = _merged(history, lambda name: layout.is_mask(name) and layout.mask_of(name) == stem)
        if is_required:
            # Also of the other suffixes: cat.jpg and cat.png have the same mask.
            pictures = _merged(history, lambda name: layout.is_picture(name) and layout.without_suffix(name) == stem)
            return job.mask or self._required(key, job, source, pictures, masks)
        if masks and masks[-1].version:
            raise RecipeInvalid(
                f"{key}: found a mask beside the picture, whose preset takes none; allowed: "
                f'"mask": "required" in {self.inbox.preset_key(job.preset or layout.DEFAULT_PRESET)}, or no such file.'
            )
        return None

    def _required(self, key: str, job: Job, source: ObjectVersion, pictures: History, puts: History) -> ObjectVersion:
        if not source.version_id:
            raise RecipeInvalid(
                f"{key}: found a bucket without versioning; allowed: a versioned one, as presets with "
                "a mask or sidecar that is required need to tell uploads apart."
            )
        return companions.required(key, _put(job, source), pictures, puts, int(self.now()), self.companion_seconds)


def _put(job: Job, source: ObjectVersion) -> Put:
    """The picture as it was asked for, by the time of its event."""
    return Put(job.requested_at or job.created_at, source)


def _merged(history: Mapping[str, History], fits: Callable[[str], bool]) -> History:
    """What happened to the keys that fit: upper and lower case of a suffix make several of one."""
    return sorted((put for name, puts in history.items() if fits(name) for put in puts), key=attrgetter("at"))
