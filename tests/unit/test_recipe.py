"""A recipe is complete and allowed, or refused with everything that is wrong with it."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.catalogue import CATALOGUE, OneOf, Text, Whole
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.recipe import (
    MAX_DOCUMENT_BYTES,
    Recipe,
    check_document,
    parse_document,
    read_recipe,
    read_references,
    request_body,
)

EDITING = "gpt-image-1.5-official"  # ToAPIs image editing page
VIP = "gpt-image-2-vip"  # ToAPIs GPT-Image-2-VIP page
PROMPT = "Replace the background with a starry sky, keep the subject unchanged"
RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21"]
RATIOS_4K = ["16:9", "9:16", "2:1", "1:2", "21:9", "9:21"]
INBOX = "inbox-bucket"


def recipe(model: str = EDITING, **fields: Any) -> Recipe:
    return read_recipe({"model": model, "prompt": PROMPT, **fields}, "presets/p.json")


def problem(model: str = EDITING, **fields: Any) -> str:
    with pytest.raises(RecipeInvalid) as caught:
        recipe(model, **fields)
    assert PROMPT not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(
    ("model", "defaults"),
    [
        (EDITING, {"size": "1:1", "resolution": "1k", "quality": "high", "n": 1}),
        (VIP, {"size": "1:1", "resolution": "1k", "quality": "medium", "n": 1}),
    ],
    ids=["ToAPIs image editing page", "ToAPIs GPT-Image-2-VIP page"],
)
@pytest.mark.parametrize("given_as", ["left out", "null"])
def test_defaults_are_those_of_the_page(model: str, defaults: dict[str, Any], given_as: str) -> None:
    fields = dict.fromkeys(defaults) if given_as == "null" else {}
    assert recipe(model, **fields) == {"model": model, "prompt": PROMPT, **defaults}


@pytest.mark.parametrize(
    ("model", "field", "value", "stored"),
    [
        *[(model, "size", ratio, ratio) for model in (EDITING, VIP) for ratio in RATIOS],
        (EDITING, "size", "auto", "auto"),
        *[(EDITING, "resolution", given, given.lower()) for given in ("1k", "2K", "2k")],
        *[(VIP, "resolution", given, given.lower()) for given in ("1k", "2k", "4K")],
        *[(model, "quality", word, word.lower()) for model in (EDITING, VIP) for word in ("low", "Medium", "HIGH")],
        *[(model, "n", number, number) for model in (EDITING, VIP) for number in (1, 10)],
        (EDITING, "output_format", "PNG", "png"),
        (EDITING, "output_format", "jpeg", "jpeg"),
        (EDITING, "prompt", "x" * 100_000, "x" * 100_000),
        (VIP, "prompt", "字" * 32_000, "字" * 32_000),
    ],
)
def test_allowed(model: str, field: str, value: Any, stored: Any) -> None:
    assert recipe(model, **{field: value})[field] == stored


@pytest.mark.parametrize(
    ("model", "field", "value", "words"),
    [
        (VIP, "size", "auto", ['found "auto"', "1:1, 3:2"]),
        (EDITING, "size", "1024x1024", ['"1024x1024"', "auto"]),
        (EDITING, "size", 1, ["found 1"]),
        (EDITING, "resolution", "8k", ['"8k"', "1k, 2k, 4k"]),
        (VIP, "quality", "best", ['"best"', "low, medium, high"]),
        *[(EDITING, "n", wrong, ["a whole number from 1 to 10"]) for wrong in (0, 11, "2", 2.0, True, [], math.nan)],
        (EDITING, "output_format", "webp", ['"webp"', "png, jpeg"]),
        (VIP, "output_format", "png", [f'found fields that {VIP} does not have: "output_format"']),
        (EDITING, "prompt", "", ["prompt: found 0 characters", "not empty"]),
        (EDITING, "prompt", " \n", ["prompt: found 2 characters"]),
        (EDITING, "prompt", None, ["prompt: found no such field"]),
        (EDITING, "prompt", 7, ["prompt: found 7"]),
        (EDITING, "prompt", "half a pair \ud83d", ["prompt: found 13 characters"]),
        (VIP, "prompt", "字" * 32_001, ["found 32,001 characters", "1 to 32,000"]),
        (EDITING, "seed", 1, ['does not have: "seed"; allowed: model, prompt, size']),
        (EDITING, "references", [], ['"references"']),  # a preset has none
        (EDITING, "quality", {"a": 1}, ["an object"]),
        (EDITING, "quality", [1, 2], ["a list of 2"]),
        (EDITING, "quality", 10**4000, ["quality: found 1000"]),
    ],
)
def test_refused_with_what_was_found_and_what_is_allowed(model: str, field: str, value: Any, words: list[str]) -> None:
    message = problem(model, **{field: value})
    assert message.startswith("presets/p.json: ")
    assert field in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("ratio", [*RATIOS, "auto"])
def test_4k_takes_six_ratios_on_the_editing_page(ratio: str) -> None:
    if ratio in RATIOS_4K:
        assert recipe(size=ratio, resolution="4K")["size"] == ratio
    else:
        message = problem(size=ratio, resolution="4k")
        assert f'size: found "{ratio}" with resolution 4k; allowed with it: {", ".join(RATIOS_4K)}' in message


def test_4k_does_not_go_with_the_default_ratio() -> None:
    assert 'size: found "1:1" with resolution 4k' in problem(resolution="4k")
    assert recipe(VIP, resolution="4k")["size"] == "1:1"  # the VIP page states no such limit


@pytest.mark.parametrize("compression", [0, 100])
def test_compression_is_for_jpeg(compression: int) -> None:
    stored = recipe(output_format="jpeg", output_compression=compression)
    assert stored["output_compression"] == compression
    for other in ({"output_format": "png"}, {}):
        assert "only with output_format jpeg" in problem(output_compression=compression, **other)


@pytest.mark.parametrize("compression", [-1, 101, "50"])
def test_compression_has_bounds(compression: Any) -> None:
    assert "0 to 100" in problem(output_format="jpeg", output_compression=compression)


def test_one_message_names_every_broken_field() -> None:
    message = problem(prompt="", size="7:5", quality="best", n=0, mask="m", output_compression=5)
    named = ["prompt: ", "size: ", "quality: ", "; n: ", '"mask"', "output_compression: "]
    assert [name for name in named if message.count(name) != 1] == []


def test_a_message_stays_short_whatever_stands_in_the_document() -> None:
    message = problem(**{f"field{number}": "v" * 5000 for number in range(5000)})
    assert len(message) < 5000
    assert "and 4,980 more" in message


@pytest.mark.parametrize("field", ["prompt", "size", "model", "a" * 500])
def test_long_text_is_measured_and_never_quoted(field: str) -> None:
    long = "the secret plan of " * 3000
    with pytest.raises(RecipeInvalid) as caught:
        read_recipe({"model": VIP, "prompt": "p", field: long}, "presets/p.json")
    assert "secret" not in str(caught.value)
    assert "a" * 41 not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({}, "no such field"),
        ({"model": "gpt-5"}, '"gpt-5"'),
        ({"model": None}, "null"),
        ({"model": ["x"]}, "a list of 1"),
        ({"model": "GPT-IMAGE-2-VIP"}, '"GPT-IMAGE-2-VIP"'),
    ],
)
def test_the_model_must_be_one_of_the_catalogue(document: dict[str, Any], found: str) -> None:
    with pytest.raises(RecipeInvalid, match=r"presets/p\.json: model: found ") as caught:
        read_recipe(document, "presets/p.json")
    assert found in caught.value.message
    assert ", ".join(CATALOGUE) in caught.value.message


@pytest.mark.parametrize(
    "text",
    [b'{"n": 2}', b'\xef\xbb\xbf{"n": 2}', '{"n": 2}'.encode("utf-16"), b' \r\n{"n":2} ', b'{"n": 1, "n": 2}'],
)
def test_json_as_editors_write_it(text: bytes) -> None:
    assert parse_document(text, "p.json") == {"n": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON at line 1, column 1"),
        (b'{"n": 2,}', "no JSON at line 1"),
        (b'{\n"n" 2}', "line 2, column 5"),
        ('{"prompt": "café"}'.encode("latin-1"), "not UTF-8 at byte 15"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": ' + b"9" * 5000 + b"}", "too long"),
        (b"[{}]", "found a list of 1"),
        (b'"text"', 'found "text"'),
        (b"NaN", "found NaN"),
        (b"null", "found null"),
        (b" " * MAX_DOCUMENT_BYTES + b"{}", "more than 262,144 bytes"),
    ],
)
def test_other_text_is_refused_with_its_place(text: bytes, words: str) -> None:
    with pytest.raises(RecipeInvalid, match=r"p\.json: found ") as caught:
        parse_document(text, "p.json")
    assert words in caught.value.message


def test_the_largest_document_is_read() -> None:
    assert parse_document(b" " * (MAX_DOCUMENT_BYTES - 2) + b"{}", "p.json") == {}


@pytest.mark.parametrize("document", [[], "text", 1, True, 1.5])
def test_a_document_is_an_object(document: Any) -> None:
    with pytest.raises(RecipeInvalid, match=r"execution input: found .*; allowed: a JSON object\."):
        check_document(document, "execution input")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = sorted({field for model in CATALOGUE.values() for field in model.fields})


def likely(field: str) -> st.SearchStrategy[Any]:
    """Mostly something that one of the rules allows."""
    rules = [model.fields[field] for model in CATALOGUE.values() if field in model.fields]
    words = [word for rule in rules if isinstance(rule, OneOf) for word in (*rule.values, rule.values[0].upper())]
    return st.sampled_from(words) | JSON if words else st.integers(-1, 101) | st.text() | JSON


DOCUMENTS = st.fixed_dictionaries(
    {"model": st.sampled_from(list(CATALOGUE)) | JSON, "prompt": st.text(min_size=1) | JSON},
    optional={**{field: likely(field) for field in _FIELDS if field != "prompt"}, "references": JSON, "x": JSON},
)


@given(document=DOCUMENTS)
def test_any_document_becomes_an_allowed_recipe_or_is_refused(document: dict[str, Any]) -> None:
    try:
        accepted = read_recipe(document, "p.json", also=("references", "x"))
        read_references(document, INBOX, "p.json")
    except RecipeInvalid:
        return
    fields = CATALOGUE[accepted["model"]].fields
    assert set(accepted) <= {"model", *fields}
    for field, rule in fields.items():
        value = accepted.get(field)
        if isinstance(rule, OneOf):
            assert value in (*rule.values, rule.default)
        elif isinstance(rule, Whole):
            assert value == rule.default or (type(value) is int and rule.low <= value <= rule.high)
        else:
            assert isinstance(rule, Text)
            assert value.encode()
    json.dumps(accepted, allow_nan=False)


@given(text=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_become_a_document_or_are_refused(text: bytes) -> None:
    with suppress(RecipeInvalid):
        assert isinstance(parse_document(text, "p.json"), dict)


@pytest.mark.parametrize(
    ("given_keys", "read"),
    [
        (None, []),
        ([], []),
        (["inbox/a b+c%20.png"], ["inbox/a b+c%20.png"]),
        (["references/style/a.png"], ["references/style/a.png"]),
        ([f"s3://{INBOX}/inbox/猫.png", "inbox/b.png"], ["inbox/猫.png", "inbox/b.png"]),
        (["inbox/a.png"] * 16, ["inbox/a.png"] * 16),
        (["inbox/" + "猫" * 339], ["inbox/" + "猫" * 339]),  # 1,023 bytes
    ],
)
def test_references(given_keys: list[str] | None, read: list[str]) -> None:
    assert read_references({"model": EDITING, "references": given_keys}, INBOX, "input") == read
    assert read_references({"model": EDITING}, INBOX, "input") == []


@pytest.mark.parametrize(
    ("given_keys", "words"),
    [
        ("inbox/a.png", 'references: found "inbox/a.png"; allowed: a list'),
        ("", "references: found"),
        (0, "references: found 0"),
        (False, "references: found false"),
        ({}, "references: found an object"),
        (["inbox/a.png", "presets/p.json"], "references[1]: found"),
        (["inbox/"], "references[0]"),
        (["references/"], "references[0]"),
        (["results/cat-1/1.png"], "references[0]"),
        ([None], "references[0]: found null"),
        (["s3://other/inbox/a.png"], 'references[0]: found "s3://other/inbox/a.png"'),
        ([f"s3://{INBOX}/presets/p.json"], "references[0]"),
        (["https://example.com/a.png"], "references[0]"),
        (["inbox/" + "猫" * 340], "references[0]: found 346 characters"),  # 1,026 bytes
        (["inbox/\ud83d.png"], "references[0]: found"),
        (["inbox/a.png"] * 17, "found 17; allowed: at most 16"),
    ],
)
def test_other_references_are_refused(given_keys: Any, words: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        read_references({"model": EDITING, "references": given_keys}, INBOX, "input")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("model", "field", "constants"),
    [(EDITING, "image_urls", {}), (VIP, "reference_images", {"response_format": "url"})],
    ids=["ToAPIs image editing page", "ToAPIs GPT-Image-2-VIP page"],
)
@pytest.mark.parametrize("links", [[], ["https://a", "https://b"]])
def test_the_body_is_that_of_the_page(model: str, field: str, constants: dict[str, str], links: list[str]) -> None:
    asked = recipe(model, n=2)
    expected = {**asked, **constants, "client_business_id": "cat-1"} | ({field: links} if links else {})
    assert request_body(asked, links, "cat-1") == expected
    assert "client_business_id" not in asked
