"""docs/promises.md names tests and mutations that exist, and every mutation still fits the code."""

from __future__ import annotations

import re

import pytest

from tests.mutations.mutations import MUTATIONS, Mutation
from tests.template.stack import ROOT

PROMISES = (ROOT / "docs" / "promises.md").read_text()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_what_it_says(mutation: Mutation) -> None:
    assert mutation.applied_to((ROOT / mutation.file).read_text())
    assert (ROOT / mutation.test.split("::")[0]).exists()


def test_every_mutation_stands_in_the_promises() -> None:
    assert [mutation.name for mutation in MUTATIONS if f"*{mutation.name}*" not in PROMISES] == []


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PROMISES)
    assert len(named) > 10
    assert [f"{file}::{name}" for file, name in named if f"def {name}" not in (ROOT / file).read_text()] == []
