"""The README's tables say what the template and the catalogue say."""

from __future__ import annotations

import re

from bucketbrush.domain import errors
from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Outcome
from bucketbrush.domain.life import STEPS, State
from tests.models import OURS
from tests.template.emitted import event_kinds, metrics
from tests.template.stack import ROOT, load

README = (ROOT / "README.md").read_text()


def _rows(heading: str) -> dict[str, list[str]]:
    """The cells of a section's tables by the name in their first column."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([\w ]+)` \|(.+)\|$", section, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def test_every_parameter_stands_with_its_default() -> None:
    documented = {name: cells[0].strip("`").replace("empty", "") for name, cells in _rows("Parameters").items()}
    parameters = load()["Parameters"]
    assert documented == {name: str(parameter["Default"]) for name, parameter in parameters.items()}


def test_every_field_of_every_model_stands_with_its_default() -> None:
    rows = _rows("Drop a file")
    pictures = {"references", "mask"}
    assert rows.keys() == {"model"} | pictures | {field for model in OURS.values() for field in model.fields}
    for column, model in enumerate(OURS.values()):
        for field, rule in model.fields.items():
            if rule.default is not None:
                assert re.search(rf"{rule.default}\b.*\(default\)|default {rule.default}\b", rows[field][column])


def test_every_state_and_every_outcome_stands() -> None:
    assert set(_rows("Where is my job now?")) == {state.value for state in State}
    assert list(_rows("How it fails, and what you see then")) == [outcome.value for outcome in Outcome]


def test_every_state_says_what_the_steps_to_it_mean_for_money() -> None:
    rows = _rows("Where is my job now?")
    for state in State:
        moneys = {step.money for step in STEPS if step.after is state}
        several = state in (State.DECIDED, State.ENDED) or len(moneys) > 1
        assert rows[state.value][-1] == ("see the outcome" if several else next(iter(moneys)).value), state


def test_every_metric_and_every_event_stands() -> None:
    rows = _rows("What comes out")
    reasons = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert set(rows) - (reasons - set(metrics())) == set(metrics()) | event_kinds()
    for name, metric in metrics().items():
        assert rows[name][0] == (", ".join(f"`{dimension}`" for dimension in sorted(metric.dimensions)) or "-"), name


def test_every_amount_of_money_is_explained() -> None:
    """The words that stand in result.json and in every message."""
    section = README.split("\n## What comes out\n")[1].split("\n## ")[0]
    assert [money.value for money in Money if f"`{money}`" not in section] == []


def test_every_output_that_it_names_is_there() -> None:
    assert set(re.findall(r"<output (\w+)>|output `(\w+)`", README)) <= {
        pair for name in load()["Outputs"] for pair in ((name, ""), ("", name))
    }
