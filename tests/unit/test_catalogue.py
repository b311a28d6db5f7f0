"""Models are data: documents that extend the catalogue without code, and mistakes in them that are named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bucketbrush.domain.catalogue import Catalogue, read_catalogue
from bucketbrush.domain.errors import RecipeInvalid, SettingsInvalid
from bucketbrush.domain.recipe import Place, read_job, read_preset, request_body
from bucketbrush.wiring import deployed_catalogue
from local.engine.controller import ROOT
from tests.models import MODELS

BASE = ("models/toapis.json", (MODELS / "toapis.json").read_bytes())
EDITING, VIP = "gpt-image-1.5-official", "gpt-image-2-vip"
DOCS_EXAMPLE = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.DOTALL)[0]


def extended(**models: Any) -> Catalogue:
    return read_catalogue([BASE, ("models/mine.json", json.dumps({"models": models}).encode())])


def problem(document: Any) -> str:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(SettingsInvalid) as caught:
        read_catalogue([BASE, ("models/mine.json", text)])
    return caught.value.message


def test_the_models_of_both_pages_are_deployed_and_every_document_can_be_read() -> None:
    assert list(deployed_catalogue())[:2] == [EDITING, VIP]


def test_the_example_of_the_docs_extends_the_catalogue() -> None:
    """What newer pages allow: another name of the official model, every ratio at 4k, ratios of one's own, a background,
    and a model of another family.
    """
    catalogue = read_catalogue([BASE, ("models/newer.json", DOCS_EXAMPLE.encode())])
    fields = {"prompt": "p", "resolution": "4K", "size": "7:4", "background": "Transparent", "quality": "low"}

    recipe = read_preset({"model": "gpt-image-2-official", **fields}, "p", catalogue)

    assert recipe["size"] == "7:4"
    assert recipe["resolution"] == "4k"
    assert recipe["background"] == "transparent"
    assert (
        read_preset({"model": "gpt-image-2-official", "prompt": "p", "size": "AUTO"}, "p", catalogue)["size"] == "auto"
    )
    for steep in ("7:2", "1:4", "0:1", "4", "a:b", "16:9 "):
        with pytest.raises(RecipeInvalid, match=r"size: found .*width:height up to 3:1 or 1:3, auto"):
            read_preset({"model": "gpt-image-2-official", "prompt": "p", "size": steep}, "p", catalogue)
    asked = read_job(
        {"model": "gpt-image-2-official", "prompt": "p", "references": ["inbox/a.png"], "mask": "inbox/m.png"},
        Place("input", "b"),
        catalogue,
    )
    body = request_body(asked.recipe, catalogue["gpt-image-2-official"], ["https://a"], "https://m", "cat-1")
    assert (body["model"], body["image_urls"], body["mask_url"]) == ("gpt-image-2-official", ["https://a"], "https://m")
    assert set(catalogue) > {EDITING, VIP, "gpt-image-2-official"}
    with pytest.raises(RecipeInvalid, match="4k"):
        read_preset({"model": EDITING, "prompt": "p", "resolution": "4k"}, "p", catalogue)


def test_a_model_may_be_replaced_field_by_field() -> None:
    catalogue = extended(**{VIP: {"like": VIP, "fields": {"n": {"kind": "whole", "low": 1, "high": 2, "default": 2}}}})
    recipe = read_preset({"model": VIP, "prompt": "p"}, "p", catalogue)
    assert (recipe["n"], recipe["quality"]) == (2, "medium")


def test_null_takes_a_field_away() -> None:
    catalogue = extended(plain={"like": VIP, "fields": {"quality": None, "response_format": None}})
    assert "quality" not in read_preset({"model": "plain", "prompt": "p"}, "p", catalogue)


def test_a_model_without_references_takes_no_pictures() -> None:
    catalogue = extended(words={"like": VIP, "references": None})
    with pytest.raises(RecipeInvalid, match='found "words"; allowed: one that takes references'):
        read_preset({"model": "words", "prompt": "p"}, "p", catalogue)
    document = {"model": "words", "prompt": "p"}
    assert read_job(document, Place("input", "b"), catalogue).references == ()
    with pytest.raises(RecipeInvalid, match='other fields: found "references"; allowed: model'):
        read_job({**document, "references": ["inbox/a.png"]}, Place("input", "b"), catalogue)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", "models/mine.json: found no JSON"),
        (b"\xff", "models/mine.json: found no JSON"),
        ([], "found no models"),
        ({"models": []}, "found no models"),
        ({"models": {"a": 1}}, "found no models"),
        ({"models": {"a": {}}}, "models.a.fields: Field required"),
        ({"models": {"a": {"like": "b"}}}, f"models.a.like: found 'b'; allowed: {EDITING}, {VIP}"),
        ({"models": {"a": {"like": [VIP]}}}, f"models.a.like: found ['{VIP}']; allowed: {EDITING}, {VIP}"),
        ({"models": {"a": {"like": VIP, "colour": 1}}}, "models.a.colour: Extra inputs"),
        ({"models": {"a": {"like": VIP, "fields": {"model": {"kind": "text"}}}}}, "model: these fields are filled by"),
        ({"models": {"a": {"like": VIP, "fields": {"image_urls": {"kind": "text"}}}}}, "image_urls: these fields are"),
        ({"models": {"a": {"fields": {"n": {"kind": "whole", "low": 4, "high": 1}}}}}, "low 4 is above high 1"),
        ({"models": {"a": {"fields": {"n": {"kind": "number"}}}}}, "models.a.fields.n"),
        ({"models": {"a": {"fields": {"n": {"kind": "one of", "values": []}}}}}, "models.a.fields.n.one of.values"),
        (
            {"models": {"a": {"fields": {"n": {"kind": "whole", "low": 1, "high": 4, "default": 5}}}}},
            "models.a: Value error, n: its default 5 is not among",
        ),
        (
            {"models": {"a": {"like": EDITING, "fields": {"output_format": None}}}},
            "limits: output_format cannot be png",
        ),
        (
            {"models": {"a": {"like": EDITING, "fields": {"output_compression": None}}}},
            "limits: output_compression cannot be limited",
        ),
        ({"models": {"a": {"like": EDITING, "references": None}}}, "mask: a model without references takes none"),
    ],
)
def test_a_mistake_is_named(document: Any, words: str) -> None:
    assert words in problem(document)
