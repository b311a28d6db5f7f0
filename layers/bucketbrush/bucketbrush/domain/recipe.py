"""From a document that a person wrote to a recipe that the provider will accept.

Everything is checked before any money is spent, and one message lists every broken field with what was found and what
is allowed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bucketbrush.domain.catalogue import Catalogue, Model, References, Text
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import REFERENCE_PREFIXES, picture_key

MAX_DOCUMENT_BYTES = 262_144  # what a Step Functions input may hold ("Service quotas"); one limit for every way in
_LONGEST_QUOTE = 40
_MOST_NAMES = 20  # a message must fit the ledger row and SNS, whatever stands in the document
_REFERENCES, _MASK = "references", "mask"
_NO_REFERENCES = References(field=_REFERENCES, most=1)

Recipe: TypeAlias = dict[str, Any]
"""``model`` and every field of its request body, complete with defaults. It holds the prompt: never log it."""


@dataclass(frozen=True)
class Place:
    """Where a document comes from: how messages call it, the inbox bucket, and the folder that its keys start from."""

    name: str
    bucket: str
    folder: str = ""


@dataclass(frozen=True)
class Asked:
    """What a job document asks for: the recipe, and the keys of the reference pictures and of the mask."""

    recipe: Recipe
    references: tuple[str, ...] = ()
    mask: str | None = None


def parse_document(text: bytes, name: str) -> dict[str, Any]:
    """The JSON object in a file's bytes. Raises RecipeInvalid naming the file and the place of the mistake."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise RecipeInvalid(f"{name}: found more than {MAX_DOCUMENT_BYTES:,} bytes; allowed: at most that many.")
    try:
        document = json.loads(text)
    except UnicodeDecodeError as error:
        raise RecipeInvalid(f"{name}: found bytes that are not UTF-8 at byte {error.start}; allowed: JSON.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RecipeInvalid(f"{name}: found no JSON at {place} ({error.msg}); allowed: a JSON object.") from None
    except (RecursionError, ValueError):  # json's own answers to bottomless nesting and to numbers without end
        raise RecipeInvalid(f"{name}: found JSON nested too deeply or a number too long to read.") from None
    return check_document(document, name)


def check_document(document: Any, name: str) -> dict[str, Any]:
    """The document itself, if it is an object. Raises RecipeInvalid."""
    if not isinstance(document, dict):
        raise RecipeInvalid(f"{name}: found {_found(document)}; allowed: a JSON object.")
    return document


def read_preset(document: dict[str, Any], name: str, catalogue: Catalogue) -> Recipe:
    """A complete recipe for pictures that come from elsewhere. Raises RecipeInvalid listing every broken field."""
    model = _model(document, name, catalogue)
    recipe = _recipe(document, model)
    problems = _recipe_problems(document, recipe, model, also=())
    if model.references is None:
        problems.append(f"model: found {_found(recipe['model'])}; allowed: one that takes references")
    _demand_none(name, problems)
    return recipe


def read_job(document: dict[str, Any], place: Place, catalogue: Catalogue) -> Asked:
    """What a job document asks for. Raises RecipeInvalid listing every field that breaks a rule of its model.

    The fields ``references`` and ``mask`` may also have the names that the API's pages give them.
    """
    model = _model(document, place.name, catalogue)
    recipe = _recipe(document, model)
    takes = model.references or _NO_REFERENCES
    listed = [name for name in (_REFERENCES, takes.field, *takes.also) if document.get(name) is not None]
    masks = [name for name in (_MASK, model.mask) if name and document.get(name) is not None]
    references = document[listed[0]] if listed else []
    mask = document[masks[0]] if masks else None
    also = (_REFERENCES, takes.field, *takes.also, _MASK, *([model.mask] if model.mask else []))
    problems = [
        *_recipe_problems(document, recipe, model, also),
        *_twice(listed),
        *_reference_problems(listed[0] if listed else _REFERENCES, references, model, place),
        *_twice(masks),
        *_mask_problems(masks[0] if masks else _MASK, mask, references, model, place),
    ]
    _demand_none(place.name, problems)
    keys = tuple(str(picture_key(given, place.bucket, place.folder)) for given in references)
    return Asked(recipe, keys, None if mask is None else picture_key(mask, place.bucket, place.folder))


def request_body(
    recipe: Recipe, model: Model, reference_links: Sequence[str], mask_link: str | None, business_id: str
) -> dict[str, Any]:
    """The body of the one POST (ToAPIs, both model pages). ``client_business_id`` finds the task when the answer is
    lost (ToAPIs, image task status page).
    """
    references = {model.references.field: list(reference_links)} if model.references and reference_links else {}
    mask = {model.mask: mask_link} if model.mask and mask_link else {}
    return {**recipe, **references, **mask, "client_business_id": business_id}


def find_model(name: Any, catalogue: Catalogue) -> Model:
    """The model of this name. Raises RecipeInvalid."""
    model = catalogue.get(name) if isinstance(name, str) else None
    if model is None:
        raise RecipeInvalid(f"model: found {_found(name)}; allowed: {', '.join(catalogue)}.")
    return model


def _model(document: dict[str, Any], name: str, catalogue: Catalogue) -> Model:
    if "model" not in document:
        raise RecipeInvalid(f"{name}: model: found no such field; allowed: {', '.join(catalogue)}.")
    try:
        return find_model(document["model"], catalogue)
    except RecipeInvalid as problem:
        raise RecipeInvalid(f"{name}: {problem.message}") from None


def _recipe(document: dict[str, Any], model: Model) -> Recipe:
    recipe: Recipe = {"model": document["model"]}
    for field, rule in model.fields.items():
        value = document.get(field)
        read = rule.default if value is None else rule.read(value)
        if read is not None:
            recipe[field] = read
    return recipe


def _demand_none(name: str, problems: Sequence[str]) -> None:
    if problems:
        raise RecipeInvalid(f"{name}: {'; '.join(problems)}.")


def _recipe_problems(document: dict[str, Any], recipe: Recipe, model: Model, also: Sequence[str]) -> list[str]:
    return [*_field_problems(document, model, also), *_limit_problems(recipe, model)]


def _field_problems(document: dict[str, Any], model: Model, also: Sequence[str]) -> Iterator[str]:
    for field, rule in model.fields.items():
        value = document.get(field)
        if value is None and rule.required:
            yield f"{field}: found no such field; allowed: {rule.allowed}"
        elif value is not None and rule.read(value) is None:
            found = f"{len(value):,} characters" if isinstance(rule, Text) and isinstance(value, str) else _found(value)
            yield f"{field}: found {found}; allowed: {rule.allowed}"
    known = list(dict.fromkeys(["model", *model.fields, *also]))
    if unknown := [_found(field[:_LONGEST_QUOTE]) for field in document if field not in known]:
        more = f" and {len(unknown) - _MOST_NAMES:,} more" if len(unknown) > _MOST_NAMES else ""
        names = ", ".join(unknown[:_MOST_NAMES]) + more
        yield f"found fields that {document['model']} does not have: {names}; allowed: {', '.join(known)}"


def _limit_problems(recipe: Recipe, model: Model) -> Iterator[str]:
    for limit in model.limits:
        value = recipe.get(limit.field)
        if recipe.get(limit.when) == limit.equals and value is not None and value not in limit.values:
            allowed = ", ".join(limit.values) or "to leave it out"
            yield f"{limit.field}: found {_found(value)} with {limit.when} {limit.equals}; allowed with it: {allowed}"


def _twice(names: Sequence[str]) -> Iterator[str]:
    if len(names) > 1:
        yield f"{names[0]}: found also as {' and '.join(names[1:])}; allowed: one of these names"


def _reference_problems(field: str, given: Any, model: Model, place: Place) -> Iterator[str]:
    most = model.references.most if model.references else 0
    if not isinstance(given, list):
        yield f"{field}: found {_found(given)}; allowed: a list of {_keys(place)}"
        return
    for index, key in enumerate(given[:_MOST_NAMES]):
        if not isinstance(key, str) or picture_key(key, place.bucket, place.folder) is None:
            yield f"{field}[{index}]: found {_found(key)}; allowed: {_keys(place)}"
    if len(given) > most:
        yield f"{field}: found {len(given):,}; allowed: {f'at most {most}' if most else 'none with this model'}"


def _mask_problems(field: str, mask: Any, references: Any, model: Model, place: Place) -> Iterator[str]:
    if mask is None:
        return
    if model.mask is None:
        yield f"{field}: found {_found(mask)}; allowed: none with this model"
        return
    if not isinstance(mask, str) or picture_key(mask, place.bucket, place.folder) is None:
        yield f"{field}: found {_found(mask)}; allowed: {_keys(place)}"
    if not references:
        yield f"{field}: found without references; allowed: together with at least one"


def _keys(place: Place) -> str:
    start = f"relative to {place.folder}" if place.folder else "plain"
    return (
        f"keys in bucket {place.bucket} below {' or '.join(REFERENCE_PREFIXES)}, {start} or as s3://{place.bucket}/..."
    )


def _found(value: Any) -> str:
    """A short, harmless description of what stood in a field. Long text may be a prompt, so it is only measured."""
    if isinstance(value, str):
        if value.startswith("data:"):
            return f"a data URI of {len(value):,} characters"
        return json.dumps(value) if len(value) <= _LONGEST_QUOTE else f"{len(value):,} characters"
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else "an object"
    return json.dumps(value)[:_LONGEST_QUOTE]
