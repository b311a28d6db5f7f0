"""A recipe is complete and allowed, or refused with everything that is wrong with it."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.catalogue import OneOf, Text, Whole
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.recipe import (
    MAX_DOCUMENT_BYTES,
    Asked,
    Place,
    Recipe,
    check_document,
    parse_document,
    read_job,
    read_preset,
    read_recipe,
    request_body,
)
from tests.models import OURS

EDITING = "gpt-image-1.5-official"  # ToAPIs image editing page
VIP = "gpt-image-2-vip"  # ToAPIs GPT-Image-2-VIP page
PROMPT = "Replace the background with a starry sky, keep the subject unchanged"
RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21"]
RATIOS_4K = ["16:9", "9:16", "2:1", "1:2", "21:9", "9:21"]
INBOX = "inbox-bucket"
HERE = Inbox(INBOX)
INPUT = Place("input", HERE)
FILE = Place("inbox/poster/a.job.json", HERE, "inbox/poster/")


def recipe(model: str = EDITING, **fields: Any) -> Recipe:
    return read_recipe({"model": model, "prompt": PROMPT, **fields}, "presets/p.json", OURS)


def job(place: Place = INPUT, model: str = EDITING, **fields: Any) -> Asked:
    return read_job({"model": model, "prompt": PROMPT, **fields}, place, OURS)


def problem(model: str = EDITING, **fields: Any) -> str:
    with pytest.raises(RecipeInvalid) as caught:
        recipe(model, **fields)
    assert PROMPT not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(
    ("model", "defaults"),
    [
        (EDITING, {"size": "1:1", "resolution": "1k", "quality": "high", "n": 1, "output_format": "png"}),
        (VIP, {"size": "1:1", "resolution": "1k", "quality": "medium", "n": 1, "response_format": "url"}),
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
        *[
            (model, "n", wrong, ["a whole number from 1 to 10"])
            for model in (EDITING, VIP)
            for wrong in (0, 11, "2", 2.0, True, [], math.nan)
        ],
        (EDITING, "output_format", "webp", ['"webp"', "png, jpeg"]),
        (VIP, "output_format", "png", ['other fields: found "output_format"']),
        (EDITING, "prompt", "", ["prompt: found 0 characters", "not empty"]),
        (EDITING, "prompt", " \n", ["prompt: found 2 characters"]),
        (EDITING, "prompt", None, ["prompt: found no such field"]),
        (EDITING, "prompt", 7, ["prompt: found 7"]),
        (EDITING, "prompt", "half a pair \ud83d", ["prompt: found 13 characters"]),
        (VIP, "prompt", "字" * 32_001, ["found 32,001 characters", "1 to 32,000"]),
        *[(model, "seed", 1, ['other fields: found "seed"; allowed: model, prompt, size']) for model in (EDITING, VIP)],
        (EDITING, "references", [], ["references: found for a dropped picture; allowed: in a job document"]),
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
    assert 'size: found "1:1", the default, with resolution 4k' in problem(resolution="4k")
    assert recipe(VIP, resolution="4k")["size"] == "1:1"  # the VIP page states no such limit


@pytest.mark.parametrize("compression", [0, 100])
def test_compression_is_for_jpeg(compression: int) -> None:
    stored = recipe(output_format="jpeg", output_compression=compression)
    assert stored["output_compression"] == compression
    for other in ({"output_format": "png"}, {}):
        message = problem(output_compression=compression, **other)
        assert f"output_compression: found {compression} with output_format png" in message
        assert "allowed with it: to leave it out, or another output_format" in message


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [(VIP, "output_format", "png"), (VIP, "output_compression", 80), (EDITING, "response_format", "url")],
)
def test_the_fields_of_the_other_page_are_refused(model: str, field: str, value: Any) -> None:
    assert f'other fields: found "{field}"' in problem(model, **{field: value})


@pytest.mark.parametrize("compression", [-1, 101, "50"])
def test_compression_has_bounds(compression: Any) -> None:
    assert "0 to 100" in problem(output_format="jpeg", output_compression=compression)


def test_one_message_names_every_broken_field() -> None:
    message = problem(prompt="", size="7:5", quality="best", n=0, mask="m", output_compression=5)
    named = ["prompt: ", "size: ", "quality: ", "; n: ", "; mask: ", "output_compression: "]
    assert [name for name in named if message.count(name) != 1] == []


def test_a_message_stays_short_whatever_stands_in_the_document() -> None:
    message = problem(**{f"field{number}": "v" * 5000 for number in range(5000)})
    assert len(message) < 5000
    assert "and 4,980 more" in message


@pytest.mark.parametrize("field", ["prompt", "size", "model", "a" * 500])
def test_long_text_is_measured_and_never_quoted(field: str) -> None:
    long = "the secret plan of " * 3000
    with pytest.raises(RecipeInvalid) as caught:
        read_preset({"model": VIP, "prompt": "p", field: long}, "presets/p.json", OURS)
    assert "secret" not in str(caught.value)
    assert "a" * 41 not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({}, "no such field"),
        ({"model": "gpt-5"}, '"gpt-5"'),
        ({"model": None}, "no such field"),
        ({"model": ["x"]}, "a list of 1"),
        ({"model": "GPT-IMAGE-2-VIP"}, '"GPT-IMAGE-2-VIP"'),
    ],
)
def test_the_model_must_be_one_of_the_catalogue(document: dict[str, Any], found: str) -> None:
    with pytest.raises(RecipeInvalid, match=r"presets/p\.json: model: found ") as caught:
        read_preset(document, "presets/p.json", OURS)
    assert found in caught.value.message
    assert ", ".join(OURS) in caught.value.message


@pytest.mark.parametrize("model", [{}, {"model": "gpt-5"}])
def test_without_a_known_model_one_message_names_what_no_model_takes(model: dict[str, Any]) -> None:
    fields = {"prompt": "", "n": "2", "size": "auto", "references": ["/a.png"], "mask": 5, "output_format": "png"}
    with pytest.raises(RecipeInvalid) as caught:
        read_job({**model, **fields}, INPUT, OURS)
    message = caught.value.message
    named = ["model: found", "prompt: found", "n: found", "references: found [0]"]
    assert [name for name in named if message.count(name) != 1] == []
    assert "size" not in message
    assert "output_format" not in message


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
_FIELDS = sorted({field for model in OURS.values() for field in model.fields})


def likely(field: str) -> st.SearchStrategy[Any]:
    """Mostly something that one of the rules allows."""
    rules = [model.fields[field] for model in OURS.values() if field in model.fields]
    words = [word for rule in rules if isinstance(rule, OneOf) for word in (*rule.values, rule.values[0].upper())]
    return st.sampled_from(words) | JSON if words else st.integers(-1, 101) | st.text() | JSON


KEYS = st.sampled_from(["inbox/a.png", "references/a.png", f"s3://{INBOX}/inbox/b.jpg", "https://a/b.png", "../x"])
PICTURES = st.lists(KEYS, max_size=18) | JSON
DOCUMENTS = st.fixed_dictionaries(
    {"model": st.sampled_from(list(OURS)) | JSON, "prompt": st.text(min_size=1) | JSON},
    optional={
        **{field: likely(field) for field in _FIELDS if field != "prompt"},
        **dict.fromkeys(["references", "image_urls", "reference_images"], PICTURES),
        **dict.fromkeys(["mask", "mask_url"], KEYS | JSON),
        "x": JSON,
    },
)


@given(document=DOCUMENTS)
def test_any_document_becomes_an_allowed_job_or_is_refused(document: dict[str, Any]) -> None:
    try:
        asked = read_job(document, INPUT, OURS)
    except RecipeInvalid:
        return
    model = OURS[asked.recipe["model"]]
    assert set(asked.recipe) <= {"model", *model.fields}
    assert "x" not in document
    for field, rule in model.fields.items():
        value = asked.recipe.get(field)
        if isinstance(rule, OneOf):
            assert value in rule.values
        elif isinstance(rule, Whole):
            assert value == rule.default or (type(value) is int and rule.low <= value <= rule.high)
        else:
            assert isinstance(rule, Text)
            assert value.encode()
    assert len(asked.references) <= 16
    assert all(key.startswith(("inbox/", "references/")) for key in asked.references)
    assert asked.mask is None or (asked.references and model.mask)
    body = request_body(asked.recipe, model, ["https://a"] * len(asked.references), None, "cat-1")
    json.dumps(body, allow_nan=False)


@given(text=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_become_a_document_or_are_refused(text: bytes) -> None:
    with suppress(RecipeInvalid):
        assert isinstance(parse_document(text, "p.json"), dict)


@pytest.mark.parametrize(
    ("place", "given_keys", "read"),
    [
        (INPUT, None, []),
        (INPUT, [], []),
        (INPUT, ["inbox/a b+c%20.png"], ["inbox/a b+c%20.png"]),
        (INPUT, ["references/style/a.png"], ["references/style/a.png"]),
        (INPUT, [f"s3://{INBOX}/inbox/猫.png", "inbox/b.png"], ["inbox/猫.png", "inbox/b.png"]),
        (INPUT, ["inbox/b.png", "inbox/a.png"] * 8, ["inbox/b.png", "inbox/a.png"] * 8),
        (INPUT, ["inbox/" + "猫" * 339], ["inbox/" + "猫" * 339]),  # 1,023 bytes
        (INPUT, ["./references/./a.png"], ["references/a.png"]),
        (FILE, ["cat.png", "references/cat.png"], ["inbox/poster/cat.png", "inbox/poster/references/cat.png"]),
        (FILE, ["../cat.png", "../../references/a.png"], ["inbox/cat.png", "references/a.png"]),
        (FILE, ["inbox/cat.png"], ["inbox/poster/inbox/cat.png"]),
        (Place("a", HERE, "inbox/a//b/"), ["c//d.png", "../e.png"], ["inbox/a//b/c//d.png", "inbox/a//e.png"]),
    ],
)
def test_references(place: Place, given_keys: list[str] | None, read: list[str]) -> None:
    assert list(job(place, references=given_keys).references) == read
    assert job(place).references == ()


@pytest.mark.parametrize(
    ("place", "given_keys", "words"),
    [
        (INPUT, "inbox/a.png", 'references: found "inbox/a.png"; allowed: a list'),
        (INPUT, "", "references: found"),
        (INPUT, 0, "references: found 0"),
        (INPUT, False, "references: found false"),
        (INPUT, {}, "references: found an object"),
        (INPUT, ["inbox/a.png", "presets/p.json"], "references: found [1]"),
        (INPUT, ["inbox/"], "references: found [0]"),
        (INPUT, ["references/"], "references: found [0]"),
        (INPUT, ["results/cat-1/1.png"], "references: found [0]"),
        (INPUT, [None], "references: found [0] null"),
        (INPUT, ["s3://other/inbox/a.png"], 'references: found [0] "s3://other/inbox/a.png"'),
        (INPUT, [f"s3://{INBOX}/presets/p.json"], "references: found [0]"),
        (
            INPUT,
            ["https://example.com/a.png"],
            "references: found [0] an address (https:, 25 characters); allowed: keys below",
        ),
        (INPUT, ["data:image/png;base64,iVBORw0KGgo="], "references: found [0] an address (data:, 34 characters)"),
        (INPUT, ["iVBORw0KGgo" * 400], "references: found [0] 4,400 characters"),
        (INPUT, ["inbox/" + "猫" * 340], "references: found [0] 346 characters"),  # 1,026 bytes
        (INPUT, ["inbox/\ud83d.png"], "references: found [0]"),
        (INPUT, ["/inbox/a.png"], "references: found [0]"),
        (INPUT, ["../inbox/a.png"], "references: found [0]"),
        (FILE, ["../../../inbox/a.png"], "references: found [0]"),
        (FILE, ["../../presets/p.json"], "of bucket inbox-bucket, starting from inbox/poster/, and no links"),
        (FILE, [".."], "references: found [0]"),
        (FILE, ["https://example.com/a.png"], "references: found [0] an address (https:, 25 characters)"),
        (FILE, ["s3://other/inbox/a.png"], 'references: found [0] "s3://other/inbox/a.png"'),
        (FILE, ["/inbox/a.png"], "references: found [0]"),
        (FILE, [""], 'references: found [0] ""'),
        (FILE, [f"s3://{INBOX}/references/../a.png"], "references: found [0]"),
        (FILE, [f"s3://{INBOX}/inbox/./a.png"], "references: found [0]"),
        (INPUT, ["inbox/a.png"] * 17, "found 17; allowed: at most 16"),
    ],
)
def test_other_references_are_refused(place: Place, given_keys: Any, words: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        job(place, references=given_keys)
    assert caught.value.message.startswith(f"{place.name}: ")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, name) for model in (EDITING, VIP) for name in ("references", "image_urls")] + [(VIP, "reference_images")],
)
def test_references_may_have_the_names_of_the_page(model: str, name: str) -> None:
    assert job(model=model, **{name: ["inbox/a.png"]}).references == ("inbox/a.png",)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"references": ["inbox/a.png"], "image_urls": ["inbox/a.png"]}, "references: found also as image_urls"),
        ({"image_urls": ["https://example.com/a.png"]}, "image_urls: found [0] an address"),
        ({"mask": "inbox/m.png", "mask_url": "inbox/m.png", "references": ["inbox/a.png"]}, "mask: found also as mask"),
        ({"mask": "inbox/m.png"}, "mask: found without references"),
        ({"mask": "", "references": ["inbox/a.png"]}, 'mask: found "";'),
        ({"mask": ["inbox/m.png"], "references": ["inbox/a.png"]}, "mask: found a list of 1"),
        ({"mask_url": "https://example.com/m.png", "references": ["inbox/a.png"]}, "mask_url: found"),
        ({"model": VIP, "mask": "inbox/m.png", "references": ["inbox/a.png"]}, 'other fields: found "mask"'),
        ({"model": VIP, "mask_url": "inbox/m.png"}, 'other fields: found "mask_url"'),
        ({"reference_images": ["inbox/a.png"]}, 'other fields: found "reference_images"'),
        ({"model": VIP, "response_format": "b64_json"}, 'response_format: found "b64_json"; allowed: url'),
    ],
)
def test_pictures_stand_in_one_field_of_the_model(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        job(**fields)
    assert words in caught.value.message


def test_an_empty_mask_of_a_dropped_document_is_no_mask_at_all() -> None:
    """Its key would be the folder: an edit without the mask must not be paid for."""
    with pytest.raises(RecipeInvalid, match='mask: found ""; allowed: keys below'):
        job(FILE, references=["cat.png"], mask="")


@pytest.mark.parametrize("model", [EDITING, VIP])
def test_null_is_left_out(model: str) -> None:
    assert job(model=model, references=None, mask=None).mask is None
    assert recipe(model, references=None, mask=None)["model"] == model


@pytest.mark.parametrize("name", ["mask", "mask_url"])
def test_a_mask_goes_with_references(name: str) -> None:
    asked = job(FILE, references=["cat.png"], **{name: "references/cat.mask.png"})
    assert asked.mask == "inbox/poster/references/cat.mask.png"


def test_one_message_names_every_broken_picture_and_field() -> None:
    with pytest.raises(RecipeInvalid) as caught:
        job(FILE, size="7:5", n="2", references=["a.png", "/b.png", 3], mask="https://x/m.png", seed=1)
    named = ["size: ", "; n: ", "references: ", "[1] ", "[2] 3", "mask: ", '"seed"']
    assert [name for name in named if caught.value.message.count(name) != 1] == []


@pytest.mark.parametrize(
    ("model", "field"),
    [(EDITING, "image_urls"), (VIP, "reference_images")],
    ids=["ToAPIs image editing page", "ToAPIs GPT-Image-2-VIP page"],
)
@pytest.mark.parametrize("links", [[], ["https://b", "https://a"]])
def test_the_body_is_that_of_the_page(model: str, field: str, links: list[str]) -> None:
    asked = recipe(model, n=2)
    expected = {**asked, "client_business_id": "cat-1"} | ({field: links} if links else {})
    assert request_body(asked, OURS[model], links, None, "cat-1") == expected
    assert "client_business_id" not in asked


def test_the_mask_stands_in_the_field_of_the_page() -> None:
    body = request_body(recipe(), OURS[EDITING], ["https://a"], "https://m", "cat-1")
    assert (body["image_urls"], body["mask_url"]) == (["https://a"], "https://m")
