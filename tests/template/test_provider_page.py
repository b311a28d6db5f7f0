"""docs/provider.md has no empty cell, names tests that exist, and covers every field of every model that is ours."""

from __future__ import annotations

import re

from bucketbrush.adapters import answers
from bucketbrush.domain.errors import BucketbrushError
from tests.samples import OURS
from tests.template.stack import ROOT

PAGE = (ROOT / "docs" / "provider.md").read_text()
SEEDS = ("gpt-image-1.5-official", "gpt-image-2-vip")


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's tables, without the heads."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {index for index, cells in enumerate(tables) if set("".join(cells)) == {"-"}}
    return [cells for index, cells in enumerate(tables) if index not in heads and index + 1 not in heads]


def test_no_cell_is_empty_and_every_test_is_there() -> None:
    found = rows("What a job may say") + rows("What the API may answer")
    assert len(found) > 60
    assert [cells for cells in found if not all(cells)] == []
    assert {len(cells) for cells in rows("What a job may say")} == {5}
    assert {len(cells) for cells in rows("What the API may answer")} == {3}
    for *_, test in found:
        named = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", test)
        assert named, test
        assert f"def {named[2]}(" in (ROOT / named[1]).read_text(), test


def test_every_field_has_a_row_for_each_model() -> None:
    fields = {"model", "references", "mask", "any other"} | {name for model in SEEDS for name in OURS[model].fields}
    pairs = [(cells[0].strip("`"), cells[1].strip("`")) for cells in rows("What a job may say")]
    assert sorted(pairs) == sorted((field, model) for field in fields for model in SEEDS)


def test_every_conclusion_of_the_client_has_a_row() -> None:
    """Each error that an answer can become, and each state of a task."""
    conclusions = " ".join(cells[1] for cells in rows("What the API may answer"))
    known = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", conclusions))
    kinds = {
        name for name, kind in vars(answers).items() if isinstance(kind, type) and issubclass(kind, BucketbrushError)
    }
    downloads = {"LinkDead", "PictureUnreadable", "ResultUnstored", "ProviderUnreachable"}
    assert (kinds | downloads) - known == set()
    assert [state.value for state in answers.TaskState if f"`{state.value}`" not in conclusions] == []


def test_the_page_says_when_the_live_service_was_checked() -> None:
    assert re.search(r"^Last verified against the live service: (never|20\d\d-\d\d-\d\d)\.$", PAGE, re.MULTILINE)
