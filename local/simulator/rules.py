"""Which generation requests are valid: the two model pages as tables, and the check that reads them.

A model is one entry in MODELS. A field that a model's page does not list is refused, so that a client learns here that
it sends something the page does not promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.simulator.answers import Json, RefusedError
from local.simulator.pixels import RATIOS, TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request with the defaults of its model filled in. `references` and `mask` are URLs."""

    model: str
    prompt: str
    size: str
    resolution: str
    quality: str
    n: int
    output_format: str
    output_compression: int
    references: tuple[str, ...]
    mask: str | None
    business_id: str | None

    @property
    def links(self) -> tuple[str, ...]:
        """The references, then the mask if there is one."""
        return (*self.references, self.mask) if self.mask else self.references


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a page's "Body" section. `allowed` completes the sentence "<field> must be ..."."""

    allowed: str
    holds: Callable[[Any], bool]
    default: Any = None
    required: bool = False
    code: str = "invalid_request"


@dataclass(frozen=True, slots=True)
class Model:
    """One model page: its fields, and the tiers that allow fewer ratios than body.size lists."""

    fields: Mapping[str, Field]
    ratios_of_tier: Mapping[str, tuple[str, ...]]


def _one_of(*values: str, default: str) -> Field:
    return Field(f"one of {', '.join(values)}", lambda value: value in values, default)


def _whole(low: int, high: int, default: int) -> Field:
    """A JSON number; a numeral in quotes is not one, and neither is true."""
    return Field(
        f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high, default
    )


def _is_text(value: object) -> bool:
    """Not empty, and without the halves of a surrogate pair that JSON can write and UTF-8 cannot."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _text(longest: int | None = None) -> Field:
    limit = f" of at most {longest:,} characters" if longest else ""
    return Field(
        f"a text{limit}, not empty",
        lambda value: _is_text(value) and (longest is None or len(value) <= longest),
        required=True,
    )


def _is_url(value: object) -> bool:
    if not _is_text(value) or not isinstance(value, str) or any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


_URL_WORDS = "(http:// or https://; base64 data and data URIs are not supported, use the Upload Image API)"


def _urls(most: int | None = None) -> Field:
    limit = f"1 to {most}" if most else "at least 1"
    return Field(
        f"an array of {limit} URLs {_URL_WORDS}",
        lambda value: (
            isinstance(value, list)
            and len(value) > 0
            and (most is None or len(value) <= most)
            and all(map(_is_url, value))
        ),
        code="invalid_reference_images",
    )


def _url() -> Field:
    return Field(f"a URL {_URL_WORDS}", _is_url, code="invalid_reference_images")


# ToAPIs task status and webhook pages: fields that belong to every task, whatever its model.
_EVERY_TASK = {
    "model": Field("a model name", lambda value: isinstance(value, str), required=True),
    "client_business_id": Field("a text, not empty", _is_text),
    "metadata": Field("an object", lambda value: isinstance(value, dict)),
    "callback_url": Field("left out: this key has no webhook", lambda _: False, code="webhook_not_configured"),
}

MODELS: dict[str, Model] = {
    # ToAPIs image editing page (gpt-image-1.5-official), section "Body". It lists image_urls as required and calls them
    # "the field that triggers editing mode" of the endpoint that text-to-image uses too: without them it is that.
    # output_compression "only applies when output_format is jpeg": with png it is valid, and without effect.
    "gpt-image-1.5-official": Model(
        fields={
            **_EVERY_TASK,
            "prompt": _text(),
            "image_urls": _urls(most=16),
            "mask_url": _url(),
            "size": _one_of(*RATIOS, "auto", default="1:1"),
            "resolution": _one_of(*TIERS, default="1k"),
            "quality": _one_of("low", "medium", "high", default="high"),
            "n": _whole(1, 10, default=1),
            "output_format": _one_of("png", "jpeg", default="png"),
            "output_compression": _whole(0, 100, default=100),
        },
        ratios_of_tier={"4k": ("16:9", "9:16", "2:1", "1:2", "21:9", "9:21")},
    ),
    # ToAPIs GPT-Image-2-VIP page, section "Body". Where it is silent: n has the family's range, 1 to 10; references
    # have no maximum; every ratio goes with every tier. response_format has one value that the page answers for.
    "gpt-image-2-vip": Model(
        fields={
            **_EVERY_TASK,
            "prompt": _text(longest=32_000),
            "size": _one_of(*RATIOS, default="1:1"),
            "resolution": _one_of(*TIERS, default="1k"),
            "quality": _one_of("low", "medium", "high", default="medium"),
            "n": _whole(1, 10, default=1),
            "response_format": _one_of("url", default="url"),
            "reference_images": _urls(),
            "image_urls": _urls(),
        },
        ratios_of_tier={},
    ),
}


def check(body: object) -> Order:
    """The order that a JSON body means, or RefusedError naming the field, its value's fault and what is allowed."""
    if not isinstance(body, dict):
        raise RefusedError(400, "invalid_request", "the body must be a JSON object")
    model = MODELS.get(str(body.get("model")))
    if model is None:
        raise RefusedError(400, "invalid_request", f"model must be one of {', '.join(MODELS)}")
    for name in body.keys() - model.fields.keys():
        raise RefusedError(400, "invalid_request", f"{name[:80]} is not a field of {body['model']}")
    for name, field in model.fields.items():
        _check_field(name, field, body)
    _check_together(model, body)
    return _order(model, body)


def _check_field(name: str, field: Field, body: Json) -> None:
    if name in body and not field.holds(body[name]):
        raise RefusedError(400, field.code, f"{name} must be {field.allowed}")
    if field.required and name not in body:
        raise RefusedError(400, field.code, f"{name} is required and must be {field.allowed}")


def _check_together(model: Model, body: Json) -> None:
    """Rules about two fields at once."""
    size = body.get("size", model.fields["size"].default)
    tier = body.get("resolution", model.fields["resolution"].default)
    ratios = model.ratios_of_tier.get(tier)
    if ratios and size not in ratios:
        raise RefusedError(400, "invalid_request", f"size must be one of {', '.join(ratios)} when resolution is {tier}")
    if "mask_url" in body and "image_urls" not in body:
        raise RefusedError(400, "invalid_request", "mask_url must come together with image_urls")
    # The page normalises image_urls to reference_images; it does not say which of two lists that would be.
    if "image_urls" in body and "reference_images" in body:
        raise RefusedError(
            400, "invalid_reference_images", "image_urls and reference_images name the same thing: send one"
        )


def business_id_of(body: object) -> str | None:
    """`client_business_id` stands at the top level or in metadata; the top level wins (ToAPIs task status page)."""
    if not isinstance(body, dict):
        return None
    metadata = body.get("metadata")
    inner = metadata.get("client_business_id") if isinstance(metadata, dict) else None
    found = body.get("client_business_id", inner)
    return found if isinstance(found, str) and found else None


def _order(model: Model, body: Json) -> Order:
    values = {name: body.get(name, field.default) for name, field in model.fields.items()}
    return Order(
        model=values["model"],
        prompt=values["prompt"],
        size=values["size"],
        resolution=values["resolution"],
        quality=values["quality"],
        n=values["n"],
        output_format=values.get("output_format", "png"),
        output_compression=values.get("output_compression", 100),
        references=tuple(values.get("reference_images") or values.get("image_urls") or ()),
        mask=values.get("mask_url"),
        business_id=business_id_of(body),
    )
