"""From a document that a person wrote to a recipe that the provider will accept.

Everything is checked before any money is spent, and one message lists every broken field with what was found and what
is allowed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from bucketbrush.domain.catalogue import Catalogue, Model, Text
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import REFERENCE_PREFIXES, picture_key

MAX_DOCUMENT_BYTES = 262_144  # what a Step Functions input may hold ("Service quotas"); one limit for every way in
_LONGEST_QUOTE = 40
_MOST_NAMES = 20  # a message must fit the ledger row and SNS, whatever stands in the document
_REFERENCES, _MASK = "references", "mask"
_OTHERS = "other fields"

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
    model = _demand_sound(document, name, catalogue, _preset_problems)
    return _recipe(document, model)


def read_job(document: dict[str, Any], place: Place, catalogue: Catalogue) -> Asked:
    """What a job document asks for. Raises RecipeInvalid listing every broken field.

    The fields ``references`` and ``mask`` may also have the names that the API's pages give them.
    """
    model = _demand_sound(document, place.name, catalogue, partial(_job_problems, place))
    references = _given(document, _reference_names(model)) or []
    mask = _given(document, _mask_names(model))
    keys = tuple(str(picture_key(given, place.bucket, place.folder)) for given in references)
    return Asked(_recipe(document, model), keys, mask and picture_key(mask, place.bucket, place.folder))


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
        found = "no such field" if name is None else _found(name)
        raise RecipeInvalid(f"model: found {found}; allowed: {', '.join(catalogue)}.")
    return model


def _demand_sound(
    document: dict[str, Any], name: str, catalogue: Catalogue, problems_of: Callable[[dict[str, Any], Model], list[str]]
) -> Model:
    """The document's model, if nothing in it breaks a rule. Raises RecipeInvalid.

    Without a known model it names beside the model what breaks the rules of all of them.
    """
    try:
        model = find_model(document.get("model"), catalogue)
        problems = problems_of(document, model)
    except RecipeInvalid as problem:
        found = [problems_of(document, model) for model in catalogue.values()]
        broken = [{_field_of(problem) for problem in problems} for problems in found]
        shared = set.intersection(*broken) - {_OTHERS}
        problems = [problem.message.rstrip("."), *(each for each in found[0] if _field_of(each) in shared)]
    if problems:
        raise RecipeInvalid(f"{name}: {'; '.join(problems)}.")
    return model


def _field_of(problem: str) -> str:
    return problem.partition(":")[0]


def _preset_problems(document: dict[str, Any], model: Model) -> list[str]:
    takes_none = f"model: found {_found(document.get('model'))}; allowed: one that takes references"
    return [*_recipe_problems(document, model, also=()), *([] if model.references else [takes_none])]


def _job_problems(place: Place, document: dict[str, Any], model: Model) -> list[str]:
    listed, masks = _reference_names(model), _mask_names(model)
    references, mask = _given(document, listed), _given(document, masks)
    return [
        *_recipe_problems(document, model, also=(*listed, *masks)),
        *_twice(document, listed),
        *([] if references is None else _reference_problems(_used(document, listed), references, model, place)),
        *_twice(document, masks),
        *([] if mask is None else _mask_problems(_used(document, masks), mask, references, model, place)),
    ]


def _reference_names(model: Model) -> tuple[str, ...]:
    return (_REFERENCES, model.references.field, *model.references.also) if model.references else (_REFERENCES,)


def _mask_names(model: Model) -> tuple[str, ...]:
    return (_MASK, model.mask) if model.mask else (_MASK,)


def _used(document: dict[str, Any], names: Sequence[str]) -> str:
    """Which of a field's names the document has; the first one without any."""
    return next((name for name in names if document.get(name) is not None), names[0])


def _given(document: dict[str, Any], names: Sequence[str]) -> Any:
    return document.get(_used(document, names))


def _recipe(document: dict[str, Any], model: Model) -> Recipe:
    recipe: Recipe = {"model": document.get("model")}
    for field, rule in model.fields.items():
        value = document.get(field)
        read = rule.default if value is None else rule.read(value)
        if read is not None:
            recipe[field] = read
    return recipe


def _recipe_problems(document: dict[str, Any], model: Model, also: Sequence[str]) -> list[str]:
    return [*_field_problems(document, model, also), *_limit_problems(_recipe(document, model), model)]


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
        yield f"{_OTHERS}: found {names}; allowed: {', '.join(known)}"


def _limit_problems(recipe: Recipe, model: Model) -> Iterator[str]:
    for limit in model.limits:
        value = recipe.get(limit.field)
        if recipe.get(limit.when) == limit.equals and value is not None and value not in limit.values:
            allowed = ", ".join(limit.values) or "to leave it out"
            yield f"{limit.field}: found {_found(value)} with {limit.when} {limit.equals}; allowed with it: {allowed}"


def _twice(document: dict[str, Any], names: Sequence[str]) -> Iterator[str]:
    found = [name for name in names if document.get(name) is not None]
    if len(found) > 1:
        yield f"{found[0]}: found also as {' and '.join(found[1:])}; allowed: one of these names"


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
