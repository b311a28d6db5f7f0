"""The scanners find nothing but what is suppressed with a reason; what is suppressed they would find."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.template.scan import CODE, NOWHERE, bandit, checkov
from tests.template.stack import ROOT, TEMPLATE, Json


def _suppressions(template: Json) -> list[tuple[str, Json]]:
    return [
        (resource, skip)
        for resource, item in template["Resources"].items()
        for skip in item.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]


def _bare(template: Json) -> Json:
    """The template without its suppressions."""
    bare = copy.deepcopy(template)
    for item in bare["Resources"].values():
        item.get("Metadata", {}).pop("checkov", None)
    return bare


def _written(file: Path, template: Json) -> Path:
    file.write_text(json.dumps(template), encoding="utf-8")
    return file


def test_checkov_finds_what_is_suppressed_and_nothing_else(template: Json, translated: Json, tmp_path: Path) -> None:
    """One run, because most of its seconds are its start. A suppression that suppresses nothing fails here, too."""
    after = _written(tmp_path / "translated.json", translated)
    bare = _written(tmp_path / "bare.json", _bare(translated))
    verdicts = checkov(TEMPLATE, after, bare)
    assert [str(verdict) for verdict in verdicts.failed if verdict.file != bare] == []
    suppressed = {(resource, skip["id"]) for resource, skip in _suppressions(template)}
    assert {(verdict.resource, verdict.check) for verdict in verdicts.failed} == suppressed != set()


def test_every_suppression_in_the_template_has_a_reason(template: Json) -> None:
    for resource, skip in _suppressions(template):
        assert skip.keys() == {"id", "comment"}, resource
        assert re.fullmatch(r"\w+( \S+){3,}\.", skip["comment"]), f"{resource}: {skip}"


@pytest.mark.parametrize("arguments", CODE, ids=["deployed", "local"])
def test_bandit_finds_nothing_but_what_is_suppressed_with_a_reason(arguments: tuple[str, ...]) -> None:
    report = bandit(*arguments)
    assert report["results"] == []
    *_, last = arguments
    total = report["metrics"].pop("_totals")
    code = {file: (ROOT / file).read_text(encoding="utf-8") for file in report["metrics"]}
    assert {Path(file) for file in code} >= {file.relative_to(ROOT) for file in (ROOT / last).rglob("*.py")}
    suppressions = [line for text in code.values() for line in text.splitlines() if "nosec" in line]
    assert all(re.search(r"# nosec B\d{3} # \w+", line) for line in suppressions), suppressions
    assert (total["nosec"], total["skipped_tests"]) == (0, len(suppressions))


def test_bandit_would_see_a_shell_here_and_more_in_what_is_deployed(tmp_path: Path) -> None:
    planted = 'import subprocess\n\nsubprocess.run("/bin/ls", shell=True)\n'
    (tmp_path / "planted.py").write_text(planted, encoding="utf-8")
    found = [{item["test_id"] for item in bandit(*options, str(tmp_path))["results"]} for *options, _ in CODE]
    assert found == [{"B404", "B602"}, {"B602"}]


def test_a_file_that_bandit_cannot_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    with pytest.raises(RuntimeError, match="cannot read"):
        bandit("-r", str(tmp_path))


def test_an_audit_that_cannot_ask_fails() -> None:
    """One file is enough; the environment stands, or this would not run."""
    command = ["make", "-o", ".venv/scan/.ready", "audit", "LOCKED=requirements/uv.txt"]
    nowhere = {**os.environ, **NOWHERE}
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ProxyError" in done.stderr
