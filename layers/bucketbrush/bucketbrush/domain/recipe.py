"""From a document that a person wrote to a recipe that the provider will accept.

Everything is checked before any money is spent, and one message lists every broken field with what was found and what
is allowed.
"""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from bucketbrush.domain.catalogue import CATALOGUE, Model, Text, is_unicode
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import REFERENCE_PREFIXES

MAX_DOCUMENT_BYTES = 262_144  # what a Step Functions input may hold ("Service quotas"); one limit for every way in
_LONGEST_QUOTE = 40
_MOST_NAMES = 20  # a message must fit the ledger row and SNS, whatever stands in the document
_LONGEST_KEY = 1024  # bytes (S3 User Guide, "Naming Amazon S3 objects")

Recipe: TypeAlias = dict[str, Any]
"""``model`` and every field of its request body, complete with defaults. It holds the prompt: never log it."""


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


def read_recipe(document: dict[str, Any], name: str, also: tuple[str, ...] = ()) -> Recipe:
    """A complete recipe. Raises RecipeInvalid listing every field that breaks a rule of its model.

    ``also`` names the fields that this kind of document may hold beside the recipe's.
    """
    model_name = document.get("model")
    model = CATALOGUE.get(model_name) if isinstance(model_name, str) else None
    if model is None:
        found = _found(model_name) if "model" in document else "no such field"
        raise RecipeInvalid(f"{name}: model: found {found}; allowed: {', '.join(CATALOGUE)}.")
    recipe: Recipe = {"model": model_name}
    for field, rule in model.fields.items():
        value = document.get(field)
        read = rule.default if value is None else rule.read(value)
        if read is not None:
            recipe[field] = read
    if problems := [*_field_problems(document, model, also), *_pair_problems(recipe, model)]:
        raise RecipeInvalid(f"{name}: {'; '.join(problems)}.")
    return recipe


def read_references(document: dict[str, Any], bucket: str, name: str) -> list[str]:
    """The keys that a job document's ``references`` name; an ``s3://`` form must name the inbox bucket."""
    given = document.get("references")
    given = [] if given is None else given
    allowed = (
        f"a list of keys in bucket {bucket} below {' or '.join(REFERENCE_PREFIXES)}, plain or as s3://{bucket}/..."
    )
    if not isinstance(given, list):
        raise RecipeInvalid(f"{name}: references: found {_found(given)}; allowed: {allowed}.")
    keys = [key.removeprefix(f"s3://{bucket}/") if isinstance(key, str) else key for key in given]
    for index, key in enumerate(keys):
        if not isinstance(key, str) or not key.startswith(REFERENCE_PREFIXES) or not _is_key(key):
            raise RecipeInvalid(f"{name}: references[{index}]: found {_found(given[index])}; allowed: {allowed}.")
    most = CATALOGUE[document["model"]].most_references
    if len(keys) > most:
        raise RecipeInvalid(f"{name}: references: found {len(keys)}; allowed: at most {most}.")
    return keys


def request_body(recipe: Recipe, reference_urls: list[str], business_id: str) -> dict[str, Any]:
    """The body of the one POST (ToAPIs, both model pages). ``client_business_id`` finds the task when the answer is
    lost (ToAPIs, image task status page).
    """
    model = CATALOGUE[recipe["model"]]
    references = {model.references_field: reference_urls} if reference_urls else {}
    return {**recipe, **model.constants, **references, "client_business_id": business_id}


def _field_problems(document: dict[str, Any], model: Model, also: tuple[str, ...]) -> Iterator[str]:
    for field, rule in model.fields.items():
        value = document.get(field)
        if value is None and isinstance(rule, Text) and rule.required:
            yield f"{field}: found no such field; allowed: {rule.allowed}"
        elif value is not None and rule.read(value) is None:
            found = f"{len(value):,} characters" if isinstance(rule, Text) and isinstance(value, str) else _found(value)
            yield f"{field}: found {found}; allowed: {rule.allowed}"
    known = ["model", *model.fields, *also]
    if unknown := [_found(field[:_LONGEST_QUOTE]) for field in document if field not in known]:
        more = f" and {len(unknown) - _MOST_NAMES:,} more" if len(unknown) > _MOST_NAMES else ""
        names = ", ".join(unknown[:_MOST_NAMES]) + more
        yield f"found fields that {document['model']} does not have: {names}; allowed: {', '.join(known)}"


def _pair_problems(recipe: Recipe, model: Model) -> Iterator[str]:
    for limit in model.limits:
        value = recipe.get(limit.field)
        if recipe.get(limit.when_field) == limit.when_value and value is not None and value not in limit.values:
            when = f"{limit.when_field} {limit.when_value}"
            yield f"{limit.field}: found {_found(value)} with {when}; allowed with it: {', '.join(limit.values)}"
    for field, (other, needed) in model.only_with.items():
        if field in recipe and recipe.get(other) != needed:
            other_found = _found(recipe[other]) if other in recipe else "none"
            yield f"{field}: found with {other} {other_found}; allowed: only with {other} {needed}"


def _is_key(key: str) -> bool:
    return key not in REFERENCE_PREFIXES and is_unicode(key) and len(key.encode()) <= _LONGEST_KEY


def _found(value: Any) -> str:
    """A short, harmless description of what stood in a field. Long text may be a prompt, so it is only measured."""
    if isinstance(value, str):
        return json.dumps(value) if len(value) <= _LONGEST_QUOTE else f"{len(value):,} characters"
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else "an object"
    return json.dumps(value)[:_LONGEST_QUOTE]
