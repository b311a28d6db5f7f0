"""docs/alarms.md lists every alarm with the test that hears it ring."""

from __future__ import annotations

import re

from tests.template.stack import ROOT, Resources

PAGE = (ROOT / "docs" / "alarms.md").read_text()
# By alarm: what made it ring, and the test that heard it.
ROWS = {
    name: (cause.strip(), test)
    for name, cause, test in re.findall(r"^\| `(\w+Alarm)` \|(.+)\| `(.+)` \|$", PAGE, re.MULTILINE)
}


def test_every_alarm_has_one_row(resources: Resources) -> None:
    assert len(ROWS) == PAGE.count("\n| `")
    assert ROWS.keys() == resources.of("AWS::CloudWatch::Alarm").keys()
    assert all(cause for cause, _ in ROWS.values())


def test_every_alarm_is_heard_by_a_test_that_is_there() -> None:
    for alarm, (_, test) in ROWS.items():
        file, _, name = test.partition("::")
        code = (ROOT / file).read_text().partition(f"\ndef {name}(")[2].partition("\ndef ")[0]
        # One test hears all that this page gives to it.
        assert alarm.removesuffix("Alarm") in code or "alarm: str" in code, f"{alarm} is not heard by {test}"
