"""The README's tables say what the template and the catalogue say."""

from __future__ import annotations

import re

from bucketbrush.domain.catalogue import CATALOGUE
from bucketbrush.domain.jobs import Outcome, State
from tests.template.stack import ROOT, load

README = (ROOT / "README.md").read_text()


def _rows(heading: str) -> dict[str, list[str]]:
    """The cells of a section's last table by the name in their first column."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \|(.+)\|$", section, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def test_every_parameter_stands_with_its_default() -> None:
    documented = {name: cells[0].strip("`").replace("empty", "") for name, cells in _rows("Parameters").items()}
    parameters = load()["Parameters"]
    assert documented == {name: str(parameter["Default"]) for name, parameter in parameters.items()}


def test_every_field_of_every_model_stands_with_its_default() -> None:
    rows = _rows("Drop a file")
    assert rows.keys() == {"model"} | {field for model in CATALOGUE.values() for field in model.fields}
    for column, model in enumerate(CATALOGUE.values()):
        for field, rule in model.fields.items():
            if rule.default is not None:
                assert re.search(rf"{rule.default}\b.*\(default\)|default {rule.default}\b", rows[field][column])


def test_every_state_and_every_outcome_stands() -> None:
    assert set(_rows("Where is my job now?")) == {state.value for state in State}
    assert set(_rows("How it fails, and what you see then")) == {outcome.value for outcome in Outcome}


def test_every_output_that_it_names_is_there() -> None:
    assert set(re.findall(r"<output (\w+)>|output `(\w+)`", README)) <= {
        pair for name in load()["Outputs"] for pair in ((name, ""), ("", name))
    }
