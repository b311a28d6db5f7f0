"""What scanners find in the template and in the code, offline: `make scan` prints it, the tests demand nothing."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.template.stack import ENVIRONMENTS, ROOT, TEMPLATE, Json, load, translate

# bandit's arguments: what is deployed has no exceptions, what runs here has those of pyproject.toml.
CODE = (("-r", "functions", "layers/bucketbrush"), ("-c", "pyproject.toml", "-r", "local"))

# A tool that calls home all the same finds nobody there, and complains.
NOWHERE = {
    **{name: "http://127.0.0.1:9" for proxy in ("https_proxy", "http_proxy") for name in (proxy, proxy.upper())},
    **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
}


@dataclass(frozen=True)
class Verdict:
    """What checkov holds against a resource, or why the resource's metadata say that it should not."""

    file: Path
    line: int
    check: str
    resource: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}: {self.check} {self.resource}: {self.text}"


@dataclass(frozen=True)
class Verdicts:
    failed: list[Verdict]
    suppressed: list[Verdict]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool as if there were no network."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", **NOWHERE},
        capture_output=True,
        text=True,
        check=False,
    )


def cfn_lint(*files: Path) -> str:
    """What cfn-lint says about templates: nothing, when it finds nothing."""
    done = run(ENVIRONMENTS / "dev" / "bin" / "cfn-lint", *files)
    return done.stdout + done.stderr


def checkov(*files: Path) -> Verdicts:
    """What checkov says about templates; RuntimeError, when it could not read one of them."""
    offline = ("--framework", "cloudformation", "--skip-download", "--output", "json")
    results = _report("checkov", *offline, "--file", *files)["results"]
    if results["parsing_errors"]:
        raise RuntimeError(f"checkov cannot read {results['parsing_errors']}")
    return Verdicts(
        [_verdict(item) for item in results["failed_checks"]], [_verdict(item) for item in results["skipped_checks"]]
    )


def bandit(*arguments: str) -> Json:
    """bandit's report; RuntimeError, when it could not read a file, which it would leave out without a word."""
    report = _report("bandit", "--quiet", "--format", "json", *arguments)
    if report["errors"]:
        raise RuntimeError(f"bandit cannot read {report['errors']}")
    return report


def _report(tool: str, *arguments: str | Path) -> Json:
    done = run(ENVIRONMENTS / "scan" / "bin" / tool, *arguments)
    if done.stderr:
        raise RuntimeError(f"{tool} complains: {done.stderr}")
    report: Json = json.loads(done.stdout)
    return report


def _verdict(item: Json) -> Verdict:
    return Verdict(
        file=Path(item["file_abs_path"]),
        line=item["file_line_range"][0],
        check=item["check_id"],
        resource=item["resource"].rpartition(".")[2],
        text=item["check_result"].get("suppress_comment") or item["check_name"],
    )


def main() -> int:
    """Print what is found and what is suppressed; the exit code says whether anything is found."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        translated = Path(folder) / "translated.json"
        translated.write_text(json.dumps(translate(load()), indent=1), encoding="utf-8")
        said = cfn_lint(TEMPLATE, translated)
        verdicts = checkov(TEMPLATE, translated)
    findings = said.splitlines() + [str(verdict) for verdict in verdicts.failed]
    for arguments in CODE:
        for found in bandit(*arguments)["results"]:
            findings.append(f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}")
    reasons = [str(verdict) for verdict in verdicts.suppressed if verdict.file == TEMPLATE]
    sys.stdout.write("\n".join(["Suppressed in the template:", *reasons, f"Found: {len(findings)}", *findings, ""]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
