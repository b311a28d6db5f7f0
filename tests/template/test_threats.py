"""What the template says against whom nobody here can play: other accounts, and functions that speak for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.template.stack import listed

if TYPE_CHECKING:
    from tests.template.stack import Resources


def test_the_machine_works_for_this_account_alone(resources: Resources) -> None:
    """IAM User Guide, "The confused deputy problem": a service acts for every account that it is told to."""
    (trust,) = resources.properties("JobsMachineRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_functions_put_events_in_their_own_name_only(resources: Resources) -> None:
    telling = [
        (role, statement["Condition"])
        for role in resources.of("AWS::IAM::Role")
        for statement in resources.statements(role)
        if "events:PutEvents" in listed(statement["Action"])
    ]
    own = {"StringEqualsIfExists": {"events:source": "bucketbrush"}}
    assert sorted(role for role, _ in telling) == ["BatchRole", "FinalizeRole", "StatusRole", "SubmitRole"]
    assert [condition for _, condition in telling] == [own] * 4
