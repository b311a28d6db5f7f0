"""`python -m local.schemas`: write docs/schemas, the JSON Schemas of what goes in and comes out.

They are made of the models that read and write these documents, so they say what the code does. A job document's and a
preset's are made of the deployed catalogue.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from bucketbrush.domain.batches import BatchAnnouncement, BatchSummary, LineEnd
from bucketbrush.domain.catalogue import OneOf, Ratio, Text, Whole
from bucketbrush.domain.result import Announcement, LateNotice, Result, SubmittedNotice
from bucketbrush.messages import AgainCall, ImageJobRequested, RequestCall
from bucketbrush.wiring.submit import deployed_catalogue
from local.engine.controller import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from bucketbrush.domain.catalogue import Catalogue, Limit, Model, Rule

FOLDER = ROOT / "docs" / "schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
_NAME = {"type": "string", "minLength": 1}

INPUTS: dict[str, Any] = {
    "request": RequestCall,
    "requested-detail": ImageJobRequested.model_fields["detail"].annotation,
    "again": AgainCall,
}
OUTPUTS: dict[str, type[BaseModel]] = {
    "result": Result,
    "announcement": Announcement,
    "submitted": SubmittedNotice,
    "late": LateNotice,
    "batch": BatchSummary,
    "batch-line": LineEnd,
    "batch-announcement": BatchAnnouncement,
}


class _Generate(GenerateJsonSchema):
    """Without a title for each field, which would be its name once more; what goes out has all of its fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class says so
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


def schemas(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file."""
    found = {name: _generated(model, "validation") for name, model in INPUTS.items()}
    found |= {name: _opened(_generated(model, "serialization")) for name, model in OUTPUTS.items()}
    found["job-document"] = job_document(catalogue)
    found["preset"] = preset(catalogue)
    return {
        f"{name}.schema.json": {"$schema": _DIALECT, "$id": f"{name}.schema.json", **schema}
        for name, schema in found.items()
    }


def _generated(model: Any, mode: Any) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(schema_generator=_Generate, mode=mode)
    return {**schema, "title": model.__name__.strip("_")}


def _opened(schema: Any) -> Any:
    """A document that goes out may get further fields in a later version."""
    if isinstance(schema, dict):
        return {name: _opened(value) for name, value in schema.items() if name != "additionalProperties" or value}
    return [_opened(value) for value in schema] if isinstance(schema, list) else schema


# ---- Documents of people ---------------------------------------------------------------------------------------------


def job_document(catalogue: Catalogue) -> dict[str, Any]:
    """A job document; one that names a preset may leave out what that says."""
    return {
        "title": "Job document",
        "type": "object",
        "anyOf": [_job_branch(name, model) for name, model in catalogue.items()],
    }


def preset(catalogue: Catalogue) -> dict[str, Any]:
    """A preset, of models that take pictures."""
    branches = [_preset_branch(name, model) for name, model in catalogue.items() if model.references]
    return {"title": "Preset", "type": "object", "anyOf": branches}


def _job_branch(name: str, model: Model) -> dict[str, Any]:
    key = {"type": ["string", "null"], "minLength": 1}
    fields: dict[str, Any] = {"preset": key}
    if references := model.references:
        listed = {"type": ["array", "null"], "items": _NAME, "maxItems": references.most}
        fields |= dict.fromkeys(("references", references.field, *references.also), listed)
    if model.mask:
        fields |= dict.fromkeys(("mask", model.mask), key)
    with_preset = {"required": ["preset"], "properties": {"preset": _NAME}}
    return {**_branch(name, model, fields), "anyOf": [with_preset, _complete(model)]}


def _preset_branch(name: str, model: Model) -> dict[str, Any]:
    companions = ["sidecar", *(["mask"] if model.mask else [])]
    fields = {companion: {"enum": ["required", None]} for companion in companions}
    return {**_branch(name, model, fields), **_complete(model)}


def _branch(name: str, model: Model, others: dict[str, Any]) -> dict[str, Any]:
    fields = {field: _field(rule) for field, rule in model.fields.items()}
    fields |= {"model": {"const": name}, "references": _NULL, "mask": _NULL, **others}
    return {"title": name, "properties": fields, "additionalProperties": False}


def _complete(model: Model) -> dict[str, Any]:
    """What a document must have when nothing else fills it in."""
    required = [field for field, rule in model.fields.items() if rule.required]
    return {
        "required": ["model", *required],
        "allOf": [
            *({"not": {"properties": {field: _NULL}, "required": [field]}} for field in required),
            *(_limited(model, limit) for limit in model.limits),
        ],
    }


def _field(rule: Rule) -> dict[str, Any]:
    """A value that the rule takes, or null for its default. Words in the API's spelling, though any case is taken."""
    said: dict[str, Any] = {} if rule.default is None else {"default": rule.default}
    match rule:
        case OneOf():
            return {"enum": [*rule.values, None], **said}
        case Ratio():
            ratio = {"type": "string", "pattern": "^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$", "description": rule.allowed}
            return {"anyOf": [ratio, {"enum": [*rule.words, None]}], **said}
        case Whole():
            return {"type": ["integer", "null"], "minimum": rule.low, "maximum": rule.high, **said}
        case Text():
            most = {"maxLength": rule.longest} if rule.longest else {}
            return {"type": ["string", "null"], "pattern": r"\S", **most, **said}


def _limited(model: Model, limit: Limit) -> dict[str, Any]:
    """A field without a value has its default, of which the limit holds too."""
    is_default = model.fields[limit.when].default == limit.equals
    when = {"properties": {limit.when: {"enum": [limit.equals, *([None] if is_default else [])]}}}
    default = model.fields[limit.field].default
    may_lack = default is None or default in limit.values
    allowed = {"enum": [*limit.values, *([None] if may_lack else [])]}
    return {
        "if": when if is_default else {**when, "required": [limit.when]},
        "then": {"properties": {limit.field: allowed}, **({} if may_lack else {"required": [limit.field]})},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` say which differ; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.schemas", description="Write docs/schemas.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail when a file differs")
    options = parser.parse_args(arguments)
    texts = {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas(deployed_catalogue()).items()}
    if options.check:
        there = {file.name: file.read_text() for file in FOLDER.glob("*.json")}
        differ = sorted(name for name in {*texts, *there} if texts.get(name) != there.get(name))
        sys.stdout.write("".join(f"docs/schemas/{name} differs; write it with: make schemas\n" for name in differ))
        return 1 if differ else 0
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.json"):
        file.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
