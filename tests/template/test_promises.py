"""docs/promises.md names tests that exist, and every mutation fits the code and stands beside its test."""

from __future__ import annotations

import re

import pytest

from tests.mutations.mutations import MUTATIONS, PROMISES, Mutation
from tests.template.stack import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code_and_has_its_test(mutation: Mutation) -> None:
    assert mutation.applied_to((ROOT / mutation.file).read_text())
    assert mutation.test


def test_every_mutation_that_is_named_is_there() -> None:
    assert set(re.findall(r"\*([a-z][^*|]+)\*", PROMISES)) == {mutation.name for mutation in MUTATIONS}


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PROMISES)
    assert len(named) == PROMISES.count("`tests/") - PROMISES.count("`tests/template`")
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []
