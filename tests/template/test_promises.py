"""docs/promises.md and docs/security.md name tests that exist, and every mutation fits the code and stands beside its
test.
"""

from __future__ import annotations

import re

import pytest

from tests.mutations.mutations import MUTATIONS, PROMISES, SECURITY, Mutation
from tests.mutations.threats import THREATS
from tests.template.stack import ROOT

ALL = (*MUTATIONS, *THREATS)
_NAMED = re.compile(r"\*([a-z][^*|]+)\*")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code_and_has_its_test(mutation: Mutation) -> None:
    assert mutation.applied_to((ROOT / mutation.file).read_text())
    assert mutation.test


def test_every_mutation_that_is_named_is_there() -> None:
    names = [mutation.name for mutation in ALL]
    assert len(names) == len({*names})
    assert set(_NAMED.findall(PROMISES)) == {mutation.name for mutation in MUTATIONS}
    assert set(_NAMED.findall(SECURITY)) - set(_NAMED.findall(PROMISES)) == {mutation.name for mutation in THREATS}


@pytest.mark.parametrize("page", [PROMISES, SECURITY], ids=["promises", "security"])
def test_every_test_that_is_named_is_there(page: str) -> None:
    named = _TEST.findall(page)
    assert len(named) == page.count(".py::")
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_every_threat_has_its_mutation_and_its_test() -> None:
    tables = SECURITY.partition("## A dropped file")[2].partition("## Encryption")[0]
    threats = [row for row in tables.splitlines() if row.startswith("| ") and row[2:8] not in ("--- | ", "threat")]
    assert len(threats) > 50
    assert [row for row in threats if len(_NAMED.findall(row)) < 1 or len(_TEST.findall(row)) != 1] == []
