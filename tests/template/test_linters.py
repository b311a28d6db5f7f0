"""The linters have nothing to say, on the file as it is and on what CloudFormation makes of it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from tests.template.scan import cfn_lint, run
from tests.template.stack import ENVIRONMENTS, TEMPLATE, Json

if TYPE_CHECKING:
    from pathlib import Path


def test_cfn_lint_is_silent_on_both_forms(translated: Json, tmp_path: Path) -> None:
    file = tmp_path / "translated.json"
    file.write_text(json.dumps(translated), encoding="utf-8")
    assert cfn_lint(TEMPLATE, file) == ""


def test_cfn_lint_would_see_a_circle_in_the_translated_form(translated: Json, tmp_path: Path) -> None:
    """Which is why the submit function is told the machine's ARN by Sub and not by reference.

    It would see what the template has it ignore as well, or that would not have to be ignored any more.
    """
    circular = copy.deepcopy(translated)
    settings = [item.get("Metadata", {}).pop("cfn-lint", {}) for item in circular["Resources"].values()]
    ignored = [check for setting in settings for check in setting.get("config", {}).get("ignore_checks", [])]
    variables = circular["Resources"]["SubmitFunction"]["Properties"]["Environment"]["Variables"]
    variables["JOBS_MACHINE_ARN"] = {"Ref": "JobsMachine"}
    file = tmp_path / "circular.json"
    file.write_text(json.dumps(circular), encoding="utf-8")
    said = cfn_lint(file)
    assert [check for check in ("E3004 Circular Dependencies", *ignored) if check not in said] == []


def test_sam_validate_is_silent() -> None:
    sam = ENVIRONMENTS / "sam" / "bin" / "sam"
    done = run(sam, "validate", "--lint", "--template-file", TEMPLATE)
    assert (done.stdout, done.stderr) == (f"{TEMPLATE} is a valid SAM Template\n", "")
