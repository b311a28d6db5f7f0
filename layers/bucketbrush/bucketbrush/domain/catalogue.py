"""The models that a recipe may name, as data: a new model is an entry of a JSON document, no code.

The documents lie in ``bucketbrush/models/`` and are deployed with the layer. ``toapis.json`` holds the rules of ToAPIs'
pages "Image editing" (gpt-image-1.5-official) and "GPT-Image-2-VIP"; further documents add models or replace them
(docs/models.md). Both pages describe one endpoint with one request body, so an entry lists the body's fields, each with
its rule and its default.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationError, model_validator

from bucketbrush.domain.errors import SettingsInvalid
from bucketbrush.domain.jobs import Frozen
from bucketbrush.domain.layout import is_unicode

_OURS = ("model", "references", "mask", "client_business_id")
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")


class _Field(Frozen):
    """What every rule may say."""

    required: bool = False


class OneOf(_Field):
    """One of a list of words; upper and lower case are the same (the API's own pages write both 1k and 1K)."""

    kind: Literal["one of"] = "one of"
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    default: str | None = None

    @property
    def allowed(self) -> str:
        return ", ".join(self.values)

    def read(self, value: Any) -> str | None:
        """The value in the API's spelling, or None when it is not allowed."""
        spellings = {word.lower(): word for word in self.values}
        return spellings.get(value.lower()) if isinstance(value, str) else None


class Ratio(_Field):
    """Any ``width:height`` that is no steeper than ``steepest`` to 1 either way, or one of ``words``."""

    kind: Literal["ratio"]
    steepest: Annotated[int, Field(ge=1)]
    words: tuple[str, ...] = ()
    default: str | None = None

    @property
    def allowed(self) -> str:
        return ", ".join([f"width:height up to {self.steepest}:1 or 1:{self.steepest}", *self.words])

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        if found := _RATIO.fullmatch(value):
            short, long = sorted(map(int, found.groups()))
            return value if long <= self.steepest * short else None
        return value.lower() if value.lower() in self.words else None


class Whole(_Field):
    """A whole JSON number: the API does not take numbers in quotes."""

    kind: Literal["whole"] = "whole"
    low: int
    high: int
    default: int | None = None

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: Any) -> int | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and self.low <= value <= self.high else None


class Text(_Field):
    """Any text that UTF-8 can say but an empty one. ``longest`` counts characters."""

    kind: Literal["text"] = "text"
    longest: int | None = None
    default: str | None = None

    @property
    def allowed(self) -> str:
        return "a text" + (f" of 1 to {self.longest:,} characters" if self.longest else " that is not empty")

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value.strip() or not is_unicode(value):
            return None
        return value if self.longest is None or len(value) <= self.longest else None


Rule: TypeAlias = Annotated[OneOf | Ratio | Whole | Text, Field(discriminator="kind")]


class Limit(Frozen):
    """While field ``when`` is ``equals``, ``field`` takes only ``values``; without any it must be left out."""

    field: str
    values: tuple[str, ...]
    when: str
    equals: str


class References(Frozen):
    """The field of the body that holds the links to reference pictures, its other names, and how many it takes."""

    field: str
    also: tuple[str, ...] = ()
    most: Annotated[int, Field(ge=1)]


class Price(Frozen):
    """What one picture costs in US dollars, when the fields in ``of`` have these values."""

    usd: Annotated[Decimal, Field(ge=0, le=1000)]
    of: dict[str, str] = Field(default_factory=dict)


class Model(Frozen):
    """One model: the fields of its request body beside ``model``.

    Without ``references`` it takes no pictures; ``mask`` is the field for the link to a mask, if it takes one. Of
    ``prices`` the first one that fits counts.
    """

    fields: dict[str, Rule]
    limits: tuple[Limit, ...] = ()
    references: References | None = None
    mask: str | None = None
    prices: tuple[Price, ...] = ()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name, rule in self.fields.items():
            if rule.default is not None and rule.read(rule.default) != rule.default:
                raise ValueError(f"{name}: its default {rule.default!r} is not among what it allows: {rule.allowed}")
        pictures = (self.references.field, *self.references.also) if self.references else ()
        if taken := self.fields.keys() & {*_OURS, *pictures, self.mask}:
            raise ValueError(f"{', '.join(sorted(taken))}: these fields are filled by ourselves")
        for limit in self.limits:
            self._demand("limits", limit.field, *limit.values)
            self._demand("limits", limit.when, limit.equals)
        for name, value in (item for price in self.prices for item in price.of.items()):
            self._demand("prices", name, value)
        if self.mask and not self.references:
            raise ValueError("mask: a model without references takes none")
        return self

    def _demand(self, place: str, field: str, *values: str) -> None:
        """Raises ValueError unless the field can have these values."""
        rule = self.fields.get(field)
        if rule is None or any(rule.read(value) != value for value in values):
            raise ValueError(f"{place}: {field} cannot be {', '.join(values) or 'limited'}")


Catalogue: TypeAlias = Mapping[str, Model]


def read_catalogue(documents: Iterable[tuple[str, bytes]]) -> Catalogue:
    """The models of several documents, each given by its name and its JSON ``{"models": {name: entry}}``.

    A later entry replaces one of the same name. One that says ``like: name`` is that model except for the keys that it
    gives itself; in ``fields`` it replaces single fields, or removes them by null; prices are its own. Raises
    SettingsInvalid naming document and key.
    """
    entries: dict[str, dict[str, Any]] = {}
    models: dict[str, Model] = {}
    for name, text in documents:
        for model, entry in _entries(name, text).items():
            try:
                entries[model] = _inherited(entry, entries)
                models[model] = Model.model_validate(entries[model])
            except ValidationError as error:
                places = [(".".join(map(str, p["loc"])), p["msg"]) for p in error.errors()]
                problems = "; ".join(f"models.{model}{place and '.' + place}: {said}" for place, said in places)
                raise SettingsInvalid(f"{name}: {problems}.") from None
            except LookupError as error:
                raise SettingsInvalid(f"{name}: models.{model}.like: {error.args[0]}.") from None
    return models


def _entries(name: str, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SettingsInvalid(f"{name}: found no JSON ({error}).") from None
    found = document.get("models") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise SettingsInvalid(f'{name}: found no models; allowed: {{"models": {{"<name>": {{...}}, ...}}}}.')
    return found


def _inherited(entry: dict[str, Any], known: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    own = {key: value for key, value in entry.items() if key != "like"}
    if "like" not in entry:
        return own
    if not isinstance(entry["like"], str) or entry["like"] not in known:
        raise LookupError(f"found {entry['like']!r}; allowed: {', '.join(known)}")
    parent = {key: value for key, value in known[entry["like"]].items() if key != "prices"}
    if isinstance(own.get("fields"), dict):
        fields = {**parent["fields"], **own["fields"]}
        own["fields"] = {name: rule for name, rule in fields.items() if rule is not None}
    return {**parent, **own}
