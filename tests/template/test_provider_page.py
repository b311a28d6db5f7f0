"""docs/provider.md has no empty cell, names tests that exist, and covers every field of every model that is ours."""

from __future__ import annotations

import re

import pytest

from bucketbrush.adapters import answers, toapis
from tests.models import OURS
from tests.template.stack import ROOT

PAGE = (ROOT / "docs" / "provider.md").read_text()
MODELS = ("gpt-image-1.5-official", "gpt-image-2-vip")


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's tables, without the heads."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {index for index, cells in enumerate(tables) if set("".join(cells)) == {"-"}}
    return [cells for index, cells in enumerate(tables) if index not in heads and index + 1 not in heads]


def test_no_cell_is_empty_and_every_test_is_there() -> None:
    found = rows("What a job may say") + rows("What the API may answer")
    assert [cells for cells in found if not all(cells)] == []
    assert {len(cells) for cells in rows("What a job may say")} == {5}
    assert {len(cells) for cells in rows("What the API may answer")} == {3}
    for *_, test in found:
        named = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", test)
        assert named, test
        assert f"def {named[2]}(" in (ROOT / named[1]).read_text(), test


def test_every_field_has_a_row_for_each_model() -> None:
    fields = {"model", "references", "mask", "any other"} | {name for model in MODELS for name in OURS[model].fields}
    pairs = [(cells[0].strip("`"), cells[1].strip("`")) for cells in rows("What a job may say")]
    assert sorted(pairs) == sorted((field, model) for field in fields for model in MODELS)


def test_the_page_says_the_defaults_that_are_sent() -> None:
    for field, model, rule, *_ in rows("What a job may say"):
        known = OURS[model.strip("`")].fields.get(field.strip("`"))
        if known and known.default is not None:
            assert re.search(rf"default `?{re.escape(str(known.default))}`?(?:;|,|$)", rule), (field, model)


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        (
            "To a submit",
            "SubmitUnanswered ProviderUnreachable ProviderBusy AccountEmpty KeyRefused ContentRefused ProviderRefused",
        ),
        ("To a look", "`done` `failed` `waiting` ContentRefused TaskFailed TaskUnreadable KeyRefused AccountEmpty"),
        ("From the file host", "ResultUnstored LinkDead PictureUnreadable"),
        ("To an upload", "ProviderRefused ProviderBusy ProviderUnreachable"),
    ],
)
def test_every_conclusion_has_a_row(asked: str, kinds: str) -> None:
    table = re.split(r"\n(?=To a|From the)", PAGE.split("\n## What the API may answer\n")[1])
    (found,) = [part for part in table if part.startswith(asked)]
    conclusions = " ".join(line.split("|")[2] for line in found.splitlines() if line.startswith("|"))
    assert [kind for kind in kinds.split() if kind not in conclusions] == []


def test_every_status_word_and_every_odd_status_stands() -> None:
    answers_of = " ".join(cells[0] for cells in rows("What the API may answer"))
    assert [word for word in answers.ENDS if f"`{word}`" not in answers_of] == []
    statuses = (*answers.MOVED, *answers.UNCLEAR, *toapis.DEAD, 402, 403, 422, 429, 500, 503)
    assert [status for status in statuses if not re.search(rf"\b{status}\b", answers_of)] == []


def test_the_page_says_when_the_live_service_was_checked() -> None:
    assert re.search(r"^Last verified against the live service: (never|20\d\d-\d\d-\d\d)\.$", PAGE, re.MULTILINE)
