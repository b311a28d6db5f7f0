"""The models that a recipe may name, as data: a new model is one entry.

The rules are those of ToAPIs' pages "Image editing" (gpt-image-1.5-official) and "GPT-Image-2-VIP". Both pages describe
one endpoint with one request body, so an entry lists the body's fields, each with its rule and its default.
"""

from typing import Any, Literal

from pydantic import Field

from bucketbrush.domain.jobs import Frozen


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can say it: JSON's escapes can spell half a surrogate pair, which nothing can send."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


class OneOf(Frozen):
    """One of a list of words; upper and lower case are the same (the API's own pages write both 1k and 1K)."""

    kind: Literal["one of"] = "one of"
    values: tuple[str, ...]
    default: str | None = None

    @property
    def allowed(self) -> str:
        return ", ".join(self.values)

    def read(self, value: Any) -> str | None:
        """The value in the API's spelling, or None when it is not allowed."""
        return value.lower() if isinstance(value, str) and value.lower() in self.values else None


class Whole(Frozen):
    """A whole JSON number: the API does not take numbers in quotes."""

    kind: Literal["whole"] = "whole"
    low: int
    high: int
    default: int | None = None

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: Any) -> int | None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and self.low <= value <= self.high else None


class Text(Frozen):
    """Any text that UTF-8 can say but an empty one. ``longest`` counts characters."""

    kind: Literal["text"] = "text"
    longest: int | None = None
    required: bool = False
    default: None = None

    @property
    def allowed(self) -> str:
        return "a text" + (f" of 1 to {self.longest:,} characters" if self.longest else " that is not empty")

    def read(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value.strip() or not is_unicode(value):
            return None
        return value if self.longest is None or len(value) <= self.longest else None


class Limit(Frozen):
    """While ``when_field`` is ``when_value``, ``field`` takes only ``values``."""

    field: str
    values: tuple[str, ...]
    when_field: str
    when_value: str


class Model(Frozen):
    """One model: the fields of its request body beside ``model`` and the references."""

    fields: dict[str, OneOf | Whole | Text]
    limits: tuple[Limit, ...] = ()
    only_with: dict[str, tuple[str, str]] = Field(default_factory=dict)
    references_field: str
    most_references: int
    constants: dict[str, str] = Field(default_factory=dict)


_RATIOS = ("1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
_RATIOS_4K = ("16:9", "9:16", "2:1", "1:2", "21:9", "9:21")
_RESOLUTION = OneOf(values=("1k", "2k", "4k"), default="1k")
_QUALITIES = ("low", "medium", "high")
_PICTURES = Whole(low=1, high=10, default=1)

CATALOGUE: dict[str, Model] = {
    "gpt-image-1.5-official": Model(
        fields={
            "prompt": Text(required=True),
            "size": OneOf(values=(*_RATIOS, "auto"), default="1:1"),
            "resolution": _RESOLUTION,
            "quality": OneOf(values=_QUALITIES, default="high"),
            "n": _PICTURES,
            "output_format": OneOf(values=("png", "jpeg")),
            "output_compression": Whole(low=0, high=100),
        },
        limits=(Limit(field="size", values=_RATIOS_4K, when_field="resolution", when_value="4k"),),
        only_with={"output_compression": ("output_format", "jpeg")},
        references_field="image_urls",
        most_references=16,
    ),
    "gpt-image-2-vip": Model(
        fields={
            "prompt": Text(longest=32_000, required=True),
            "size": OneOf(values=_RATIOS, default="1:1"),
            "resolution": _RESOLUTION,
            "quality": OneOf(values=_QUALITIES, default="medium"),
            "n": _PICTURES,
        },
        references_field="reference_images",
        most_references=16,  # the page names no limit; ours is the other model's
        constants={"response_format": "url"},
    ),
}
