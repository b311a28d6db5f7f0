"""Models are data: documents that extend the catalogue without code, and mistakes in them that are named."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bucketbrush.domain.catalogue import Catalogue, read_catalogue
from bucketbrush.domain.errors import RecipeInvalid, SettingsInvalid
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.money import picture_price
from bucketbrush.domain.recipe import Place, read_job, read_recipe, request_body
from bucketbrush.wiring.submit import deployed_catalogue
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

    recipe = read_recipe({"model": "gpt-image-2-official", **fields}, "p", catalogue)

    assert recipe["size"] == "7:4"
    assert recipe["resolution"] == "4k"
    assert recipe["background"] == "transparent"
    assert (
        read_recipe({"model": "gpt-image-2-official", "prompt": "p", "size": "AUTO"}, "p", catalogue)["size"] == "auto"
    )
    for steep in ("7:2", "1:4", "0:1", "4", "a:b", "16:9 "):
        with pytest.raises(RecipeInvalid, match=r"size: found .*width:height up to 3:1 or 1:3, auto"):
            read_recipe({"model": "gpt-image-2-official", "prompt": "p", "size": steep}, "p", catalogue)
    asked = read_job(
        {"model": "gpt-image-2-official", "prompt": "p", "references": ["inbox/a.png"], "mask": "inbox/m.png"},
        Place("input", Inbox("b")),
        catalogue,
    )
    body = request_body(asked.recipe, catalogue["gpt-image-2-official"], ["https://a"], "https://m", "cat-1")
    assert (body["model"], body["image_urls"], body["mask_url"]) == ("gpt-image-2-official", ["https://a"], "https://m")
    assert set(catalogue) > {EDITING, VIP, "gpt-image-2-official"}
    with pytest.raises(RecipeInvalid, match="4k"):
        read_recipe({"model": EDITING, "prompt": "p", "resolution": "4k"}, "p", catalogue)


def test_a_model_may_be_replaced_field_by_field() -> None:
    catalogue = extended(**{VIP: {"like": VIP, "fields": {"n": {"kind": "whole", "low": 1, "high": 2, "default": 2}}}})
    recipe = read_recipe({"model": VIP, "prompt": "p"}, "p", catalogue)
    assert (recipe["n"], recipe["quality"]) == (2, "medium")


def test_the_price_list_of_the_docs_prices_every_recipe() -> None:
    example = re.search(r"```json\n(.+?)```", (ROOT / "docs" / "cost.md").read_text(), re.DOTALL)
    assert example
    catalogue = read_catalogue([BASE, ("models/prices.json", example[1].encode())])
    recipes = [{"quality": "low"}, {"quality": "high"}, {"resolution": "4k"}]
    prices = [
        picture_price(read_recipe({"model": VIP, "prompt": "p", **recipe}, "p", catalogue), catalogue[VIP], None)
        for recipe in recipes
    ]
    assert prices == [1900, 20_000, 50_000]


def test_null_takes_a_field_away() -> None:
    catalogue = extended(plain={"like": VIP, "fields": {"quality": None, "response_format": None}})
    assert "quality" not in read_recipe({"model": "plain", "prompt": "p"}, "p", catalogue)


@pytest.mark.parametrize(
    ("own", "prices"),
    [
        ({}, []),
        ({"prices": []}, []),
        ({"prices": [{"usd": "0.015"}]}, [{"usd": 0.015}]),
        (
            {"prices": [{"usd": 0.2, "of": {"resolution": "4k"}}, {"usd": 0}]},
            [{"usd": 0.2, "of": {"resolution": "4k"}}, {"usd": 0}],
        ),
    ],
)
def test_a_model_costs_what_it_says_itself_and_not_what_the_one_that_it_is_like_does(
    own: dict[str, Any], prices: list[dict[str, Any]]
) -> None:
    found = extended(mine={"like": VIP, **own})["mine"].prices
    assert [(float(price.usd), price.of) for price in found] == [
        (price["usd"], price.get("of", {})) for price in prices
    ]


def test_a_price_is_as_exact_as_it_is_written() -> None:
    found = extended(mine={"like": VIP, "prices": [{"usd": 0.1}, {"usd": "0.0000019"}]})["mine"].prices
    assert [str(price.usd) for price in found] == ["0.1", "0.0000019"]


def test_prices_that_are_deployed_may_be_replaced() -> None:
    catalogue = extended(**{VIP: {"like": VIP, "prices": [{"usd": 0.5, "of": {"quality": "high"}}]}})
    assert [price.of for price in catalogue[VIP].prices] == [{"quality": "high"}]


def test_a_model_without_references_takes_no_pictures() -> None:
    catalogue = extended(words={"like": VIP, "references": None})
    with pytest.raises(RecipeInvalid, match='found "words"; allowed: one that takes references'):
        read_recipe({"model": "words", "prompt": "p"}, "p", catalogue)
    document = {"model": "words", "prompt": "p"}
    assert read_job(document, Place("input", Inbox("b")), catalogue).references == ()
    with pytest.raises(RecipeInvalid, match='other fields: found "references"; allowed: model'):
        read_job({**document, "references": ["inbox/a.png"]}, Place("input", Inbox("b")), catalogue)


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
        ({"models": {"a": {"like": VIP, "prices": [{"usd": 1, "of": {"colour": "red"}}]}}}, "colour cannot be red"),
        (
            {"models": {"a": {"like": VIP, "prices": [{"usd": 1}, {"usd": 1, "of": {"resolution": "8k"}}]}}},
            "models.a: Value error, prices: resolution cannot be 8k",
        ),
        (
            {"models": {"a": {"like": VIP, "prices": [{"usd": 1, "of": {"resolution": "1K"}}]}}},
            "prices: resolution cannot be 1K",  # recipes have it as the list spells it, so this would never fit
        ),
        (
            {
                "models": {
                    "a": {"like": VIP, "fields": {"quality": None}, "prices": [{"usd": 1, "of": {"quality": "low"}}]}
                }
            },
            "prices: quality cannot be low",
        ),
        ({"models": {"a": {"like": VIP, "prices": [{"of": {}}]}}}, "models.a.prices.0.usd: Field required"),
        ({"models": {"a": {"like": VIP, "prices": [{"usd": -1}]}}}, "models.a.prices.0.usd: "),
        ({"models": {"a": {"like": VIP, "prices": [{"usd": 1001}]}}}, "models.a.prices.0.usd: "),
        ({"models": {"a": {"like": VIP, "prices": [{"usd": "a cent"}]}}}, "models.a.prices.0.usd: "),
        ({"models": {"a": {"like": VIP, "prices": [{"usd": 1, "of": {"n": 2}}]}}}, "models.a.prices.0.of.n: "),
        ({"models": {"a": {"like": VIP, "prices": [{"usd": 1, "off": {}}]}}}, "models.a.prices.0.off: Extra inputs"),
        ({"models": {"a": {"like": VIP, "prices": {"usd": 1}}}}, "models.a.prices: "),
    ],
)
def test_a_mistake_is_named(document: Any, words: str) -> None:
    assert words in problem(document)
