"""From a document that a person wrote to a recipe that the provider will accept.

Everything is checked before any money is spent, and one message lists every broken field with what was found and what
is allowed.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from bucketbrush.domain import variables
from bucketbrush.domain.catalogue import Catalogue, Model, Text
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import Inbox

MAX_DOCUMENT_BYTES = 262_144  # what a Step Functions input may hold ("Service quotas"); one limit for every way in
_LONGEST_QUOTE = 40
_MOST_NAMED = 20  # a message must fit the ledger row and SNS, whatever stands in the document
_REFERENCES, _MASK, _SIDECAR, _PRESET = "references", "mask", "sidecar", "preset"
_REQUIRED = "required"
_OTHERS = "other fields"
_ADDRESS = re.compile(r"(?:https?|data|file)(?=:)", re.IGNORECASE)  # it may be signed, or hold a picture
_Problem: TypeAlias = tuple[str, str]  # a field, and what was found in it and is allowed

Recipe: TypeAlias = dict[str, Any]
"""``model`` and every field of its request body, complete with defaults. It holds the prompt: never log it."""


@dataclass(frozen=True)
class Place:
    """Where a document comes from: how messages call it, the inbox, and the folder that its keys start from."""

    name: str
    inbox: Inbox
    folder: str = ""

    def takes(self, given: Any) -> bool:
        """Whether it names a key where pictures may lie."""
        return isinstance(given, str) and self.inbox.picture_key(given, self.folder) is not None

    def key(self, given: str) -> str:
        """The key that was given, which must be one that is taken."""
        return self.inbox.picture_key(given, self.folder) or ""

    @property
    def allowed(self) -> str:
        """What is taken, for a message."""
        start = f", starting from {self.folder}" if self.folder else ""
        return f"keys below {' or '.join(self.inbox.pictures)} of bucket {self.inbox.bucket}{start}, and no links"


@dataclass(frozen=True)
class Asked:
    """What a job document asks for: the recipe, and the keys of the reference pictures and of the mask."""

    recipe: Recipe
    references: tuple[str, ...] = ()
    mask: str | None = None


@dataclass(frozen=True)
class Preset:
    """A recipe for pictures that come from elsewhere: the fields of a job document, whose texts may hold variables, and
    whether each picture must bring a mask and a sidecar.
    """

    fields: dict[str, Any]
    requires_mask: bool = False
    requires_sidecar: bool = False


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
        raise RecipeInvalid(f"{name}: found {described(document)}; allowed: a JSON object.")
    return document


def read_preset(document: dict[str, Any], name: str, catalogue: Catalogue) -> Preset:
    """The preset that a document is. Raises RecipeInvalid listing every broken field."""
    _demand_sound(document, name, catalogue, _preset_problems)
    requires = [document.get(what) is not None for what in (_MASK, _SIDECAR)]
    return Preset({field: value for field, value in document.items() if field not in (_MASK, _SIDECAR)}, *requires)


def read_recipe(document: dict[str, Any], name: str, catalogue: Catalogue) -> Recipe:
    """The complete recipe for a dropped picture. Raises RecipeInvalid listing every broken field."""
    return _recipe(document, _demand_sound(document, name, catalogue, _recipe_problems))


def read_job(document: dict[str, Any], place: Place, catalogue: Catalogue) -> Asked:
    """What a job document asks for. Raises RecipeInvalid listing every broken field.

    The fields ``references`` and ``mask`` may also have the names that the API's pages give them.
    """
    model = _demand_sound(document, place.name, catalogue, partial(_job_problems, place))
    mask = _given(document, _mask_names(model))
    return Asked(
        recipe=_recipe(document, model),
        references=tuple(place.key(given) for given in _given(document, _reference_names(model)) or []),
        mask=None if mask is None else place.key(mask),
    )


def request_body(
    recipe: Recipe, model: Model, reference_links: Sequence[str], mask_link: str | None, business_id: str
) -> dict[str, Any]:
    """The body of the one POST (ToAPIs, both model pages). ``client_business_id`` finds the task when the answer is
    lost (ToAPIs, image task status page). Raises RecipeInvalid when the model's entry was changed meanwhile.
    """
    if (reference_links and not model.references) or (mask_link and not model.mask):
        raise RecipeInvalid(f"model: found {described(recipe['model'])}, which takes no such pictures any more.")
    references = {model.references.field: list(reference_links)} if model.references and reference_links else {}
    mask = {model.mask: mask_link} if model.mask and mask_link else {}
    return {**recipe, **references, **mask, "client_business_id": business_id}


def find_model(name: Any, catalogue: Catalogue) -> Model:
    """The model of this name. Raises RecipeInvalid."""
    model = catalogue.get(name) if isinstance(name, str) else None
    if model is None:
        found = "no such field" if name is None else described(name)
        raise RecipeInvalid(f"model: found {found}; allowed: {', '.join(catalogue)}.")
    return model


def _demand_sound(
    document: dict[str, Any],
    name: str,
    catalogue: Catalogue,
    look: Callable[[dict[str, Any], Model], Iterable[_Problem]],
) -> Model:
    """The document's model, if nothing in it breaks a rule. Raises RecipeInvalid.

    Without a known model it names beside the model what breaks the rules of all of them.
    """
    try:
        model = find_model(document.get("model"), catalogue)
        problems = [f"{field}: {said}" for field, said in look(document, model)]
    except RecipeInvalid as problem:
        found = [dict(look(document, model)) for model in catalogue.values()]
        shared = set.intersection(*map(set, found)) - {_OTHERS}
        broken = [f"{field}: {said}" for field, said in found[0].items() if field in shared]
        problems = [problem.message.removesuffix("."), *broken]
    if problems:
        raise RecipeInvalid(f"{name}: {'; '.join(problems)}.")
    return model


def _preset_problems(document: dict[str, Any], model: Model) -> Iterator[_Problem]:
    companions = [_SIDECAR, *([_MASK] if model.mask else [])]
    plain = {field: value for field, value in document.items() if field not in companions}
    yield from _recipe_problems(plain, model, also=companions)
    for field in companions:
        if document.get(field) not in (None, _REQUIRED):
            yield field, f"found {described(document[field])} in a preset; allowed: {json.dumps(_REQUIRED)}"
    for field, rule in model.fields.items():
        text = document.get(field)
        if isinstance(rule, Text) and isinstance(text, str) and (unknown := variables.unknown(text)):
            yield field, f"found {_named(unknown)}; allowed: {variables.ALLOWED}"


def _recipe_problems(document: dict[str, Any], model: Model, also: Sequence[str] = ()) -> Iterator[_Problem]:
    yield from _field_problems(document, model, also)
    yield from _limit_problems(document, model)
    names = _reference_names(model)
    if not names:
        yield "model", f"found {described(document.get('model'))}; allowed: one that takes references"
    if given := [name for name in (*names, *_mask_names(model)) if document.get(name) is not None]:
        yield given[0], "found for a dropped picture; allowed: in a job document (.job.json) only"


def _job_problems(place: Place, document: dict[str, Any], model: Model) -> Iterator[_Problem]:
    listed, masks = _reference_names(model), _mask_names(model)
    references, mask = _given(document, listed), _given(document, masks)
    yield from _field_problems(document, model, also=(*listed, *masks, _PRESET))
    yield from _limit_problems(document, model)
    yield from _twice(document, listed)
    if references is not None and model.references:
        yield from _reference_problems(_used(document, listed), references, model.references.most, place)
    yield from _twice(document, masks)
    if mask is not None:
        yield from _mask_problems(_used(document, masks), mask, references, place)


def _reference_names(model: Model) -> tuple[str, ...]:
    return (_REFERENCES, model.references.field, *model.references.also) if model.references else ()


def _mask_names(model: Model) -> tuple[str, ...]:
    return (_MASK, model.mask) if model.mask else ()


def _used(document: dict[str, Any], names: Sequence[str]) -> str:
    """Which of a field's names the document has; none is the empty one."""
    return next((name for name in names if document.get(name) is not None), "")


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


def _field_problems(document: dict[str, Any], model: Model, also: Sequence[str]) -> Iterator[_Problem]:
    for field, rule in model.fields.items():
        value = document.get(field)
        if value is None and rule.required:
            yield field, f"found no such field; allowed: {rule.allowed}"
        elif value is not None and rule.read(value) is None:
            found = (
                f"{len(value):,} characters" if isinstance(rule, Text) and isinstance(value, str) else described(value)
            )
            yield field, f"found {found}; allowed: {rule.allowed}"
    known = list(dict.fromkeys(["model", *model.fields, *also]))
    # Those of pictures are no unknown words in a preset, which has its own sentence for them.
    pictures = (*_reference_names(model), *_mask_names(model))
    none = [name for name in (_REFERENCES, _MASK) if document.get(name) is None]
    if unknown := [described(field[:_LONGEST_QUOTE]) for field in document if field not in (*known, *pictures, *none)]:
        yield _OTHERS, f"found {_named(unknown)}; allowed: {', '.join(known)}"


def _limit_problems(document: dict[str, Any], model: Model) -> Iterator[_Problem]:
    recipe = _recipe(document, model)
    for limit in model.limits:
        value = recipe.get(limit.field)
        if recipe.get(limit.when) == limit.equals and value is not None and value not in limit.values:
            found = described(value) + (", the default," if document.get(limit.field) is None else "")
            allowed = ", ".join(limit.values) or f"to leave it out, or another {limit.when}"
            yield limit.field, f"found {found} with {limit.when} {limit.equals}; allowed with it: {allowed}"


def _twice(document: dict[str, Any], names: Sequence[str]) -> Iterator[_Problem]:
    found = [name for name in names if document.get(name) is not None]
    if len(found) > 1:
        yield found[0], f"found also as {' and '.join(found[1:])}; allowed: one of these names"


def _reference_problems(field: str, given: Any, most: int, place: Place) -> Iterator[_Problem]:
    if not isinstance(given, list):
        yield field, f"found {described(given)}; allowed: a list of {place.allowed}"
        return
    if wrong := [f"[{index}] {described(key)}" for index, key in enumerate(given) if not place.takes(key)]:
        yield field, f"found {_named(wrong)}; allowed: {place.allowed}"
    if len(given) > most:
        yield field, f"found {len(given):,}; allowed: at most {most}"


def _mask_problems(field: str, mask: Any, references: Any, place: Place) -> Iterator[_Problem]:
    if not place.takes(mask):
        yield field, f"found {described(mask)}; allowed: {place.allowed}"
    if not references:
        yield field, "found without references; allowed: together with at least one"


def _named(found: Sequence[str]) -> str:
    """The first of what was found, and how much more there is."""
    more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more


def described(value: Any) -> str:
    """A short, harmless description of what stood in a field. Long text may be a prompt, so it is only measured."""
    if isinstance(value, str):
        if address := _ADDRESS.match(value):
            return f"an address ({address[0].lower()}:, {len(value):,} characters)"
        return json.dumps(value) if len(value) <= _LONGEST_QUOTE else f"{len(value):,} characters"
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else "an object"
    return json.dumps(value)[:_LONGEST_QUOTE]
