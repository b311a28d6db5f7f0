"""Our rules and the simulator's were written from the same pages, each by itself: they must agree."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.recipe import Place, read_job, request_body
from local.simulator.answers import RefusedError
from local.simulator.rules import check
from tests.models import OURS

RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "21:9", "9:21"]
KEYS = [f"inbox/{number}.png" for number in range(17)]
BUSINESS_ID = "cat-5751f74eab2825519149"


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


# What a user may well write, right or nearly right; null is left out.
DOCUMENTS = st.fixed_dictionaries(
    {"model": maybe(*OURS), "prompt": maybe("a boat", "", "x" * 32_000, "x" * 32_001)},
    optional={
        "size": maybe(*RATIOS, "auto", "7:5", "1024x1024"),
        "resolution": maybe("1k", "2k", "4k", "8k"),
        "quality": maybe("low", "medium", "high", "best"),
        "n": maybe(1, 4, 10, 0, 11, "1", 1.0, True),
        "output_format": maybe("png", "jpeg", "webp"),
        "output_compression": maybe(0, 50, 100, 101, "50"),
        "response_format": maybe("url", "b64_json"),
        "references": st.integers(0, 17).map(lambda number: KEYS[:number]),
        "mask": maybe("inbox/mask.png"),
    },
)


def problem(document: dict[str, Any]) -> str:
    try:
        read_job(document, Place("input", Inbox("bucket")), OURS)
    except RecipeInvalid as refusal:
        return refusal.message
    return ""


def is_refused_there(body: dict[str, Any]) -> bool:
    try:
        check(body)
    except RefusedError:
        return True
    return False


@settings(max_examples=300)
@given(document=DOCUMENTS)
def test_what_we_send_is_taken(document: dict[str, Any]) -> None:
    try:
        asked = read_job(document, Place("input", Inbox("bucket")), OURS)
    except RecipeInvalid:
        return
    links = [f"https://example.com/{key}" for key in asked.references]
    mask = "https://example.com/mask.png" if asked.mask else None
    order = check(request_body(asked.recipe, OURS[asked.recipe["model"]], links, mask, BUSINESS_ID))
    assert (list(order.references), order.mask, order.business_id) == (links, mask, BUSINESS_ID)
    for field in ("prompt", "size", "resolution", "quality", "n"):
        assert getattr(order, field) == asked.recipe[field]


@settings(max_examples=300)
@given(document=DOCUMENTS)
def test_what_we_refuse_is_refused_there(document: dict[str, Any]) -> None:
    """But for what the pages leave open, where we take the narrower view."""
    message = problem(document)
    body = {name: value for name, value in document.items() if name not in ("references", "mask")}
    links = [f"https://example.com/{key}" for key in document.get("references", [])]
    body |= {"image_urls": links} if links else {}
    body |= {"mask_url": "https://example.com/mask.png"} if "mask" in document else {}
    compression = bool(re.search(r"output_compression: found \d+ with output_format png", message))
    most = document["model"] == "gpt-image-2-vip" and "references: found 17" in message
    found = len(re.findall(r"[:;] found ", message))
    assert is_refused_there(body) or found == compression + most, message
