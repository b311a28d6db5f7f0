"""template.yaml and samconfig.toml as the tests read them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnlint.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".venv"
TEMPLATE = ROOT / "template.yaml"

# What `sam deploy` sends to CloudFormation becomes this there: AWS runs the same translator.
_TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
json.dump(transform(json.load(sys.stdin), {}, None), sys.stdout)
"""


def load() -> Json:
    """The template with the short forms of functions (!Ref) written out, as plain dicts and lists."""
    template, faults = decode(str(TEMPLATE))
    assert not faults, faults
    plain: Json = json.loads(json.dumps(template))
    return plain


def translate(template: Json) -> Json:
    """Plain CloudFormation, as if the code lay in S3 already."""
    uploaded = json.loads(json.dumps(template))
    for resource in uploaded["Resources"].values():
        for field in {"CodeUri", "ContentUri"} & set(resource.get("Properties", {})):
            resource["Properties"][field] = "s3://bucket/key"
    done = subprocess.run(
        [ENVIRONMENTS / "sam" / "bin" / "python", "-W", "ignore", "-c", _TRANSLATE],
        input=json.dumps(uploaded),
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    translated: Json = json.loads(done.stdout)
    return translated


def strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)


def listed(value: Any) -> list[Any]:
    """IAM takes one thing or a list of things."""
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Resources:
    """The resources of a template; `properties` by logical id."""

    all: Json

    def of(self, kind: str) -> dict[str, Json]:
        """The properties of all resources of a type such as "AWS::SQS::Queue"."""
        return {name: self.properties(name) for name, item in self.all.items() if item["Type"] == kind}

    def properties(self, name: str) -> Json:
        found: Json = self.all[name].get("Properties", {})
        return found

    def statements(self, role: str) -> list[Json]:
        """All statements of a role, from its own policies and from those that name it."""
        policies = [policy["PolicyDocument"] for policy in self.properties(role).get("Policies", [])]
        apart = self.of("AWS::IAM::Policy").values()
        policies += [policy["PolicyDocument"] for policy in apart if {"Ref": role} in policy["Roles"]]
        return [statement for policy in policies for statement in policy["Statement"]]


_NO_VALUE = "<AWS::NoValue>"  # what has it is left out


@dataclass(frozen=True)
class Values:
    """Resolves intrinsic functions to something of the right shape; resources get made-up names."""

    template: Json
    parameters: Mapping[str, str]

    @classmethod
    def deployed(cls, template: Json, overrides: Mapping[str, str]) -> Values:
        defaults = {name: str(item["Default"]) for name, item in template["Parameters"].items()}
        return cls(template, {**defaults, **overrides})

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        name, *others = value
        if not others and name.startswith(("Fn::", "Ref")):
            return getattr(self, f"_{name.removeprefix('Fn::').lower()}")(value[name])
        found = {field: self.resolve(item) for field, item in value.items()}
        return {field: item for field, item in found.items() if item != _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name not in self.parameters:
            return f"<{name}>"
        text = self.parameters[name]
        kind = self.template["Parameters"][name]["Type"]
        return [item.strip() for item in text.split(",")] if kind == "CommaDelimitedList" else text

    def _getatt(self, path: Any) -> str:
        return f"<{'.'.join(path if isinstance(path, list) else [path])}>"

    def _sub(self, argument: Any) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})
        values = {name: self.resolve(value) for name, value in given.items()}
        return re.sub(r"\$\{([^}]+)\}", lambda found: f"{values.get(found[1]) or self._ref(found[1])}", text)

    def _select(self, argument: list[Any]) -> Any:
        number, items = argument
        return self.resolve(items)[int(number)]

    def _split(self, argument: list[Any]) -> list[str]:
        between, text = argument
        return str(self.resolve(text)).split(between)

    def _join(self, argument: list[Any]) -> str:
        between, items = argument
        return str(between).join(self.resolve(items))

    def _if(self, argument: list[Any]) -> Any:
        condition, then, otherwise = argument
        return self.resolve(then if self.resolve(self.template["Conditions"][condition]) else otherwise)

    def _equals(self, argument: list[Any]) -> bool:
        first, second = self.resolve(argument)
        return bool(first == second)

    def _not(self, argument: list[Any]) -> bool:
        return not self.resolve(argument[0])


def samconfig() -> dict[str, Json]:
    """The deployments by name, each with its commands' parameters."""
    read = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    return {name: value for name, value in read.items() if isinstance(value, dict)}


def overrides(deployment: Json) -> dict[str, str]:
    """The parameter overrides of one deployment."""
    text = deployment["deploy"]["parameters"].get("parameter_overrides", "")
    return dict(item.split("=", 1) for item in shlex.split(text))


def is_allowed(parameter: Json, value: str) -> bool:
    """Whether CloudFormation takes a value for a parameter. A list's constraints hold for each item."""
    items = value.split(",") if parameter["Type"] == "CommaDelimitedList" else [value]
    return all(_fits(parameter, item.strip()) for item in items)


def _fits(parameter: Json, value: str) -> bool:
    if not re.fullmatch(parameter.get("AllowedPattern", ".*"), value):
        return False
    if value not in map(str, parameter.get("AllowedValues", [value])):
        return False
    if parameter["Type"] != "Number":
        return True
    return float(parameter.get("MinValue", "-inf")) <= float(value) <= float(parameter.get("MaxValue", "inf"))


def most(template: Json, value: Any) -> int:
    """A number of the template, or the largest that the parameter behind it takes."""
    return int(template["Parameters"][value["Ref"]]["MaxValue"] if isinstance(value, dict) else value)


def longest(state: Json) -> float:
    """How long a Task can take: every try to its timeout, every wait before the next one without jitter's mercy."""
    seconds: float = state["TimeoutSeconds"]
    for retrier in state["Retry"]:
        for turn in range(retrier.get("MaxAttempts", 3)):
            wait = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** turn
            seconds += state["TimeoutSeconds"] + min(wait, retrier["MaxDelaySeconds"])
    return seconds
